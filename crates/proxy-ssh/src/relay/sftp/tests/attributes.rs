//! What a client sets of files, and what a record then says of them.

use super::*;

/// FSETSTAT with these bits and fields.
fn set(number: u32, handle: &[u8], bits: u32, fields: &[u8]) -> Vec<u8> {
    answer(10, number, &[strings(&[handle]), bits.to_be_bytes().to_vec(), fields.to_vec()].concat())
}

#[test]
fn a_file_that_is_cut_or_lengthened_while_it_is_open_has_no_digest_of_more_than_it_holds() {
    let by_handle = |size: u64| set(3, b"h", 1, &size.to_be_bytes());
    let by_path = |size: u64| {
        answer(
            9,
            3,
            &[strings(&[b"/up"]), 1_u32.to_be_bytes().to_vec(), size.to_be_bytes().to_vec()].concat(),
        )
    };
    let run = |resize: Vec<u8>| {
        let mut talk = Talk::begin(FileRules::default(), 1000);
        talk.passes(&open(1, b"/up", 26), &handle(1, b"h"));
        talk.passes(&write(2, b"h", 0, b"abcdef"), &status(2, 0));
        talk.passes(&resize, &status(3, 0));
        talk.passes(&close(4, b"h"), &status(4, 0));
        talk.events
    };
    for resize in [by_handle(4), by_path(4), by_handle(9)] {
        let upload = "upload \"/up\": 6 bytes, no sha256: the file was resized";
        assert_eq!(run(resize), ["resize \"/up\": done", upload]);
    }
    // As scp ends an upload.
    assert_eq!(run(by_handle(6)), [format!("upload \"/up\": 6 bytes, sha256 {SHA256}")]);
}

#[test]
fn a_file_that_is_appended_to_has_no_digest() {
    let mut talk = Talk::begin(FileRules::default(), 1000);
    talk.passes(&open(1, b"/up", 2 | 4 | 8), &handle(1, b"h"));
    talk.passes(&write(2, b"h", 0, b"abcdef"), &status(2, 0));
    talk.passes(&close(3, b"h"), &status(3, 0));
    assert_eq!(talk.events, ["upload \"/up\": 6 bytes, no sha256: the file was opened to append to it"]);
}

#[test]
fn a_resize_needs_upload_and_permissions_owner_and_times_need_attributes_on_handles_too() {
    use FileOperation::{Attributes, Download, Upload};
    let size = 4_u64.to_be_bytes();
    let both = [&size[..], &[0; 4]].concat();
    let mut talk = Talk::begin(rules(&[(&[Upload], "/srv/.*", true)]), 1000);
    talk.passes(&open(1, b"/srv/x", 26), &handle(1, b"h"));
    talk.passes(&set(2, b"h", 1, &size), &status(2, 0));
    talk.is_refused(3, &set(3, b"h", 1 | 4, &both), status::PERMISSION_DENIED);
    for (number, bits) in [(4, 4), (5, 2), (6, 8), (7, 0), (8, 0x8000_0000)] {
        talk.is_refused(number, &set(number, b"h", bits, &[0; 8]), status::PERMISSION_DENIED);
    }
    let mut talk = Talk::begin(rules(&[(&[Attributes, Download], "/srv/.*", true)]), 1000);
    talk.passes(&open(1, b"/srv/x", 1), &handle(1, b"h"));
    talk.is_refused(2, &set(2, b"h", 1, &size), status::PERMISSION_DENIED);
    talk.is_refused(3, &set(3, b"h", 1 | 4, &both), status::PERMISSION_DENIED);
    talk.passes(&set(4, b"h", 4, &[0; 4]), &status(4, 0));
}
