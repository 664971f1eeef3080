//! The other commands: documents, sessions, recordings, users.

use std::fs;
use std::path::Path;

use keyward_testsuite::{
    Askpass, BundleFolder, GatewayPlan, Input, Link, PATIENCE, Program, Route, Run, SshClient, Sshd, keyward,
    keyward_in, keyward_reading, plugin_python, run, shell,
};
use rustix::process::Signal;
use serde_json::Value;

/// Wrong usage, a wrong document: status 2, each of these on stderr, nothing on stdout.
#[track_caller]
fn is_refused(run: &Run, words: &[&str]) {
    assert_eq!(run.status.code(), Some(2), "{run:?}");
    assert_eq!(String::from_utf8_lossy(&run.stdout), "");
    for word in words {
        assert!(run.stderr.contains(word), "no {word:?} in\n{}", run.stderr);
    }
}

#[track_caller]
fn check(document: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    fs::write(&path, document).unwrap();
    keyward(["check".as_ref(), path.as_os_str()])
}

const SOUND: &str = r#"[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:2222"]
target = { fixed = "192.0.2.7:22" }
aa-plugin = "codes"
channel-policy = "work"

[[plugin]]
name = "codes"
bundle = "Codes"

[[environment]]
name = "python3"
python = "/usr/bin/python3"

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
types = ["shell"]
"#;

#[test]
fn an_interpreter_without_a_path_is_found_as_a_shell_finds_it() {
    let elsewhere = tempfile::tempdir().unwrap();

    let checked =
        run(&mut keyward_in(elsewhere.path(), &["environment", "check", "python3"]), Input::Nothing);
    let shown = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(shown.contains("/python3: Python 3."), "{shown} {}", checked.stderr);
    // Complete or not is for the machine's own Python to say, and the status says it.
    let complete = !shown.contains("missing: ");
    assert_eq!(checked.status.code(), Some(if complete { 0 } else { 2 }), "{checked:?}");

    let missing =
        run(&mut keyward_in(elsewhere.path(), &["environment", "check", "python0"]), Input::Nothing);
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stderr.contains("no python0 is on the PATH"), "{}", missing.stderr);
}

/// What a new user runs first, with nothing prepared: it makes its own environment.
#[test]
fn the_demo_checks_itself_from_nothing_and_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let mut demo = keyward_in(scratch.path(), &["demo", "--check"]);
    let run = run(demo.env("TMPDIR", scratch.path()), Input::Nothing);

    assert!(run.text().ends_with("All is well.\n"), "{}", run.stderr);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_sound_document_is_called_so() {
    assert!(check(SOUND).text().contains("is sound: 1 connection, 1 plugin instance"));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/keyward.toml");
    keyward(["check".as_ref(), example.as_os_str()]).must_succeed();
}

#[test]
fn each_fault_of_a_document_comes_with_its_line_and_a_hint() {
    let broken = SOUND
        .replace("\"work\"\n\n[[plugin]]", "\"wrok\"\n\n[[plugin]]")
        .replace("types = [\"shell\"]", "types = [\"shel\"]")
        .replace("bundle = \"Codes\"", "bundel = \"Codes\"");
    let run = check(&broken);
    is_refused(&run, &["policy.toml:7:18: ", "policy.toml:11:1: ", "policy.toml:21:", "hint: "]);
    is_refused(&run, &["work", "bundle", "shell"]);
}

#[test]
fn a_certificate_authority_that_could_not_certify_is_not_sound() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("ca");
    let with_authority = format!("{SOUND}\n[[certificate-authority]]\nname = \"ca\"\nkey-file = {key:?}\n");
    let keygen = |passphrase| {
        let _ = fs::remove_file(&key);
        shell(r#"ssh-keygen -q -t ed25519 -N "$1" -f "$2""#, &[passphrase, key.to_str().unwrap()])
            .must_succeed();
    };
    let hint = ["certificate authority \"ca\"", "ssh-keygen -p -f FILE"];

    keygen("");
    check(&with_authority).must_succeed();
    keygen("of no use to a gateway");
    is_refused(&check(&with_authority), &hint);
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n").unwrap();
    is_refused(&check(&with_authority), &hint);
}

#[test]
fn a_document_that_is_no_toml_is_refused_with_its_line() {
    is_refused(&check("[node]\ndata-dir = \n"), &["policy.toml:2:"]);
    is_refused(&keyward(["check", "/nonexistent.toml"]), &["/nonexistent.toml", "No such file"]);
    is_refused(&check(""), &["no connection is active"]);
}

