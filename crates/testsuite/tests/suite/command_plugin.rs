//! `keyward plugin check` and `keyward plugin call`.

use std::fs;
use std::path::Path;

use keyward_testsuite::{
    BundleFolder, Input, Run, keyward, keyward_in, keyward_reading, plugin_python, python2, run, shell,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A bundle of the smallest plugin, with this MANIFEST.
fn with_manifest(manifest: &str) -> BundleFolder {
    let hooks = ["authenticate", "authorize", "session_ended"];
    let hooks = hooks.map(|hook| format!("    def {hook}(self):\n        pass\n")).concat();
    let bundle = BundleFolder::new("small", "aa", &format!("class Plugin:\n{hooks}"));
    bundle.add("MANIFEST", manifest);
    bundle
}

const MANIFEST: &str =
    "api: 1.4\nname: small\ntype: aa\nversion: 1.0\ndescription: as small as can be\nentry_point: main.py\n";

#[track_caller]
fn check(bundle: &Path, more: &[&str]) -> Run {
    let words = ["plugin".as_ref(), "check".as_ref(), bundle.as_os_str()];
    keyward(words.into_iter().chain(more.iter().map(AsRef::as_ref)))
}

#[track_caller]
fn json_of(run: &Run) -> Value {
    serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// Refused with status 2 and a complaint that has each of these words.
#[track_caller]
fn is_refused(run: &Run, words: &[&str]) {
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    for word in words {
        assert!(run.stderr.contains(word), "no {word:?} in {:?}", run.stderr);
    }
    let is_noise =
        |line: &str| line.contains("panicked") || line.contains(" INFO ") || line.contains("backtrace");
    assert!(!run.stderr.lines().any(is_noise), "{:?}", run.stderr);
    assert!(run.stderr.starts_with("keyward: "), "{:?}", run.stderr);
}

#[test]
fn a_folder_and_its_zip_are_the_same_sound_bundle() {
    let bundle = with_manifest(MANIFEST);
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("small.zip");
    let script = "import shutil, sys; shutil.make_archive(sys.argv[1][:-4], 'zip', sys.argv[2])";
    let words = [plugin_python(), script.into(), zip.clone(), bundle.path().to_owned()];
    let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap()).collect();
    shell(r#""$1" -c "$2" "$3" "$4""#, &words).must_succeed();

    let [of_folder, of_zip] = [bundle.path(), &zip].map(|path| {
        let checked = check(path, &["--json"]);
        assert_eq!(checked.status.code(), Some(0), "{checked:?}");
        assert_eq!(checked.stderr, "");
        json_of(&checked)
    });

    for checked in [&of_folder, &of_zip] {
        assert_eq!(checked["ok"], true);
        assert_eq!(checked["error"], Value::Null);
        assert_eq!(
            (&checked["name"], &checked["version"], &checked["api"]),
            (&json!("small"), &json!("1.0"), &json!("1.4"))
        );
        assert_eq!((&checked["type"], &checked["entry_point"]), (&json!("aa"), &json!("main.py")));
        assert_eq!(checked["warnings"], json!([]));
    }
    let shown = check(&zip, &[]).text();
    assert!(shown.contains("small 1.0") && shown.contains("as small as can be"), "{shown}");
}

#[test]
fn an_older_product_refuses_a_newer_api() {
    let bundle = with_manifest(MANIFEST);
    is_refused(&check(bundle.path(), &["--as-api", "1.3"]), &["1.4", "1.3"]);
    check(bundle.path(), &["--as-api", "1.4"]).must_succeed();
    is_refused(&check(bundle.path(), &["--as-api", "2.0"]), &["major"]);
    is_refused(&check(bundle.path(), &["--as-api", "new"]), &["\"new\"", "x.y"]);

    let refused = check(bundle.path(), &["--as-api", "1.3", "--json"]);
    assert_eq!(refused.status.code(), Some(2));
    let refused = json_of(&refused);
    assert_eq!(refused["ok"], false);
    assert!(refused["error"].as_str().unwrap().contains("1.4"), "{refused}");
}

#[test]
fn api_1_10_is_minor_ten() {
    let bundle = with_manifest(&MANIFEST.replace("1.4", "1.10"));
    is_refused(&check(bundle.path(), &[]), &["1.10", "1.9"]);
    is_refused(&check(bundle.path(), &["--as-api", "1.9"]), &["1.10"]);
    check(bundle.path(), &["--as-api", "1.10"]).must_succeed();
}

#[test]
fn a_broken_manifest_is_refused_with_line_and_column() {
    let bundle = with_manifest(&MANIFEST.replace("name: small", "name: name: small"));
    is_refused(&check(bundle.path(), &[]), &["MANIFEST", "line 2, column "]);
}

#[test]
fn a_refusal_names_key_value_and_rule() {
    let bundle = with_manifest(&MANIFEST.replace("type: aa", "type: aaa"));
    is_refused(&check(bundle.path(), &[]), &["`type`", "\"aaa\"", "credentialstore"]);
    let bundle = with_manifest(&MANIFEST.replace("version: 1.0\n", ""));
    is_refused(&check(bundle.path(), &[]), &["`version`", "digit"]);
}

#[test]
fn what_is_no_bundle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    is_refused(&check(&folder.path().join("none.zip"), &[]), &["none.zip", "No such file"]);
    let text = folder.path().join("text.zip");
    fs::write(&text, "not a zip").unwrap();
    is_refused(&check(&text, &[]), &["no .zip file"]);
}

/// A plugin of the old language, in which `print` is a statement.
const LEGACY: &str = r#"
class Plugin:
    def authorize(self, **arguments):
        print 'hello', arguments['gateway_user']
        return {'verdict': 'ACCEPT', 'is_unicode': type(arguments['gateway_user']) is unicode}
"#;

#[test]
fn a_bundle_without_entry_point_is_called_with_python_2() {
    let bundle = BundleFolder::legacy("old", "aa", LEGACY);
    check(bundle.path(), &[]).must_succeed();
    let environment = format!("python2={}", python2().display());
    let path = bundle.path().to_str().unwrap();
    let words = ["plugin", "call", path, "authorize", "--args", "-", "--json", "--environment", &environment];
    let called = json_of(&keyward_reading(words, r#"{"gateway_user": "zoë"}"#));
    assert_eq!(called["error"], Value::Null, "{called:#}");
    assert_eq!(called["result"], json!({"verdict": "ACCEPT", "is_unicode": true}));
    assert_eq!(called["log"], json!([{"stream": "stdout", "line": "hello zoë"}]));

    let modern = format!("python2={}", plugin_python().display());
    let words = ["plugin", "call", path, "authorize", "--environment", &modern];
    is_refused(&keyward(words), &["needs Python 2", "python2 is Python 3."]);
}

#[test]
fn types_that_are_not_called_yet_are_stored_and_refused_at_call() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.toml"), "[node]\ndata-dir = \"data\"\n").unwrap();
    for (kind, hook) in [("signingca", "generate_for_username"), ("configuration_sync", "sync")] {
        let bundle = BundleFolder::new(kind, kind, "class Plugin:\n    pass\n");
        check(bundle.path(), &[]).must_succeed();
        let path = bundle.path().to_str().unwrap();
        let words = ["plugin", "upload", path, "--policy", "policy.toml"];
        run(&mut keyward_in(folder.path(), &words), Input::Nothing).must_succeed();
        for hook in [hook, "session_ended"] {
            is_refused(&keyward(["plugin", "call", path, hook]), &[kind, "not supported yet"]);
        }
    }
    let words = ["plugin", "list", "--policy", "policy.toml", "--json"];
    let listed = json_of(&run(&mut keyward_in(folder.path(), &words), Input::Nothing));
    let types: Vec<&Value> = listed.as_array().unwrap().iter().map(|row| &row["type"]).collect();
    assert!(
        types.contains(&&json!("signingca")) && types.contains(&&json!("configuration_sync")),
        "{types:?}"
    );
}

/// The two hooks that a credential store may have, without the SDK.
const OPTIONAL: &str = r#"
class Plugin:
    def get_totp_codes(self, server_username, target_port):
        return {"totp_codes": [{"unix_time": 30.0, "period": 30, "code": "012345"}], "cookie": {"n": 1}}

    def get_remote_app_credentials(self, asset, connection_name, gateway_password):
        if asset is None:
            return {"passwords": "not a list"}
        return {"account": "admin", "asset": asset, "passwords": ["s3cret"], "seen": [connection_name, gateway_password]}
"#;

#[test]
fn the_optional_hooks_of_a_credential_store_can_be_called() {
    let bench = Bench { bundle: BundleFolder::new("store", "credentialstore", OPTIONAL), ..Bench::new("") };
    let codes = bench.called("get_totp_codes", &[], "");
    assert_eq!(codes["error"], Value::Null, "{codes:#}");
    assert_eq!(codes["result"]["totp_codes"][0]["code"], "012345");
    assert_eq!(codes["cookie"], json!({"n": 1}));
    let given = json!({"asset": "db1", "connection_name": "apps"}).to_string();
    let app = bench.called("get_remote_app_credentials", &["--args", "-"], &given);
    assert_eq!(app["error"], Value::Null, "{app:#}");
    assert_eq!(app["result"]["seen"], json!(["apps", ""]));
    let wrong = bench.called("get_remote_app_credentials", &[], "");
    assert_eq!(wrong["error"]["kind"], "wrong-result");
    assert_eq!(wrong["error"]["message"], "\"passwords\" is a str: it must be a list");
}

#[test]
fn an_upload_is_listed_and_a_refused_one_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.toml"), "[node]\ndata-dir = \"data\"\n").unwrap();
    let upload = |manifest: &str| {
        let bundle = with_manifest(manifest);
        let words = ["plugin", "upload", bundle.path().to_str().unwrap(), "--policy", "policy.toml"];
        run(&mut keyward_in(folder.path(), &words), Input::Nothing)
    };
    let versions = || {
        let words = ["plugin", "list", "--policy", "policy.toml", "--json"];
        let listed = json_of(&run(&mut keyward_in(folder.path(), &words), Input::Nothing));
        let pairs =
            listed.as_array().unwrap().iter().map(|row| (row["name"].clone(), row["version"].clone()));
        pairs.collect::<Vec<_>>()
    };
    assert_eq!(versions(), []);

    assert!(upload(MANIFEST).text().contains("small 1.0 is in the store"));
    is_refused(&upload(&MANIFEST.replace("type: aa", "type: aaa")), &["`type`"]);
    is_refused(&upload(&MANIFEST.replace("api: 1.4", "api: 2.0")), &["2.0"]);
    assert_eq!(versions(), [(json!("small"), json!("1.0"))]);
    assert!(upload(MANIFEST).text().contains("already"));
    assert!(upload(&MANIFEST.replace("version: 1.0", "version: 1.1")).text().contains("updated"));
    assert_eq!(versions(), [(json!("small"), json!("1.1"))]);
}

