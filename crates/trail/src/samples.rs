//! What the tests write.

use std::sync::Arc;

use keyward_model::{ClientAddr, ConnectionName, Protocol, SessionId, TargetAddr, UnixMillis, Verdict};

use crate::signature::SigningKey;
use crate::{
    ChannelId, Direction, End, Event, FileDigest, FileEvent, FileOutcome, Header, Protection, Stream,
};

pub(crate) fn header() -> Header {
    let connection = ConnectionName::try_from("db").unwrap();
    Header {
        session: SessionId::new([7; 16], &connection, 42),
        protocol: Protocol::Ssh,
        connection,
        client: ClientAddr("192.0.2.1:50000".parse().unwrap()),
        started: UnixMillis(1_700_000_000_123),
        gateway_user: Some("alice".into()),
        remote_user: "root".into(),
        target: TargetAddr { addr: "[2001:db8::7]:22".parse().unwrap(), hostname: Some("db1".into()) },
    }
}

/// Without encryption.
pub(crate) fn signed() -> Protection {
    Protection::signed(Arc::new(SigningKey::of_seed([9; 32])))
}

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
