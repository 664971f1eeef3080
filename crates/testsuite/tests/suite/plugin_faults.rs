//! Plugins that fail, loop, crash and flood: their session ends with a calm sentence, and the record knows why.

use std::path::PathBuf;

use keyward_testsuite::{Askpass, PATIENCE, Plug, Plugged, PluggedPlan, until};
use serde_json::{Value, json};

/// The sentence that a person is told in place of a session.
#[track_caller]
pub(crate) fn told(plugged: &Plugged, pairs: &str) -> String {
    let run = plugged.person(pairs, &Askpass::new(&[])).exec("true");
    assert_eq!(run.status.code(), Some(255), "{}", run.stderr);
    let is_ours = |line: &&str| !line.starts_with("Warning: Permanently added");
    run.stderr.lines().map(str::trim_end).find(is_ours).unwrap_or_default().to_owned()
}

const UNAVAILABLE: &str = "The gateway cannot serve this session now.";

/// An AA plugin made with the SDK, whose `authenticate` and `authorize` do this before they accept.
pub(crate) fn sdk_aa(authenticate: &str, authorize: &str) -> Plug {
    Plug::aa(&format!(
        r#"
import os, sys, time
from notes import note
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        note("authenticate", pid=os.getpid())
        {authenticate}
        return AAResponse.accept()

    def do_authorize(self):
        note("authorize")
        {authorize}
        return AAResponse.accept()

    def do_session_ended(self):
        note("session_ended")
"#
    ))
}

/// A credential store plugin made with the SDK, likewise.
pub(crate) fn sdk_store(get_password_list: &str, authentication_completed: &str) -> Plug {
    Plug::store(&format!(
        r#"
from notes import note
from safeguard.sessions.plugin import CredentialStorePlugin

class Plugin(CredentialStorePlugin):
    def do_get_password_list(self):
        {get_password_list}
        return {{"passwords": [self.plugin_configuration.get("vault", "password")]}}

    def do_authentication_completed(self):
        {authentication_completed}

    def do_session_ended(self):
        note("session_ended")
"#
    ))
    .configuration("[vault]\npassword=@password@\n")
}

/// Opens a session that must fail by the fault of a plugin, and gives its record.
#[track_caller]
fn failed(plugged: &Plugged) -> Value {
    let shown = told(plugged, "otp=1@");
    assert_eq!(shown, UNAVAILABLE);
    let session = plugged.session();
    assert_eq!(session["verdict"], "plugin-error", "{session:#}");
    session
}

/// The record of the one call of this hook.
#[track_caller]
pub(crate) fn call<'a>(session: &'a Value, hook: &str) -> &'a Value {
    let calls = session["calls"].as_array().unwrap();
    let of_hook: Vec<&Value> = calls.iter().filter(|call| call["hook"] == hook).collect();
    assert_eq!(of_hook.len(), 1, "not one call of {hook}: {session:#}");
    of_hook[0]
}

/// How often this plugin heard the end.
fn ends(plugged: &Plugged, instance: &str) -> usize {
    plugged.heard(instance).iter().filter(|word| *word == "session_ended").count()
}

#[test]
fn an_exception_in_authenticate_ends_the_session_and_its_traceback_is_in_the_record() {
    let plugged = PluggedPlan::new([sdk_aa("raise ValueError('no such ticket')", "pass")]).open();
    let session = failed(&plugged);

    let call = call(&session, "authenticate");
    assert_eq!(
        (&call["outcome"], &call["error"]),
        (&json!("exception"), &json!("ValueError: no such ticket"))
    );
    let traceback = call["traceback"].as_str().unwrap();
    assert!(traceback.contains("main.py") && traceback.contains("in do_authenticate"), "{traceback}");
    assert_eq!(ends(&plugged, "aa"), 1);
    assert_eq!(plugged.sshd.connections(), 0);
}

#[test]
fn a_person_whose_session_fails_is_asked_nothing_more() {
    let plugged = PluggedPlan::new([sdk_aa("raise ValueError('no such ticket')", "pass")]).open();
    let askpass = Askpass::new(&["typed in vain"]);
    assert_eq!(plugged.person("otp=1@", &askpass).exec("true").status.code(), Some(255));
    assert_eq!(askpass.prompts(), Vec::<String>::new());
}

#[test]
fn an_exception_in_authorize_never_reaches_the_server() {
    let plugged = PluggedPlan::new([sdk_aa("pass", "return self.nothing")]).open();
    let session = failed(&plugged);
    assert!(call(&session, "authorize")["error"].as_str().unwrap().starts_with("AttributeError: "));
    assert_eq!(ends(&plugged, "aa"), 1);
    assert_eq!(plugged.sshd.connections(), 0);
}

#[test]
fn an_exception_in_get_password_list_tells_both_plugins_of_the_end() {
    let plugged =
        PluggedPlan::new([sdk_aa("pass", "pass"), sdk_store("raise OSError('vault is down')", "pass")])
            .open();
    let session = failed(&plugged);
    assert_eq!(call(&session, "get_password_list")["error"], "OSError: vault is down");
    assert_eq!((ends(&plugged, "aa"), ends(&plugged, "store")), (1, 1));
    assert_eq!(plugged.sshd.logins(), 0);
}

