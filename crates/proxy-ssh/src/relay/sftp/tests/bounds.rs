//! How much a peer can make the relay keep.

use super::*;

#[test]
fn floods_of_requests_handles_and_long_paths_are_bounded() {
    let mut talk = Talk::begin(FileRules::default(), 1000);
    for number in 0..1024 {
        talk.passes(&open(number, b"/x", 1), &handle(number, &number.to_be_bytes()));
    }
    talk.is_refused(5000, &open(5000, b"/x", 1), status::FAILURE);
    talk.passes(&close(1, &0_u32.to_be_bytes()), &status(1, 0));
    talk.passes(&open(2, b"/x", 1), &handle(2, b"h"));

    let mut talk = Talk::begin(FileRules::default(), 1000);
    let flood = (0..5000)
        .try_for_each(|number| talk.watcher.up(&mut read(number, b"none", 0), OwnQuestion::MayNot).map(drop));
    assert_eq!(flood, Err(Fault::TooManyRequests));

    let mut talk = Talk::begin(FileRules::default(), 1_000_000);
    let long = vec![b'x'; 30_000];
    let refused = (0..20).filter(|number| talk.up(&open(*number, &long, 1))[4] == 200).count();
    assert_eq!(refused, 12);
}

#[test]
fn a_long_start_of_relative_paths_is_none() {
    let mut talk = Talk::begin(rules(&[(&[], "/.*", true)]), 100_000);
    let name = |number, start: &[u8]| {
        answer(104, number, &[&[0, 0, 0, 1][..], &strings(&[start, b""]), &[0; 4]].concat())
    };
    talk.passes(&answer(16, 1, &strings(&[b"."])), &name(1, &[b'/'; 4097]));
    talk.is_refused(2, &open(2, b"file", 1), status::PERMISSION_DENIED);
    talk.passes(&answer(16, 3, &strings(&[b"."])), &name(3, &[b'/'; 4096]));
    talk.passes(&open(4, b"file", 1), &handle(4, b"h"));
}

#[test]
fn what_is_refused_of_one_message_takes_little_memory() {
    let start = [b"/", [b'x'; 4000].as_slice()].concat();
    let mut talk = Talk::begin(rules(&[(&[], "/srv/.*", true)]), 100_000);
    let name = answer(104, 1, &[&[0, 0, 0, 1][..], &strings(&[&start, b""]), &[0; 4]].concat());
    talk.passes(&answer(16, 1, &strings(&[b"."])), &name);
    let requests = |numbers: std::ops::Range<u32>| -> Vec<u8> {
        numbers.flat_map(|number| answer(13, number, &strings(&[b"a"]))).collect()
    };
    for first in [0, 200, 400] {
        talk.up(&requests(first..first + 200));
    }
    assert_eq!(talk.events.len(), 600);
    let flood = talk.watcher.up(&mut requests(600..1600), OwnQuestion::MayNot);
    assert_eq!(flood.unwrap_err(), Fault::TooManyRequests);
    let bytes: usize = talk.watcher.done().iter().map(|event| event.path.len()).sum();
    assert!(bytes < 1024 * 1024 + 4096, "{bytes}");
}

#[test]
fn a_request_for_which_there_is_no_turn_leaves_no_event() {
    let mut talk = Talk::begin(rules(&[(&[], "/srv/.*", true)]), 100_000);
    for number in 0..4096 {
        talk.up(&open(number, b"/etc/x", 1));
    }
    assert_eq!(talk.events.len(), 4096);
    let late = talk.watcher.up(&mut open(5000, b"/etc/x", 1), OwnQuestion::MayNot);
    assert_eq!(late.unwrap_err(), Fault::TooManyRequests);
    assert!(talk.watcher.done().is_empty());
}
