//! What was found, and why nothing could be.

use std::fmt;
use std::ops::Range;

use keyward_policy::{ContentAction, ContentPolicy};

/// A pattern of a rule was in a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The name of the rule.
    pub rule: String,
    pub action: ContentAction,
    pub place: Place,
    /// The part of the line that the pattern matches, cut to [`LONGEST`] characters. `None` where the screen does not
    /// show what was typed: it may be a password.
    pub matched: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// In a command.
    Typed,
    Shown,
}

/// What the rules cannot be held against is not passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CannotJudge {
    #[error(
        "the terminal is larger than {} rows or {} cells",
        crate::screen::MOST_ROWS,
        crate::screen::MOST_CELLS
    )]
    LargeTerminal,
    #[error("the target repeats a character more often than the terminal is wide")]
    Repeats,
    #[error("the target has sent what the model of its terminal fails at")]
    Broken,
    #[error("a line of more than {} bytes was typed", crate::lines::LONGEST_TYPED)]
    LongLine,
    #[error("more was typed than can be held until the screen shows it")]
    TypedTooMuch,
    #[error("a line is longer than the terminal is tall, so that it cannot be seen whole")]
    TallLine,
    #[error("a line is longer than the terminal is wide, and its program shows a part of it")]
    WideLine,
    #[error(
        "the terminal has a mode that makes other characters of those that are typed or shown: number {0} of RFC 4254"
    )]
    StrangeMode(u8),
    #[error("the modes of the terminal cannot be read")]
    MalformedModes,
    #[error("the client takes the channel for a terminal, and the target has perhaps not given it one")]
    NoTerminal,
    #[error("keys that were recorded are played (^X e), and run lines that no screen shows")]
    Macro,
    #[error("keys were typed ahead, and the screen has not shown what becomes of them")]
    TypedAhead,
}

/// Characters of what matched, for a note.
const LONGEST: usize = 200;

/// Looks for commands in a line; adds what rules have found that had found nothing in another form of it.
pub(crate) fn look_for_commands(policy: &ContentPolicy, line: &str, found: &mut Vec<Finding>) {
    for place in policy.commands().find(line) {
        let finding = Finding::new(policy, Place::Typed, line, place);
        found.extend(finding.filter(|new| !found.iter().any(|old| old.rule == new.rule)));
    }
}

/// The lines of a text, each as it is, joined as shells join lines that end with a backslash, and all joined where
/// `joins`: keys that may have ended a line have perhaps not.
pub(crate) fn forms(text: &str, joins: Joins) -> Vec<String> {
    let mut forms: Vec<String> = text.lines().map(str::to_owned).collect();
    let shell = text.replace("\\\n", "");
    if shell.len() < text.len() {
        forms.extend(shell.lines().map(str::to_owned));
    }
    if joins == Joins::All && text.contains('\n') {
        forms.push(shell.replace('\n', ""));
    }
    forms
}

/// Text from bytes, without those that shells pass over.
pub(crate) fn without_zeros(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.retain(|c| c != '\0');
    text
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Joins {
    /// Those that end with a backslash.
    Shell,
    All,
}

impl Finding {
    pub(crate) fn new(
        policy: &ContentPolicy,
        place: Place,
        line: &str,
        (rule, range): (usize, Range<usize>),
    ) -> Option<Self> {
        let rule = policy.rules.get(rule)?;
        let matched = line.get(range).unwrap_or_default().chars().take(LONGEST).collect();
        Some(Self { rule: rule.name.clone(), action: rule.action, place, matched: Some(matched) })
    }

    /// Whether the session ends.
    pub fn terminates(&self) -> bool {
        self.action == ContentAction::Terminate
    }
}

/// For a note: what a peer wrote cannot make a line of its own.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Typed => "command",
            Place::Shown => "screen",
        };
        write!(f, "content rule {:?} ({}): {place} ", self.rule, self.action.as_str())?;
        match &self.matched {
            Some(matched) => write!(f, "\"{}\"", matched.escape_debug()),
            None => f.write_str("typed unseen, not kept here"),
        }
    }
}
