//! The rest of the kit for people who write plugins: new, check, pack, bench, watch.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_testsuite::{
    Askpass, BundleFolder, GatewayPlan, Input, PATIENCE, Program, Run, SshClient, Sshd, keyward_in,
    keyward_to_log, plugin_python, run, shell,
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

fn environment() -> String {
    format!("python3={}", plugin_python().display())
}

#[track_caller]
fn keyward(folder: &Path, words: &[&str]) -> Run {
    run(&mut keyward_in(folder, words), Input::Nothing)
}

/// A folder with a new plugin in it, without the SDK.
fn plain_plugin() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    keyward(folder.path(), &["plugin", "new", "Hello", "--type", "aa", "--plain"]).must_succeed();
    let plugin = folder.path().join("Hello");
    (folder, plugin)
}

#[track_caller]
fn warnings(bundle: &Path) -> Vec<String> {
    let words = ["plugin", "check", bundle.to_str().unwrap(), "--json", "--environment", &environment()];
    let checked = keyward(Path::new("/"), &words);
    checked.must_succeed();
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(checked["left_out"], Value::Null);
    checked["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn warns(bundle: &BundleFolder, words: &[&str]) {
    let warnings = warnings(bundle.path());
    let has = |warning: &&String| words.iter().all(|word| warning.contains(word));
    assert!(warnings.iter().any(|warning| has(&warning)), "{words:?} are not in {warnings:#?}");
}

#[test]
fn a_new_plugin_passes_its_own_tests_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for (name, more) in [
        ("OnSdk", vec!["--type", "aa"]),
        ("Plain", vec!["--type", "aa", "--plain"]),
        ("StoreOnSdk", vec!["--type", "credentialstore"]),
        ("store_plain", vec!["--type", "credentialstore", "--plain"]),
    ] {
        let words: Vec<&str> = ["plugin", "new", name].into_iter().chain(more).collect();
        keyward(folder.path(), &words).must_succeed();
        assert_eq!(warnings(&folder.path().join(name)), [""; 0]);
        let played =
            keyward(folder.path(), &["plugin", "scenario", name, "--environment", &environment()]).text();
        assert!(played.contains("scenarios passed."), "{played}");
        keyward(folder.path(), &["plugin", "pack", name]).must_succeed();
        assert!(folder.path().join(format!("{name}-0.1.0.zip")).is_file());
    }
}

