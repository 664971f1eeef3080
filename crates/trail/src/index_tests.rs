//! Key frames against reading all that came before.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::block::{BlockHeader, HEADER_LEN, Kind};
use crate::chained::Place;
use crate::index::Index;
use crate::samples::{data, end, header, signed};
use crate::{
    AuditorKey, ChannelId, Direction, Event, Integrity, Protection, Reader, Recipients, Replay, Stream,
    Terminal, Writer, verify,
};

type Shown = Replay<Cursor<Vec<u8>>>;

fn open(trail: &[u8], keys: &[AuditorKey], channel: Option<u32>) -> Shown {
    let reader = Reader::new(Cursor::new(trail.to_vec()), keys).unwrap();
    Replay::new(reader, channel.map(ChannelId)).unwrap()
}

/// The same without any key frame.
fn linear(trail: &[u8], keys: &[AuditorKey], channel: Option<u32>) -> Shown {
    let mut replay = open(trail, keys, channel);
    replay.ignore_key_frames();
    replay
}

fn shell(channel: u32, columns: u32, rows: u32) -> Event<'static> {
    let terminal = Some(Terminal { term: "xterm".into(), columns, rows });
    Event::Open { channel: ChannelId(channel), kind: "shell".into(), command: None, terminal }
}

fn on(channel: u32, bytes: &[u8]) -> Event<'_> {
    let (direction, stream) = (Direction::ToClient, Stream::Main);
    Event::Data { channel: ChannelId(channel), direction, stream, bytes: bytes.into() }
}

/// A session on one terminal, sealed every ten seconds, with a key frame at nearly each seal.
fn session(protection: &Protection, seconds: u64) -> Writer<Vec<u8>> {
    let mut writer = Writer::new(Vec::new(), &header(), protection).unwrap();
    writer.frame_often();
    writer.write(Duration::ZERO, &shell(0, 40, 8)).unwrap();
    for n in 0..seconds {
        let text = format!("\x1b[3{}m{n} {}\x1b[m\r\n", n % 7, "text ".repeat(n as usize % 12));
        writer.write(Duration::from_secs(n), &data(text.as_bytes())).unwrap();
        if n % 10 == 9 { writer.seal().unwrap() } else { writer.flush().unwrap() }
    }
    writer
}

fn finished(protection: &Protection, seconds: u64) -> Vec<u8> {
    session(protection, seconds).finish(Duration::from_secs(seconds), &end()).unwrap()
}

/// Whether both show the same there, and read from a key frame.
fn is_same(trail: &[u8], keys: &[AuditorKey], channel: Option<u32>, at: Duration) -> bool {
    let (mut quick, mut slow) = (open(trail, keys, channel), linear(trail, keys, channel));
    quick.seek(at).unwrap();
    slow.seek(at).unwrap();
    assert_eq!(quick.text(), slow.text(), "at {at:?}");
    assert_eq!(quick.draw((80, 25), ""), slow.draw((80, 25), ""), "at {at:?}");
    assert_eq!(quick.next_at().unwrap(), slow.next_at().unwrap(), "at {at:?}");
    assert_eq!((slow.is_partial(), slow.false_frame()), (false, None));
    quick.is_partial()
}

/// The blocks, as they stand.
fn blocks(trail: &[u8]) -> Vec<(usize, BlockHeader)> {
    let mut at = crate::header::Header::read(&mut Cursor::new(trail)).unwrap().length as usize;
    let mut found = Vec::new();
    while let Some(head) = trail.get(at..).and_then(|rest| rest.first_chunk::<HEADER_LEN>()) {
        let (header, _) = BlockHeader::decode(head).unwrap();
        let length = HEADER_LEN + header.stored as usize;
        found.push((at, header));
        at += length;
    }
    found
}

#[test]
fn every_moment_is_the_same_from_a_key_frame_and_from_the_beginning() {
    let trail = finished(&signed(), 400);
    let from_frames = (0..400).filter(|at| is_same(&trail, &[], None, Duration::from_secs(*at))).count();
    assert!(from_frames > 350, "{from_frames}");
    assert!(is_same(&trail, &[], Some(0), Duration::from_secs(300)));
    assert_eq!(verify(trail.as_slice(), None, |_| ()).unwrap().integrity, Integrity::Intact);
}

