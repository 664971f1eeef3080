//! OpenSSH's key revocation lists, made with `ssh-keygen -k`.

use std::path::{Path, PathBuf};

use keyward_testsuite::{KeyPair, SshClient, Sshd, UserCa, shell};

use crate::site::Site;

/// A list in a file; `$1` is the file, `$2` the authority's key, `$3` the person's key, each without `.pub`.
#[track_caller]
fn list(folder: &Path, script: &str, authority: &Path, key: &Path) -> PathBuf {
    let file = folder.join("revoked.krl");
    shell(script, &[&file, authority, key].map(|path| path.to_str().unwrap())).must_succeed();
    assert!(std::fs::read(&file).unwrap().starts_with(b"SSHKRL\n\0"));
    file
}

#[test]
fn a_certificate_that_a_list_has_revoked_opens_nothing() {
    let by = [
        r#"echo "serial: 17" | ssh-keygen -q -k -f "$1" -s "$2.pub" -"#,
        r#"echo "serial: 10-20" | ssh-keygen -q -k -f "$1" -s "$2.pub" -"#,
        r#"printf "serial: %s\n" 3 17 18 20 21 23 40 | ssh-keygen -q -k -f "$1" -s "$2.pub" -"#,
        r#"echo "id: an-id" | ssh-keygen -q -k -f "$1" -s "$2.pub" -"#,
        r#"ssh-keygen -q -k -f "$1" "$3-cert.pub""#,
        r#"ssh-keygen -q -k -f "$1" "$3.pub""#,
        r#"(echo -n "sha1: "; cat "$3.pub") | ssh-keygen -q -k -f "$1" -"#,
        r#"(echo -n "sha256: "; cat "$3.pub") | ssh-keygen -q -k -f "$1" -"#,
        r#"echo "hash: $(ssh-keygen -lf "$3.pub" | cut -d " " -f 2)" | ssh-keygen -q -k -f "$1" -"#,
        r#"ssh-keygen -q -k -f "$1" "$2.pub""#,
    ];
    let user = Sshd::start().user();
    for script in by {
        let ca = UserCa::new();
        let (key, other) = (ca.certified(&format!("-n {user} -z 17")), UserCa::new());
        let authority = key.path().with_file_name("authority");
        let file = list(key.path().parent().unwrap(), script, &authority, key.path());
        let site = Site::with(|draft| {
            draft.authentication = format!(
                "revoked-key-files = [\"{}\"]\n[[authentication.user-ca]]\nkey = \"{}\"\n[[authentication.user-ca]]\nkey = \"{}\"\n",
                file.display(),
                ca.public(),
                other.public()
            );
        });
        let show = |key: &KeyPair| SshClient::with_key(site.addr(), &user, key).exec("echo in");
        assert_eq!(show(&key).status.code(), Some(255), "{script}");
        assert_eq!(site.ended(1)["verdict"], "auth-fail", "{script}");
        let same = other.certified(&format!("-n {user} -z 18"));
        shell(
            "ssh-keygen -q -s \"$1\" -I another-id -n \"$2\" -z 17 \"$3.pub\"",
            &[
                same.path().with_file_name("authority").to_str().unwrap(),
                &user,
                same.path().to_str().unwrap(),
            ],
        )
        .must_succeed();
        assert_eq!(show(&same).text(), "in\n", "of another authority: {script}");
    }
}

#[test]
fn a_plain_key_that_a_list_has_revoked_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lost = KeyPair::generate(folder.path(), "lost", "ecdsa");
    let file = list(folder.path(), r#"ssh-keygen -q -k -f "$1" "$3.pub""#, lost.path(), lost.path());
    let site = Site::with(|draft| {
        draft.authentication = format!("revoked-key-files = [\"{}\"]\n", file.display());
        draft.more = format!("[[user]]\nname = \"friend\"\npublic-keys = [\"{}\"]\n", lost.public());
    });
    let friend = SshClient::with_key(site.addr(), &format!("gu=friend@{}", site.sshd.user()), &lost);
    assert!(friend.exec("true").stderr.contains("Permission denied (publickey)"));
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
    assert_eq!(site.ssh().exec("echo in").text(), "in\n", "a key that is not in the list");
}
