//! PuTTY's command line clients.

use std::fs;

use keyward_testsuite::{Input, Link};

on_both_routes! { plink_runs_a_command, psftp_puts_and_gets, pscp_copies_over_sftp_and_over_scp }

fn plink_runs_a_command(link: &Link) {
    let run = link.putty().plink("cat; echo complaint >&2; exit 6", Input::Bytes(b"through".to_vec()));

    assert_eq!(String::from_utf8_lossy(&run.stdout), "through");
    assert!(run.stderr.contains("complaint\n"), "{}", run.stderr);
    assert_eq!(run.status.code(), Some(6));
}

fn psftp_puts_and_gets(link: &Link) {
    let [near, there, back] = files(link);
    link.putty().psftp(&format!("put {near} {there}\nget {there} {back}\n")).must_succeed();
    assert_eq!(fs::read(near).unwrap(), fs::read(back).unwrap());
}

fn pscp_copies_over_sftp_and_over_scp(link: &Link) {
    for protocol in ["-sftp", "-scp"] {
        let [near, there, back] = files(link);
        let putty = link.putty();
        putty.pscp(protocol, &near, &format!("HOST:{there}")).must_succeed();
        putty.pscp(protocol, &format!("HOST:{there}"), &back).must_succeed();
        assert_eq!(fs::read(near).unwrap(), fs::read(&back).unwrap());
        fs::remove_file(back).unwrap();
    }
}

/// A file with something in it, and two names for copies.
fn files(link: &Link) -> [String; 3] {
    let names =
        ["near", "there", "back"].map(|name| link.sshd.folder().join(name).to_str().unwrap().to_owned());
    let noise: Vec<u8> = (0..300_001_u32).map(|n| (n % 253) as u8).collect();
    fs::write(&names[0], noise).unwrap();
    names
}
