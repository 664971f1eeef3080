//! A line of a session, and how lines are kept in the index.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A line that somebody may look for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Since the start of the session; the index keeps milliseconds.
    pub at: Duration,
    /// Of the recording.
    pub channel: u32,
    pub kind: LineKind,
    /// Without line ends and other control characters: the index makes spaces of them.
    pub text: String,
}

/// What a line is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum LineKind {
    /// What was typed, as the screen has shown it.
    #[serde(rename = "c")]
    Command,
    /// What the screen showed.
    #[serde(rename = "s")]
    Screen,
    /// An operation on a file.
    #[serde(rename = "f")]
    File,
}

/// A line as a document of the index keeps it: milliseconds, channel, kind, text.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Kept<'t>(u64, u32, LineKind, #[serde(borrow)] Cow<'t, str>);

impl<'t> Kept<'t> {
    pub(crate) fn new(line: &Line, text: Cow<'t, str>) -> Self {
        Self(millis(line.at), line.channel, line.kind, text)
    }

    pub(crate) fn text(&self) -> &str {
        &self.3
    }

    pub(crate) fn kind(&self) -> LineKind {
        self.2
    }

    /// Milliseconds since the start of the session.
    pub(crate) fn at(&self) -> u64 {
        self.0
    }
}

impl From<Kept<'_>> for Line {
    fn from(Kept(at, channel, kind, text): Kept<'_>) -> Self {
        Self { at: Duration::from_millis(at), channel, kind, text: text.into_owned() }
    }
}

pub(crate) fn millis(at: Duration) -> u64 {
    at.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The text on one line.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}
