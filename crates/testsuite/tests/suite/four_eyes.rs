//! Sessions that wait until somebody else lets them go on.

use keyward_testsuite::{Askpass, PATIENCE, Plug, Plugged, PluggedPlan, Program, Run, Sshd, keyward, until};
use serde_json::{Value, json};

/// Alice, with a ticket. She is not the user who runs these tests, who approves.
const ALICE: &str = r#"
from notes import note

class Plugin:
    def authenticate(self):
        return {"verdict": "ACCEPT", "gateway_user": "NAME", "gateway_groups": ["staff"]}

    def authorize(self):
        return {"verdict": "ACCEPT", "additional_metadata": "ticket 4711"}

    def session_ended(self):
        note("session_ended")
"#;

/// The gateway user's name; without one it is the user who runs these tests.
#[track_caller]
fn open(name: Option<&str>, four_eyes: &str) -> Plugged {
    let sshd = Sshd::start();
    let user = sshd.user();
    let mapping = format!(
        "[[usermapping]]\nname = \"staff\"\n[[usermapping.rule]]\nremote-user = \"{user}\"\ngroups = [\"staff\"]\n"
    );
    PluggedPlan::new([Plug::aa(&ALICE.replace("NAME", name.unwrap_or(&user)))])
        .connection(&format!("usermapping = \"staff\"\nfour-eyes = {four_eyes}"))
        .more(&mapping)
        .open_on(sshd)
}

/// A person who comes and has to wait.
struct Visit {
    person: Program,
    askpass: Askpass,
}

#[track_caller]
fn visit(plugged: &Plugged) -> Visit {
    let askpass = Askpass::new(&[]);
    let client = plugged.person("", &askpass);
    let person = Program::start(&mut client.command(&[], &["echo inside >&2; exit 4"]));
    hears(&person, "This connection needs an approval. It waits for one, ");
    Visit { person, askpass }
}

#[track_caller]
fn hears(person: &Program, words: &str) {
    let said = |line: &str| line.contains(words).then_some(());
    assert_eq!(person.find_line(words, PATIENCE, said), Some(()), "{}", person.log().join("\n"));
}

fn session(plugged: &Plugged, words: &[&str]) -> Run {
    let policy = plugged.gateway.policy();
    keyward([&["session"], words, &["--policy", policy.to_str().unwrap()]].concat())
}

fn pending(plugged: &Plugged) -> Vec<Value> {
    let listed: Value = serde_json::from_str(&session(plugged, &["pending", "--json"]).text()).unwrap();
    listed.as_array().unwrap().clone()
}

