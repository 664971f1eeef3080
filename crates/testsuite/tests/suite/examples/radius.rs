//! `radius_mfa`, against Debian's FreeRADIUS.

use keyward_testsuite::{FakeTarget, FreeRadius};
use serde_json::Value;

use super::trial::{Trial, denied};

fn configuration(server: impl std::fmt::Display, more: &str) -> String {
    format!("[radius]\nservers = {server}\nsecret = {}\ntimeout = 5\n{more}\n", FreeRadius::SECRET)
}

/// A session of the plugin with this server, for this user.
fn login(radius: &FreeRadius, user: &str, more: &str) -> Trial {
    Trial::new("radius_mfa", &configuration(radius.addr(), more)).with("gateway_user", user)
}

#[test]
fn the_right_password_is_accepted_by_pap_and_by_chap() {
    let radius = FreeRadius::start();
    for method in ["pap", "chap"] {
        let mut login = login(&radius, "alice", &format!("method = {method}"));
        let (prompts, result) = login.converse("authenticate", &[FreeRadius::ALICE]);
        assert_eq!(result["verdict"], "ACCEPT", "{method}: {result:#}");
        assert_eq!(prompts, ["One-time password: "]);
    }
    let log = radius.log().join("\n");
    for proof in [
        "User-Password = ",
        "CHAP-Password = ",
        "Message-Authenticator = ",
        "Calling-Station-Id = \"192.0.2.33\"",
    ] {
        assert!(log.contains(proof), "no {proof:?} in {log}");
    }
}

#[test]
fn a_wrong_password_is_refused_by_pap_and_by_chap() {
    let radius = FreeRadius::start();
    for method in ["pap", "chap"] {
        let mut login = login(&radius, "alice", &format!("method = {method}"));
        let (_, result) = login.converse("authenticate", &["open barley"]);
        assert_eq!(denied(&result), "The RADIUS server has refused the login.");
    }
}

#[test]
fn the_servers_reason_is_told() {
    let radius = FreeRadius::start();
    let (_, result) = login(&radius, "mallory", "").converse("authenticate", &["anything"]);
    assert_eq!(denied(&result), "The RADIUS server has refused the login: Nobody of that name");
}

#[test]
fn a_challenge_is_asked_and_its_answer_goes_back_with_its_state() {
    let radius = FreeRadius::start();
    for method in ["pap", "chap"] {
        let mut login = login(&radius, "bob", &format!("method = {method}"));
        let (prompts, result) = login.converse("authenticate", &[FreeRadius::BOB, FreeRadius::BOB_TOKEN]);
        assert_eq!(prompts, ["One-time password: ", "Code of your token: "]);
        assert_eq!(result["verdict"], "ACCEPT", "{method}: {result:#}");
    }
}

#[test]
fn a_wrong_answer_to_a_challenge_is_refused() {
    let radius = FreeRadius::start();
    let (_, result) = login(&radius, "bob", "").converse("authenticate", &[FreeRadius::BOB, "000000"]);
    denied(&result);
    // The first factor is not good enough for the second one.
    let (_, result) = login(&radius, "bob", "").converse("authenticate", &[FreeRadius::BOB, FreeRadius::BOB]);
    denied(&result);
}

#[test]
fn what_is_typed_is_hidden() {
    let radius = FreeRadius::start();
    let mut login = login(&radius, "bob", "");
    assert_eq!(login.call("authenticate")["question"][2], true);
    login.answer("otp", FreeRadius::BOB);
    assert_eq!(login.call("authenticate")["question"][2], true);
}

#[test]
fn a_server_with_another_secret_is_not_believed() {
    let radius = FreeRadius::start();
    let text = configuration(radius.addr(), "tries = 1").replace(FreeRadius::SECRET, "another-secret");
    let text = text.replace("timeout = 5", "timeout = 1");
    let (_, result) = Trial::new("radius_mfa", &text).converse("authenticate", &[FreeRadius::ALICE]);
    assert_eq!(denied(&result), "Backend service unreachable");
}

#[test]
fn an_unsigned_response_counts_only_where_the_configuration_says_so() {
    let radius = FreeRadius::without_signatures();
    let quick = "tries = 1\nmethod = pap";
    let mut strict = Trial::new("radius_mfa", &configuration(radius.addr(), quick));
    let (_, result) = strict.converse("authenticate", &[FreeRadius::ALICE]);
    assert_eq!(denied(&result), "Backend service unreachable");
    assert!(strict.log().contains("Message-Authenticator"), "{}", strict.log());

    let mut lax = login(&radius, "alice", "require_message_authenticator = no");
    let (_, result) = lax.converse("authenticate", &[FreeRadius::ALICE]);
    assert_eq!(result["verdict"], "ACCEPT", "{result:#}");
}

#[test]
fn a_server_that_is_gone_is_passed_over_and_no_server_lets_nobody_in() {
    let radius = FreeRadius::start();
    let gone = FakeTarget::gone();
    let answer = |servers: String| {
        let mut login = Trial::new("radius_mfa", &configuration(servers, ""));
        login.converse("authenticate", &[FreeRadius::ALICE]).1
    };
    assert_eq!(answer(format!("{gone}, {}", radius.addr()))["verdict"], "ACCEPT");
    assert_eq!(denied(&answer(gone.to_string())), "Backend service unreachable");
}

#[test]
fn neither_passwords_nor_the_shared_secret_are_printed() {
    let radius = FreeRadius::start();
    let mut login = login(&radius, "bob", "\n[logging]\nlog_level = debug");
    let (_, result) = login.converse("authenticate", &[FreeRadius::BOB, FreeRadius::BOB_TOKEN]);
    let said = format!("{}{result}", login.log());
    for secret in [FreeRadius::SECRET, FreeRadius::BOB, FreeRadius::BOB_TOKEN] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn the_shared_secret_may_come_from_the_gateways_own_store() {
    let radius = FreeRadius::start();
    let text =
        configuration(radius.addr(), "\n[credential_store]\nname = radius").replace(FreeRadius::SECRET, "$");
    let policy = format!(
        "[[local-credential-store]]\nname = \"radius\"\n\
         [[local-credential-store.row]]\nhost = \"radius\"\nuser = \"secret\"\npasswords = [\"{}\"]\n",
        FreeRadius::SECRET
    );
    let (_, result) =
        Trial::new("radius_mfa", &text).policy(&policy).converse("authenticate", &[FreeRadius::ALICE]);
    assert_eq!(result["verdict"], Value::from("ACCEPT"), "{result:#}");
}
