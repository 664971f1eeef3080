//! What a trail promises, seen from outside: the same events again, cuts and damage told apart, nothing that panics.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod blocks;
mod damage;
mod encryption;
mod golden;
mod growing;
mod hidden_input;
#[path = "../../samples/header.rs"]
mod sample;
mod verification;
mod whole;

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use keyward_model::Verdict;
use keyward_trail::{
    AuditorKey, ChannelId, Direction, End, Ending, Event, ExitStatus, Header, Protection, Reader, SigningKey,
    Stream, Terminal, TrailError, Writer,
};

type Timed = (Duration, Event<'static>);

fn header() -> Header {
    sample::header().unwrap()
}

fn end() -> End {
    End { verdict: Verdict::Accept, reason: Some("the client left".into()) }
}

/// The node that writes the tests' trails. Its key is that of the golden ones.
static SIGNER: LazyLock<Arc<SigningKey>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key");
    std::fs::write(&path, include_str!("signing.key")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Arc::new(SigningKey::read(&path).unwrap())
});

/// Without encryption.
fn signed() -> Protection {
    Protection::signed(Arc::clone(&SIGNER))
}

/// Writes the events, a block after each whose index is in `flushes`, and the end at its time.
fn written(events: &[Timed], flushes: &[usize]) -> Vec<u8> {
    written_for(&signed(), events, flushes)
}

fn written_for(protection: &Protection, events: &[Timed], flushes: &[usize]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header(), protection).unwrap();
    for (n, (at, event)) in events.iter().enumerate() {
        writer.write(*at, event).unwrap();
        if flushes.contains(&n) {
            writer.flush().unwrap();
        }
    }
    writer.finish(end_time(events), &end()).unwrap()
}

/// A second after the last event.
fn end_time(events: &[Timed]) -> Duration {
    events.last().map_or(Duration::ZERO, |(at, _)| *at) + Duration::from_secs(1)
}

/// The events up to the end or the first error, and which of the two it was.
fn read(trail: &[u8]) -> Result<(Vec<Timed>, Ending), (Vec<Timed>, TrailError)> {
    read_with(trail, &[])
}

fn read_with(trail: &[u8], keys: &[AuditorKey]) -> Result<(Vec<Timed>, Ending), (Vec<Timed>, TrailError)> {
    let mut reader = Reader::new(trail, keys).map_err(|error| (Vec::new(), error))?;
    let mut events = Vec::new();
    for item in &mut reader {
        match item {
            Ok(event) => events.push(event),
            Err(error) => {
                assert!(reader.ending().is_none() && reader.next().is_none());
                return Err((events, error));
            }
        }
    }
    let ending = reader.ending().unwrap().clone();
    Ok((events, ending))
}

fn session() -> Vec<Timed> {
    let channel = ChannelId(0);
    let terminal = Some(Terminal { term: "xterm".into(), columns: 80, rows: 24 });
    let data =
        |direction, stream, bytes: Vec<u8>| Event::Data { channel, direction, stream, bytes: bytes.into() };
    let events = vec![
        Event::Env { channel, name: "LANG".into(), value: "C.UTF-8".into() },
        Event::Open { channel, kind: "shell".into(), command: None, terminal },
        data(Direction::FromClient, Stream::Main, b"ls\r".to_vec()),
        data(Direction::ToClient, Stream::Main, b"drwxr-xr-x 2 root root 4096\r\n".repeat(30)),
        Event::Window { channel, columns: 132, rows: 50 },
        data(Direction::ToClient, Stream::Stderr, vec![0xff, 0, 0x1b]),
        Event::Signal { channel, name: "INT".into() },
        Event::Eof { channel, direction: Direction::FromClient },
        Event::Exit { channel, status: ExitStatus::Code(130) },
        Event::Close { channel },
    ];
    let times = (0..).map(|n| Duration::from_micros(n * 1_234_567));
    times.zip(events).collect()
}
