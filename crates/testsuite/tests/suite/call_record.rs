//! The record of each hook call, as `keyward session show` tells it.

use keyward_testsuite::{Askpass, Plug, Plugged, PluggedPlan, keyward};
use serde_json::{Value, json};

use crate::plugin_faults::call;

const ASKING: &str = r#"
import os, sys

class Plugin:
    def authenticate(self, key_value_pairs):
        if "token" not in key_value_pairs:
            return {"verdict": "NEEDINFO", "question": ("token", "Token: ")}
        print("round two")
        return {"verdict": "ACCEPT"}

    def authorize(self, key_value_pairs):
        sys.stderr.write("on my way out\n")
        END

    def session_ended(self):
        pass
"#;

/// `limit`: seconds for each call.
fn session_of(end: &str, limit: u32) -> (Plugged, Value) {
    let plan = PluggedPlan::new([Plug::aa(&ASKING.replace("END", end))]);
    let settings = format!("[[settings]]\nname = \"quick\"\ntimeout = {limit}\n");
    let plan = plan.connection("settings = \"quick\"").more(&settings);
    let plugged = plan.open();
    plugged.client("", &Askpass::new(&["blue"])).exec("true");
    let session = plugged.session();
    (plugged, session)
}

/// What `keyward session show` prints for a person.
fn shown(plugged: &Plugged, session: &Value) -> String {
    let policy = plugged.gateway.policy();
    keyward(["session", "show", session["id"].as_str().unwrap(), "--policy", policy.to_str().unwrap()]).text()
}

#[test]
fn hook_round_duration_verdict_exit_lines_and_an_error_with_its_traceback_are_on_record() {
    let (plugged, session) = session_of("raise ValueError('no such door')", 60);
    let calls = session["calls"].as_array().unwrap();
    let rounds: Vec<Value> = calls
        .iter()
        .map(|call| json!([call["hook"], call["round"], call["verdict"], call["exit"], call["outcome"]]))
        .collect();
    assert_eq!(
        rounds,
        [
            json!(["authenticate", 1, "NEEDINFO", "returned", "ok"]),
            json!(["authenticate", 2, "ACCEPT", "returned", "ok"]),
            json!(["authorize", 1, null, "returned", "exception"]),
            json!(["session_ended", 1, null, "returned", "ok"]),
        ]
    );
    assert!(calls.iter().all(|call| call["duration_ms"].as_f64().unwrap() > 0.0));
    assert_eq!(calls[1]["log"], json!([{"stream": "stdout", "line": "round two"}]));
    let authorize = call(&session, "authorize");
    assert_eq!(authorize["error"], "ValueError: no such door");
    let traceback = authorize["traceback"].as_str().unwrap();
    assert!(traceback.contains("in authorize") && traceback.contains("raise ValueError"), "{traceback}");

    let text = shown(&plugged, &session);
    for part in [
        "aa.authenticate #1",
        "aa.authenticate #2",
        " ms  ok  NEEDINFO  exit: returned",
        "stdout: round two",
        "aa.authorize #1",
        "stderr: on my way out",
        "error: ValueError: no such door",
        "    raise ValueError('no such door')",
        "version 1.0.0",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn how_the_process_of_a_call_ended_is_on_record() {
    for (end, limit, exit, outcome) in [
        ("os._exit(3)", 60, "status 3", "exited"),
        ("os.kill(os.getpid(), 11)", 60, "SIGSEGV", "crashed"),
        // Long enough for the calls before it on a busy machine.
        ("while True: pass", 10, "killed", "timeout"),
    ] {
        let (_plugged, session) = session_of(end, limit);
        let authorize = call(&session, "authorize");
        assert_eq!(
            (&authorize["exit"], &authorize["outcome"]),
            (&json!(exit), &json!(outcome)),
            "{authorize:#}"
        );
        assert_eq!(authorize["log"], json!([{"stream": "stderr", "line": "on my way out"}]));
    }
}
