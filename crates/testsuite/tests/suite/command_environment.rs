//! `keyward environment`: with the real pip and a real compiler.

use std::fs;
use std::path::Path;

use keyward_testsuite::{BundleFolder, Input, Run, keyward, keyward_in, plugin_python, python2, run, shell};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a policy document whose data folder is `data` in it.
fn site() -> TempDir {
    let folder = tempfile::Builder::new().prefix("kwt-environment-").tempdir().unwrap();
    let own = plugin_python();
    let document = format!(
        "[node]\ndata-dir = \"data\"\n\n[[environment]]\nname = \"own\"\npython = \"{}\"\n\n[[environment]]\nname = \"gone\"\npython = \"/nowhere/python\"\n",
        own.display()
    );
    fs::write(folder.path().join("policy.toml"), document).unwrap();
    fs::create_dir_all(folder.path().join("data/environments")).unwrap();
    folder
}

#[track_caller]
fn environment(folder: &Path, words: &[&str]) -> Run {
    run(&mut keyward_in(folder, &[&["environment"], words].concat()), Input::Nothing)
}

#[track_caller]
fn json_of(run: &Run) -> Value {
    serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

#[test]
fn an_environment_of_python_3_has_every_module_and_is_listed() {
    let site = site();
    let made = environment(
        site.path(),
        &["create", "python3", "data/environments/python3", "--python", "/usr/bin/python3"],
    );
    made.must_succeed();
    assert!(!made.stderr.contains("warning"), "{made:?}");

    let checked = environment(site.path(), &["check", "python3", "--policy", "policy.toml", "--json"]);

    let told = json_of(&checked);
    assert_eq!((checked.status.code(), &told["ok"]), (Some(0), &json!(true)), "{told:#}");
    assert_eq!((&told["sdk"], &told["api"]), (&json!("1.9.1"), &json!("1.9")));
    let modules = told["modules"].as_array().unwrap();
    let names: Vec<&str> = modules.iter().filter_map(|module| module["name"].as_str()).collect();
    assert_eq!(names, ["safeguard.sessions.plugin", "OpenSSL", "ldap", "requests", "urllib3", "yaml"]);
    assert!(modules.iter().all(|module| module["problem"].is_null()), "{told:#}");

    let listed = json_of(&environment(site.path(), &["list", "--policy", "policy.toml", "--json"]));
    let of = |name: &str| listed.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
    assert_eq!((&of("python3")["sdk"], &of("python3")["error"]), (&json!("1.9.1"), &Value::Null));
    assert_eq!(of("own")["sdk"], "1.9.1");
    assert!(of("gone")["error"].as_str().unwrap().contains("cannot start /nowhere/python"), "{listed:#}");
    // What was only needed to build python-ldap is not there.
    let python = site.path().join("data/environments/python3/bin/python");
    let wheel = shell(r#""$1" -c 'import wheel'"#, &[python.to_str().unwrap()]);
    assert!(wheel.stderr.contains("No module named 'wheel'"), "{wheel:?}");
}

/// What plugins for Python 2 may assume, used.
const MODULES: &str = r#"
import dns.name, httplib, json, lxml.etree, OpenSSL.crypto, urllib, urllib2, xml.dom.minidom, xmllib, xmlrpclib

class Plugin:
    def authorize(self):
        name = dns.name.from_text('db1.example.com')
        return {'verdict': 'ACCEPT', 'x': [lxml.etree.fromstring('<a/>').tag, str(name)]}
"#;

#[test]
fn an_environment_of_python_2_has_every_module_and_runs_a_plugin() {
    let site = site();
    let python = python2();
    let words = ["create", "python2", "data/environments/python2", "--python", python.to_str().unwrap()];
    environment(site.path(), &words).must_succeed();
    let checked = environment(site.path(), &["check", "python2", "--policy", "policy.toml", "--json"]);
    let told = json_of(&checked);
    assert_eq!((checked.status.code(), &told["ok"]), (Some(0), &json!(true)), "{told:#}");
    assert!(told["version"].as_str().unwrap().starts_with("2.7."), "{told:#}");

    let bundle = BundleFolder::legacy("modules", "aa", MODULES);
    let chosen = format!("python2={}", site.path().join("data/environments/python2/bin/python").display());
    let path = bundle.path().to_str().unwrap();
    let called = json_of(&keyward(["plugin", "call", path, "authorize", "--json", "--environment", &chosen]));
    assert_eq!(called["result"]["x"], json!(["a", "db1.example.com."]), "{called:#}");
}

#[test]
fn a_package_with_another_hash_is_not_installed() {
    let site = site();
    let index = site.path().join("index/certifi");
    fs::create_dir_all(&index).unwrap();
    let wheel = "certifi-2026.10.18-py3-none-any.whl";
    fs::write(index.join(wheel), "not what was pinned").unwrap();
    fs::write(index.join("index.html"), format!("<a href=\"{wheel}\">{wheel}</a>")).unwrap();
    let words = ["environment", "create", "python3", "new", "--python", "/usr/bin/python3"];
    let mut command = keyward_in(site.path(), &words);
    command.env("PIP_CONFIG_FILE", "/dev/null").env_remove("PIP_FIND_LINKS");
    command.env("PIP_INDEX_URL", format!("file://{}", site.path().join("index").display()));

    let refused = run(&mut command, Input::Nothing);

    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.contains("DO NOT MATCH THE HASHES"), "{refused:?}");
    assert!(!site.path().join("new").exists());
}

#[test]
fn what_an_interpreter_lacks_is_named_with_the_way_to_get_it() {
    let lacking = keyward(["environment", "check", plugin_python().to_str().unwrap()]);
    assert_eq!(lacking.status.code(), Some(2), "{lacking:?}");
    let shown = String::from_utf8_lossy(&lacking.stdout).into_owned();
    assert!(shown.contains("ldap") && shown.contains("missing: ModuleNotFoundError"), "{shown}");
    assert!(lacking.stderr.contains("python-ldap") && lacking.stderr.contains("keyward environment create"));
    let unknown = environment(site().path(), &["check", "none", "--policy", "policy.toml"]);
    assert!(unknown.stderr.contains("it has gone, own"), "{unknown:?}");
}