#[test]
fn a_new_plugin_never_replaces_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("Mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("main.py"), "precious").unwrap();
    let refused = keyward(folder.path(), &["plugin", "new", "Mine", "--type", "aa"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("Mine is there already"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(mine.join("main.py")).unwrap(), "precious");
    let refused = keyward(folder.path(), &["plugin", "new", "1st", "--type", "aa"]);
    assert!(refused.stderr.contains("\"1st\" is not a name"), "{}", refused.stderr);
    let refused = keyward(folder.path(), &["plugin", "new", "Other", "--type", "vault"]);
    assert!(refused.stderr.contains("credentialstore"), "{}", refused.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

const WHOLE: &str = "class Plugin:\n    def authenticate(self):\n        pass\n    def authorize(self):\n        pass\n    \
                     def session_ended(self):\n        pass\n";

#[test]
fn a_check_warns_of_hooks_that_are_missing() {
    assert_eq!(warnings(BundleFolder::new("whole", "aa", WHOLE).path()), [""; 0]);
    warns(&BundleFolder::new("part", "aa", &WHOLE.replace("authorize", "authorise")), &["has no authorize"]);
    let sdk = "from safeguard.sessions.plugin import AAPlugin\nclass Plugin(AAPlugin):\n    pass\n";
    assert_eq!(warnings(BundleFolder::new("on_sdk", "aa", sdk).path()), [""; 0]);
    warns(&BundleFolder::new("wrong_base", "credentialstore", sdk), &["has no get_password_list"]);
    // A base from elsewhere may bring any hook: nothing is claimed.
    let elsewhere =
        BundleFolder::new("elsewhere", "aa", "from base import Base\nclass Plugin(Base):\n    pass\n");
    elsewhere.add("base.py", &WHOLE.replace("Plugin", "Base"));
    assert_eq!(warnings(elsewhere.path()), [""; 0]);
}

#[test]
fn a_bundle_with_warnings_is_not_called_sound() {
    let missing = WHOLE.replace("authorize", "authorise");
    let told = |main: &str| {
        let bundle = BundleFolder::new("some", "aa", main);
        let words = ["plugin", "check", bundle.path().to_str().unwrap(), "--environment", &environment()];
        keyward(Path::new("/"), &words).text()
    };
    assert!(told(WHOLE).ends_with("is a sound bundle.\n"));
    assert!(
        told(&missing).ends_with("would be taken by a gateway, with the warning above.\n"),
        "{}",
        told(&missing)
    );
}

#[test]
fn a_check_warns_of_arguments_that_cannot_be_given() {
    let only = WHOLE.replace("authorize(self)", "authorize(self, server_ip, /, cookie)");
    warns(
        &BundleFolder::new("only", "aa", &only),
        &["main.py:5", "authorize declares server_ip as positional-only"],
    );
    let unknown = WHOLE.replace("authorize(self)", "authorize(self, server, colour=None)");
    let bundle = BundleFolder::new("unknown", "aa", &unknown);
    warns(&bundle, &["main.py:5", "authorize declares server, which is no argument"]);
    assert_eq!(warnings(bundle.path()).len(), 1);
    let configured = BundleFolder::new("configured", "aa", WHOLE);
    configured.add("default.cfg", "[a]\nb = c\n");
    warns(&configured, &["takes no configuration"]);
}

#[test]
fn a_check_warns_of_imports_that_nobody_has() {
    let main = format!(
        "import json, requests\nfrom lib import inner\ntry:\n    import simplejson_of_old\nexcept ImportError:\n    pass\n{WHOLE}"
    );
    let bundle = BundleFolder::new("imports", "aa", &main);
    bundle.add("lib/__init__.py", "");
    bundle.add("lib/inner.py", "from . import deeper\n");
    bundle.add("lib/deeper.py", "import json\n\ndef later():\n    import nobody_has_this.at_all\n");
    warns(&bundle, &["lib/deeper.py:4", "imports nobody_has_this,"]);
    assert_eq!(warnings(bundle.path()).len(), 1);
    bundle.add("nobody_has_this.py", "");
    assert_eq!(warnings(bundle.path()), [""; 0]);
}

#[test]
fn a_check_warns_of_the_sdk_inside_of_foreign_modules_and_of_a_long_default() {
    let bundle = BundleFolder::new(
        "heavy",
        "aa",
        &format!("{WHOLE}    def __init__(self, configuration):\n        pass\n"),
    );
    bundle.add("default.cfg", &"# long\n".repeat(1500));
    warns(&bundle, &["default.cfg", "10500 bytes"]);
    bundle.add("oneidentity_safeguard_sessions_plugin_sdk-1.9.1.dist-info/METADATA", "");
    warns(&bundle, &["the Plugin SDK is inside the bundle"]);
    bundle.add("fast.cpython-27-x86_64-linux-gnu.so", "");
    warns(&bundle, &["fast.cpython-27-x86_64-linux-gnu.so", "compiled for another Python"]);
    bundle.add("broken.py", "def broken(:\n");
    bundle.add("main.py", &format!("#!/usr/bin/env pluginwrapper3\nimport broken\n{WHOLE}"));
    warns(&bundle, &["broken.py:1", "cannot read it"]);
}

#[test]
fn a_check_runs_nothing_of_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let touch = format!("open({:?}, 'w')\n", trace.to_str().unwrap());
    let bundle = BundleFolder::new("active", "aa", &format!("{touch}import json_of_mine\n{WHOLE}"));
    for name in ["json_of_mine.py", "sitecustomize.py", "ast.py", "json.py"] {
        bundle.add(name, &touch);
    }
    warnings(bundle.path());
    assert!(!trace.exists());
}

#[test]
fn a_pack_of_the_same_files_is_the_same_bytes() {
    let (folder, plugin) = plain_plugin();
    let copy = folder.path().join("copy");
    shell(
        r#"cp -r "$1" "$2"; touch -d '2001-02-03' "$2/main.py"; mkdir "$2/__pycache__"; touch "$2/__pycache__/x.pyc" "$2/.hidden""#,
        &[plugin.to_str().unwrap(), copy.to_str().unwrap()],
    )
    .must_succeed();
    for (name, output) in [("Hello", "one.zip"), ("copy", "two.zip")] {
        keyward(folder.path(), &["plugin", "pack", name, "-o", output]).must_succeed();
    }
    let [one, two] = ["one.zip", "two.zip"].map(|name| fs::read(folder.path().join(name)).unwrap());
    assert!(!one.is_empty() && one == two);
    let names = shell(
        r#""$1" -c 'import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist())' "$2""#,
        &[plugin_python().to_str().unwrap(), folder.path().join("one.zip").to_str().unwrap()],
    )
    .text();
    assert_eq!(names.trim(), "MANIFEST default.cfg main.py");
}

/// A wheel of a package with a module, a program, and nothing else.
const WHEEL: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/greeting-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("greeting/__init__.py", "WORD = 'please'\ndef main():\n    pass\n")
    info = "greeting-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "entry_points.txt", "[console_scripts]\ngreet = greeting:main\n")
    wheel.writestr(info + "RECORD", "")
"#;

#[test]
fn a_pack_brings_the_packages_of_a_requirements_file() {
    let (folder, plugin) = plain_plugin();
    let main = fs::read_to_string(plugin.join("main.py")).unwrap();
    fs::write(
        plugin.join("main.py"),
        main.replace("self.access[\"word\"]", "greeting.WORD")
            .replace("import fnmatch", "import fnmatch\nimport greeting"),
    )
    .unwrap();
    let python = plugin_python();
    shell(r#""$1" -c "$2" "$3""#, &[python.to_str().unwrap(), WHEEL, folder.path().to_str().unwrap()])
        .must_succeed();
    let pack = |requirements: &str, output: &str| {
        fs::write(folder.path().join("requirements.txt"), requirements).unwrap();
        let words = [
            "plugin",
            "pack",
            "Hello",
            "-r",
            "requirements.txt",
            "-o",
            output,
            "--environment",
            &environment(),
        ];
        keyward(folder.path(), &words)
    };
    for output in ["one.zip", "two.zip"] {
        pack("# what it needs\n./greeting-1.0-py3-none-any.whl\n", output).must_succeed();
    }
    let [one, two] = ["one.zip", "two.zip"].map(|name| fs::read(folder.path().join(name)).unwrap());
    assert!(one == two, "{} and {} bytes", one.len(), two.len());
    assert_eq!(warnings(&folder.path().join("one.zip")), [""; 0]);
    let scenario = folder.path().join("brought.toml");
    fs::write(&scenario, "[plugin]\nbundle = \"one.zip\"\n[client]\nlogin = \"word=please@ann@db1\"\n[expect]\nverdict = \"accept\"\n").unwrap();
    keyward(folder.path(), &["plugin", "scenario", "brought.toml", "--environment", &environment()])
        .must_succeed();

    let refused = pack("greeting\n", "three.zip");
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("line 1: \"greeting\" has no exact version"), "{}", refused.stderr);
    assert!(!folder.path().join("three.zip").exists());
}

#[test]
fn a_bench_has_three_percentiles_of_each_hook_warm_and_cold() {
    let (folder, _) = plain_plugin();
    let arguments = folder.path().join("args.json");
    fs::write(&arguments, r#"{"key_value_pairs": {"word": "please"}}"#).unwrap();
    let words = [
        "plugin",
        "bench",
        "Hello",
        "--calls",
        "10",
        "--cold-calls",
        "3",
        "--args",
        "args.json",
        "--environment",
        &environment(),
    ];
    let measured = keyward(folder.path(), &[&words[..], &["--json"]].concat());
    measured.must_succeed();
    let measured: Value = serde_json::from_slice(&measured.stdout).unwrap();
    let hooks: Vec<&str> =
        measured["hooks"].as_array().unwrap().iter().map(|row| row["hook"].as_str().unwrap()).collect();
    assert_eq!(hooks, ["authenticate", "authorize", "session_ended"]);
    for row in measured["hooks"].as_array().unwrap() {
        for start in ["warm", "cold"] {
            let [p50, p90, p99] = ["p50_ms", "p90_ms", "p99_ms"].map(|key| row[start][key].as_f64().unwrap());
            assert!(0.0 < p50 && p50 <= p90 && p90 <= p99, "{row:#}");
        }
        assert_eq!(row["error"], Value::Null);
    }
    assert_eq!(measured["hooks"][0]["result"], "ACCEPT");
    let table = keyward(folder.path(), &[&words[..], &["--hook", "authorize"]].concat()).text();
    assert!(
        table.contains("p99") && table.contains("authorize") && !table.contains("authenticate"),
        "{table}"
    );

    let broken = BundleFolder::new(
        "broken",
        "aa",
        &WHOLE.replace("pass\n    def authorize", "return {}['x']\n    def authorize"),
    );
    let words = [
        "plugin",
        "bench",
        broken.path().to_str().unwrap(),
        "--hook",
        "authenticate",
        "--environment",
        &environment(),
    ];
    let failed = keyward(folder.path(), &words);
    assert_eq!(failed.status.code(), Some(1));
    assert!(failed.stderr.contains("> 4 |         return {}['x']"), "{}", failed.stderr);
}

#[test]
fn a_watch_plays_the_scenarios_again_at_each_save() {
    let (folder, plugin) = plain_plugin();
    let words = ["plugin", "watch", "Hello", "--environment", &environment()];
    let watch = Program::start(&mut keyward_to_log(folder.path(), &words));
    let said = |words: &str, times: usize| {
        watch.find_line(words, PATIENCE, |line| line.contains(words).then_some(()));
        keyward_testsuite::until(words, PATIENCE, || {
            (watch.log().iter().filter(|line| line.contains(words)).count() >= times).then_some(())
        });
    };
    said("3 scenarios passed.", 1);
    said("Waiting for the next save", 1);
    let main = fs::read_to_string(plugin.join("main.py")).unwrap();
    fs::write(plugin.join("main.py"), main.replace("That is not the word.", "No.")).unwrap();
    said("1 of 3 scenarios did not pass.", 1);
    said("Waiting for the next save", 2);
    fs::write(plugin.join("MANIFEST"), "name: name: x\n").unwrap();
    said("MANIFEST", 1);
    said("Waiting for the next save", 3);
    watch.signal(Signal::INT);
    assert!(watch.ended(PATIENCE).success());
}

#[test]
fn a_call_that_fails_shows_its_line_and_what_the_contract_says() {
    let bundle =
        BundleFolder::new("failing", "aa", &WHOLE.replace("authorize(self)", "authorize(self, server)"));
    let words =
        ["plugin", "call", bundle.path().to_str().unwrap(), "authorize", "--environment", &environment()];
    let failed = keyward(Path::new("/"), &words);
    assert_eq!(failed.status.code(), Some(1));
    for words in
        ["signature: authorize() declares server", "arguments go by name", "server_ip, server_hostname"]
    {
        assert!(failed.stderr.contains(words), "no {words:?} in {}", failed.stderr);
    }
}

#[test]
fn a_new_plugin_is_packed_uploaded_and_lets_people_log_in_as_its_scenarios_say() {
    let folder = tempfile::tempdir().unwrap();
    keyward(folder.path(), &["plugin", "new", "Hello", "--type", "aa"]).must_succeed();
    keyward(folder.path(), &["plugin", "pack", "Hello"]).must_succeed();
    let sshd = Sshd::start();
    let (target, key, python) = (sshd.addr(), sshd.key().private(), plugin_python());
    let (host, user, host_key) = (target.ip(), sshd.user(), sshd.host_key());
    let document = format!(
        r#"
[node]
data-dir = "@data@"
[[environment]]
name = "python3"
python = "{python}"
[[plugin]]
name = "hello"
bundle = "Hello"
configuration = """
[auth]
prompt = The word:
disable_echo = yes
[access]
word = please
servers = {host}
"""
[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "{target}" }}
aa-plugin = "hello"
credential-store = {{ local = "keys" }}
channel-policy = "work"
known-host-keys = [{{ host = "{target}", key = "{host_key}" }}]
[[channel-policy]]
name = "work"
[[channel-policy.rule]]
types = ["exec"]
[[local-credential-store]]
name = "keys"
[[local-credential-store.row]]
host = "{host}"
user = "{user}"
keys = [{{ kind = "ssh-ed25519", key = """
{key}""" }}]
"#,
        python = python.display()
    );
    let zip = folder.path().join("Hello-0.1.0.zip");
    let gateway = GatewayPlan::new(&document).upload(&zip).start();
    let askpass = Askpass::new(&["please"]);
    let client = SshClient::with_answers(gateway.addr("ssh"), &user, &askpass);
    assert_eq!(client.exec("echo in").text(), "in\n");
    assert!(askpass.prompts()[0].contains("The word: "), "{:?}", askpass.prompts());

    let id = gateway.ended_sessions(1)[0]["id"].as_str().unwrap().to_owned();
    let calls = keyward_testsuite::until("session_ended was called", PATIENCE, || {
        let calls = gateway.session(&id)["calls"].as_array()?.clone();
        (calls.last()?["hook"] == "session_ended").then_some(calls)
    });
    let calls: Vec<String> =
        calls.iter().map(|call| format!("hook = {}\nverdict = {}", call["hook"], call["verdict"])).collect();
    // The same hooks with the same verdicts, in the same order, as the scenario that came with it.
    let scenario = fs::read_to_string(folder.path().join("Hello/tests/right_word.toml")).unwrap();
    let steps =
        scenario.split("[[step]]\n").skip(1).map(|step| step.lines().take(2).collect::<Vec<_>>().join("\n"));
    let steps: Vec<String> = steps
        .map(|step| {
            if step.contains("session_ended") {
                "hook = \"session_ended\"\nverdict = null".into()
            } else {
                step
            }
        })
        .collect();
    assert_eq!(calls, steps);
}
