//! OpenSSH's certificates of users (PROTOCOL.certkeys), made with `ssh-keygen` and shown by `ssh`.

use keyward_testsuite::{Askpass, Input, KeyPair, Putty, Run, SshClient, Sshd, UserCa, password_line, run};

use crate::site::{Draft, Site};

/// The remote user is the gateway user, who has no key of their own that counts.
fn trusting(ca: &UserCa) -> Site {
    trusting_with(ca, |_| ())
}

fn trusting_with(ca: &UserCa, edit: impl FnOnce(&mut Draft)) -> Site {
    Site::with(|draft| {
        trust(draft, ca, "");
        edit(draft);
    })
}

fn trust(draft: &mut Draft, ca: &UserCa, more: &str) {
    draft.authentication = format!("[[authentication.user-ca]]\nkey = \"{}\"\n{more}", ca.public());
}

fn show(site: &Site, key: &KeyPair) -> Run {
    SshClient::with_key(site.addr(), &site.sshd.user(), key).exec("echo in")
}

/// The client was refused like one with any unknown key, and the record says why.
#[track_caller]
fn refused_since(site: &Site, key: &KeyPair, why: &str) {
    let run = show(site, key);
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    assert!(run.stderr.contains("Permission denied (publickey)"), "{}", run.stderr);
    let notes = site.notes(1);
    assert!(notes.iter().any(|note| note.contains("refused: ") && note.contains(why)), "{notes:?}");
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
    assert_eq!(site.sshd.connections(), 0);
}

fn names(site: &Site, options: &str) -> String {
    format!("-n {} {options}", site.sshd.user())
}

#[test]
fn a_certificate_of_a_trusted_authority_logs_in_and_the_record_has_it() {
    let ca = UserCa::new();
    let site = trusting(&ca);
    let key = ca.certified(&names(&site, "-z 17"));

    assert_eq!(show(&site, &key).text(), "in\n");

    let notes = site.notes(1);
    assert!(
        notes[0].contains("public-key accepted: certificate \"an-id\" (serial 17) of SHA256:"),
        "{notes:?}"
    );
    assert_eq!(site.ended(1)["gateway_user"], site.sshd.user());
}

#[test]
fn certificates_and_authorities_of_every_kind_are_taken() {
    for (authority, kind) in [("rsa", "rsa"), ("ecdsa", "ecdsa"), ("ed25519", "ed25519")] {
        let ca = UserCa::of_kind(authority);
        let site = trusting(&ca);
        let key = ca.certified_kind(kind, &names(&site, ""));
        assert_eq!(show(&site, &key).text(), "in\n", "{kind} by {authority}");
    }
}

#[test]
fn a_certificate_of_another_authority_is_an_unknown_key() {
    let (ca, other) = (UserCa::new(), UserCa::new());
    let site = trusting(&ca);
    let key = other.certified(&names(&site, ""));

    let run = show(&site, &key);

    assert!(run.stderr.contains("Permission denied (publickey)"), "{}", run.stderr);
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
    assert_eq!(site.notes(1), Vec::<String>::new());
}

#[test]
fn a_certificate_holds_within_its_time() {
    let ca = UserCa::new();
    for (validity, why) in
        [("-V 20200101:20200102", "has expired"), ("-V 20990101:20990102", "is not valid yet")]
    {
        let site = trusting(&ca);
        refused_since(&site, &ca.certified(&names(&site, validity)), why);
    }
}

#[test]
fn a_certificate_must_list_the_gateway_user() {
    let ca = UserCa::new();
    for (principals, why) in
        [("-n somebody,else", "does not list this principal"), ("", "lists no principals")]
    {
        let site = trusting(&ca);
        refused_since(&site, &ca.certified(principals), why);
    }
}

#[test]
fn a_user_may_have_principals_that_take_the_place_of_the_name() {
    let ca = UserCa::new();
    let by_role = |draft: &mut Draft| draft.user = "principals = [\"operators\", \"on-call\"]\n".to_owned();
    let site = trusting_with(&ca, by_role);
    assert_eq!(show(&site, &ca.certified("-n on-call,others")).text(), "in\n");

    let site = trusting_with(&ca, by_role);
    refused_since(&site, &ca.certified(&names(&site, "")), "does not list this principal");
}

