//! Bundles from strangers.

use std::io::Write;

use super::*;

fn entry_refusal(part: Part) -> String {
    let name = String::from_utf8_lossy(&part.name).into_owned();
    let message = refusal(&bundle_with([part]));
    assert!(message.starts_with(&format!("entry {name:?}: ")), "{message}");
    message
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for (name, why) in [
        ("/etc/cron.d/x", "absolute"),
        ("C:/x", "absolute"),
        ("../x", "straight down"),
        ("lib/../../x", "straight down"),
        ("./x", "straight down"),
        ("a//b", "straight down"),
        ("..\\x", "backslash"),
        ("a\nb", "control character"),
        ("a\0b", "control character"),
        ("", "empty"),
        (".keyward-sha256", "own use"),
    ] {
        assert!(entry_refusal(Part::file(name, "x")).contains(why), "{name:?}");
    }
}

#[test]
fn links_and_special_files_are_refused() {
    let with_mode = |mode| entry_refusal(Part { mode, ..Part::file("x", "/etc/passwd") });
    assert!(with_mode(0o120_777).contains("it is a link"));
    for special in [0o010_644, 0o020_644, 0o060_644, 0o140_644] {
        assert!(with_mode(special).contains("special file"), "{special:o}");
    }
    assert!(entry_refusal(Part { mode: 0o120_777, ..Part::folder("x/") }).contains("it is a link"));
}

#[test]
fn a_name_is_there_once() {
    assert!(entry_refusal(Part::file("main.py", "import os")).contains("twice"));
    let twice = [Part::folder("a/"), Part::file("a", "")];
    assert!(refusal(&bundle_with(twice)).starts_with("entry \"a\": the name is there twice"));
    let both = [Part::file("a", ""), Part::file("a/b/c", "")];
    assert!(
        refusal(&bundle_with(both)).starts_with("entry \"a\": it is a file, and other entries lie below")
    );
    assert!(Bundle::inspect(&bundle_with([Part::file("Main.py", ""), Part::file("main.pyc", "")])).is_ok());
}

#[test]
fn encrypted_entries_are_refused() {
    for flags in [1, 1 << 6, 1 << 13] {
        assert!(entry_refusal(Part { flags, ..Part::file("x", "secret bytes") }).contains("encrypted"));
    }
}

#[test]
fn other_packing_methods_are_refused() {
    for method in [9, 12, 14, 93, 99, 1234] {
        let message = entry_refusal(Part { method, ..Part::file("x", "bytes") });
        assert!(message.contains("packed by the method"), "{message}");
    }
}

#[test]
fn damaged_content_is_refused() {
    assert!(entry_refusal(Part { crc: Some(1), ..Part::file("x", "bytes") }).contains("cannot be unpacked"));
    assert!(
        entry_refusal(Part { method: 8, ..Part::file("x", "no deflate") }).contains("cannot be unpacked")
    );
    assert!(
        entry_refusal(Part { local_name: Some(b"y".into()), ..Part::file("x", "") })
            .contains("cannot be unpacked")
    );
    let folder = Part { mode: 0o040_755, ..Part::file("x/", "content") };
    assert!(refusal(&bundle_with([folder])).starts_with("entry \"x\": it is a folder that has content"));
}

#[test]
fn what_is_no_archive_is_refused() {
    for bytes in [&b""[..], b"PK", b"PK\x05\x06", b"#!/usr/bin/env python3\n", &[0; 4096]] {
        assert!(refusal(bytes).starts_with("the archive is no .zip file"));
    }
    let good = bundle_with([]);
    assert!(refusal(&good[..good.len() - 30]).starts_with("the archive is no .zip file"));
}

#[test]
fn a_bundle_has_at_most_20_000_entries() {
    let parts = |count| (2..count).map(|n| Part::file(&n.to_string(), ""));
    assert!(Bundle::inspect(&bundle_with(parts(20_000))).is_ok());
    assert!(refusal(&bundle_with(parts(20_001))).starts_with("the archive has 20001 entries"));
}

#[test]
fn declared_sizes_are_limited() {
    let part = |name| Part { method: 8, declared: Some(110 << 20), ..Part::file(name, [3, 0]) };
    let message = refusal(&bundle_with([part("x"), part("y")]));
    assert!(message.starts_with("entry \"y\": with it the bundle has more than 209715200"), "{message}");
}

#[test]
fn a_bomb_that_lies_about_its_size_is_refused() {
    let mut packed = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    packed.start_file("x", zip::write::SimpleFileOptions::default()).unwrap();
    for _ in 0..201 {
        packed.write_all(&[0; 1 << 20]).unwrap();
    }
    let mut bomb = packed.finish().unwrap().into_inner();
    let honest = bomb.clone();
    // The declared length in the local header and in the directory.
    let directory = bomb.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    for at in [22, directory + 24] {
        bomb[at..at + 4].copy_from_slice(&[16, 0, 0, 0]);
    }
    assert!(refusal(&honest).contains("entry \"x\": with it"));
    let mut archive = Archive::open(&bomb).unwrap();
    let mut budget = Budget::default();
    let error = archive.copy(0, &mut budget, &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().starts_with("entry \"x\": it cannot be unpacked"), "{error}");
}
