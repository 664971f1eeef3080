//! Of sftp.

use keyward_ssh::sftp::{open, status};
use keyward_ssh::wire::Write;

use super::{Found, Said, beginnings, client, exported, target};

const NOT_CLOSED: &str = "it was not closed";
const FAR: &str = "bytes that are far from all others are left out";

fn packet(kind: u8, number: u32, fields: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.put_string(&[&[kind][..], &number.to_be_bytes(), fields].concat());
    packet
}

fn string(text: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    field.put_string(text);
    field
}

fn opened(flags: u32) -> Vec<Said> {
    let fields = [string(b"/srv/x"), flags.to_be_bytes().to_vec(), vec![0; 4]].concat();
    vec![client(packet(3, 1, &fields)), target(packet(102, 1, &string(b"h")))]
}

fn write(number: u32, offset: u64, bytes: &[u8]) -> Said {
    client(packet(6, number, &[string(b"h"), offset.to_be_bytes().to_vec(), string(bytes)].concat()))
}

fn read(number: u32, offset: u64) -> Said {
    client(packet(5, number, &[string(b"h"), offset.to_be_bytes().to_vec(), vec![0, 0, 0, 8]].concat()))
}

fn data(number: u32, bytes: &[u8]) -> Said {
    target(packet(103, number, &string(bytes)))
}

fn answer(number: u32, code: u32) -> Said {
    target(packet(101, number, &[code.to_be_bytes().to_vec(), string(b"so"), string(b"")].concat()))
}

fn closed() -> Vec<Said> {
    vec![client(packet(4, 99, &string(b"h"))), answer(99, status::OK)]
}

const UPLOAD: u32 = open::WRITE | open::CREATE | open::TRUNCATE;

/// An upload of what the talk has between opening and closing.
fn uploaded(talk: &[Said]) -> Vec<Found> {
    exported("sftp", &[opened(UPLOAD), talk.to_vec(), closed()].concat())
}

fn downloaded(talk: &[Said]) -> Vec<Found> {
    exported("sftp", &[opened(open::READ), talk.to_vec(), closed()].concat())
}

#[test]
fn an_upload_that_breaks_off_anywhere_is_partial_and_has_the_bytes_that_came() {
    let writes =
        vec![write(2, 0, b"abcd"), answer(2, status::OK), write(3, 4, b"efgh"), answer(3, status::OK)];
    let talk = [opened(UPLOAD), writes, closed()].concat();
    assert_eq!(exported("sftp", &talk), [Found::whole("x", b"abcdefgh")]);
    let mut seen = 0;
    for cut in beginnings(&talk) {
        match exported("sftp", &cut).as_slice() {
            // The answer has not come that says what its handle is.
            [] => assert!(cut.len() <= 2, "{cut:?}"),
            // All of the last answer that counts has come: the words behind its code do not.
            [found] if found.lacks.is_none() => {
                assert!(cut.len() == talk.len() && cut[7].1.len() >= 13, "{cut:?}");
                assert_eq!(*found, Found::whole("x", b"abcdefgh"));
            }
            [found] => {
                assert!(found.bytes.len() >= seen, "{cut:?}");
                seen = found.bytes.len();
                assert_eq!(*found, Found::partial("x", &b"abcdefgh"[..seen], NOT_CLOSED));
            }
            more => panic!("{more:?}"),
        }
    }
    assert_eq!(seen, 8);
}

#[test]
fn a_download_that_breaks_off_anywhere_is_partial_and_has_the_bytes_that_came() {
    let reads = vec![read(2, 0), data(2, b"abcdefgh"), read(3, 8), answer(3, status::EOF)];
    let talk = [opened(open::READ), reads, closed()].concat();
    assert_eq!(exported("sftp", &talk), [Found::whole("x", b"abcdefgh")]);
    let mut seen = 0;
    for cut in beginnings(&talk).filter(|cut| cut.len() < talk.len()) {
        let Some(found) = exported("sftp", &cut).pop() else {
            assert!(cut.len() <= 4, "{cut:?}");
            continue;
        };
        assert!(found.bytes.len() >= seen, "{cut:?}");
        seen = found.bytes.len();
        assert_eq!(found, Found::partial("x", &b"abcdefgh"[..seen], NOT_CLOSED));
    }
    assert_eq!(seen, 8);
}