#[test]
fn an_exception_in_authentication_completed_opens_no_session() {
    let plugged =
        PluggedPlan::new([sdk_aa("pass", "pass"), sdk_store("pass", "raise KeyError('checked out')")]).open();
    let session = failed(&plugged);
    assert_eq!(call(&session, "authentication_completed")["outcome"], "exception");
    assert_eq!((ends(&plugged, "aa"), ends(&plugged, "store")), (1, 1));
    assert_eq!(plugged.gateway.recordings().len(), 0);
}

#[test]
fn an_exception_in_the_constructor_fails_each_call_once() {
    // The option is no integer: the SDK says so in its constructor's own words.
    let source = "from safeguard.sessions.plugin import AAPlugin\n\nclass Plugin(AAPlugin):\n    def __init__(self, configuration):\n        super().__init__(configuration)\n        self.plugin_configuration.getint('api', 'port')\n";
    let plugged = PluggedPlan::new([Plug::aa(source).configuration("[api]\nport=high\n")]).open();
    let session = failed(&plugged);
    let error = call(&session, "authenticate")["error"].as_str().unwrap();
    assert!(error.contains("Configuration setting is not an integer"), "{error}");
    assert_eq!(call(&session, "session_ended")["outcome"], "exception");
}

#[test]
fn an_endless_loop_ends_with_its_process_at_half_the_timeout() {
    let plugged = PluggedPlan::new([sdk_aa("while True: pass", "pass")])
        .connection("settings = \"quick\"")
        .more("[[settings]]\nname = \"quick\"\ntimeout = 20\n")
        .open();
    let session = failed(&plugged);

    let call = call(&session, "authenticate");
    assert_eq!(call["outcome"], "timeout");
    assert!((10_000.0..20_000.0).contains(&call["duration_ms"].as_f64().unwrap()), "{call:#}");
    let (_, facts) = plugged.notes("aa").remove(0);
    let process = PathBuf::from(format!("/proc/{}", facts["pid"]));
    until("the process is gone", PATIENCE, || (!process.exists()).then_some(()));
    assert_eq!(ends(&plugged, "aa"), 1);
}

#[test]
fn a_plugin_that_ends_its_process_ends_its_session_only() {
    for (exit, status) in [("sys.exit(3)", 3), ("os._exit(4)", 4)] {
        let fault = format!("if self.connection.key_value_pairs.get('fault'): {exit}");
        let plugged = PluggedPlan::new([sdk_aa(&fault, "pass")]).open();

        let shown = told(&plugged, "fault=1@otp=1@");

        assert_eq!(shown, UNAVAILABLE);
        let session = plugged.session();
        assert_eq!(session["verdict"], "plugin-error");
        let expected = format!("the plugin ended its process with status {status}");
        assert_eq!(call(&session, "authenticate")["error"], expected);
        assert_eq!(ends(&plugged, "aa"), 1);
        plugged.client("otp=1@", &Askpass::new(&[])).exec("true").must_succeed();
    }
}

#[test]
fn a_result_of_100_mb_is_refused() {
    let plugged = PluggedPlan::new([sdk_aa("return AAResponse.deny('x' * 100_000_000)", "pass")]).open();
    let session = failed(&plugged);
    assert_eq!(call(&session, "authenticate")["outcome"], "too-large");
    assert_eq!(ends(&plugged, "aa"), 1);
}

#[test]
fn a_verdict_that_nobody_knows_is_no_accept() {
    let plugged = PluggedPlan::new([sdk_aa("pass", "return {'verdict': 'OK'}")]).open();
    let session = failed(&plugged);
    assert!(session["reason"].as_str().unwrap().contains("\"verdict\" is \"OK\""), "{session:#}");
    assert_eq!(call(&session, "authorize")["outcome"], "wrong-result", "{session:#}");
    assert_eq!(ends(&plugged, "aa"), 1);
}

#[test]
fn passwords_that_are_no_list_are_refused() {
    let plugged =
        PluggedPlan::new([sdk_aa("pass", "pass"), sdk_store("return {'passwords': 'hunter2'}", "pass")])
            .open();
    let session = failed(&plugged);
    assert_eq!(call(&session, "get_password_list")["outcome"], "wrong-result", "{session:#}");
    assert!(!session.to_string().contains("hunter2"), "{session:#}");
    assert_eq!((ends(&plugged, "aa"), ends(&plugged, "store")), (1, 1));
}

#[test]
fn a_plugin_with_threads_at_import_is_started_cold_and_works() {
    let source = r#"
import threading, time
from safeguard.sessions.plugin import AAPlugin, AAResponse
from notes import note

TICKER = threading.Thread(target=time.sleep, args=(600,), daemon=True)
TICKER.start()

class Plugin(AAPlugin):
    def do_authenticate(self):
        note("authenticate", ticks=TICKER.is_alive())
        return AAResponse.accept()
"#;
    let plugged = PluggedPlan::new([Plug::aa(source)]).open();
    plugged.client("otp=1@", &Askpass::new(&[])).exec("true").must_succeed();
    assert_eq!(plugged.notes("aa"), [("authenticate".to_owned(), json!({"ticks": true}))]);
    assert!(plugged.gateway.log().iter().any(|line| line.contains("started cold")), "no warning");
}
