//! Sessions that end in the middle of something: their plugins hear of it once, and what ran for them is gone.

use std::path::PathBuf;
use std::time::Instant;

use keyward_testsuite::{Askpass, PATIENCE, Plug, Plugged, PluggedPlan, Program, keyward, until};
use rustix::process::Signal;
use serde_json::json;

const SLEEPER: &str = r#"
import os, subprocess, time
from notes import note
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        self.cookie["seen"] = True
        return AAResponse.accept()

    def do_authorize(self):
        if "slow" in self.connection.key_value_pairs:
            child = subprocess.Popen(["sleep", "300"])
            print("waiting for somebody", flush=True)
            note("authorize", processes=[os.getpid(), child.pid])
            time.sleep(300)
        return AAResponse.accept()

    def do_session_ended(self):
        note("session_ended", seen=self.cookie.get("seen"))
"#;

/// The processes of the slow call, once it runs.
#[track_caller]
fn slow_call(plugged: &Plugged) -> Vec<PathBuf> {
    let facts = until("the call runs", PATIENCE, || {
        plugged.notes("aa").into_iter().find(|(word, _)| word == "authorize").map(|(_, facts)| facts)
    });
    let pids = facts["processes"].as_array().unwrap().iter();
    pids.map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect()
}

#[track_caller]
fn are_gone(processes: &[PathBuf]) {
    until("the call's processes are gone", PATIENCE, || {
        (!processes.iter().any(|process| process.exists())).then_some(())
    });
}

#[test]
fn a_client_that_vanishes_during_a_call_takes_the_call_with_it() {
    let plugged = PluggedPlan::new([Plug::aa(SLEEPER)]).open();
    let client = plugged.client("slow=1@otp=1@", &Askpass::new(&[]));
    let person = Program::start(&mut client.command(&[], &["true"]));
    let processes = slow_call(&plugged);

    person.signal(Signal::KILL);

    are_gone(&processes);
    let session = plugged.session();
    let outcomes: Vec<(&str, &str)> = session["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["hook"].as_str().unwrap(), call["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(outcomes, [("authenticate", "ok"), ("authorize", "cancelled"), ("session_ended", "ok")]);
    let cancelled = &session["calls"][1];
    assert_eq!(cancelled["exit"], "killed", "{cancelled:#}");
    assert!(cancelled["duration_ms"].as_f64().unwrap() > 0.0, "{cancelled:#}");
    assert!(cancelled["log"].to_string().contains("waiting for somebody"), "{cancelled:#}");
    assert_eq!(plugged.heard("aa"), ["authorize", "session_ended"]);
    assert_eq!(plugged.notes("aa")[1].1, json!({"seen": true}));
    assert_eq!(plugged.sshd.connections(), 0);
}

#[test]
fn a_gateway_that_is_told_to_stop_waits_for_no_call() {
    let mut plugged = PluggedPlan::new([Plug::aa(SLEEPER)]).open();
    let client = plugged.client("slow=1@otp=1@", &Askpass::new(&[]));
    let person = Program::start(&mut client.command(&[], &["true"]));
    let processes = slow_call(&plugged);
    let begin = Instant::now();

    assert!(plugged.gateway.stop().success());

    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    are_gone(&processes);
    assert!(!person.ended(PATIENCE).success());
    let session = plugged.session();
    assert_eq!(plugged.heard("aa"), ["authorize", "session_ended"]);
    let reason = session["reason"].as_str().unwrap();
    assert_eq!(reason, "the gateway was stopped", "the record blames someone else");
}

#[test]
fn a_session_that_is_terminated_waits_for_no_call() {
    let plugged = PluggedPlan::new([Plug::aa(SLEEPER)]).open();
    let client = plugged.client("slow=1@otp=1@", &Askpass::new(&[]));
    let person = Program::start(&mut client.command(&[], &["true"]));
    let processes = slow_call(&plugged);
    let (policy, id) = (plugged.gateway.policy(), plugged.gateway.sessions()[0]["id"].to_string());
    let words = ["session", "terminate", id.trim_matches('"'), "--policy", policy.to_str().unwrap()];

    keyward(words).must_succeed();

    are_gone(&processes);
    assert!(!person.ended(PATIENCE).success());
    let told = |line: &str| line.contains("The session was terminated by an administrator.").then_some(());
    assert_eq!(person.find_line("why it ends", PATIENCE, told), Some(()), "{}", person.log().join("\n"));
    let session = plugged.session();
    assert_eq!(session["verdict"], "accept-terminated", "{session:#}");
    assert!(session["reason"].as_str().unwrap().starts_with("terminated by "), "{session:#}");
    assert_eq!(plugged.heard("aa"), ["authorize", "session_ended"]);
}

const STORE: &str = r#"
from notes import note
from safeguard.sessions.plugin import CredentialStorePlugin

class Plugin(CredentialStorePlugin):
    def do_get_password_list(self):
        note("check_out")
        return {"passwords": [self.plugin_configuration.get("vault", "password")]}

    def do_check_in_credential(self):
        note("check_in")

    def do_session_ended(self):
        note("session_ended")
"#;

#[test]
fn a_gateway_that_is_told_to_stop_tells_the_plugins_of_its_open_sessions_once() {
    let store = Plug::store(STORE).configuration("[vault]\npassword=@password@\n");
    let mut plugged = PluggedPlan::new([Plug::aa(SLEEPER), store]).open();
    let client = plugged.client("otp=1@", &Askpass::new(&[]));
    let person = Program::start(&mut client.command(&[], &["echo ready >&2; cat"]));
    person
        .find_line("the session works", PATIENCE, |line| (line.trim_end() == "ready").then_some(()))
        .unwrap();

    assert!(plugged.gateway.stop().success());

    assert!(!person.ended(PATIENCE).success());
    assert_eq!(plugged.session()["verdict"], "accept-terminated");
    assert_eq!(plugged.heard("aa"), ["session_ended"]);
    assert_eq!(plugged.heard("store"), ["check_out", "check_in", "session_ended"]);

    plugged.gateway.start();
    plugged.client("otp=1@", &Askpass::new(&[])).exec("true").must_succeed();
    plugged.newest_of(2);
    assert_eq!(plugged.heard("aa"), ["session_ended", "session_ended"]);
}
