//! Logging in on the server with what the gateway has for it, and host keys.

use std::fs;
use std::path::Path;

use keyward_testsuite::{
    Account, Askpass, KeyPair, PeerServer, SshClient, Sshd, Switch, password_line, shell,
};

use crate::site::{Draft, Site, stored_key};

const NOT_LOGGED_IN: &str = "The gateway could not log in on the server.";
const NOT_PROVEN: &str = "The server could not prove its identity.";
const GARBAGE: &str = "-----BEGIN RSA PRIVATE KEY-----\nbm90IGEga2V5\n-----END RSA PRIVATE KEY-----\n";

#[test]
fn every_common_form_of_private_key_logs_in() {
    let forms = [
        ("rsa", "PEM", "ssh-rsa", "BEGIN RSA PRIVATE KEY"),
        ("rsa", "PKCS8", "ssh-rsa", "BEGIN PRIVATE KEY"),
        ("rsa", "RFC4716", "ssh-rsa", "BEGIN OPENSSH PRIVATE KEY"),
        ("ed25519", "RFC4716", "ssh-ed25519", "BEGIN OPENSSH PRIVATE KEY"),
        ("ecdsa", "PEM", "ecdsa-sha2-nistp256", "BEGIN EC PRIVATE KEY"),
        ("ecdsa", "PKCS8", "ecdsa-sha2-nistp256", "BEGIN PRIVATE KEY"),
    ];
    for (kind, form, tag, frame) in forms {
        let sshd = Sshd::start();
        let pem = only_key(&sshd, kind, form);
        assert!(pem.contains(frame), "{pem}");
        let site = Site::on(sshd, |draft| draft.credentials = stored_key(tag, &pem));
        assert_eq!(site.ssh().exec("echo in").text(), "in\n", "{kind} as {form}");
    }
}

#[test]
fn a_key_that_is_broken_or_refused_is_followed_by_the_next_one() {
    let sshd = Sshd::start();
    let other = KeyPair::generate(sshd.folder(), "other", "ed25519");
    let site = Site::on(sshd, |draft| {
        let key = |kind: &str, pem: &str| format!("{{ kind = \"{kind}\", key = \"\"\"\n{pem}\"\"\" }}");
        let right = draft.credentials.split_once('[').unwrap().1.trim_end().trim_end_matches(']').to_owned();
        let (garbage, refused) = (key("ssh-rsa", GARBAGE), key("ssh-ed25519", &other.private()));
        draft.credentials = format!("keys = [{garbage}, {refused}, {right}]\n");
    });

    assert_eq!(site.ssh().exec("echo in").text(), "in\n");
    let log = site.gateway.log().join("\n");
    assert!(log.contains("private key skipped"), "{log}");
    assert!(!log.contains("bm90IGEga2V5"), "{log}");
}

#[test]
fn passwords_are_tried_in_their_order() {
    let (site, account) = with_passwords("\"wrong\", ");
    let run = site.answering(&account.name, &["mine"]);
    assert_eq!(run.text(), "in\n");
    let failed = site.sshd.log().iter().filter(|line| line.starts_with("Failed password")).count();
    assert_eq!(failed, 1);
}

#[test]
fn a_server_that_takes_no_credential_is_named_in_the_verdict() {
    let site = Site::with(|draft| draft.credentials = "passwords = [\"wrong\", \"wrong too\"]\n".to_owned());
    let run = site.log_in(&site.sshd.user());
    site.refused(&run, "target-auth-fail", NOT_LOGGED_IN);
    assert_eq!(site.sshd.logins(), 0);
    let log = site.gateway.log().join("\n");
    assert!(!log.contains("wrong too"), "{log}");
}

#[test]
fn the_person_is_asked_for_the_servers_password_where_the_policy_says_so() {
    let account = Account::create();
    let site = Site::with(|draft| {
        for_account(draft, &account);
        draft.connection += "ask-target-password = true\n";
    });

    let answers = ["mine", "wrong", &account.password];
    let askpass = Askpass::new(&answers);
    let run = SshClient::of_a_person(site.addr(), &account.name, None, &askpass).exec("echo in");

    assert_eq!(run.text(), "in\n");
    let prompts = askpass.prompts();
    assert_eq!(prompts.len(), 3, "{prompts:?}");
    let asked = format!("Password of {} on the server: ", account.name);
    assert!(prompts[1].ends_with(&asked) && prompts[2].ends_with(&asked), "{prompts:?}");
}

#[test]
fn the_person_is_not_asked_for_the_servers_password_otherwise() {
    let account = Account::create();
    let site = Site::with(|draft| for_account(draft, &account));
    let askpass = Askpass::new(&["mine", &account.password]);

    let run = SshClient::of_a_person(site.addr(), &account.name, None, &askpass).exec("echo in");

    site.refused(&run, "target-auth-fail", NOT_LOGGED_IN);
    assert_eq!(askpass.prompts().len(), 1);
}

#[test]
fn keys_and_passwords_are_tried_in_the_order_of_the_policy() {
    for (order, first) in
        [("\"passwords\", \"keys\"", "Failed password"), ("\"keys\", \"passwords\"", "Accepted publickey")]
    {
        let site = Site::with(|draft| {
            draft.connection += &format!("log-in = [{order}]\n");
            draft.credentials += "passwords = [\"wrong\"]\n";
        });
        assert_eq!(site.ssh().exec("echo in").text(), "in\n", "{order}");
        let tried =
            |line: &String| line.starts_with("Failed password") || line.starts_with("Accepted publickey");
        let log = site.sshd.log().into_iter().find(tried);
        assert!(log.as_ref().is_some_and(|line| line.starts_with(first)), "{order}: {log:?}");
    }
}