#[test]
fn little_is_read_on_the_way_to_a_late_moment() {
    let trail = finished(&signed(), 3000);
    let mut replay = open(&trail, &[], None);
    replay.seek(Duration::from_secs(1503)).unwrap();
    // The chain, from a key frame on, is read by whole blocks: what is damaged before is not come by.
    let mut damaged = trail.clone();
    let (at, _) =
        blocks(&trail).into_iter().filter(|(_, block)| block.kind == Kind::Events).nth(700).unwrap();
    damaged[at + HEADER_LEN] ^= 1;
    let mut other = open(&damaged, &[], None);
    other.seek(Duration::from_secs(1503)).unwrap();
    assert!(replay.is_partial() && other.is_partial());
    assert_eq!(replay.text(), other.text());
    assert!(linear(&damaged, &[], None).seek(Duration::from_secs(1503)).is_err());
    assert!(matches!(verify(damaged.as_slice(), None, |_| ()).unwrap().integrity, Integrity::Changed { .. }));
}

#[test]
fn a_key_frame_is_for_those_who_may_see_what_was_shown() {
    let (shown, typed) = (AuditorKey::generate().unwrap(), AuditorKey::generate().unwrap());
    let to = |key: &AuditorKey| Recipients::any(vec![key.recipient().clone()]);
    let protection = Protection { shown: to(&shown), typed: to(&typed), ..signed() };
    let trail = finished(&protection, 100);
    assert!(is_same(&trail, &[shown], None, Duration::from_secs(80)));
    let typed = [typed];
    let mut other = open(&trail, &typed, None);
    other.seek(Duration::from_secs(80)).unwrap();
    assert!(!other.is_partial() && other.text().concat().is_empty());
    for (at, block) in blocks(&trail).iter().filter(|(_, block)| block.kind == Kind::Index) {
        assert!(block.is(crate::block::ENCRYPTED));
        let payload = trail.get(at + HEADER_LEN..).unwrap().get(..block.stored as usize).unwrap();
        assert!(!payload.windows(4).any(|text| text == b"text"));
    }
}

#[test]
fn a_recording_that_is_cut_or_still_written_has_its_index_up_to_the_last_seal() {
    let trail = finished(&signed(), 120);
    let mut quick = 0;
    for (at, _) in blocks(&trail).into_iter().skip(1).step_by(3) {
        for cut in [at, at + 5, at + HEADER_LEN + 3] {
            quick += usize::from(is_same(&trail[..cut], &[], None, Duration::from_secs(100)));
        }
    }
    assert!(quick > 50, "{quick}");
}

#[test]
fn a_changed_index_is_passed_over() {
    let trail = finished(&signed(), 60);
    for (at, block) in blocks(&trail).into_iter().filter(|(_, block)| block.kind == Kind::Index) {
        for byte in [0, 2, 4, 12, 40, 70, 73, 80, 120, HEADER_LEN + block.stored as usize - 1] {
            let mut changed = trail.clone();
            changed[at + byte] ^= 1;
            let (mut quick, mut whole) = (open(&changed, &[], None), linear(&trail, &[], None));
            let sought = quick.seek(Duration::from_secs(55));
            whole.seek(Duration::from_secs(55)).unwrap();
            assert!(
                sought.is_err() || quick.text() == whole.text(),
                "byte {byte} of block {}",
                block.sequence
            );
        }
    }
}

#[test]
fn an_index_that_was_shown_is_none() {
    // Somebody has the file on a terminal that is recorded: as it stands, and with its own place in it.
    let inner = finished(&signed(), 60);
    let mut writer = session(&signed(), 30);
    for n in 0..4 {
        writer.write(Duration::from_secs(40 + n), &data(&inner)).unwrap();
    }
    writer.write(Duration::from_secs(50), &data(b"\x1b[2J\x1b[Hthe last")).unwrap();
    let trail = writer.finish(Duration::from_secs(60), &end()).unwrap();
    is_same(&trail, &[], None, Duration::from_secs(45));
    is_same(&trail, &[], None, Duration::from_secs(55));
}

#[test]
fn an_index_of_another_recording_is_none() {
    let key = Arc::clone(&signed().signer);
    let other = crate::Header { remote_user: "other".into(), ..header() };
    let ours = finished(&Protection::signed(key), 60);
    let mut writer = Writer::new(Vec::new(), &other, &signed()).unwrap();
    writer.write(Duration::from_secs(1), &data(b"another")).unwrap();
    let theirs = writer.finish(Duration::from_secs(2), &end()).unwrap();
    let begun = |trail: &[u8]| blocks(trail).get(1).unwrap().0;
    let joined = [&theirs[..begun(&theirs)], &ours[begun(&ours)..]].concat();
    let mut replay = open(&joined, &[], None);
    assert!(replay.seek(Duration::from_secs(55)).is_err() && !replay.is_partial());
}

