//! What is wrong with a document, and what of it may be shown.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::{Problem, Problems};

/// What is wrong with one value.
pub(super) struct Fault {
    message: String,
    hint: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says first where in the value it is.
    pub(super) fn within(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }
}

/// Collects the faults of one document.
pub(super) struct Report<'d> {
    text: &'d str,
    found: RefCell<Vec<(usize, Fault)>>,
    /// The parts of the text that no excerpt may show.
    hidden: RefCell<Vec<Range<usize>>>,
}

/// More than this helps nobody, and a hostile document could have a million.
const MAX_PROBLEMS: usize = 50;
const MAX_EXCERPT_CHARACTERS: usize = 160;

impl<'d> Report<'d> {
    pub(super) fn new(text: &'d str) -> Self {
        Self { text, found: RefCell::default(), hidden: RefCell::default() }
    }

    /// `at` is the byte of the text that the fault begins with.
    pub(super) fn add(&self, at: usize, fault: Fault) {
        self.found.borrow_mut().push((at, fault));
    }

    /// How many faults there are already.
    pub(super) fn count(&self) -> usize {
        self.found.borrow().len()
    }

    /// Keeps a value out of every excerpt, whatever the problem of its line is.
    pub(super) fn hide(&self, value: &Spanned<DeValue<'_>>) {
        self.hidden.borrow_mut().push(value.span());
        // The span of a table is its header's, so that what is below is hidden piece by piece.
        match value.get_ref() {
            DeValue::Array(items) => items.iter().for_each(|item| self.hide(item)),
            DeValue::Table(table) => table.values().for_each(|item| self.hide(item)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }

    /// The problems in the order of the document, if there are any.
    pub(super) fn finish(self, name: &str) -> Result<(), Problems> {
        let Self { text, found, hidden } = self;
        let (mut found, hidden) = (found.into_inner(), hidden.into_inner());
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|(at, _)| *at);
        let more = found.len().saturating_sub(MAX_PROBLEMS);
        found.truncate(MAX_PROBLEMS);
        let problem = |(at, fault)| Line::around(text, at).problem(fault, |line| line.visible(&hidden));
        Err(Problems { name: name.to_owned(), problems: found.into_iter().map(problem).collect(), more })
    }
}

/// The one problem of a text that is no TOML.
pub(super) fn syntax_problem(text: &str, name: &str, error: &toml::de::Error) -> Problems {
    let at = error.span().map_or(text.len(), |span| span.start);
    let fault = Fault::new(format!("this is not TOML: {}", error.message().replace('\n', ", ")));
    let problem = Line::around(text, at).problem(fault, |line| key_only(line.text));
    Problems { name: name.to_owned(), problems: vec![problem], more: 0 }
}

/// Without a parsed document nobody knows which values are secret, so that only a key or a header is shown.
fn key_only(line: &str) -> Option<String> {
    const MAX_KEY: usize = 40;
    let is_header = |c: char| c.is_ascii_lowercase() || matches!(c, '[' | ']' | '.' | '-' | ' ');
    if line.starts_with('[') && line.chars().all(is_header) {
        return Some(line.to_owned());
    }
    // The spaces around the sign tell a key from the end of a base64 line.
    let (key, _) = line.split_once(" = ")?;
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    (key.len() <= MAX_KEY && key.chars().all(is_key)).then(|| format!("{key} = …"))
}

struct Line<'d> {
    text: &'d str,
    /// Where the line begins in the document, in bytes.
    start: usize,
    /// From 1.
    number: usize,
    /// From 1, in characters.
    column: usize,
}

impl<'d> Line<'d> {
    fn around(text: &'d str, at: usize) -> Self {
        let at = text.floor_char_boundary(at);
        let (before, after) = text.split_at(at);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = after.find('\n').map_or(text.len(), |newline| at + newline);
        let line = text.get(start..end).unwrap_or_default();
        Self {
            text: line.strip_suffix('\r').unwrap_or(line),
            start,
            number: before.matches('\n').count() + 1,
            column: before.get(start..).unwrap_or_default().chars().count() + 1,
        }
    }

    fn problem(&self, fault: Fault, show: impl FnOnce(&Self) -> Option<String>) -> Problem {
        let excerpt = show(self).map(|line| line.chars().take(MAX_EXCERPT_CHARACTERS).collect());
        let Fault { message, hint } = fault;
        Problem { line: self.number, column: self.column, message, hint, excerpt }
    }

    /// The line up to the first hidden part; `None` when it begins inside one.
    fn visible(&self, hidden: &[Range<usize>]) -> Option<String> {
        let end = self.start + self.text.len();
        let touching = hidden.iter().filter(|range| range.start < end && range.end > self.start);
        let Some(cut) = touching.map(|range| range.start).min() else { return Some(self.text.to_owned()) };
        let shown = self.text.get(..cut.checked_sub(self.start)?)?;
        Some(format!("{shown}…"))
    }
}