/// The id of the one session that waits.
#[track_caller]
fn waiting(plugged: &Plugged) -> String {
    let [one] = pending(plugged).try_into().unwrap();
    one["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_approved_session_goes_on_and_the_record_says_by_whom() {
    let plugged = open(Some("alice"), "true");
    let visit = visit(&plugged);
    let [asked] = <[Value; 1]>::try_from(pending(&plugged)).unwrap();
    let id = asked["id"].as_str().unwrap();
    for (fact, value) in [
        ("gateway_user", json!("alice")),
        ("gateway_groups", json!(["staff"])),
        ("remote_user", json!(plugged.user())),
        ("additional_metadata", json!("ticket 4711")),
        ("connection", json!("ssh")),
        ("protocol", json!("ssh")),
    ] {
        assert_eq!(asked[fact], value, "{asked:#}");
    }
    assert!(asked["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{asked:#}");
    assert_eq!(asked["target"]["address"], plugged.sshd.addr().to_string());
    let listed = session(&plugged, &["pending"]).text();
    for words in [id, "alice", "ticket 4711", "for 1"] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    assert_eq!(plugged.sshd.connections(), 0, "the target hears nothing before");

    let said = session(&plugged, &["approve", id, "--comment", "change 4711"]).text();
    assert_eq!(said, format!("Session {id} is approved.\n"));
    hears(&visit.person, "inside");
    assert_eq!(visit.person.ended(PATIENCE).code(), Some(4));
    drop(visit.askpass);
    assert_eq!(pending(&plugged), Vec::<Value>::new());
    let record = plugged.session();
    let decided = &record["approval"]["decided"];
    assert_eq!((&record["verdict"], &decided["approved"]), (&json!("accept"), &json!(true)), "{record:#}");
    assert_eq!(decided["comment"], "change 4711");
    assert!(!decided["by"].as_str().unwrap().is_empty(), "{record:#}");
    let shown = session(&plugged, &["show", id]).text();
    assert!(shown.contains("approved by ") && shown.contains(": change 4711"), "{shown}");
    // Nobody changes it afterwards.
    let late = session(&plugged, &["deny", id]);
    assert_eq!(late.status.code(), Some(2));
    assert!(late.stderr.contains("nothing is changed") && late.stderr.contains("approved by "), "{late:?}");
}

#[test]
fn a_denied_session_ends_with_the_approvers_words_and_reaches_no_server() {
    let plugged = open(Some("alice"), "{ wait = 60 }");
    let visit = visit(&plugged);
    let id = waiting(&plugged);
    session(&plugged, &["deny", &id, "--comment", "Not during the freeze."]).must_succeed();
    hears(&visit.person, "Access denied. Not during the freeze.");
    assert_eq!(visit.person.ended(PATIENCE).code(), Some(255));
    let record = plugged.session();
    assert_eq!(record["verdict"], "deny", "{record:#}");
    let reason = record["reason"].as_str().unwrap();
    assert!(reason.ends_with("did not approve the session: Not during the freeze."), "{reason}");
    assert_eq!(plugged.sshd.connections(), 0);
    until("the plugin hears of the end", PATIENCE, || (plugged.heard("aa").len() == 1).then_some(()));
}

#[test]
fn a_session_that_nobody_approves_ends() {
    let plugged = open(Some("alice"), "{ wait = 1 }");
    let visit = visit(&plugged);
    assert_eq!(visit.person.ended(PATIENCE).code(), Some(255));
    let record = plugged.session();
    assert_eq!(record["verdict"], "timeout", "{record:#}");
    assert_eq!(record["reason"], "nobody approved the session within 1 s");
    assert_eq!(record["approval"]["decided"]["by"], Value::Null);
    let id = record["id"].as_str().unwrap();
    let late = session(&plugged, &["approve", id]);
    assert_eq!(late.status.code(), Some(2));
    assert!(late.stderr.contains("approved by nobody until "), "{late:?}");
    assert_eq!((pending(&plugged), plugged.sshd.connections()), (vec![], 0));
}

#[test]
fn nobody_waits_for_a_person_who_has_left_nor_for_a_session_that_was_terminated() {
    let plugged = open(Some("alice"), "true");
    let gone = visit(&plugged);
    let id = waiting(&plugged);
    gone.person.signal(rustix::process::Signal::KILL);
    until("the session is over", PATIENCE, || pending(&plugged).is_empty().then_some(()));
    let late = session(&plugged, &["approve", &id]);
    assert_eq!(late.status.code(), Some(2));
    assert!(late.stderr.contains("has ended meanwhile"), "{late:?}");

    let terminated = visit(&plugged);
    let id = waiting(&plugged);
    session(&plugged, &["terminate", &id]).must_succeed();
    terminated.person.ended(PATIENCE);
    assert_eq!((pending(&plugged), plugged.sshd.connections()), (vec![], 0));
}

#[test]
fn nobody_approves_their_own_session() {
    let plugged = open(None, "true");
    let visit = visit(&plugged);
    let id = waiting(&plugged);
    let refused = session(&plugged, &["approve", &id]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("somebody else has to approve it"), "{refused:?}");
    // To give it up is everybody's right.
    session(&plugged, &["deny", &id]).must_succeed();
    hears(&visit.person, "Access denied.");
    visit.person.ended(PATIENCE);
    assert_eq!(plugged.session()["verdict"], "deny");
}
