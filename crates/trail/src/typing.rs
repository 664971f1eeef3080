//! The lines that a person types, as the screen of the channel shows them.

use std::collections::VecDeque;
use std::time::Duration;

use avt::parser::Function;
use avt::{Line, ScreenKind, Terminal};
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::screen::Watch;

/// Line ends that wait for their answer; more are forgotten.
const MOST_ENTERED: usize = 1024;
/// Keys of a line that are kept, to find it on the screen.
const MOST_TYPED: usize = 1024;
/// Rows that go by before a line that was typed ahead is given up.
const MOST_MISSED: usize = 10_000;

/// A line that was typed, or what is known of it.
#[derive(Default, Serialize)]
pub(crate) struct Command {
    /// Since the start of the session.
    #[serde(serialize_with = "as_seconds")]
    pub(crate) at: Duration,
    pub(crate) channel: u32,
    /// What stood in front of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
    /// The screen did not show what was typed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hidden: bool,
    /// Keys for a program with a screen of its own, from `at` until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<usize>,
}

/// Recognises them: told of the keys, and looking on while the screen is drawn.
#[derive(Default)]
pub(crate) struct Typing {
    /// The line that is being typed: what stood before the cursor when it was begun, and whether it has text.
    begun: Option<Entered>,
    /// Lines that were ended, and that the screen has not left yet.
    entered: VecDeque<Entered>,
    /// The prompt before, for lines that are typed before theirs is there.
    last_prompt: String,
    /// Rows that were left since a line that was typed ahead waits for its prompt.
    missed: usize,
    /// The first and the last key since a program has a screen of its own, and how many they are.
    apart: Option<(Duration, Duration, usize)>,
    pub(crate) found: Vec<Command>,
}

struct Entered {
    at: Duration,
    prompt: String,
    has_text: bool,
    /// The keys, where each of them is a letter; `None` after one that edits the line, or too many.
    typed: Option<Zeroizing<String>>,
    /// The line before had no answer yet: its output comes first, and then a prompt.
    is_ahead: bool,
}

impl Typing {
    /// `terminal`: what the screen shows when the keys come.
    pub(crate) fn press(&mut self, at: Duration, bytes: &[u8], terminal: &Terminal) {
        if terminal.active_screen_kind() == ScreenKind::Alternate {
            let (first, _, keys) = self.apart.unwrap_or((at, at, 0));
            self.apart = Some((first, at, keys + bytes.len()));
            return;
        }
        self.come_back();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    let is_ahead = !self.entered.is_empty();
                    let begun = self.begun.take().unwrap_or_else(|| Entered::begin(terminal, is_ahead));
                    if self.entered.len() < MOST_ENTERED {
                        self.entered.push_back(Entered { at, ..begun });
                    }
                }
                // ^C: what was typed is given up.
                0x03 => self.begun = None,
                byte => {
                    let is_ahead = !self.entered.is_empty();
                    let begun = self.begun.get_or_insert_with(|| Entered::begin(terminal, is_ahead));
                    begun.has_text |= !byte.is_ascii_control();
                    match &mut begun.typed {
                        Some(typed) if matches!(byte, b' '..=b'~') && typed.len() < MOST_TYPED => {
                            typed.push(char::from(*byte));
                        }
                        typed => *typed = None,
                    }
                }
            }
        }
    }

    /// Tells the keys that a program with a screen of its own has got.
    pub(crate) fn come_back(&mut self) {
        if let Some((first, last, keys)) = self.apart.take() {
            let (until, keys) = (Some(last.as_secs_f64()), Some(keys));
            self.found.push(Command { at: first, until, keys, ..Command::default() });
        }
    }

    /// The cursor leaves this line.
    fn leave(&mut self, line: &str) {
        let waits = self.entered.front().is_some_and(|first| first.waits(line, &self.last_prompt));
        if waits && self.missed < MOST_MISSED {
            self.missed += 1;
            return;
        }
        self.missed = 0;
        let Some(mut first) = self.entered.pop_front() else { return };
        if first.prompt.is_empty() && self.last_prompt.is_empty() {
            first.find_prompt(line);
        }
        let Entered { at, prompt, has_text, .. } = first;
        let known = [prompt, std::mem::take(&mut self.last_prompt)];
        let prompt = known.iter().find(|prompt| !prompt.is_empty() && begins(line, prompt));
        let command = match prompt {
            Some(prompt) => line.get(prompt.len()..).unwrap_or_default().trim(),
            None => line.trim(),
        };
        let told = prompt.map(|prompt| prompt.trim_end().to_owned());
        if !command.is_empty() {
            self.found.push(Command {
                at,
                prompt: told,
                command: Some(command.to_owned()),
                ..Command::default()
            });
        } else if has_text {
            self.found.push(Command { at, prompt: told, hidden: true, ..Command::default() });
        }
        let [own, last] = known;
        self.last_prompt = if own.is_empty() { last } else { own };
    }
}

