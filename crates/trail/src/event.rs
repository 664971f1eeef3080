//! What happens in a session, as the trail keeps it.

use std::borrow::Cow;
use std::fmt;

use crate::file_event::FileEvent;
use crate::hidden_input::HiddenInput;

/// A channel of the session, by a number that the writer chooses and does not use twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelId(pub u32);

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// What the person typed.
    FromClient,
    /// What was shown.
    ToClient,
}

/// Which of a channel's streams bytes belong to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stream {
    Main,
    Stderr,
}

/// The terminal that a client asked for (RFC 4254 section 6.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Terminal<'a> {
    /// The value of `TERM`.
    pub term: Cow<'a, str>,
    pub columns: u32,
    pub rows: u32,
}

/// How the program behind a channel ended (RFC 4254 section 6.10).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExitStatus<'a> {
    Code(u32),
    Signal { name: Cow<'a, str>, core_dumped: bool, message: Cow<'a, str> },
}

/// One event of a session. It borrows what it can: writing a `Data` event copies its bytes once.
#[derive(Clone, Eq, PartialEq)]
pub enum Event<'a> {
    /// A channel begins to carry something.
    Open {
        channel: ChannelId,
        /// What it is for, in the words of the channel policy: `shell`, `exec`, `sftp`, ...
        kind: Cow<'a, str>,
        /// As the client sent it, which need not be UTF-8.
        command: Option<Cow<'a, [u8]>>,
        terminal: Option<Terminal<'a>>,
    },
    Data {
        channel: ChannelId,
        direction: Direction,
        stream: Stream,
        bytes: Cow<'a, [u8]>,
    },
    /// The terminal has a new size.
    Window {
        channel: ChannelId,
        columns: u32,
        rows: u32,
    },
    /// The client set a variable of the environment.
    Env {
        channel: ChannelId,
        name: Cow<'a, str>,
        value: Cow<'a, str>,
    },
    /// The client sent a signal; its name is without `SIG`.
    Signal {
        channel: ChannelId,
        name: Cow<'a, str>,
    },
    /// One side has no more to send.
    Eof {
        channel: ChannelId,
        direction: Direction,
    },
    Exit {
        channel: ChannelId,
        status: ExitStatus<'a>,
    },
    Close {
        channel: ChannelId,
    },
    /// Something was done to a file of the target. Where its bytes are recorded too, they are in data events.
    File {
        channel: ChannelId,
        file: FileEvent<'a>,
    },
    /// Something was typed that was not shown, as passwords are.
    Hidden {
        channel: ChannelId,
        input: HiddenInput<'a>,
    },
}

impl Event<'_> {
    /// The channel that the event belongs to.
    pub fn channel(&self) -> ChannelId {
        match self {
            Self::Open { channel, .. }
            | Self::Data { channel, .. }
            | Self::Window { channel, .. }
            | Self::Env { channel, .. }
            | Self::Signal { channel, .. }
            | Self::Eof { channel, .. }
            | Self::Exit { channel, .. }
            | Self::Close { channel }
            | Self::File { channel, .. }
            | Self::Hidden { channel, .. } => *channel,
        }
    }

    /// Whether it opens a channel whose bytes are a protocol for files: nothing that a person reads.
    pub(crate) fn opens_files(&self) -> bool {
        matches!(self, Self::Open { kind, .. } if matches!(&**kind, "sftp" | "scp"))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "Open",
            Self::Data { .. } => "Data",
            Self::Window { .. } => "Window",
            Self::Env { .. } => "Env",
            Self::Signal { .. } => "Signal",
            Self::Eof { .. } => "Eof",
            Self::Exit { .. } => "Exit",
            Self::Close { .. } => "Close",
            Self::File { .. } => "File",
            Self::Hidden { .. } => "Hidden",
        }
    }
}

/// Kind, channel and size only: what people type may be a password, and `Debug` ends up in logs.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(self.name());
        shown.field("channel", &self.channel().0);
        if let Self::Data { bytes, direction, stream, .. } = self {
            shown.field("direction", direction).field("stream", stream).field("bytes", &bytes.len());
        }
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_does_not_reach_debug() {
        let event = Event::Data {
            channel: ChannelId(3),
            direction: Direction::FromClient,
            stream: Stream::Main,
            bytes: b"hunter2".into(),
        };
        assert_eq!(
            format!("{event:?}"),
            "Data { channel: 3, direction: FromClient, stream: Main, bytes: 7, .. }"
        );
    }
}
