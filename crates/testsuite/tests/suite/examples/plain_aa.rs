//! `plain_aa`, which does without the SDK.

use serde_json::json;

use super::trial::{Trial, denied};

#[test]
fn the_word_is_asked_for_and_opens() {
    let mut login = Trial::new("plain_aa", "mellon\n");
    let (prompts, result) = login.converse("authenticate", &["mellon"]);
    assert_eq!(prompts, ["Speak the word and enter: "]);
    assert_eq!(result["verdict"], "ACCEPT");
    assert_eq!((&result["gateway_user"], &result["gateway_groups"]), (&json!("alice"), &json!(["friends"])));
    let login = login.with("server_username", "frodo").call("authorize");
    assert_eq!(login["additional_metadata"], "to 10.20.0.7:22 from 192.0.2.33");
}

#[test]
fn another_word_and_root_are_refused() {
    let mut login = Trial::new("plain_aa", "mellon\n");
    assert_eq!(denied(&login.converse("authenticate", &["friend"]).1), "That is not the word.");
    assert_eq!(denied(&login.call("authorize")), "Not as root.");
}

#[test]
fn a_cookie_is_remembered_until_the_session_has_ended() {
    let mut login = Trial::new("plain_aa", "mellon\n");
    login.converse("authenticate", &["mellon"]);
    login.call("session_ended");
    assert!(login.log().contains("has ended after 1 successful authentications"), "{}", login.log());
}
