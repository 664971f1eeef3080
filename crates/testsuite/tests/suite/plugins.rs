//! The main job: plugins decide who gets in, and with which password the gateway logs in there.

use keyward_testsuite::Askpass;

use crate::vault::{CODE, Vault};

#[test]
fn who_knows_the_code_works_on_the_server_without_its_password() {
    let vault = Vault::open();
    let askpass = Askpass::new(&[CODE]);

    let run = vault.client("", &askpass).exec("id -un");

    assert_eq!(run.text().trim_end(), vault.account.name);
    assert_eq!(askpass.prompts().len(), 1);
    assert!(askpass.prompts()[0].contains("One-time code: "), "{:?}", askpass.prompts());
    assert_eq!(vault.gateway.ended_sessions(1)[0]["verdict"], "accept");
}

#[test]
fn a_code_in_the_login_string_is_not_asked_for() {
    let vault = Vault::open();
    let askpass = Askpass::new(&[]);
    let run = vault.client(&format!("otp={CODE}@"), &askpass).exec("echo in");
    assert_eq!(run.text(), "in\n");
    assert_eq!(askpass.prompts(), Vec::<String>::new());
}

#[test]
fn a_wrong_code_never_reaches_the_server() {
    let vault = Vault::open();

    let run = vault.client("", &Askpass::new(&["000000"])).exec("true");

    assert_eq!(run.status.code(), Some(255));
    assert_eq!(vault.gateway.ended_sessions(1)[0]["verdict"], "deny");
    assert_eq!(vault.sshd.connections(), 0);
}

#[test]
fn each_plugin_hears_the_end_of_a_session_once() {
    let mut vault = Vault::open();
    vault.client("", &Askpass::new(&[CODE])).exec("true").must_succeed();
    vault.gateway.ended_sessions(1);
    assert!(vault.gateway.stop().success());

    let hooks = |instance| vault.calls(instance).into_iter().map(|(hook, _)| hook).collect::<Vec<_>>();
    assert_eq!(hooks("code-instance"), ["authenticate", "authenticate", "authorize", "session_ended"]);
    let store = hooks("vault-instance");
    assert_eq!(store.iter().filter(|hook| *hook == "get_password_list").count(), 1);
    assert_eq!(&store[store.len() - 2..], ["authentication_completed", "session_ended"]);
}

#[test]
fn neither_the_password_nor_the_code_is_in_the_log() {
    let vault = Vault::open();
    vault.client("", &Askpass::new(&[CODE])).exec("true").must_succeed();
    vault.gateway.ended_sessions(1);

    let log = vault.gateway.log().join("\n");
    assert!(!log.contains(CODE) && !log.contains(&vault.account.password), "{log}");
}