#[test]
fn whom_the_policy_does_not_know_no_certificate_lets_in() {
    let ca = UserCa::new();
    let site = trusting(&ca);
    let key = ca.certified("-n stranger");
    let run = SshClient::with_key(site.addr(), "stranger", &key).exec("true");
    assert!(run.stderr.contains("Permission denied (publickey)"), "{}", run.stderr);
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_hosts_certificate_is_no_users() {
    let ca = UserCa::new();
    let site = trusting(&ca);
    // OpenSSH's client does not show it, so a less careful one does.
    let key = ca.certified(&names(&site, "-h"));
    let step = format!("certificate={}", key.path().display());
    assert_eq!(site.paramiko("steps", &[&step]), "\"wrong\"\n");
    let notes = site.notes(1);
    assert!(notes[0].contains("refused: the certificate is for the other of users and hosts"), "{notes:?}");
}

#[test]
fn paramiko_shows_a_certificate_too() {
    let ca = UserCa::new();
    let site = trusting(&ca);
    let key = ca.certified(&names(&site, ""));
    let step = format!("certificate={}", key.path().display());
    assert_eq!(site.paramiko("steps", &[&step]), "\"in\"\n");
}

#[test]
fn a_certificate_is_used_from_its_addresses_only() {
    let ca = UserCa::new();
    let site = trusting(&ca);
    let key = ca.certified(&names(&site, "-O source-address=10.0.0.0/8,127.0.0.0/8"));
    assert_eq!(show(&site, &key).text(), "in\n");

    let site = trusting(&ca);
    let key = ca.certified(&names(&site, "-O source-address=10.0.0.0/8"));
    refused_since(&site, &key, "may not be used from this address");
}

#[test]
fn a_critical_option_that_nobody_knows_refuses_the_certificate() {
    let ca = UserCa::new();
    let site = trusting(&ca);
    let key = ca.certified(&names(&site, "-O critical:odd@example.com=1"));
    refused_since(&site, &key, "critical option that is not known");
}

#[test]
fn what_is_revoked_opens_nothing() {
    let ca = UserCa::new();
    let user = Sshd::start().user();
    let names = format!("-n {user} -z 17");
    for by in ["serial", "range", "id", "key"] {
        let key = ca.certified(&names);
        let site = Site::with(|draft| match by {
            "serial" => trust(draft, &ca, "revoked-serials = [3, 17]"),
            "range" => trust(draft, &ca, "revoked-serials = [\"10-20\"]"),
            "id" => trust(draft, &ca, "revoked-key-ids = [\"an-id\"]"),
            _ => {
                trust(draft, &ca, "");
                let revoked = format!("revoked-keys = [\"{}\"]\n", key.public());
                draft.authentication.insert_str(0, &revoked);
            }
        });
        refused_since(&site, &key, "revoked");
    }
    let site = trusting(&ca);
    assert_eq!(show(&site, &ca.certified(&names)).text(), "in\n");
}

#[test]
fn a_revoked_authority_and_a_revoked_key_of_a_user_are_believed_no_more() {
    let ca = UserCa::new();
    let site = Site::with(|draft| {
        trust(draft, &ca, "");
        draft.authentication.insert_str(0, &format!("revoked-keys = [\"{}\"]\n", ca.public()));
    });
    assert_eq!(show(&site, &ca.certified(&names(&site, ""))).status.code(), Some(255));

    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate(folder.path(), "key", "ed25519");
    let file = folder.path().join("revoked");
    std::fs::write(&file, format!("# lost laptops\n\n{}\n", key.public())).unwrap();
    let site = Site::with(|draft| {
        draft.authentication = format!("revoked-key-files = [\"{}\"]\n", file.display());
        draft.more = format!("[[user]]\nname = \"friend\"\npublic-keys = [\"{}\"]\n", key.public());
    });
    let friend = SshClient::with_key(site.addr(), &format!("gu=friend@{}", site.sshd.user()), &key);
    assert!(friend.exec("true").stderr.contains("Permission denied (publickey)"));
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
}

#[test]
fn a_forced_command_runs_whatever_is_asked_for() {
    let ca = UserCa::new();
    let site = Site::on(Sshd::with("AcceptEnv SSH_ORIGINAL_COMMAND\n"), |draft| trust(draft, &ca, ""));
    let command = "-O 'force-command=echo forced instead of $SSH_ORIGINAL_COMMAND'";
    let key = ca.certified(&names(&site, command));
    let ssh = SshClient::with_key(site.addr(), &site.sshd.user(), &key);

    assert_eq!(ssh.exec("rm -rf /").text(), "forced instead of rm -rf /\n");
    let shell = run(&mut ssh.command(&["-T"], &[]), Input::Nothing);
    assert_eq!(shell.text(), "forced instead of\n");
    let subsystem = run(&mut ssh.command(&["-s"], &["sftp"]), Input::Nothing);
    assert_eq!(subsystem.text(), "forced instead of sftp\n");
    let lying = ["-o", "SetEnv=SSH_ORIGINAL_COMMAND=lies"];
    let lied = run(&mut ssh.command(&lying, &["truth"]), Input::Nothing);
    assert_eq!(lied.text(), "forced instead of truth\n");
    let notes = site.notes(4);
    assert!(
        notes.iter().any(|note| note == "exec (truth) replaced by the certificate's command"),
        "{notes:?}"
    );
}

#[test]
fn a_forced_command_is_judged_by_the_channel_policy_as_what_it_is() {
    let ca = UserCa::new();
    let site = trusting_with(&ca, |draft| draft.channels = "types = [\"shell\"]\n".to_owned());
    let key = ca.certified(&names(&site, "-O force-command=id"));
    let run = run(
        &mut SshClient::with_key(site.addr(), &site.sshd.user(), &key).command(&["-T"], &[]),
        Input::Nothing,
    );
    assert!(run.stderr.contains("keyward: exec is not allowed here."), "{}", run.stderr);
}

#[test]
fn what_a_certificate_does_not_permit_is_refused_whatever_the_policy_allows() {
    let ca = UserCa::new();
    let site = trusting_with(&ca, |draft| {
        draft.channels =
            "types = [\"shell\", \"exec\", \"local-forward\", \"remote-forward\", \"agent\", \"x11\"]\n"
                .to_owned();
    });
    let port = site.sshd.addr().port();
    let (plain, bare) = (ca.certified(&names(&site, "")), ca.certified(&names(&site, "-O clear")));
    let reach = |key: &KeyPair| {
        let ssh = SshClient::with_key(site.addr(), &site.sshd.user(), key);
        let forward = format!("127.0.0.1:{port}");
        run(&mut ssh.command(&["-W", &forward], &[]), Input::Nothing)
    };
    assert!(String::from_utf8_lossy(&reach(&plain).stdout).starts_with("SSH-2.0-"));
    assert!(reach(&bare).stdout.is_empty());
    let notes = site.notes(2);
    assert!(notes.iter().any(|note| note.ends_with("refused by the certificate")), "{notes:?}");

    let ssh = SshClient::with_key(site.addr(), &site.sshd.user(), &bare);
    assert_eq!(ssh.exec("echo in").text(), "in\n");
    let terminal = ssh.terminal("tty\n");
    assert!(!String::from_utf8_lossy(&terminal.stdout).contains("/dev/pts/"), "{terminal:?}");
    assert!(terminal.stderr.contains("PTY allocation request failed"), "{}", terminal.stderr);
    let listening = ["-R", "0:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes"];
    let run = run(&mut ssh.command(&listening, &["true"]), Input::Nothing);
    assert!(!run.status.success() && run.stderr.contains("remote port forwarding failed"), "{}", run.stderr);
}

#[test]
fn plink_shows_a_certificate_too() {
    let ca = UserCa::new();
    let site = trusting(&ca);
    let key = ca.certified(&names(&site, ""));
    let putty = Putty::with_certificate(site.addr(), &site.sshd.user(), &key);
    let run = putty.plink("echo in", Input::Nothing);
    assert_eq!(String::from_utf8_lossy(&run.stdout), "in\n", "{run:?}");
}

#[test]
fn a_person_whose_certificate_is_refused_may_use_another_method() {
    let ca = UserCa::new();
    let site = trusting_with(&ca, |draft| {
        draft.methods = "\"public-key\", \"keyboard-interactive\"".to_owned();
        draft.user = password_line("correct horse");
    });
    let key = ca.certified("-n somebody-else");
    let askpass = Askpass::new(&["correct horse"]);
    let client = SshClient::of_a_person(site.addr(), &site.sshd.user(), Some(&key), &askpass);
    assert_eq!(client.exec("echo in").text(), "in\n");
}
