//! What plugins ask, and where the answers go.

use keyward_testsuite::{Askpass, PATIENCE, Paramiko, Plug, PluggedPlan, Program, until};
use rustix::process::Signal;
use serde_json::{Value, json};

const THREE_QUESTIONS: &str = r#"
from notes import note

QUESTIONS = [
    ("ticket", "Ticket: "),
    ("pin", "Only you know it.\nPIN: ", True),
    ("reason", "Reason: ", False),
]

class Plugin:
    def authenticate(self, key_value_pairs):
        note("authenticate", known=sorted(key_value_pairs))
        for question in QUESTIONS:
            if question[0] not in key_value_pairs:
                return {"verdict": "NEEDINFO", "question": question}
        return {"verdict": "ACCEPT"}

    def authorize(self, key_value_pairs):
        note("authorize", pairs=key_value_pairs)
        return {"verdict": "ACCEPT"}

    def session_ended(self, session_id):
        note("session_ended")
"#;

#[test]
fn three_questions_come_one_by_one_and_their_answers_reach_authorize() {
    let plugged = PluggedPlan::new([Plug::aa(THREE_QUESTIONS)]).open();
    let askpass = Askpass::new(&["T-1", "", "upgrade of db1"]);

    plugged.client("", &askpass).exec("true").must_succeed();

    let prompts = askpass.prompts();
    let asked: Vec<bool> = ["Ticket: ", "PIN: ", "Reason: "]
        .iter()
        .zip(&prompts)
        .map(|(asked, seen)| seen.contains(asked))
        .collect();
    assert_eq!((prompts.len(), asked), (3, vec![true; 3]), "{prompts:?}");
    let notes = plugged.notes("aa");
    let known: Vec<&Value> = notes.iter().filter_map(|(_, facts)| facts.get("known")).collect();
    assert_eq!(
        known,
        [&json!([]), &json!(["ticket"]), &json!(["pin", "ticket"]), &json!(["pin", "reason", "ticket"])]
    );
    let pairs = notes.iter().find_map(|(_, facts)| facts.get("pairs"));
    assert_eq!(pairs, Some(&json!({"ticket": "T-1", "pin": "", "reason": "upgrade of db1"})));
}

#[test]
fn a_question_says_whether_its_answer_may_be_seen() {
    let plugged = PluggedPlan::new([Plug::aa(THREE_QUESTIONS)]).open();
    let user = plugged.user();
    let peer = Paramiko { addr: plugged.gateway.addr("ssh"), login: &user, key: plugged.sshd.key() };

    let seen = peer.run("questions", &["T-1", "1234", "none"]).text();

    let seen: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        seen,
        [
            json!(["", [["Ticket: ", true]]]),
            json!(["Only you know it.", [["PIN: ", false]]]),
            json!(["", [["Reason: ", true]]]),
            json!(user)
        ]
    );
}

#[test]
fn a_pair_of_the_login_string_answers_the_question_of_its_key() {
    let plugged = PluggedPlan::new([Plug::aa(THREE_QUESTIONS)]).open();
    let askpass = Askpass::new(&["T-1", "because"]);
    plugged.client("pin=1234@", &askpass).exec("true").must_succeed();
    assert_eq!(askpass.prompts().len(), 2);
}

const ENDLESS: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, key_value_pairs):
        note("authenticate")
        return {"verdict": "NEEDINFO", "question": ("again", "Again: ")}

    def authorize(self):
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        note("session_ended")
"#;

#[test]
fn a_plugin_that_never_stops_asking_is_stopped_after_32_rounds() {
    let plugged = PluggedPlan::new([Plug::aa(ENDLESS)]).open();
    let askpass = Askpass::new(&["no"; 40]);
    assert_eq!(plugged.client("", &askpass).exec("true").status.code(), Some(255));

    assert_eq!(plugged.session()["verdict"], "deny");
    let heard = plugged.heard("aa");
    assert_eq!(heard.iter().filter(|word| *word == "authenticate").count(), 32);
    assert_eq!(heard.iter().filter(|word| *word == "session_ended").count(), 1);
}

#[test]
fn a_person_who_leaves_during_a_question_ends_the_session_at_once() {
    let plugged = PluggedPlan::new([Plug::aa(ENDLESS)]).open();
    let askpass = Askpass::silent();
    let client = plugged.client("", &askpass);
    let person = Program::start(&mut client.command(&[], &["true"]));
    until("the question is shown", PATIENCE, || (!askpass.prompts().is_empty()).then_some(()));

    person.signal(Signal::KILL);

    assert_eq!(plugged.session()["verdict"], "auth-fail");
    assert_eq!(plugged.heard("aa"), ["authenticate", "session_ended"]);
    assert_eq!(plugged.sshd.connections(), 0);
}

/// Made with the SDK: the question of the configuration is asked once the plugin has accepted, and its answer
/// stands in the cookie of the session.
const SDK_AA: &str = r#"
from notes import note
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        note("authenticate", otp=self.mfa_password)
        return AAResponse.accept("right code") if self.mfa_password == "424242" else AAResponse.deny("wrong code")

    def do_session_ended(self):
        note("session_ended", questions=self.questions)
"#;

const SDK_STORE: &str = r#"
from notes import note
from safeguard.sessions.plugin import CredentialStorePlugin

class Plugin(CredentialStorePlugin):
    def do_get_password_list(self):
        path = self.session_cookie.get("questions", {}).get("path")
        password = self.plugin_configuration.get("vault", path or "none")
        return {"passwords": [password]} if password else None

    def do_check_in_credential(self):
        note("check_in", account=self.account)

    def do_session_ended(self):
        note("session_ended", path=self.session_cookie["questions"]["path"])
"#;

fn asking_for_a_path() -> PluggedPlan {
    let aa = Plug::aa(SDK_AA)
        .configuration("[question_1]\nprompt=Path in the vault:\nkey=path\ndisable_echo=no\n");
    let store = Plug::store(SDK_STORE).configuration("[vault]\nteam/db=wrong\nteam/web=@password@\n");
    PluggedPlan::new([aa, store])
}

#[test]
fn the_answer_to_question_1_chooses_the_password_in_the_credential_store() {
    let plugged = asking_for_a_path().open();
    let askpass = Askpass::new(&["424242", "team/web"]);

    assert_eq!(plugged.client("", &askpass).exec("id -un").text().trim_end(), plugged.user());

    assert!(askpass.prompts()[1].contains("Path in the vault: "), "{:?}", askpass.prompts());
    assert_eq!(plugged.session()["verdict"], "accept");
    assert_eq!(plugged.notes("store").last(), Some(&("session_ended".into(), json!({"path": "team/web"}))));
    assert_eq!(plugged.heard("store"), ["check_in", "session_ended"]);
    assert_eq!(
        plugged.notes("aa").last(),
        Some(&("session_ended".into(), json!({"questions": {"path": "team/web"}})))
    );
}

#[test]
fn another_answer_chooses_another_password() {
    let plugged = asking_for_a_path().open();
    let run = plugged.client("path=team/db@", &Askpass::new(&["424242"])).exec("true");

    assert_eq!(run.status.code(), Some(255));
    assert_eq!(plugged.session()["verdict"], "target-auth-fail");
    assert_eq!(plugged.heard("store"), ["check_in", "session_ended"]);
}