#[test]
fn a_download_whose_end_was_not_read_is_partial() {
    let found = downloaded(&[read(2, 0), data(2, b"abcdefgh")]);
    assert_eq!(found, [Found::partial("x", b"abcdefgh", "its end was not read")]);
    let hole = downloaded(&[
        read(2, 0),
        data(2, b"ab"),
        read(3, 4),
        data(3, b"ef"),
        read(4, 6),
        answer(4, status::EOF),
    ]);
    assert_eq!(hole, [Found::partial("x", b"ab\0\0ef", "not all of it was moved")]);
}

#[test]
fn an_offset_beyond_all_that_was_moved_makes_no_file_of_that_size() {
    for far in [1 << 40, i64::MAX as u64, u64::MAX - 1, u64::MAX] {
        let talk = [write(2, 0, b"ab"), answer(2, status::OK), write(3, far, b"cd"), answer(3, status::OK)];
        assert_eq!(uploaded(&talk), [Found::partial("x", b"ab", FAR)], "{far}");
        let talk = [read(2, 0), data(2, b"ab"), read(3, far), data(3, b"cd")];
        assert_eq!(downloaded(&talk), [Found::partial("x", b"ab", FAR)], "{far}");
    }
}

#[test]
fn a_size_that_is_set_beyond_all_that_was_moved_makes_no_file_of_that_size() {
    for size in [1 << 40, u64::MAX] {
        let resize = [string(b"h"), 1_u32.to_be_bytes().to_vec(), u64::to_be_bytes(size).to_vec()].concat();
        let talk = [
            write(2, 0, b"ab"),
            answer(2, status::OK),
            client(packet(10, 3, &resize)),
            answer(3, status::OK),
        ];
        let lacks = "it was made longer by more than can be shown";
        assert_eq!(uploaded(&talk), [Found::partial("x", b"ab", lacks)], "{size}");
    }
}

#[test]
fn what_the_target_did_not_write_is_not_whole() {
    let found = uploaded(&[write(2, 0, b"abcd"), answer(2, status::FAILURE)]);
    let lacks = "the target did not read or write all of it";
    assert_eq!(found, [Found::partial("x", b"abcd", lacks)]);
}

#[test]
fn lengths_that_are_lies_end_the_following() {
    let begun = [opened(UPLOAD), vec![write(2, 0, b"ab"), answer(2, status::OK)]].concat();
    let endless = [u32::MAX.to_be_bytes().to_vec(), vec![6, 0, 0, 0, 3]].concat();
    let mut beyond = packet(6, 3, &[string(b"h"), vec![0; 8]].concat());
    beyond.extend(b"cd");
    let long_handle = packet(6, 3, &[u32::MAX.to_be_bytes().to_vec(), vec![0; 20]].concat());
    for packet in [endless, beyond, long_handle] {
        let talk = [begun.clone(), vec![client(packet.clone())], closed()].concat();
        assert_eq!(exported("sftp", &talk), [Found::partial("x", b"ab", NOT_CLOSED)], "{packet:?}");
    }
}

#[test]
fn a_target_cannot_have_one_handle_stand_for_two_files() {
    let again = [string(b"/srv/y"), UPLOAD.to_be_bytes().to_vec(), vec![0; 4]].concat();
    let again = [client(packet(3, 2, &again)), target(packet(102, 2, &string(b"h")))];
    let talk = [opened(UPLOAD), again.to_vec(), vec![write(3, 0, b"ab")], closed()].concat();
    let found = exported("sftp", &talk);
    assert_eq!(found, [Found::partial("x", b"", NOT_CLOSED), Found::partial("y", b"", NOT_CLOSED)]);
}

#[test]
fn requests_without_answers_and_data_of_no_handle_are_bounded_or_nothing() {
    assert_eq!(exported("sftp", &[write(1, 0, b"ab"), data(1, b"cd")]), []);
    let asked: Vec<Said> = (2..5000).map(|number| read(number, 0)).collect();
    let found = exported("sftp", &[opened(open::READ), asked, closed()].concat());
    assert_eq!(found, [Found::partial("x", b"", NOT_CLOSED)]);
}
