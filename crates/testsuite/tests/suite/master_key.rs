//! The key that opens the secrets of a gateway's store.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use keyward_testsuite::{Link, Route, Run, keyward};

/// A gateway that is stopped, and whose host key is in its store.
fn stopped() -> Link {
    let mut link = Link::open(Route::Gateway);
    works(&link);
    link.gateway().stop();
    link
}

#[track_caller]
fn works(link: &Link) {
    let done = link.ssh().exec("echo works");
    assert_eq!(done.text(), "works\n", "{}", done.stderr);
}

/// Puts the key where `source` says, whatever was said before.
fn name(link: &mut Link, source: &str) {
    link.gateway().edit_policy(|text| {
        let rest: Vec<_> = text.lines().filter(|line| !line.starts_with("master-key")).collect();
        rest.join("\n").replacen("data-dir =", &format!("master-key = {{ {source} }}\ndata-dir ="), 1)
    });
}

fn rotate(link: &mut Link, words: &[&OsStr]) -> Run {
    let policy = link.gateway().policy();
    let first = ["store".as_ref(), "rotate-master-key".as_ref(), "--policy".as_ref(), policy.as_os_str()];
    keyward([&first[..], words].concat())
}

#[test]
fn the_secrets_of_a_gateway_are_opened_with_the_key_that_its_node_names() {
    let mut link = stopped();
    let folder = link.gateway().policy().parent().unwrap().to_owned();
    fs::write(folder.join("one.key"), "1b".repeat(32) + "\n").unwrap();
    name(&mut link, "file = \"one.key\"");
    let told = link.gateway().refuses_to_start();
    assert!(told.contains("rotate-master-key") && !told.contains("1b1b"), "{told}");
    let rotated = rotate(&mut link, &[]);
    assert!(rotated.text().contains("is rotated"), "{}", rotated.stderr);
    link.gateway().start();
    works(&link);
    link.gateway().stop();

    // From the file to a command, and all secrets anew.
    let script = folder.join("key.sh");
    fs::write(
        &script,
        "#!/bin/sh\n[ \"$1\" = two ] || { echo no key of $1 >&2; exit 3; }\nprintf '2c%.0s' $(seq 32)\n",
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let command = |word: &str| format!("command = [\"{}\", \"{word}\"]", script.display());
    name(&mut link, &command("three"));
    let told = link.gateway().refuses_to_start();
    assert!(told.contains("exit status: 3: no key of three"), "{told}");
    name(&mut link, &command("two"));
    let one = folder.join("one.key");
    let rotated = rotate(&mut link, &["--reseal".as_ref(), "--from-file".as_ref(), one.as_os_str()]);
    let told = rotated.text();
    assert!(told.contains("is rotated") && told.contains("with a new data key"), "{told} {}", rotated.stderr);
    link.gateway().start();
    works(&link);
    assert_eq!(link.gateway().ended_sessions(3).len(), 3);
}

#[test]
fn a_place_without_a_key_is_told_and_what_was_there_is_not_shown() {
    let mut link = stopped();
    let folder = link.gateway().policy().parent().unwrap().to_owned();
    fs::write(folder.join("short.key"), "s3cret-w0rd").unwrap();
    let places = [
        ("file = \"short.key\"", "32 bytes"),
        ("file = \"nowhere.key\"", "No such file"),
        ("environment = \"NO_SUCH_KEY\"", "NO_SUCH_KEY, which is not set"),
        ("command = [\"/nowhere/program\"]", "/nowhere/program, which gives the master key, cannot be run"),
    ];
    for (source, expected) in places {
        name(&mut link, source);
        let told = link.gateway().refuses_to_start();
        assert!(told.contains(expected) && !told.contains("w0rd"), "{told}");
    }
}
