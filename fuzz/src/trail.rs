//! Everything that reads a trail, on trails whose checksums, links and signatures are right, so that what is wrong with them
//! lies deeper.

#![no_main]

mod forge;

use std::io::{self, Cursor};
use std::panic;
use std::time::Duration;

use keyward_trail::{
    Asciicast, AuditorKey, Destination, PlayOptions, Reader, Replay, claimed_header, export_asciicast,
    export_commands, export_hidden_input, export_text, play, verify,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: forgive_the_terminal(), |data: &[u8]| read(&forge::trail(data)));

/// The terminal model is another project's, and a panic in it is caught where it is used: no finding here.
fn forgive_the_terminal() {
    let abort = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_of_terminal = info.location().is_some_and(|place| place.file().contains("/avt-"));
        if !is_of_terminal {
            abort(info);
        }
    }));
}

fn read(trail: &[u8]) {
    let keys = forge::auditors();
    let source = || Cursor::new(trail);
    let _ = claimed_header(source());
    let _ = verify(source(), None, |_| ());
    let Some(mut reader) = open(trail, &keys) else { return };
    reader.by_ref().for_each(drop);
    assert!(reader.next().is_none());
    let _ = (reader.channels().count(), reader.signed_until(), reader.ending().cloned());

    let mut sink = io::sink();
    for version in [Asciicast::V2, Asciicast::V3] {
        open(trail, &keys).map(|mut reader| export_asciicast(&mut reader, &mut sink, None, version, true));
    }
    open(trail, &keys).map(|mut reader| export_text(&mut reader, &mut sink, None));
    open(trail, &keys).map(|mut reader| export_commands(&mut reader, &mut sink, None));
    open(trail, &keys).map(|mut reader| export_hidden_input(&mut reader, &mut sink, None));
    let at_once = Some(Duration::ZERO);
    let to_a_terminal =
        PlayOptions { to: Destination::Terminal, max_idle: at_once, ..PlayOptions::default() };
    open(trail, &keys).map(|mut reader| play(&mut reader, &mut sink, to_a_terminal, |_| ()));

    let Some(mut replay) = open(trail, &keys).and_then(|reader| Replay::new(reader, None)) else { return };
    for seconds in [1, 60, 0, u64::MAX] {
        let _ = replay.seek(Duration::from_secs(seconds));
        let _ = (replay.text(), replay.draw((80, 24), "status"));
    }
}

fn open<'t>(trail: &'t [u8], keys: &[AuditorKey]) -> Option<Reader<Cursor<&'t [u8]>>> {
    Reader::new(Cursor::new(trail), keys).ok()
}
