//! Plugins as users of their own, where the policy says so: what they may do is bounded.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use keyward_testsuite::{Askpass, PATIENCE, Plug, PluggedPlan, Program, until};
use serde_json::{Value, json};

const BOMB: &str = r#"
import os
from notes import note

class Plugin:
    def authenticate(self, key_value_pairs):
        note("authenticate", uid=os.getuid())
        if "bomb" in key_value_pairs:
            note("bomb", pid=os.getpid())
            while True:
                for step in (os.fork, os.setsid):
                    try:
                        step()
                    except OSError:
                        pass
        return {"verdict": "ACCEPT"}

    def authorize(self):
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        note("session_ended")
"#;

fn bomb(user: u32) -> PluggedPlan {
    PluggedPlan::new([Plug::aa(BOMB).settings("processes = 48")])
        .own_users(user)
        .connection("settings = \"quick\"")
        .more("[[settings]]\nname = \"quick\"\ntimeout = 20\n")
}

#[test]
fn plugins_run_as_users_of_their_own_where_the_policy_says_so() {
    let plugged = bomb(151_000).open();
    plugged.client("", &Askpass::new(&[])).exec("true").must_succeed();
    assert_eq!(plugged.notes("aa")[0], ("authenticate".to_owned(), json!({"uid": 151_000})));
}

#[test]
fn a_fork_bomb_is_ended_and_an_open_session_works_on_meanwhile() {
    let plugged = bomb(161_000).open();
    let client = plugged.client("", &Askpass::new(&[]));
    let mut open = client.command(&[], &["cat"]);
    let mut open = open.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut typed, mut shown) = (open.stdin.take().unwrap(), BufReader::new(open.stdout.take().unwrap()));
    let mut echo = || {
        let mut line = String::new();
        writeln!(typed, "still here").unwrap();
        shown.read_line(&mut line).unwrap();
        assert_eq!(line, "still here\n");
    };
    echo();

    let bomber = plugged.client("bomb=1@", &Askpass::new(&[]));
    let bomb = Program::start(&mut bomber.command(&[], &["true"]));
    until("the bomb goes off", PATIENCE, || plugged.heard("aa").contains(&"bomb".to_owned()).then_some(()));
    until("the bomb is ended", PATIENCE, || {
        echo();
        bomb.has_ended().then_some(())
    });
    assert!(!bomb.ended(PATIENCE).success());
    echo();

    drop(typed);
    assert!(open.wait().unwrap().success());
    until("nothing of the bomb is left", PATIENCE, || (processes_of(161_000) <= 4).then_some(()));
    plugged.client("", &Askpass::new(&[])).exec("true").must_succeed();
    let verdicts: Vec<Value> =
        plugged.gateway.ended_sessions(3).iter().map(|s| s["verdict"].clone()).collect();
    assert_eq!(verdicts, ["accept", "plugin-error", "accept"]);
}

fn processes_of(user: u32) -> usize {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == user)).count()
}
