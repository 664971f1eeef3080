//! The bytes of the format, fixed: trails that were written once must be read for ever.

use std::time::Duration;

use keyward_trail::{AuditorKey, ChannelId, Direction, Ending, Event, ExitStatus, Stream, Terminal};

use crate::{Timed, end, end_time, read, read_with, session, written};

/// The example of `docs/trail-format.md`.
const SHORT: &str = include_str!("short.hex");
/// `session()` with a compressed block. It is only read: another version of zstd may compress otherwise.
const COMPRESSED: &str = include_str!("compressed.hex");
/// The same, encrypted: what was shown to either of two auditors, what was typed to both together.
pub(crate) const ENCRYPTED: &str = include_str!("encrypted.hex");
pub(crate) const AUDITORS: &str = include_str!("auditors.key");

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn short() -> Vec<Timed> {
    let channel = ChannelId(0);
    let terminal = Some(Terminal { term: "xterm".into(), columns: 80, rows: 24 });
    let (direction, stream) = (Direction::ToClient, Stream::Main);
    let events = [
        (1_000, Event::Open { channel, kind: "exec".into(), command: Some(b"id".into()), terminal }),
        (251_000, Event::Data { channel, direction, stream, bytes: b"uid=0\r\n".into() }),
        (251_000, Event::Exit { channel, status: ExitStatus::Code(0) }),
        (251_500, Event::Close { channel }),
    ];
    events.map(|(micros, event)| (Duration::from_micros(micros), event)).to_vec()
}

#[test]
fn the_bytes_of_the_format_do_not_change() {
    let trail = written(&short(), &[]);
    let hex: String = trail.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(trail, bytes(SHORT), "{hex}");
}

#[test]
fn trails_written_before_are_read() {
    let ending = |events: &[Timed]| Ending::Finished { at: end_time(events), end: end() };
    assert_eq!(read(&bytes(SHORT)).unwrap(), (short(), ending(&short())));
    assert_eq!(read(&bytes(COMPRESSED)).unwrap(), (session(), ending(&session())));
}

#[test]
fn trails_encrypted_before_are_read_with_the_keys_of_their_auditors() {
    let keys = AuditorKey::parse(AUDITORS).unwrap();
    assert_eq!(read_with(&bytes(ENCRYPTED), &keys).unwrap().0, session());
    for key in keys {
        let (shown, _) = read_with(&bytes(ENCRYPTED), &[key]).unwrap();
        assert_eq!(shown.len(), session().len() - 1);
    }
}

#[test]
fn the_example_of_the_documentation_is_the_golden_trail() {
    let example = include_str!("../../../../docs/trail-format.md").rsplit("```").nth(1).unwrap();
    let without_remarks: String = example.lines().filter_map(|line| line.split('#').next()).collect();
    assert_eq!(bytes(&without_remarks), bytes(SHORT));
}
