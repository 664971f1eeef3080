//! Of a replay: moments in any order, and by every way to them.

use std::io::Cursor;

use super::*;
use crate::samples::{data, end, header, signed};
use crate::{Event, Terminal, Writer};

fn replay() -> Replay<Cursor<Vec<u8>>> {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    let terminal = Some(Terminal { term: "xterm".into(), columns: 20, rows: 4 });
    let open = Event::Open { channel: ChannelId(0), kind: "shell".into(), command: None, terminal };
    writer.write(Duration::ZERO, &open).unwrap();
    for n in 1..=60u64 {
        let text = format!("\x1b[H\x1b[2Jline {n}\r\n\x1b]0;title\x07\x1b[31mred\x1b[m");
        writer.write(Duration::from_secs(n), &data(text.as_bytes())).unwrap();
        writer.flush().unwrap();
    }
    let trail = writer.finish(Duration::from_secs(70), &end()).unwrap();
    Replay::new(Reader::new(Cursor::new(trail), &[]).unwrap(), None).unwrap()
}

#[test]
fn any_moment_can_be_looked_at_in_any_order() {
    let mut replay = replay();
    for at in [30, 60, 1, 59, 59, 2, 100] {
        replay.seek(Duration::from_millis(at * 1000 + 500)).unwrap();
        assert_eq!(replay.text(), [&format!("line {}", at.min(60)), "red", "", ""]);
    }
    replay.seek(Duration::ZERO).unwrap();
    assert_eq!(replay.text().concat(), "");
    assert_eq!(replay.next_at().unwrap(), Some(Duration::from_secs(1)));
}

#[test]
fn who_goes_back_still_learns_what_was_not_signed() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    for n in 1..=9u64 {
        writer.write(Duration::from_secs(n), &data(b"x")).unwrap();
        if n == 4 { writer.seal().unwrap() } else { writer.flush().unwrap() }
    }
    let cut = writer.end(Duration::from_secs(10), &end()).unwrap().into_inner();
    let cut = cut.get(..cut.len() - 150).unwrap();
    for last in [2, 8] {
        let mut replay = Replay::new(Reader::new(Cursor::new(cut), &[]).unwrap(), None).unwrap();
        replay.seek(Duration::from_secs(last)).unwrap();
        replay.seek(Duration::from_secs(1)).unwrap();
        let reader = replay.into_reader(100);
        assert_eq!(reader.signed_until(), Some(Duration::from_secs(4)));
        assert_eq!((reader.has_unsigned(), reader.ending().is_some()), (last == 8, last == 8));
    }
}

#[test]
fn what_takes_long_to_draw_can_be_left_off() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    writer.write(Duration::from_secs(1), &data(&[b'x'; 10 * SLICE])).unwrap();
    let trail = writer.finish(Duration::from_secs(2), &end()).unwrap();
    let mut replay = Replay::new(Reader::new(Cursor::new(trail), &[]).unwrap(), None).unwrap();
    let mut asked = 0;
    let goes_on = || {
        asked += 1;
        asked < 3
    };
    assert!(!replay.seek_while(Duration::from_secs(2), goes_on).unwrap());
    assert_eq!(asked, 3);
    assert!(replay.seek_while(Duration::from_secs(2), || true).unwrap());
}

#[test]
fn a_moment_of_a_long_recording_is_the_same_from_a_frame_and_from_the_beginning() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    for n in 0..3000u64 {
        let text = format!("\x1b[{};1H\x1b[3{}mnumber {n}\x1b[K\x1b[", n % 20 + 1, n % 7);
        let rest = format!("m{}", ". ".repeat(500));
        writer.write(Duration::from_secs(2 * n), &data(text.as_bytes())).unwrap();
        writer.write(Duration::from_secs(2 * n + 1), &data(rest.as_bytes())).unwrap();
        writer.flush().unwrap();
    }
    let trail = writer.finish(Duration::from_secs(6000), &end()).unwrap();
    let open = || {
        let mut replay = Replay::new(Reader::new(Cursor::new(&trail), &[]).unwrap(), None).unwrap();
        replay.ignore_key_frames();
        replay
    };
    let mut replay = open();
    replay.seek(Duration::MAX).unwrap();
    assert!(replay.frames.before(Duration::MAX).is_some_and(|frame| frame.at > Duration::from_secs(5000)));
    for at in [5990, 17, 4001, 1500, 5999, 2000, 2001] {
        let (mut other, at) = (open(), Duration::from_secs(at));
        other.seek(at).unwrap();
        replay.seek(at).unwrap();
        assert_eq!(replay.screen.dump(), other.screen.dump(), "{at:?}");
        assert_eq!(replay.next_at().unwrap(), other.next_at().unwrap());
    }
    replay.seek(Duration::MAX).unwrap();
    assert!(replay.reader.ending().is_some() && !replay.reader.has_unsigned());
}

#[test]
fn drawing_gives_what_changed_and_nothing_of_the_recording_but_its_text() {
    let mut replay = replay();
    replay.seek(Duration::from_secs(1)).unwrap();
    let first = replay.draw((30, 5), "status");
    assert!(first.contains("line 1") && first.contains("\x1b[0;31mred") && first.contains("status"));
    assert!(!first.contains("title") && !first.contains(']'), "{first:?}");
    replay.seek(Duration::from_secs(2)).unwrap();
    let second = replay.draw((30, 5), "status");
    assert!(second.contains("line 2") && !second.contains("red") && !second.contains("status"));
    let smaller = replay.draw((3, 2), "status");
    assert!(smaller.contains("red") && smaller.contains("sta") && !smaller.contains("stat"));
}
