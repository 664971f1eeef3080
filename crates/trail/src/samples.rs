//! What the tests write.

#[path = "../samples/header.rs"]
mod file;

use std::sync::Arc;
use std::time::Duration;

use keyward_model::Verdict;

use crate::signature::SigningKey;
use crate::{
    ChannelId, Direction, End, Event, FileDigest, FileEvent, FileOutcome, Header, Protection, Stream,
    Terminal,
};

pub(crate) fn header() -> Header {
    file::header().unwrap()
}

/// Without encryption.
pub(crate) fn signed() -> Protection {
    Protection::signed(Arc::new(SigningKey::of_seed([9; 32])))
}

/// A shell with a terminal of so many columns on channel 0.
pub(crate) fn shell(columns: u32) -> Event<'static> {
    let terminal = Some(Terminal { term: "xterm".into(), columns, rows: 5 });
    Event::Open { channel: ChannelId(0), kind: "shell".into(), command: None, terminal }
}

/// On channel 0, `<` is typed and `>` is shown, so many seconds apart.
pub(crate) fn talk<'a>(lines: &[&'a str], apart: u64) -> Vec<(Duration, Event<'a>)> {
    let event = |line: &'a str| match line.split_at(1) {
        ("<", text) => Event::Data {
            channel: ChannelId(0),
            direction: Direction::FromClient,
            stream: Stream::Main,
            bytes: text.as_bytes().into(),
        },
        (_, text) => data(text.as_bytes()),
    };
    let times = (0..).step_by(apart as usize).map(Duration::from_secs);
    times.zip(lines.iter().copied().map(event)).collect()
}

/// A command that asks for a password, and Enter at the next prompt.
pub(crate) const SUDO: [&str; 7] =
    [">$ ", "<sudo id\r", ">sudo id\r\nPassword: ", "<hunter2\r", ">\r\nuid=0\r\n$ ", "<\r", ">\r\n$ "];

/// Something shown on channel 0.
pub(crate) fn data(bytes: &[u8]) -> Event<'_> {
    Event::Data {
        channel: ChannelId(0),
        direction: Direction::ToClient,
        stream: Stream::Main,
        bytes: bytes.into(),
    }
}

/// A file of three bytes that was uploaded on channel 0.
pub(crate) fn upload() -> Event<'static> {
    let file = FileEvent {
        operation: "upload".into(),
        path: b"/srv/x".as_slice().into(),
        other: None,
        flags: 26,
        size: Some(3),
        outcome: FileOutcome::Done,
        digest: Some(FileDigest::Sha256([7; 32])),
    };
    Event::File { channel: ChannelId(0), file }
}

pub(crate) fn end() -> End {
    End { verdict: Verdict::Accept, reason: Some("the client left".into()) }
}
