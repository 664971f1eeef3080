//! Gateway authentication: who somebody is, by the gateway's own means.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use keyward_testsuite::{Account, Askpass, KeyPair, PATIENCE, SshClient, Sshd, password_line};

use crate::site::{Draft, Site};

const PASSWORD: &str = "correct horse";

#[test]
fn a_password_logs_in_and_a_wrong_one_does_not() {
    for method in ["password", "keyboard-interactive"] {
        let site = Site::with(|draft| asks_for_a_password(draft, method));
        let user = site.sshd.user();

        assert_eq!(site.answering(&user, &[PASSWORD]).text(), "in\n", "{method}");
        let wrong = site.answering(&user, &["wrong"]);

        assert_eq!(wrong.status.code(), Some(255));
        assert!(wrong.stderr.contains("Permission denied"), "{}", wrong.stderr);
        assert_eq!(site.ended(2)["verdict"], "auth-fail");
        assert_eq!(site.sshd.connections(), 1);
    }
}

#[test]
fn an_unknown_user_is_asked_like_anyone_and_refused() {
    let site = Site::with(|draft| asks_for_a_password(draft, "keyboard-interactive"));
    let askpass = Askpass::new(&[PASSWORD]);

    let run = SshClient::of_a_person(site.addr(), "nobody-knows-me", None, &askpass).exec("true");

    assert_eq!(run.status.code(), Some(255));
    assert_eq!(askpass.prompts().len(), 1);
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn who_guesses_passwords_is_stopped_and_told() {
    let site = Site::with(|draft| asks_for_a_password(draft, "keyboard-interactive"));
    let askpass = Askpass::new(&["wrong"; 12]);
    let client = SshClient::of_a_person(site.addr(), &site.sshd.user(), None, &askpass);

    // The first value that ssh finds counts, so the fixture's single prompt is not what is used here.
    let many = format!(
        "sed -i s/NumberOfPasswordPrompts=1/NumberOfPasswordPrompts=12/ '{}'",
        client.program().display()
    );
    keyward_testsuite::shell(&many, &[]).must_succeed();
    let run = client.exec("true");

    site.refused(&run, "auth-fail", "Authentication failed.");
    assert_eq!(askpass.prompts().len(), 6);
}

#[test]
fn every_method_of_the_policy_may_be_used() {
    let site = Site::with(|draft| {
        asks_for_a_password(draft, "keyboard-interactive");
        draft.methods = "\"public-key\", \"keyboard-interactive\"".to_owned();
    });
    assert_eq!(site.log_in(&site.sshd.user()).text(), "in\n");

    let stranger = KeyPair::generate(site.sshd.folder(), "stranger", "ed25519");
    let askpass = Askpass::new(&[PASSWORD]);
    let other = SshClient::of_a_person(site.addr(), &site.sshd.user(), Some(&stranger), &askpass);
    assert_eq!(other.exec("echo in").text(), "in\n");
}

#[test]
fn paramiko_may_try_a_second_method() {
    let site = Site::with(|draft| {
        asks_for_a_password(draft, "password");
        draft.methods = "\"public-key\", \"password\"".to_owned();
    });
    let stranger = KeyPair::generate(site.sshd.folder(), "stranger", "ed25519");
    assert_eq!(site.paramiko("second_method", &[stranger.path().to_str().unwrap(), PASSWORD]), "in\n");
}

#[test]
fn a_method_that_the_policy_does_not_have_is_not_offered() {
    let site = Site::with(|draft| draft.user = password_line(PASSWORD));
    let askpass = Askpass::new(&[PASSWORD]);

    let run = SshClient::of_a_person(site.addr(), &site.sshd.user(), None, &askpass).exec("true");

    assert!(run.stderr.contains("Permission denied (publickey)"), "{}", run.stderr);
    assert_eq!(askpass.prompts(), Vec::<String>::new());
}

#[test]
fn every_kind_of_public_key_is_taken() {
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate(folder.path(), "key", kind);
        let site = Site::with(|draft| {
            draft.more = user("friend", &key.public()) + &mapped(draft, "users = [\"friend\"]")
        });
        let login = format!("gu=friend@{}", site.sshd.user());
        let askpass = Askpass::new(&[]);
        let run = SshClient::of_a_person(site.addr(), &login, Some(&key), &askpass).exec("echo in");
        assert_eq!(run.text(), "in\n", "{kind}");
    }
}

#[test]
fn gu_names_the_gateway_user_whom_a_mapping_makes_the_remote_user() {
    for rule in ["users = [\"alice\"]", "groups = [\"operators\"]"] {
        let site = Site::with(|draft| alice(draft, rule));

        let run = site.answering(&format!("gu=alice@{}", site.sshd.user()), &[PASSWORD]);

        assert_eq!(run.text(), "in\n", "{rule}");
        let session = site.ended(1);
        assert_eq!(session["gateway_user"], "alice");
        assert_eq!(session["remote_user"], site.sshd.user());
    }
}

#[test]
fn a_gateway_user_whom_no_mapping_allows_is_told_so_and_reaches_no_server() {
    for rule in ["users = [\"bob\"]", "groups = [\"admins\"]"] {
        let site = Site::with(|draft| alice(draft, rule));
        let run = site.answering(&format!("gu=alice@{}", site.sshd.user()), &[PASSWORD]);
        site.refused(&run, "mapping-fail", "You may not use this account.");
        assert_eq!(site.sshd.connections(), 0);
    }
}