fn as_seconds<S: Serializer>(at: &Duration, to: S) -> Result<S::Ok, S::Error> {
    at.as_secs_f64().serialize(to)
}

impl Entered {
    fn begin(terminal: &Terminal, is_ahead: bool) -> Self {
        let prompt = if is_ahead { String::new() } else { before_cursor(terminal) };
        Self { at: Duration::ZERO, prompt, has_text: false, typed: Some(Zeroizing::default()), is_ahead }
    }

    /// Whether the line that the cursor leaves is not this one: the output of what came before, or what a server says
    /// before the first prompt.
    fn waits(&self, line: &str, last_prompt: &str) -> bool {
        if !last_prompt.is_empty() {
            return self.is_ahead && !begins(line, last_prompt);
        }
        let knows_no_prompt = self.prompt.is_empty();
        knows_no_prompt && self.typed.as_ref().is_some_and(|typed| !line.contains(typed.trim()))
    }

    /// What stands in front of the keys was the prompt.
    fn find_prompt(&mut self, line: &str) {
        let typed = self.typed.as_ref().map(|typed| typed.trim()).filter(|typed| !typed.is_empty());
        let found = typed.and_then(|typed| line.strip_suffix(typed));
        self.prompt = found.unwrap_or_default().to_owned();
    }
}

impl Watch for Typing {
    fn before(&mut self, terminal: &Terminal, function: &Function) {
        if self.entered.is_empty() || terminal.active_screen_kind() == ScreenKind::Alternate {
            return;
        }
        use Function as F;
        if matches!(function, F::Lf | F::Nel | F::Cnl(_) | F::Ed(_) | F::Decset(_) if leaves(function)) {
            self.leave(&line(terminal));
        }
    }
}

/// Whether the line is over: modes such as that of pastes are switched while it still stands.
fn leaves(function: &Function) -> bool {
    match function {
        Function::Decset(modes) => {
            use avt::parser::DecMode::{AltScreenBuffer, SaveCursorAltScreenBuffer};
            modes.as_slice().iter().any(|mode| matches!(mode, AltScreenBuffer | SaveCursorAltScreenBuffer))
        }
        // Programs clear what is below the line while it is edited.
        Function::Ed(scope) => matches!(scope, avt::parser::EdScope::All),
        _ => true,
    }
}

fn begins(line: &str, prompt: &str) -> bool {
    // A prompt of which only its blank end is missing has nothing behind it.
    line.starts_with(prompt) || line == prompt.trim_end()
}

/// The first of the rows that the cursor's line was wrapped to.
fn first_row(terminal: &Terminal) -> usize {
    let screen = terminal.screen();
    let mut first = terminal.cursor().row;
    while let Some(above) = first.checked_sub(1).filter(|row| screen.line(*row).is_some_and(Line::is_wrapped))
    {
        first = above;
    }
    first
}

/// The cursor's line, without blanks at its end.
fn line(terminal: &Terminal) -> String {
    let (screen, cursor) = (terminal.screen(), terminal.cursor().row);
    let mut text = String::new();
    for (row, line) in screen.visible_lines().enumerate().skip(first_row(terminal)) {
        text.extend(line.chars());
        if row >= cursor && !line.is_wrapped() {
            break;
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn before_cursor(terminal: &Terminal) -> String {
    let (screen, cursor) = (terminal.screen(), terminal.cursor());
    let above = (first_row(terminal)..cursor.row).filter_map(|row| screen.line(row)).flat_map(Line::chars);
    let left = screen.line(cursor.row).into_iter().flat_map(|line| line.cells().iter().take(cursor.col));
    // The second half of a wide character is no character.
    above.chain(left.filter(|cell| cell.width() > 0).map(avt::Cell::char)).collect()
}
