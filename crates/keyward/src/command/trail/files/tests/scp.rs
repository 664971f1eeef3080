//! Of scp's own protocol.

use super::{Found, Said, beginnings, client, exported, target};

const UPLOAD: &str = "scp -t /srv";
const NOT_FINISHED: &str = "it was not finished";

fn upload() -> Vec<Said> {
    vec![target(*b"\0"), client(*b"C0644 8 x\n"), target(*b"\0"), client(*b"abcdefgh\0"), target(*b"\0")]
}

#[test]
fn an_upload_that_breaks_off_anywhere_is_partial_and_has_the_bytes_that_came() {
    let talk = upload();
    assert_eq!(exported(UPLOAD, &talk), [Found::whole("x", b"abcdefgh")]);
    for cut in beginnings(&talk) {
        let sent: Vec<u8> = cut.iter().skip(3).take(1).flat_map(|(_, bytes)| bytes.clone()).collect();
        let expected = match (cut.len(), sent.len()) {
            (..=2, _) => vec![],
            (_, 9) => vec![Found::whole("x", b"abcdefgh")],
            (_, _) => vec![Found::partial("x", &sent, NOT_FINISHED)],
        };
        assert_eq!(exported(UPLOAD, &cut), expected, "{cut:?}");
    }
}

#[test]
fn a_download_that_breaks_off_anywhere_is_partial_and_has_the_bytes_that_came() {
    let talk: Vec<Said> =
        [vec![client(*b"\0")], vec![target(*b"C0644 3 x\n"), client(*b"\0"), target(*b"abc\0")]].concat();
    assert_eq!(exported("scp -f /srv/x", &talk), [Found::whole("x", b"abc")]);
    for cut in beginnings(&talk).filter(|cut| cut.len() > 2) {
        let sent = cut.get(3).map(|(_, bytes)| bytes.clone()).unwrap_or_default();
        assert_eq!(exported("scp -f /srv/x", &cut), [Found::partial("x", &sent, NOT_FINISHED)], "{cut:?}");
    }
}

#[test]
fn a_size_that_is_never_reached_makes_no_file_of_that_size() {
    for size in [9_u64, 1 << 40, u64::MAX] {
        let line = format!("C0644 {size} x\n");
        let talk = [target(*b"\0"), client(line), target(*b"\0"), client(*b"abc")];
        assert_eq!(exported(UPLOAD, &talk), [Found::partial("x", b"abc", NOT_FINISHED)], "{size}");
    }
}

#[test]
fn what_is_no_line_of_scp_ends_the_following_and_leaves_what_was_whole_before() {
    let long = vec![b'C'; 100_000];
    for line in
        [&b"C0644 18446744073709551616 y\n"[..], b"C0644 -1 y\n", b"C0644 3 ../y\n", b"\0\0\0\x05", &long]
    {
        let talk = [upload(), vec![client(line), target(*b"\0"), client(*b"C0644 3 z\nabc\0")]].concat();
        assert_eq!(exported(UPLOAD, &talk), [Found::whole("x", b"abcdefgh")], "{line:?}");
    }
}

#[test]
fn a_file_that_its_target_did_not_take_is_empty_and_the_next_one_is_read() {
    let taken = [client(*b"C0644 3 y\n"), target(*b"\0"), client(*b"abc\0"), target(*b"\0")];
    let talk =
        [vec![target(*b"\0"), client(*b"C0644 8 x\n"), target(*b"\x01scp: x: denied\n")], taken.to_vec()]
            .concat();
    let found = exported(UPLOAD, &talk);
    assert_eq!(found, [Found::partial("x", b"", "it was not taken"), Found::whole("y", b"abc")]);
}

#[test]
fn a_file_that_its_source_could_not_read_is_partial() {
    let talk =
        [upload()[..3].to_vec(), vec![client(*b"abcd\0\0\0\0\x01x: I/O error\n"), target(*b"\0")]].concat();
    let lacks = "its source could not read all of it";
    assert_eq!(exported(UPLOAD, &talk), [Found::partial("x", b"abcd\0\0\0\0", lacks)]);
}

#[test]
fn endless_lines_and_complaints_end_the_following() {
    let lines = b"T1 0 1 0\n".repeat(2000);
    let talk = [vec![client(lines)], upload()].concat();
    assert_eq!(exported(UPLOAD, &talk), []);
    let complaint = [vec![target(vec![b'!'; 100_000])], upload()].concat();
    assert_eq!(exported(UPLOAD, &complaint), []);
}
