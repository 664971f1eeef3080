//! Questions of plugins in every shape: long and empty, hidden and shown, with lines before them.

use keyward_testsuite::{Askpass, Paramiko, Plug, Plugged, PluggedPlan, Putty, Terminal};
use serde_json::{Value, json};

const ASKS: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, key_value_pairs):
        for question in SHAPES:
            if question[0] not in key_value_pairs:
                return {"verdict": "NEEDINFO", "question": question}
        note("answers", pairs=key_value_pairs)
        return {"verdict": "ACCEPT"}

    def authorize(self):
        return {"verdict": "ACCEPT"}
"#;

/// A plugin that asks each of SHAPES in turn.
fn asks(shapes: &str) -> String {
    format!("{shapes}{ASKS}")
}

const SHAPES: &str = r#"
SHAPES = [
    ("lines", "Look at your phone.\r\nThere is a number:\n\n\t- six digits\n\nNumber: ", True),
    ("empty", "", False),
    ("blank", "\n\n", True),
    ("end", "Ends with a line\n", False),
    ("accents", "Grüße aus Zürich\nСекрет: ", True),
    ("long", "A line of the terms of use.\n" * 100 + "Agreed? ", False),
    ("wide", "w" * 2000 + ": ", True),
    ("last", "Reason: ", False),
]
"#;

const ANSWERS: [&str; 8] = ["123456", "", "b", "c", "пароль", "yes", "x y  z", "because"];

fn open() -> Plugged {
    PluggedPlan::new([Plug::aa(&asks(SHAPES))]).open()
}

#[track_caller]
fn all_answers_arrived(plugged: &Plugged) {
    let names = ["lines", "empty", "blank", "end", "accents", "long", "wide", "last"];
    let pairs: serde_json::Map<String, Value> =
        names.iter().zip(ANSWERS).map(|(name, answer)| ((*name).to_owned(), json!(answer))).collect();
    assert_eq!(plugged.notes("aa"), [("answers".to_owned(), json!({"pairs": pairs}))]);
}

/// Each with the lines before it, the prompt, and whether the answer may be seen.
fn shapes() -> Vec<Value> {
    // More than ssh shows at once: in pages.
    let terms = |lines| vec!["A line of the terms of use."; lines].join("\n");
    vec![
        json!(["Look at your phone.\nThere is a number:\n\n\t- six digits\n", [["Number: ", false]]]),
        json!(["", [["", true]]]),
        json!(["", [["", false]]]),
        json!(["", [["Ends with a line", true]]]),
        json!(["Grüße aus Zürich", [["Секрет: ", false]]]),
        json!([terms(35), []]),
        json!([terms(35), []]),
        json!([terms(30), [["Agreed? ", true]]]),
        json!(["", [["w".repeat(2000) + ": ", false]]]),
        json!(["", [["Reason: ", true]]]),
    ]
}

#[test]
fn questions_of_every_shape_reach_a_client_as_they_are() {
    let plugged = open();
    let user = plugged.user();
    let peer = Paramiko { addr: plugged.gateway.addr("ssh"), login: &user, key: plugged.sshd.key() };

    let printed = peer.run("questions", &ANSWERS).text();

    let mut seen: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(seen.pop(), Some(json!(user)));
    assert_eq!(seen, shapes());
    all_answers_arrived(&plugged);
}

#[test]
fn openssh_shows_questions_of_every_shape_and_brings_their_answers() {
    let plugged = open();
    let askpass = Askpass::new(&ANSWERS);

    let run = plugged.person("", &askpass).exec("echo in");

    assert_eq!(run.text(), "in\n");
    let prompts = askpass.prompts();
    assert_eq!(prompts.len(), ANSWERS.len());
    let shapes = shapes().into_iter().filter_map(|shape| Some(shape[1][0][0].as_str()?.to_owned()));
    for (prompt, asked) in prompts.iter().zip(shapes) {
        assert!(prompt.ends_with(&asked), "{prompt:?} {asked:?}");
    }
    // Of what is no ASCII ssh shows the numbers, where nobody has set a locale.
    for line in ["There is a number:", "\t- six digits", "Gr\\303\\274\\303\\237e aus Z"] {
        assert!(run.stderr.contains(line), "{line:?} is not in {}", run.stderr);
    }
    assert_eq!(run.stderr.matches("A line of the terms of use.").count(), 100);
    all_answers_arrived(&plugged);
}

const HIDDEN_AND_SHOWN: &str = r#"
SHAPES = [
    ("pin", "Only you know it.\nTwo lines before.\nPIN: ", True),
    ("seen", "May be seen: ", False),
    ("reason", "Reason: ", False),
]
"#;

/// Answers on a person's own terminal.
#[track_caller]
fn answered_on(plugged: &Plugged, terminal: &Terminal) {
    terminal.shows(&["Only you know it.", "Two lines before.", "PIN:"]);
    terminal.press(&["s3cr3t", "Enter"]);
    terminal.shows(&["May be seen:"]);
    terminal.press(&["visible", "Enter"]);
    terminal.shows(&["Reason:"]);
    terminal.press(&["upgrade", "Enter"]);
    let screen = terminal.shows(&["let in", "visible", "upgrade"]);
    assert!(!screen.contains("s3cr3t"), "{screen}");
    let pairs = json!({"pin": "s3cr3t", "seen": "visible", "reason": "upgrade"});
    assert_eq!(plugged.notes("aa"), [("answers".to_owned(), json!({"pairs": pairs}))]);
}

const LET_IN: &str = "echo let in; sleep 60";

#[test]
fn a_terminal_of_openssh_hides_what_is_hidden_and_shows_what_is_shown() {
    let plugged = PluggedPlan::new([Plug::aa(&asks(HIDDEN_AND_SHOWN))]).open();
    let ssh = plugged.person("", &Askpass::new(&[]));
    let terminal = Terminal::run(&ssh.command(&[], &[LET_IN]), (100, 40));
    answered_on(&plugged, &terminal);
}

#[test]
fn a_terminal_of_plink_hides_what_is_hidden_and_shows_what_is_shown() {
    let plugged = PluggedPlan::new([Plug::aa(&asks(HIDDEN_AND_SHOWN))]).open();
    let putty = Putty::with_key(plugged.gateway.addr("ssh"), &plugged.user(), plugged.sshd.key());
    let terminal = Terminal::run(&putty.talking(LET_IN), (100, 40));
    answered_on(&plugged, &terminal);
}