#[test]
fn a_key_frame_that_lies_is_noticed_by_who_reads_up_to_it() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    writer.frame_often();
    writer.write(Duration::ZERO, &shell(0, 40, 8)).unwrap();
    for n in 1..60u64 {
        writer.write(Duration::from_secs(n), &data(format!("line {n}, as it was\r\n").as_bytes())).unwrap();
        if n == 25 {
            // A gateway that shows its key frames something else.
            writer.pretend(&data(b"never shown\r\n"));
        }
        if n % 10 == 0 { writer.seal().unwrap() } else { writer.flush().unwrap() }
    }
    let trail = writer.finish(Duration::from_secs(60), &end()).unwrap();
    assert_eq!(verify(trail.as_slice(), None, |_| ()).unwrap().integrity, Integrity::Intact);
    let mut honest = linear(&trail, &[], None);
    honest.seek(Duration::from_secs(59)).unwrap();
    assert_eq!(honest.false_frame(), Some(Duration::from_secs(30)));
    let mut early = open(&trail, &[], None);
    early.seek(Duration::from_secs(24)).unwrap();
    early.seek(Duration::from_secs(28)).unwrap();
    early.seek(Duration::from_secs(32)).unwrap();
    assert_eq!(early.false_frame(), Some(Duration::from_secs(30)));
    // None is believed from then on.
    early.seek(Duration::from_secs(59)).unwrap();
    honest.seek(Duration::from_secs(59)).unwrap();
    assert_eq!(early.text(), honest.text());
}

#[test]
fn who_shows_more_than_can_be_drawn_keeps_what_key_frames_there_are() {
    let mut writer = session(&signed(), 100);
    let garbage: Vec<u8> =
        (0..200_000).flat_map(|n: u32| format!("\x1b[{}A{n}", n % 9).into_bytes()).collect();
    for n in 0..4u64 {
        writer.write(Duration::from_millis(100_000 + n), &data(&garbage)).unwrap();
    }
    writer.write(Duration::from_secs(200), &data(b"after it")).unwrap();
    writer.seal().unwrap();
    let trail = writer.finish(Duration::from_secs(210), &end()).unwrap();
    for at in [50, 99, 205] {
        assert!(is_same(&trail, &[], None, Duration::from_secs(at)));
    }
}

/// What a person sees who prints a long file, with colours or without, and goes on afterwards.
#[test]
fn key_frames_come_back_when_a_flood_is_over() {
    for colour in ["", "\x1b[1;34m", "\x1b[0m\x1b[38;5;2m"] {
        let mut writer = session(&signed(), 30);
        let lines = |from: u32| {
            (from..from + 20_000).flat_map(|n| format!("{colour}{n} of the file \u{4e2d}\r\n").into_bytes())
        };
        for n in 0..16u32 {
            let at = Duration::from_millis(30_000 + u64::from(n) * 20);
            writer.write(at, &data(&lines(n * 20_000).collect::<Vec<u8>>())).unwrap();
        }
        writer.write(Duration::from_secs(40), &data(b"\x1b]0;title\x07\x1b[m$ ls\r\nfile\r\n")).unwrap();
        writer.seal().unwrap();
        writer.write(Duration::from_secs(50), &data(b"\x1b[2;3Hlater")).unwrap();
        writer.seal().unwrap();
        let trail = writer.finish(Duration::from_secs(60), &end()).unwrap();
        let mut late = open(&trail, &[], None);
        late.seek(Duration::from_secs(45)).unwrap();
        assert!(late.text().iter().any(|row| row.contains("319999 of the file")), "{:?}", late.text());
        for at in [31, 45, 51] {
            assert!(is_same(&trail, &[], None, Duration::from_secs(at)), "{at}");
        }
        let mut reader = Reader::new(Cursor::new(trail), &[]).unwrap();
        let frame = reader.key_frame(Duration::from_secs(45), None).unwrap();
        assert!(frame.at >= Duration::from_secs(40), "{:?}", frame.at);
    }
}

#[test]
fn a_block_of_the_index_reads_back_and_none_panics() {
    let trail = finished(&signed(), 60);
    let mut found = 0;
    for (at, block) in blocks(&trail).into_iter().filter(|(_, block)| block.kind == Kind::Index) {
        let payload = trail.get(at + HEADER_LEN..).unwrap().get(..block.stored as usize).unwrap();
        let plain = match block.is(crate::block::ZSTD) {
            true => zstd::bulk::decompress(payload, block.plain as usize).unwrap(),
            false => payload.to_vec(),
        };
        let index = Index::decode(&plain).unwrap();
        assert_eq!(index.place.place, Place { number: block.sequence, offset: at as u64 });
        let mut again = Vec::new();
        index.encode(&mut again);
        assert_eq!(again, plain);
        for length in 0..plain.len() {
            let _ = Index::decode(&plain[..length]);
        }
        found += 1;
    }
    assert!(found > 3);
}

