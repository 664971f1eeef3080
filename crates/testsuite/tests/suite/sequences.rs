//! Several methods one after the other (RFC 4252 section 5.1).

use keyward_testsuite::{Askpass, KeyPair, SshClient, password_line};
use serde_json::Value;

use crate::site::{Draft, Site};

const PASSWORD: &str = "correct horse";
const KEY_THEN_PASSWORD: &str = "[\"public-key\", \"keyboard-interactive\"]";

fn asking_for(sequences: &str) -> Site {
    Site::with(|draft| ask_for(draft, sequences))
}

fn ask_for(draft: &mut Draft, sequences: &str) {
    draft.methods = String::new();
    draft.authentication = format!("sequences = [{sequences}]\n");
    draft.user = password_line(PASSWORD);
}

#[test]
fn a_key_and_a_password_together_log_in_and_the_record_has_both() {
    let site = asking_for(KEY_THEN_PASSWORD);
    let askpass = Askpass::new(&[PASSWORD]);

    assert_eq!(site.person(&site.sshd.user(), &askpass).exec("echo in").text(), "in\n");

    let notes = site.notes(1);
    assert!(notes[0].starts_with("public-key accepted: ssh-ed25519 SHA256:"), "{notes:?}");
    assert_eq!(notes[1], "keyboard-interactive accepted");
    assert_eq!(askpass.prompts().len(), 1);
}

#[test]
fn one_of_two_is_not_enough() {
    let site = asking_for(KEY_THEN_PASSWORD);
    let user = site.sshd.user();

    // With the key alone,
    let run = site.ssh().exec("echo in");
    assert!(run.stderr.contains("Permission denied (keyboard-interactive)"), "{}", run.stderr);
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
    // and with the password alone, which is not even asked for.
    let askpass = Askpass::new(&[PASSWORD]);
    let run = SshClient::of_a_person(site.addr(), &user, None, &askpass).exec("echo in");
    assert!(run.stderr.contains("Permission denied (publickey)"), "{}", run.stderr);
    assert_eq!(askpass.prompts(), Vec::<String>::new());
    assert_eq!(site.ended(2)["verdict"], "auth-fail");
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_wrong_second_factor_is_refused() {
    let site = asking_for(KEY_THEN_PASSWORD);
    let askpass = Askpass::new(&["wrong"]);

    let run = site.person(&site.sshd.user(), &askpass).exec("echo in");

    assert!(run.stderr.contains("Permission denied (keyboard-interactive)"), "{}", run.stderr);
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
    assert_eq!(site.notes(1).len(), 1);
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn a_stranger_with_the_password_does_not_get_to_the_second_step() {
    let site = asking_for(KEY_THEN_PASSWORD);
    let stranger = KeyPair::generate(site.sshd.folder(), "stranger", "ed25519");
    let askpass = Askpass::new(&[PASSWORD]);
    let run = SshClient::of_a_person(site.addr(), &site.sshd.user(), Some(&stranger), &askpass).exec("true");
    assert!(run.stderr.contains("Permission denied (publickey)"), "{}", run.stderr);
    assert_eq!(askpass.prompts(), Vec::<String>::new());
}

#[test]
fn each_alternative_is_a_way_in() {
    let site = asking_for(&format!("{KEY_THEN_PASSWORD}, [\"password\"]"));
    let user = site.sshd.user();

    let by_password = Askpass::new(&[PASSWORD]);
    let client = SshClient::of_a_person(site.addr(), &user, None, &by_password);
    assert_eq!(client.exec("echo in").text(), "in\n");
    assert_eq!(site.person(&user, &Askpass::new(&[PASSWORD])).exec("echo in").text(), "in\n");
}

#[test]
fn methods_in_a_row_keep_their_order() {
    let site = asking_for("[\"password\", \"public-key\"]");
    let askpass = Askpass::new(&[PASSWORD]);
    assert_eq!(site.person(&site.sshd.user(), &askpass).exec("echo in").text(), "in\n");
    let methods: Vec<String> =
        site.notes(1).iter().filter_map(|note| Some(note.split_once(" accepted")?.0.to_owned())).collect();
    assert_eq!(methods, ["password", "public-key"]);
}

/// What the server says to each step, by a client that takes the steps that it is told to.
#[track_caller]
fn steps(site: &Site, steps: &[&str]) -> Vec<Value> {
    let printed = site.paramiko("steps", steps);
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_success_in_part_says_what_must_follow() {
    let site = asking_for(&format!("{KEY_THEN_PASSWORD}, [\"public-key\", \"password\"]"));
    let said = steps(&site, &["key", "answer=correct horse"]);
    assert_eq!(
        said,
        [serde_json::json!({"partial": ["keyboard-interactive", "password"]}), serde_json::json!("in")]
    );
}

#[test]
fn the_wrong_order_leads_nowhere() {
    let site = asking_for(KEY_THEN_PASSWORD);
    let said = steps(&site, &["answer=correct horse", "key", "key", "answer=correct horse"]);
    assert_eq!(
        said,
        [
            serde_json::json!({"refused": ["publickey"]}),
            serde_json::json!({"partial": ["keyboard-interactive"]}),
            serde_json::json!({"refused": ["keyboard-interactive"]}),
            serde_json::json!("in"),
        ]
    );
}

#[test]
fn another_user_in_the_second_step_ends_the_connection() {
    let site = Site::with(|draft| {
        ask_for(draft, KEY_THEN_PASSWORD);
        draft.more = format!("[[user]]\nname = \"mallory\"\n{}", password_line("mallorys"));
    });
    let said = steps(&site, &["key", "user=mallory", "answer=mallorys"]);
    assert_eq!(said, [serde_json::json!({"partial": ["keyboard-interactive"]}), serde_json::json!("gone")]);
    assert_eq!(site.ended(1)["verdict"], "auth-fail");
    assert_eq!(site.sshd.connections(), 0);
}