#[test]
fn what_the_order_of_the_policy_leaves_out_is_not_tried() {
    let account = Account::create();
    let site = Site::with(|draft| {
        for_account(draft, &account);
        draft.connection += "log-in = [\"ask\"]\n";
    });
    let askpass = Askpass::new(&["mine", &account.password]);
    let run = SshClient::of_a_person(site.addr(), &account.name, None, &askpass).exec("echo in");
    assert_eq!(run.text(), "in\n");
    let failed = site.sshd.log().iter().filter(|line| line.starts_with("Failed password")).count();
    assert_eq!(failed, 0, "the stale password of the store was tried");
}

#[test]
fn a_server_that_takes_keyboard_interactive_only_gets_the_passwords_there() {
    let server = PeerServer::start("interactive_server", &[("PEER_PASSWORD", "sesame")]);
    let site = to_peer_server(&server);

    assert_eq!(site.ssh().exec("this").text(), "ran this\n", "{:?}", server.log());
    let answers: Vec<String> = server.log().into_iter().filter(|line| line.starts_with("answer ")).collect();
    assert_eq!(answers, ["answer wrong", "answer right"]);
}

#[test]
fn what_a_hasty_server_says_before_it_accepts_the_command_arrives_and_is_recorded() {
    let hasty = [("PEER_PASSWORD", "sesame"), ("PEER_HASTY", "1")];
    let server = PeerServer::start("interactive_server", &hasty);
    let site = to_peer_server(&server);

    assert_eq!(site.ssh().exec("this").text(), "hasty\nran this\n");
    site.ended(1);
    assert_eq!(site.gateway.play(&site.gateway.recordings()[0]), "hasty\nran this\n");
}

#[test]
fn a_server_with_an_unknown_key_is_not_logged_in_on() {
    let site = Site::with(|draft| draft.connection.clear());
    let run = site.log_in(&site.sshd.user());
    site.refused(&run, "key-error", NOT_PROVEN);
    assert_eq!(site.sshd.logins(), 0);
}

#[test]
fn a_server_with_another_key_than_the_policys_is_not_logged_in_on() {
    let other = Sshd::start();
    let site = Site::with(|draft| {
        let (server, key) = (draft.server, other.host_key());
        draft.connection = format!(
            "known-host-keys = [{{ host = \"{server}\", key = \"{key}\" }}]\nhost-key-check = \"trust-on-first-use\"\n"
        );
    });
    let run = site.log_in(&site.sshd.user());
    site.refused(&run, "key-error", NOT_PROVEN);
    assert_eq!(site.sshd.logins(), 0);
}

#[test]
fn a_key_that_was_trusted_once_is_kept_over_a_restart_and_never_replaced() {
    let (sshd, impostor) = (Sshd::start(), Sshd::start());
    // It would let the gateway in.
    fs::write(impostor.folder().join("authorized_keys"), sshd.key().public() + "\n").unwrap();
    let switch = Switch::to(sshd.addr());
    let mut site = Site::on(sshd, |draft| {
        draft.target = format!("{{ fixed = \"{}\" }}", switch.addr());
        draft.connection = "host-key-check = \"trust-on-first-use\"\n".to_owned();
    });
    site.ssh().exec("true").must_succeed();

    assert!(site.gateway.stop().success());
    site.gateway.start();
    site.ssh().exec("true").must_succeed();

    switch.turn_to(impostor.addr());
    for count in [3, 4] {
        let run = site.log_in(&site.sshd.user());
        assert!(run.stderr.contains(NOT_PROVEN), "{}", run.stderr);
        assert_eq!(site.ended(count)["verdict"], "key-error");
    }
    assert_eq!(impostor.logins(), 0);

    switch.turn_to(site.sshd.addr());
    site.ssh().exec("true").must_succeed();
}

/// A gateway in front of a server of which it knows the key, and the password after a wrong one.
#[track_caller]
fn to_peer_server(server: &PeerServer) -> Site {
    Site::with(|draft| {
        let (addr, host_key) = (server.addr(), server.host_key());
        draft.connection = format!("known-host-keys = [{{ host = \"{addr}\", key = \"{host_key}\" }}]\n");
        draft.target = format!("{{ fixed = \"{addr}\" }}");
        draft.credentials = "passwords = [\"wrong\", \"sesame\"]\n".to_owned();
    })
}

/// Makes a new key the only one that the server accepts, and gives it.
#[track_caller]
fn only_key(sshd: &Sshd, kind: &str, form: &str) -> String {
    let key = sshd.folder().join(format!("{kind}-{form}"));
    let keygen = r#"ssh-keygen -q -t "$1" -m "$2" -N '' -f "$3""#;
    shell(keygen, &[kind, form, key.to_str().unwrap()]).must_succeed();
    let public = |key: &Path| fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::write(sshd.folder().join("authorized_keys"), public(&key)).unwrap();
    fs::read_to_string(key).unwrap()
}

/// The account's password in the gateway's store, behind others.
#[track_caller]
fn with_passwords(before: &str) -> (Site, Account) {
    let account = Account::create();
    let site = Site::with(|draft| {
        for_account(draft, &account);
        draft.credentials = format!("passwords = [{before}\"{}\"]\n", account.password);
    });
    (site, account)
}

/// A gateway user of the account's name, whose password on the gateway is `mine`; the gateway knows nothing right.
fn for_account(draft: &mut Draft, account: &Account) {
    draft.methods = "\"password\"".to_owned();
    draft.remote_user.clone_from(&account.name);
    draft.user = password_line("mine");
    draft.credentials = "passwords = [\"stale\"]\n".to_owned();
}
