//! What is typed and not shown: marked, left out, or for recipients of its own.

use std::time::Duration;

use keyward_trail::{
    Asciicast, AuditorKey, ChannelId, Damage, Direction, Event, HiddenInput, HiddenInputPolicy, Protection,
    Reader, Recipients, Stream, TrailError, Writer, export_asciicast, export_hidden_input,
};

use crate::blocks::{BLOCK, relinked, split};
use crate::{end, header, read, read_with, signed};

const CHANNEL: ChannelId = ChannelId(3);

fn typed(text: &str) -> Event<'static> {
    let (direction, stream) = (Direction::FromClient, Stream::Main);
    Event::Data { channel: CHANNEL, direction, stream, bytes: text.as_bytes().to_vec().into() }
}

fn hidden(input: HiddenInput<'static>) -> Event<'static> {
    Event::Hidden { channel: CHANNEL, input }
}

/// `id`, then a password key by key.
fn written(policy: HiddenInputPolicy) -> Vec<u8> {
    let protection = Protection { hidden_input: policy, ..signed() };
    let mut writer = Writer::new(Vec::new(), &header(), &protection).unwrap();
    let seconds = Duration::from_secs;
    let open = Event::Open { channel: CHANNEL, kind: "shell".into(), command: None, terminal: None };
    writer.write(seconds(0), &open).unwrap();
    writer.write(seconds(1), &typed("id\r")).unwrap();
    for (second, keys, begins) in [(2, "hunt", true), (3, "er2", false)] {
        writer.write_hidden(seconds(second), CHANNEL, keys.as_bytes(), begins).unwrap();
    }
    writer.write(seconds(4), &typed("\r")).unwrap();
    writer.finish(seconds(5), &end()).unwrap()
}

fn exported(trail: &[u8], keys: &[AuditorKey]) -> String {
    let mut out = Vec::new();
    export_hidden_input(&mut Reader::new(trail, keys).unwrap(), &mut out, None).unwrap();
    String::from_utf8(out).unwrap()
}

fn cast(trail: &[u8], keys: &[AuditorKey]) -> String {
    let (mut reader, mut out) = (Reader::new(trail, keys).unwrap(), Vec::new());
    export_asciicast(&mut reader, &mut out, None, Asciicast::V2, true).unwrap();
    String::from_utf8(out).unwrap()
}

fn events(trail: &[u8]) -> Vec<Event<'static>> {
    read(trail).unwrap().0.into_iter().map(|(_, event)| event).skip(1).collect()
}

#[test]
fn what_is_recorded_is_marked_and_an_asciicast_does_without() {
    let trail = written(HiddenInputPolicy::Record);
    let (first, second) = (hidden(HiddenInput::Follows(4)), hidden(HiddenInput::Follows(3)));
    let expected = [typed("id\r"), first, typed("hunt"), second, typed("er2"), typed("\r")];
    assert_eq!(events(&trail), expected);
    assert_eq!(exported(&trail, &[]), "{\"time\":2.0,\"channel\":3,\"input\":\"hunter2\"}\n");
    let cast = cast(&trail, &[]);
    assert!(cast.contains("id\\r") && !cast.contains("hunt") && !cast.contains("er2"), "{cast}");
}

#[test]
fn what_is_left_out_is_marked_once_and_does_not_tell_how_long_it_was() {
    let trail = written(HiddenInputPolicy::LeaveOut);
    assert_eq!(events(&trail), [typed("id\r"), hidden(HiddenInput::LeftOut), typed("\r")]);
    assert_eq!(exported(&trail, &[]), "{\"time\":2.0,\"channel\":3,\"left_out\":true}\n");
}

#[test]
fn what_is_sealed_is_read_with_its_own_key_only() {
    let (officer, stranger) = (AuditorKey::generate().unwrap(), AuditorKey::generate().unwrap());
    let recipients = Recipients::any(vec![officer.recipient().clone()]).unwrap();
    let trail = written(HiddenInputPolicy::Recipients(recipients));
    assert!(!trail.windows(4).any(|window| window == b"hunt"));
    for keys in [vec![], vec![stranger]] {
        assert_eq!(exported(&trail, &keys), "{\"time\":2.0,\"channel\":3,\"sealed\":true}\n");
    }
    let officer = [officer];
    assert_eq!(exported(&trail, &officer), "{\"time\":2.0,\"channel\":3,\"input\":\"hunter2\"}\n");
    assert!(!cast(&trail, &officer).contains("hunt"));
}

#[test]
fn sealed_input_cannot_be_changed_or_moved() {
    let officer = AuditorKey::generate().unwrap();
    let recipients = Recipients::any(vec![officer.recipient().clone()]).unwrap();
    let parts = split(&written(HiddenInputPolicy::Recipients(recipients)));
    // Kind 10, a second after the event before.
    let head = [0x0a, 0xc0, 0x84, 0x3d];
    let find = |part: &Vec<u8>| part.windows(4).position(|window| window == head);
    let (number, at) = parts.iter().enumerate().find_map(|(n, part)| Some((n, find(part)?))).unwrap();
    assert!(at > BLOCK);
    // The length of the body, channel, what follows, number, length of the text.
    assert_eq!(parts[number][at + 4..at + 9], [24, 3, 2, 0, 20]);
    let officer = [officer];
    assert!(read_with(&relinked(&parts), &officer).is_ok());
    // Another channel, another number, another text: the chain is made anew, as who has the signing key could.
    for place in [5, 7, 9, 28] {
        let mut changed = parts.clone();
        changed[number][at + place] ^= 1;
        let error = read_with(&relinked(&changed), &officer).unwrap_err().1;
        assert!(matches!(error, TrailError::Block { damage: Damage::Encryption, .. }), "{place}: {error}");
    }
}