#[test]
fn a_command_that_looks_says_that_there_is_no_store_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("policy.toml"), folder.path().join("data"));
    fs::write(&path, format!("[node]\ndata-dir = {data:?}\n{SOUND}")).unwrap();
    let looks = || {
        for words in [["session", "list"], ["plugin", "verify"]] {
            let run = keyward([words.as_slice(), &["--policy", path.to_str().unwrap()]].concat());
            is_refused(&run, &[data.to_str().unwrap(), "has no store yet"]);
        }
    };
    looks();
    assert!(!data.exists());
    fs::create_dir(&data).unwrap();
    looks();
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
}

#[test]
fn a_gateway_does_not_run_with_a_broken_document() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    fs::write(&path, SOUND.replace("protocol = \"ssh\"", "protocol = \"shh\"")).unwrap();
    let run = keyward(["run".as_ref(), path.as_os_str()]);
    is_refused(&run, &["policy.toml:3:", "\"shh\"", "ssh"]);
}

#[test]
fn a_relative_data_folder_lies_beside_the_document_and_serves_plugins() {
    let folder = tempfile::tempdir().unwrap();
    let python = plugin_python();
    let document = SOUND
        .replace(":2222", ":0")
        .replace("/usr/bin/python3", python.to_str().unwrap())
        .replace("Codes", "codes_bundle");
    fs::write(folder.path().join("policy.toml"), format!("[node]\ndata-dir = \"data\"\n\n{document}"))
        .unwrap();
    let bundle = BundleFolder::new("codes_bundle", "aa", "class Plugin:\n    pass\n");
    let upload = ["plugin", "upload", bundle.path().to_str().unwrap(), "--policy", "policy.toml"];
    run(&mut keyward_in(folder.path(), &upload), Input::Nothing).must_succeed();

    let gateway = Program::start(&mut keyward_in(folder.path(), &["run", "policy.toml"]));
    let is_ready = |line: &str| line.ends_with(" ready").then_some(());
    assert_eq!(gateway.find_line("it serves", PATIENCE, is_ready), Some(()), "{:#?}", gateway.log());
    gateway.signal(Signal::TERM);
    assert!(gateway.ended(PATIENCE).success());
    assert!(folder.path().join("data/keyward.db").exists());
}

#[test]
fn sessions_are_listed_and_shown_by_their_id() {
    let mut link = Link::open(Route::Gateway);
    let policy = link.gateway().policy();
    let policy = policy.to_str().unwrap();
    assert_eq!(keyward(["session", "list", "--policy", policy, "--json"]).text().trim(), "[]");
    assert_eq!(keyward(["session", "list", "--policy", policy]).text(), "No session yet.\n");
    for _ in 0..2 {
        link.ssh().exec("true").must_succeed();
    }
    let sessions = link.gateway().ended_sessions(2);

    let listed = keyward(["session", "list", "--policy", policy, "--limit", "1"]).text();
    let (newest, id) = (&sessions[0], sessions[0]["id"].as_str().unwrap());
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.contains(id) && listed.contains("accept"), "{listed}");

    let unique = id.split('/').nth(1).unwrap();
    for name in [id, unique] {
        let shown: Value =
            serde_json::from_str(&keyward(["session", "show", name, "--policy", policy, "--json"]).text())
                .unwrap();
        assert_eq!(shown["id"], newest["id"]);
        assert_eq!(shown["gateway_user"], link.sshd.user());
        assert_eq!(shown["target"]["address"], link.sshd.addr().to_string());
        assert!(shown["trail"].is_string(), "{shown:#}");
        let shown = keyward(["session", "show", name, "--policy", policy]).text();
        assert!(shown.contains(id) && shown.contains("verdict       accept"), "{shown}");
    }
}

#[test]
fn a_session_that_is_not_there_is_status_2() {
    let mut link = Link::open(Route::Gateway);
    let policy = link.gateway().policy();
    let policy = policy.to_str().unwrap();
    let unknown = keyward(["session", "show", "AAAAAAAAAAAAAAAAAAAAAA", "--policy", policy]);
    is_refused(&unknown, &["AAAAAAAAAAAAAAAAAAAAAA"]);
    let whole = keyward(["session", "show", "svc/AAAAAAAAAAAAAAAAAAAAAA/ssh:1", "--policy", policy]);
    is_refused(&whole, &["svc/AAAAAAAAAAAAAAAAAAAAAA/ssh:1"]);
    is_refused(&keyward(["session", "list", "--policy", "/nonexistent.toml"]), &["/nonexistent.toml"]);
}