/// Prints and returns what it is given.
const MIRROR: &str = r#"
import os, sys

class Plugin:
    def __init__(self, configuration=""):
        self.configuration = configuration

    def authenticate(self, cookie, session_cookie, key_value_pairs, client_ip, client_port, gateway_user, protocol):
        print("to the log")
        print("to the other log", file=sys.stderr)
        return {
            "verdict": "ACCEPT",
            "cookie": {"seen": cookie},
            "session_cookie": {1: "one"},
            "heard": [client_ip, client_port, gateway_user, protocol, key_value_pairs, session_cookie],
            "configuration": self.configuration,
        }

    def authorize(self, cookie):
        path = os.path.join(os.environ["SCB_PLUGIN_STATE_DIRECTORY"], "times")
        with open(path, "a") as times:
            times.write("x")
        return {"verdict": "ACCEPT", "times": os.path.getsize(path)}

    def session_ended(self, session_id):
        raise LookupError("no session " + str(session_id))
"#;

/// A bundle, and a folder for the files that its calls are given.
struct Bench {
    bundle: BundleFolder,
    folder: TempDir,
    environment: String,
}

impl Bench {
    fn new(main: &str) -> Self {
        let bundle = BundleFolder::new("mirror", "aa", main);
        let environment = format!("python3={}", plugin_python().display());
        Self { bundle, folder: tempfile::tempdir().unwrap(), environment }
    }