#[test]
fn who_is_sent_away_reads_what_was_offered_and_is_asked_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let [key, second] = ["key", "second"].map(|name| KeyPair::generate(folder.path(), name, "ed25519"));
    let site = Site::with(|draft| {
        draft.methods = "\"public-key\", \"password\"".to_owned();
        draft.more = user("friend", &key.public()) + &mapped(draft, "users = [\"nobody\"]");
    });
    let login = format!("gu=friend@{}", site.sshd.user());
    let askpass = Askpass::new(&[]);
    let client = SshClient::of_a_person(site.addr(), &login, Some(&key), &askpass);
    // With a key that it would show next.
    let more = ["-i", second.path().to_str().unwrap()];
    let run =
        keyward_testsuite::run(&mut client.command(&more, &["true"]), keyward_testsuite::Input::Nothing);
    site.refused(&run, "mapping-fail", "You may not use this account.");
    assert!(run.stderr.contains("Permission denied (publickey)."), "{}", run.stderr);
    assert_eq!(askpass.prompts(), Vec::<String>::new());

    let site = Site::with(|draft| alice(draft, "users = [\"bob\"]"));
    let site_without_keys = Site::with(|draft| {
        alice(draft, "users = [\"bob\"]");
        draft.methods = "\"password\"".to_owned();
    });
    for (site, last) in [(site, "(publickey)."), (site_without_keys, "(refused@keyward).")] {
        let run = site.answering(&format!("gu=alice@{}", site.sshd.user()), &[PASSWORD]);
        site.refused(&run, "mapping-fail", "You may not use this account.");
        assert!(run.stderr.contains(&format!("Permission denied {last}")), "{}", run.stderr);
    }
}

#[test]
fn another_name_without_any_mapping_is_refused() {
    let site = Site::with(|draft| {
        draft.methods = "\"keyboard-interactive\"".to_owned();
        draft.more = format!("[[user]]\nname = \"alice\"\n{}", password_line(PASSWORD));
    });
    let run = site.answering(&format!("gu=alice@{}", site.sshd.user()), &[PASSWORD]);
    site.refused(&run, "mapping-fail", "You may not use this account.");
}

#[test]
fn one_persons_key_does_not_open_anothers_account() {
    let site = Site::with(|draft| alice(draft, "users = [\"alice\"]"));
    let run = site.log_in(&format!("gu=alice@{}", site.sshd.user()));
    assert_eq!(run.status.code(), Some(255));
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_client_may_not_change_its_login_name_on_the_way() {
    let site = Site::with(|draft| asks_for_a_password(draft, "password"));
    let printed = site.paramiko("two_names", &["somebody-else", PASSWORD]);
    assert_eq!(printed, "first refused\nsecond refused\n");
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_client_that_does_not_log_in_is_hung_up_on_after_the_grace_time() {
    // Long enough for who does log in, on a machine that is busy.
    let site = Site::with(|draft| {
        asks_for_a_password(draft, "password");
        draft.settings = "login-grace = 12\n".to_owned();
    });
    std::thread::scope(|scope| {
        for beginning in ["", "SSH-2.0-half-open\r\n", "SSH-2.0-half-open\r\n\0\0\x04"] {
            let addr = site.addr();
            scope.spawn(move || assert_hung_up_on(addr, beginning));
        }
        assert_eq!(site.paramiko("undecided", &["60"]), "password\nhung up\n");
    });
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
    assert_eq!(site.answering(&site.sshd.user(), &[PASSWORD]).text(), "in\n");
}

#[test]
fn the_password_of_the_gateway_is_not_the_servers() {
    let (sshd, account) = (Sshd::start(), Account::create());
    let site = Site::on(sshd, |draft| {
        draft.methods = "\"password\"".to_owned();
        draft.more = format!("[[user]]\nname = \"{}\"\n{}", account.name, password_line(&account.password));
    });
    let run = site.answering(&account.name, &[&account.password]);
    site.refused(&run, "target-auth-fail", "The gateway could not log in on the server.");
}

fn asks_for_a_password(draft: &mut Draft, method: &str) {
    draft.methods = format!("\"{method}\"");
    draft.user = password_line(PASSWORD);
}

/// A gateway user with a password, in the group `operators`, who is not the remote user.
fn alice(draft: &mut Draft, rule: &str) {
    draft.methods = "\"public-key\", \"keyboard-interactive\"".to_owned();
    let user = format!("[[user]]\nname = \"alice\"\ngroups = [\"operators\"]\n{}", password_line(PASSWORD));
    draft.more = user + &mapped(draft, rule);
}

fn user(name: &str, public_key: &str) -> String {
    format!("[[user]]\nname = \"{name}\"\npublic-keys = [\"{public_key}\"]\n")
}

fn mapped(draft: &mut Draft, rule: &str) -> String {
    draft.connection += "usermapping = \"people\"\n";
    let remote_user = &draft.remote_user;
    format!(
        "[[usermapping]]\nname = \"people\"\n[[usermapping.rule]]\nremote-user = \"{remote_user}\"\n{rule}\n"
    )
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a peer of the gateway")]
fn assert_hung_up_on(gateway: SocketAddr, beginning: &str) {
    let mut peer = TcpStream::connect_timeout(&gateway, PATIENCE).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.write_all(beginning.as_bytes()).unwrap();
    let mut answer = Vec::new();
    if let Err(error) = peer.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error} after {beginning:?}");
    }
}