#[test]
fn a_recorded_shell_is_played_and_exported_as_asciicast() {
    let mut link = Link::open(Route::Gateway);
    link.ssh().terminal("stty rows 33 cols 101; printf 'gr%bn\\n' '\\303\\274'; exit\n").must_succeed();
    link.gateway().ended_sessions(1);
    let recording = link.gateway().recordings().remove(0);
    let file = recording.to_str().unwrap();

    assert!(link.gateway().play(&recording).contains("grün"));

    let exported = keyward(["trail", "export", file, "--as", "asciicast", "--with-input"]);
    let cast = exported.text();
    assert!(exported.stderr.contains("is signed by") && exported.stderr.lines().count() == 1);
    let mut lines = cast.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let header = lines.next().unwrap();
    assert_eq!(header["version"], 2);
    assert!(header["width"].is_u64() && header["height"].is_u64(), "{header}");
    let events: Vec<(f64, String, String)> =
        lines.map(|line| serde_json::from_value(line).unwrap()).collect();
    assert!(events.is_sorted_by(|(before, ..), (after, ..)| before <= after), "{events:?}");
    let all_of = |wanted: &str| -> String {
        events.iter().filter(|(_, code, _)| code == wanted).map(|(.., text)| text.as_str()).collect()
    };
    assert!(all_of("o").contains("grün\r\n"), "{events:?}");
    assert!(all_of("i").contains("stty rows 33"), "{events:?}");
    assert!(events.iter().all(|(_, code, _)| ["o", "i", "r"].contains(&code.as_str())), "{events:?}");

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("shell.cast");
    let to_file = || {
        keyward(["trail", "export", file, "--as", "asciicast", "--with-input", "-o", copy.to_str().unwrap()])
    };
    to_file().must_succeed();
    assert_eq!(fs::read_to_string(&copy).unwrap(), cast);
    is_refused(&to_file(), &["shell.cast", "exists"]);
}

#[test]
fn what_is_no_recording_is_not_played() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.trail");
    for noise in ["", "no recording at all", &"no recording at all, and a long one".repeat(1000)] {
        fs::write(&path, noise).unwrap();
        is_refused(&keyward(["trail", "play", path.to_str().unwrap()]), &["noise.trail"]);
    }
    is_refused(&keyward(["trail", "play", "/nonexistent.trail"]), &["/nonexistent.trail"]);
}

#[test]
fn a_password_logs_in_whose_hash_the_command_made() {
    let hashed = keyward_reading(["user", "hash"], "correct horse battery\n").text();
    assert!(hashed.starts_with("password = \"$argon2id$") && !hashed.contains("horse"), "{hashed}");
    let sshd = Sshd::start();
    let gateway = GatewayPlan::new(&document(&sshd, hashed.trim_end())).start();
    let login = |password: &str| {
        let askpass = Askpass::new(&[password]);
        SshClient::with_answers(gateway.addr("ssh"), &sshd.user(), &askpass).exec("echo in")
    };

    assert_eq!(login("correct horse battery").text(), "in\n");
    assert_eq!(login("correct horse").status.code(), Some(255));
    assert_eq!(sshd.logins(), 1);
    is_refused(&keyward_reading(["user", "hash"], "\n"), &["empty"]);
}

fn document(sshd: &Sshd, password: &str) -> String {
    let (target, host, host_key) = (sshd.addr(), sshd.addr().ip(), sshd.host_key());
    let (user, key) = (sshd.user(), sshd.key().private());
    format!(
        r#"
[node]
data-dir = "@data@"

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "{target}" }}
authentication = "people"
credential-store = {{ local = "keys" }}
channel-policy = "work"
known-host-keys = [{{ host = "{target}", key = "{host_key}" }}]

[[authentication]]
name = "people"
methods = ["password"]

[[user]]
name = "{user}"
{password}

[[local-credential-store]]
name = "keys"

[[local-credential-store.row]]
host = "{host}"
user = "{user}"
keys = [{{ kind = "ssh-ed25519", key = """
{key}""" }}]

[[channel-policy]]
name = "work"

[[channel-policy.rule]]
types = ["exec"]
"#
    )
}