    /// The path of a file with this text.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn call(&self, hook: &str, more: &[&str], input: &str) -> Run {
        let bundle = self.bundle.path().to_str().unwrap();
        let words = ["plugin", "call", bundle, hook];
        let environment = ["--environment", self.environment.as_str()];
        // The test's own environment takes the place of this one.
        let environment = if more.contains(&"--environment") { &[] } else { environment.as_slice() };
        keyward_reading(words.iter().chain(environment).chain(more), input)
    }

    /// The one object that `--json` prints.
    #[track_caller]
    fn called(&self, hook: &str, more: &[&str], input: &str) -> Value {
        let run = self.call(hook, &[more, &["--json"]].concat(), input);
        assert_eq!(run.stderr, "", "{run:?}");
        let called = json_of(&run);
        let status = if called["error"].is_null() { 0 } else { 1 };
        assert_eq!(run.status.code(), Some(status), "{called:#}");
        called
    }
}

#[test]
fn a_call_prints_one_object_with_exactly_these_keys() {
    let bench = Bench::new(MIRROR);
    let given = json!({
        "cookie": {"a": 1},
        "client_ip": "10.1.2.3",
        "key_value_pairs": {"otp": "1"},
    });
    let called = bench.called("authenticate", &["--args", "-"], &given.to_string());

    let mut keys: Vec<&String> = called.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["cookie", "duration_ms", "error", "log", "result", "session_cookie"]);
    assert_eq!(called["result"]["heard"], json!(["10.1.2.3", null, null, null, {"otp": "1"}, {}]));
    assert_eq!(called["cookie"], json!({"seen": {"a": 1}}));
    assert_eq!(called["session_cookie"], json!({"1": "one"}));
    let log = called["log"].as_array().unwrap();
    assert_eq!(log.len(), 2);
    assert!(log.contains(&json!({"stream": "stdout", "line": "to the log"})), "{log:?}");
    assert!(log.contains(&json!({"stream": "stderr", "line": "to the other log"})), "{log:?}");
    assert!(called["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(called["error"], Value::Null);
}

#[test]
fn without_arguments_everything_is_none_and_cookies_are_empty() {
    let called = Bench::new(MIRROR).called("authenticate", &[], "");
    assert_eq!(called["result"]["heard"], json!([null, null, null, null, {}, {}]));
    assert_eq!(called["cookie"], json!({"seen": {}}));
}

#[test]
fn the_arguments_and_the_configuration_may_be_files() {
    let bench = Bench::new(MIRROR);
    let arguments = bench.file("args.json", r#"{"protocol": "ssh"}"#);
    let configuration = bench.file("mirror.cfg", "[a]\nb = c\n");
    let more = ["--args", &arguments, "--configuration", &configuration];
    let called = bench.called("authenticate", &more, "");
    assert_eq!(called["result"]["heard"][3], "ssh");
    assert_eq!(called["result"]["configuration"], "[a]\nb = c\n");
}

#[test]
fn a_failing_plugin_is_status_1_with_kind_message_and_traceback() {
    let bench = Bench::new(MIRROR);
    let failed = bench.called("session_ended", &["--args", "-"], r#"{"session_id": "svc/1"}"#);
    assert_eq!(failed["result"], Value::Null);
    let error = failed["error"].as_object().unwrap();
    assert_eq!(
        (&error["kind"], &error["message"]),
        (&json!("exception"), &json!("LookupError: no session svc/1"))
    );
    assert!(error["traceback"].as_str().unwrap().contains("in session_ended"), "{error:?}");
    assert_eq!(error.len(), 3);

    let run = bench.call("session_ended", &[], "");
    assert_eq!(run.status.code(), Some(1));
    assert!(run.stderr.contains("LookupError: no session None"), "{}", run.stderr);
}

#[test]
fn a_plugin_that_cannot_be_imported_is_status_1_and_a_json_object_all_the_same() {
    let failed = Bench::new("import nowhere\n").called("authorize", &[], "");
    assert_eq!(failed["error"]["kind"], "import");
    assert!(failed["error"]["message"].as_str().unwrap().contains("nowhere"), "{failed:#}");
}

#[test]
fn a_call_past_its_time_limit_is_status_1() {
    let bench = Bench::new("import time\nclass Plugin:\n    def authorize(self):\n        time.sleep(60)\n");
    let failed = bench.called("authorize", &["--time-limit", "1"], "");
    assert_eq!(failed["error"]["kind"], "timeout");
}

#[test]
fn a_verdict_that_the_gateway_would_refuse_is_a_failure_of_the_plugin() {
    let bench = Bench::new("class Plugin:\n    def authorize(self):\n        return ['ACCEPT']\n");
    let failed = bench.called("authorize", &[], "");
    assert_eq!(failed["error"]["kind"], "wrong-result", "{failed:#}");
}

#[test]
fn a_state_directory_is_kept_from_call_to_call() {
    let bench = Bench::new(MIRROR);
    let state = bench.folder.path().join("state");
    let more = ["--state-dir", state.to_str().unwrap()];
    let times: Vec<Value> =
        (0..2).map(|_| bench.called("authorize", &more, "")["result"]["times"].clone()).collect();
    assert_eq!(times, [json!(1), json!(2)]);
    let without: Vec<Value> =
        (0..2).map(|_| bench.called("authorize", &[], "")["result"]["times"].clone()).collect();
    assert_eq!(without, [json!(1), json!(1)]);
}

#[test]
fn a_relative_state_directory_starts_where_the_command_does() {
    let bench = Bench::new(MIRROR);
    let bundle = bench.bundle.path().to_str().unwrap();
    let words =
        ["plugin", "call", bundle, "authorize", "--environment", &bench.environment, "--state-dir", "state"];
    run(&mut keyward_in(bench.folder.path(), &words), Input::Nothing).must_succeed();
    assert_eq!(fs::read_to_string(bench.folder.path().join("state/times")).unwrap(), "x");
}

const STORED: &str = r#"
from safeguard.sessions.plugin import AAPlugin, AAResponse
from safeguard.sessions.plugin.user_list import UserList

class Plugin(AAPlugin):
    def do_authorize(self):
        config, box = self.plugin_configuration, self.box_configuration
        users = UserList.from_config(config, section="users")
        facts = [config.get("api", "key"), "root" in users, "ann" in users, box.get_gateway_fqdn(), self.https_proxy_server]
        return AAResponse.accept().with_additional_metadata(facts)
"#;

#[test]
fn the_policys_stores_lists_and_settings_serve_the_call() {
    let bench = Bench::new(STORED);
    let policy = bench.file(
        "policy.toml",
        "[gateway]\nhost-name = \"gw.example.com\"\nhttp-proxy = { server = \"proxy.example.com\", port = 3128 }\n\
         [[local-credential-store]]\nname = \"tokens\"\n\
         [[local-credential-store.row]]\nhost = \"api\"\nuser = \"key\"\npasswords = [\"t0ken\"]\n\
         [[user-list]]\nname = \"admins\"\ndefault = \"no_user\"\nexceptions = [\"root\"]\n",
    );
    let configuration =
        bench.file("mirror.cfg", "[credential_store]\nname=tokens\n[api]\nkey=$\n[users]\nname=admins\n");
    let more = ["--policy", &policy, "--configuration", &configuration, "--args", "-"];
    let called = bench.called("authorize", &more, r#"{"protocol": "ssh", "gateway_user": "ann"}"#);
    let metadata = called["result"]["additional_metadata"].as_str().unwrap_or_else(|| panic!("{called:#}"));
    let facts: Value = serde_json::from_str(metadata).unwrap();
    assert_eq!(facts, json!(["t0ken", true, false, "gw.example.com", "proxy.example.com"]));
}

#[test]
fn wrong_usage_of_a_call_is_status_2_and_says_how_to_mend_it() {
    let bench = Bench::new(MIRROR);
    is_refused(&bench.call("autorize", &[], ""), &["autorize"]);
    is_refused(&bench.call("get_password_list", &[], ""), &["get_password_list", "aa"]);
    is_refused(&bench.call("authorize", &["--args", "-"], "[1]"), &["--args", "object"]);
    is_refused(&bench.call("authorize", &["--args", "/nonexistent"], ""), &["--args", "/nonexistent"]);
    let misspelt = bench.call("authorize", &["--args", "-"], r#"{"servr_ip": "192.0.2.7"}"#);
    is_refused(&misspelt, &["\"servr_ip\"", "no argument", "server_ip"]);
    is_refused(&bench.call("authorize", &["--environment", "python3"], ""), &["NAME=PATH"]);
    let nowhere = ["--environment", "python3=/nonexistent/python"];
    is_refused(&bench.call("authorize", &nowhere, ""), &["/nonexistent/python"]);
    let unknown = bench.call("authorize", &["--nonsense"], "");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(unknown.stderr.contains("--nonsense"), "{}", unknown.stderr);
}
