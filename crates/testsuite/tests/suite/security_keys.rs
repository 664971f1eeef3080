//! Security keys (PROTOCOL.u2f), by OpenSSH's own client and the software key of Debian's package `openssh-tests`.

use std::path::Path;

use keyward_testsuite::{Input, KeyPair, Run, SshClient, UserCa, run, shell};

use crate::site::{Draft, Site};

const PROVIDER: &str = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";

fn generate(folder: &Path, kind: &str, options: &str) -> KeyPair {
    let path = folder.join(format!("{kind}{}", options.len()));
    let script = format!("ssh-keygen -q -w {PROVIDER} -t {kind} -N '' {options} -f \"$1\"");
    shell(&script, &[path.to_str().unwrap()]).must_succeed();
    KeyPair::at(&path)
}

fn touch(site: &Site, login: &str, key: &KeyPair) -> Run {
    let provider = format!("SecurityKeyProvider={PROVIDER}");
    run(
        &mut SshClient::with_key(site.addr(), login, key).command(&["-o", &provider], &["echo in"]),
        Input::Nothing,
    )
}

fn friend(draft: &mut Draft, keys: &[&KeyPair]) {
    let keys: Vec<String> = keys.iter().map(|key| format!("{:?}", key.public())).collect();
    let remote_user = &draft.remote_user;
    draft.connection += "usermapping = \"people\"\n";
    draft.more = format!(
        "[[user]]\nname = \"friend\"\npublic-keys = [{}]\n[[usermapping]]\nname = \"people\"\n\
         [[usermapping.rule]]\nremote-user = \"{remote_user}\"\nusers = [\"friend\"]\n",
        keys.join(", ")
    );
}

#[test]
fn a_security_key_logs_in_when_it_was_touched() {
    let folder = tempfile::tempdir().unwrap();
    let keys = ["ed25519-sk", "ecdsa-sk"].map(|kind| generate(folder.path(), kind, ""));
    let untouched = generate(folder.path(), "ed25519-sk", "-O no-touch-required");
    let site = Site::with(|draft| friend(draft, &[&keys[0], &keys[1], &untouched]));
    let login = format!("gu=friend@{}", site.sshd.user());
    for key in &keys {
        assert_eq!(touch(&site, &login, key).text(), "in\n");
    }
    let run = touch(&site, &login, &untouched);
    assert!(run.stderr.contains("Permission denied (publickey)"), "{}", run.stderr);
    assert_eq!(site.ended(3)["verdict"], "auth-fail");
}

/// A certificate for a security key that was made with `key`, made with `certificate`.
#[track_caller]
fn certified(key: &str, certificate: &str) -> (Site, Run) {
    let (ca, folder) = (UserCa::new(), tempfile::tempdir().unwrap());
    let site = Site::with(|draft| {
        draft.authentication = format!("[[authentication.user-ca]]\nkey = \"{}\"\n", ca.public());
    });
    let key = generate(folder.path(), "ed25519-sk", key);
    ca.certify(key.path(), &format!("-n {} {certificate}", site.sshd.user()));
    let run = touch(&site, &site.sshd.user(), &key);
    (site, run)
}

#[test]
fn a_certificate_may_ask_a_security_key_for_more_or_less_than_a_touch() {
    for (key, certificate) in [
        ("", ""),
        ("-O verify-required", "-O verify-required"),
        ("-O no-touch-required", "-O no-touch-required"),
    ] {
        assert_eq!(certified(key, certificate).1.text(), "in\n", "{key} {certificate}");
    }
    for (key, certificate) in [("", "-O verify-required"), ("-O no-touch-required", "")] {
        let (site, run) = certified(key, certificate);
        assert!(run.stderr.contains("Permission denied (publickey)"), "{}", run.stderr);
        assert_eq!(site.ended(1)["verdict"], "auth-fail", "{key} {certificate}");
    }
}