#[test]
fn what_is_left_out_of_the_recording_is_in_no_key_frame() {
    let mut writer = session(&signed(), 15);
    writer.write(Duration::from_secs(15), &on(7, b"")).unwrap();
    let (channel, command) = (ChannelId(8), Some(vec![b'x'; 600 * 1024].into()));
    let long = Event::Open { channel, kind: "exec".into(), command, terminal: None };
    assert!(writer.write(Duration::from_secs(16), &long).is_err());
    writer.write(Duration::from_secs(17), &data(b"on")).unwrap();
    writer.seal().unwrap();
    writer.write(Duration::from_secs(18), &data(b"and on")).unwrap();
    let trail = writer.finish(Duration::from_secs(20), &end()).unwrap();
    assert!(is_same(&trail, &[], Some(0), Duration::from_secs(19)));
}

/// What a hostile or a usual program may show.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&[u8]> = vec![
        b"\r\n",
        b"\x1b[?1049h",
        b"\x1b[?1049l",
        b"\x1b[?6h",
        b"\x1b[?6l",
        b"\x1b[2;5r",
        b"\x1b[r",
        b"\x1b(0",
        b"\x1b(B",
        b"\x0e",
        b"\x0f",
        b"\x1bH",
        b"\x1b[3g",
        b"\t",
        b"\x1b7",
        b"\x1b8",
        b"\x1b[4h",
        b"\x1b[4l",
        b"\x1b[?7l",
        b"\x1b[?7h",
        b"\x1b[?25l",
        b"\x1bc",
        b"\x1b[!p",
        b"\x1bM",
        b"\x1b[3L",
        b"\x1b[2M",
        b"\x1b[2J",
        b"\x1b[K",
        b"\x1b[1;31m",
        b"\x1b[44m",
        b"\x1b[m",
        "\u{4e2d}\u{6587}".as_bytes(),
        b"\xe4\xb8",
        b"\xad",
        b"\x1b",
        b"[",
        b"\x1b]0;t",
        b"\x07",
        b"\xff",
        b"0123456789012345678901234567",
    ];
    prop_oneof![
        4 => proptest::sample::select(fixed).prop_map(<[u8]>::to_vec),
        2 => "[ -~]{0,40}".prop_map(String::into_bytes),
        1 => (1u8..12, 1u8..40).prop_map(|(row, column)| format!("\x1b[{row};{column}H").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn whatever_is_shown_looks_the_same_from_a_key_frame(
        steps in proptest::collection::vec((0u32..3, piece(), 0u8..24), 40..120),
    ) {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        writer.frame_often();
        writer.write(Duration::ZERO, &shell(0, 30, 6)).unwrap();
        for (n, (channel, bytes, what)) in steps.iter().enumerate() {
            let at = Duration::from_secs(10 * n as u64);
            match what {
                0 => writer.write(at, &shell(*channel, 20, 9)).unwrap(),
                1 | 2 => {
                    let (channel, columns) = (ChannelId(*channel), 12 + u32::from(*what) * 9);
                    writer.write(at, &Event::Window { channel, columns, rows: 4 + columns % 5 }).unwrap();
                }
                3 => writer.write(at, &Event::Close { channel: ChannelId(*channel) }).unwrap(),
                // Mostly one channel.
                4 => writer.write(at, &on(*channel, bytes)).unwrap(),
                _ => writer.write(at, &on(0, bytes)).unwrap(),
            }
            if what % 3 == 0 { writer.seal().unwrap() } else { writer.flush().unwrap() }
        }
        let trail = writer.finish(Duration::from_secs(10_000), &end()).unwrap();
        let mut slow = linear(&trail, &[], None);
        for n in 0..steps.len() as u64 {
            let at = Duration::from_secs(10 * n + 1);
            slow.seek(at).unwrap();
            let mut quick = open(&trail, &[], None);
            quick.seek(at).unwrap();
            prop_assert_eq!(quick.text(), slow.text(), "at {:?}", at);
            prop_assert_eq!(quick.next_at().unwrap(), slow.next_at().unwrap());
        }
        prop_assert_eq!(slow.false_frame(), None);
    }
}
