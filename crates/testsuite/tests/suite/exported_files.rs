//! Files that were moved, out of the recording of it.

use std::fs;
use std::path::Path;

use keyward_testsuite::{Link, PATIENCE, Route, keyward, shell, until};
use serde_json::Value;

/// A link through a gateway, and a folder with a file that no two bytes in a row are alike in.
fn link() -> (Link, String) {
    let link = Link::open(Route::Gateway);
    let near = link.sshd.folder().join("near");
    fs::create_dir(&near).unwrap();
    let near = near.to_str().unwrap().to_owned();
    shell(r#"head -c 3000001 /dev/urandom > "$1/file"; touch "$1/empty""#, &[&near]).must_succeed();
    (link, near)
}

/// What the recordings of so many sessions have: each file's entry of the index, with its bytes.
#[track_caller]
fn exported(link: &mut Link, sessions: usize) -> Vec<(Value, Vec<u8>)> {
    let place = link.sshd.folder().join("exported");
    fs::create_dir(&place).unwrap();
    let gateway = link.gateway();
    for session in gateway.ended_sessions(sessions) {
        let id = session["id"].as_str().unwrap();
        until("the recording is closed", PATIENCE, || {
            gateway.session(id)["trail_closed"].is_object().then_some(())
        });
    }
    let mut found = Vec::new();
    for (n, recording) in gateway.recordings().iter().enumerate() {
        let folder = place.join(n.to_string());
        let (recording, to) = (recording.to_str().unwrap(), folder.to_str().unwrap());
        keyward(["trail", "export", recording, "--as", "files", "--into", to]).must_succeed();
        let index = fs::read_to_string(folder.join("files.json")).unwrap();
        let entries: Vec<Value> = serde_json::from_str(&index).unwrap();
        found.extend(entries.into_iter().map(|entry| {
            let bytes = fs::read(folder.join(entry["name"].as_str().unwrap())).unwrap();
            (entry, bytes)
        }));
        let again = keyward(["trail", "export", recording, "--as", "files", "--into", to]);
        assert!(!again.status.success() && again.stderr.contains("is not empty"), "{}", again.stderr);
    }
    found
}

#[track_caller]
fn all_whole(found: &[(Value, Vec<u8>)]) {
    found.iter().for_each(|(entry, _)| assert_eq!(entry["complete"], true, "{entry}"));
}

/// Each one is the same as the original; gives the number of uploads and of downloads.
#[track_caller]
fn all_like(found: &[(Value, Vec<u8>)], original: &Path) -> (usize, usize) {
    let original = fs::read(original).unwrap();
    for (entry, bytes) in found {
        let expected: &[u8] = if entry["path"].as_str().unwrap().contains("empty") { b"" } else { &original };
        // AsyncSSH reads as much as the folder says that there is, and does not look for the end.
        let ends = entry["complete"] == true || entry["lacks"] == "its end was not read";
        assert!(ends && bytes == expected, "{entry}");
        assert_eq!(
            entry["name"].as_str().unwrap().ends_with(".partial"),
            entry["complete"] == false,
            "{entry}"
        );
    }
    let uploads = found.iter().filter(|(entry, _)| entry["operation"] == "upload").count();
    (uploads, found.len() - uploads)
}

#[test]
fn what_stock_sftp_and_scp_moved_is_what_is_exported() {
    for protocol in ["sftp", "-s", "-O"] {
        let (mut link, near) = link();
        let ssh = link.ssh();
        let script = r#"
            ssh=$1 to=$2 near=$3 protocol=$4
            if [ "$protocol" = sftp ]; then
                printf 'put %s/file %s/there\nput %s/empty %s/empty2\nget %s/there %s/back\n' \
                    "$near" "$near" "$near" "$near" "$near" "$near" > "$near/batch"
                sftp -q -S "$ssh" -b "$near/batch" "$to"
            else
                scp -q "$protocol" -S "$ssh" "$near/file" "$to:$near/there"
                scp -q "$protocol" -S "$ssh" "$near/empty" "$to:$near/empty2"
                scp -q "$protocol" -S "$ssh" "$to:$near/there" "$near/back"
            fi
        "#;
        let program = ssh.program();
        shell(script, &[program.to_str().unwrap(), &ssh.destination(), &near, protocol]).must_succeed();
        let found = exported(&mut link, if protocol == "sftp" { 1 } else { 3 });
        assert_eq!(all_like(&found, &Path::new(&near).join("file")), (2, 1), "{protocol}");
        all_whole(&found);
        for (entry, _) in &found {
            assert_eq!(entry["sha256"], entry["recorded_sha256"], "{entry}");
        }
    }
}

#[test]
fn what_putty_moved_is_what_is_exported() {
    let (mut link, near) = link();
    let [file, there, back] = ["file", "there", "back"].map(|name| format!("{near}/{name}"));
    link.putty().psftp(&format!("put {file} {there}\nget {there} {back}\n")).must_succeed();
    for protocol in ["-sftp", "-scp"] {
        link.putty().pscp(protocol, &file, &format!("HOST:{there}")).must_succeed();
        link.putty().pscp(protocol, &format!("HOST:{there}"), &back).must_succeed();
    }
    let found = exported(&mut link, 5);
    all_whole(&found);
    assert_eq!(all_like(&found, Path::new(&file)), (3, 3));
}

/// It has many requests on their way, whose answers and pieces come in any order.
#[test]
fn what_asyncssh_and_paramiko_moved_is_what_is_exported() {
    let (mut link, near) = link();
    let [far, other, back, tree] = ["far", "other", "back", "tree"].map(|name| format!("{near}/{name}"));
    for folder in [&far, &other, &back, &tree] {
        fs::create_dir(folder).unwrap();
    }
    fs::copy(format!("{near}/file"), format!("{tree}/file")).unwrap();
    link.asyncssh("async_sftp", &[&tree, &far, &back]);
    link.paramiko("sftp", &[&format!("{near}/file"), &other]);
    let found = exported(&mut link, 2);
    assert_eq!(all_like(&found, &Path::new(&near).join("file")), (2, 3));
    // AsyncSSH reads as much as the folder says that there is, and does not look for the end.
    let (cut, whole): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(entry, _)| entry["lacks"] == "its end was not read");
    assert!(cut.len() <= 1, "{:?}", cut.iter().map(|(entry, _)| entry).collect::<Vec<_>>());
    all_whole(&whole);
}
