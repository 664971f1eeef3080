//! Plugins and the policy document change while the gateway runs.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keyward_testsuite::{
    Askpass, PATIENCE, Plug, Plugged, PluggedPlan, Program, SshClient, keyward, shell, until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// An AA plugin of two hooks that tells in each which version it is, and a word of its configuration.
fn labelled(version: &'static str) -> Plug {
    let text = r#"
from notes import note

class Plugin:
    def __init__(self, configuration):
        self.word = configuration.strip()

    def authenticate(self, session_id, server_username):
        note("authenticate", version="VERSION", text=self.word, session=session_id)
        return {"verdict": "ACCEPT", "gateway_user": server_username}

    def authorize(self, session_id):
        note("authorize", version="VERSION", text=self.word, session=session_id)
        return {"verdict": "ACCEPT", "additional_metadata": "VERSION " + self.word}

    def session_ended(self, session_id):
        note("session_ended", version="VERSION", text=self.word, session=session_id)
"#;
    Plug::aa(&text.replace("VERSION", version)).version(version).configuration("alpha\n")
}

#[track_caller]
fn open() -> Plugged {
    PluggedPlan::new([labelled("1.0")]).open()
}

#[track_caller]
fn log_in(plugged: &Plugged) {
    let run = plugged.client("", &Askpass::new(&[])).exec("true");
    assert!(run.status.success(), "{}\n{}", run.stderr, plugged.gateway.log().join("\n"));
}

/// What each hook of a session noted, as version and word.
fn heard(plugged: &Plugged, session: &str) -> Vec<(String, String)> {
    let notes = plugged.notes("aa").into_iter();
    let of_session = notes.filter(|(_, facts)| facts["session"] == session);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of_session.map(|(_, facts)| (text(&facts["version"]), text(&facts["text"]))).collect()
}

fn thrice(version: &str, word: &str) -> Vec<(String, String)> {
    vec![(version.to_owned(), word.to_owned()); 3]
}

/// A session that stays open.
#[track_caller]
fn stay(plugged: &Plugged) -> Program {
    let client = plugged.client("", &Askpass::new(&[]));
    let person = Program::start(&mut client.command(&[], &["echo ready >&2; cat"]));
    let ready = |line: &str| (line.trim_end() == "ready").then_some(());
    person.find_line("the session works", PATIENCE, ready).unwrap();
    person
}

#[track_caller]
fn is_updated(plugged: &Plugged, version: &str) {
    plugged.gateway.says(&["plugin updated", &format!("version=\"{version}\"")]);
}

#[test]
fn an_uploaded_version_serves_the_sessions_to_come_and_no_session_fails_or_sees_both() {
    let plugged = open();
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    log_in(&plugged);
                }
            });
        }
        until("sessions of the first version", PATIENCE, || (plugged.notes("aa").len() > 10).then_some(()));
        plugged.upload(&labelled("2.0"));
        until("sessions of the second version", PATIENCE, || {
            let of_second = |(_, facts): &(String, Value)| facts["version"] == "2.0";
            (plugged.notes("aa").iter().filter(|note| of_second(note)).count() > 10).then_some(())
        });
        enough.store(true, Ordering::Relaxed);
    });
    let sessions = plugged.gateway.sessions();
    until("each session has heard its end", PATIENCE, || {
        (plugged.notes("aa").len() == 3 * sessions.len()).then_some(())
    });
    for session in &sessions {
        let id = session["id"].as_str().unwrap();
        let version = heard(&plugged, id).remove(0).0;
        assert_eq!(heard(&plugged, id), thrice(&version, "alpha"), "{id}");
        let record = plugged.gateway.session(id);
        assert_eq!(record["plugins"][0]["version"], version.as_str());
        assert!(record["calls"].as_array().unwrap().iter().all(|call| call["version"] == version.as_str()));
    }
}

#[test]
fn a_session_keeps_its_version_to_the_end_also_over_a_restart_of_the_gateway() {
    let mut plugged = open();
    let before = stay(&plugged);
    plugged.upload(&labelled("2.0"));
    is_updated(&plugged, "2.0");
    let after = stay(&plugged);
    let ids: Vec<String> =
        plugged.gateway.sessions().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    let [new, old] = ids.as_slice() else { panic!("{ids:?}") };

    plugged.gateway.kill();
    before.ended(PATIENCE);
    after.ended(PATIENCE);
    plugged.gateway.start();

    until("both ends are told", PATIENCE, || {
        [old, new].iter().all(|id| heard(&plugged, id).len() == 3).then_some(())
    });
    assert_eq!(heard(&plugged, old), thrice("1.0", "alpha"));
    assert_eq!(heard(&plugged, new), thrice("2.0", "alpha"));
}

#[test]
fn a_version_that_cannot_be_imported_is_refused_and_the_one_before_serves_on() {
    let plugged = open();
    let told = plugged.upload_refused(&Plug::aa("raise ValueError('not today')").version("2.0"));
    let why = "aa runs 1.0; 2.0 was refused: plugin instance aa cannot be imported: ValueError: not today";
    assert!(told.contains("aa_bundle 2.0 is updated.") && told.contains(why), "{told}");
    let list = plugged.gateway.policy();
    let list = keyward(["plugin", "list", "--policy", list.to_str().unwrap()]).text();
    assert!(list.contains(why), "{list}");
    let line = plugged.gateway.says(&["ALERT", "new version of a plugin is refused"]);
    assert!(line.contains("\"plugin instance aa cannot be imported: ValueError: not today"), "{line}");
    plugged.gateway.says(&["ERROR", "main.py\", line 2, in <module>"]);
    log_in(&plugged);
    let session = plugged.session();
    assert_eq!(session["additional_metadata"], "1.0 alpha");

    // Mended, it is taken.
    plugged.upload(&labelled("2.0"));
    is_updated(&plugged, "2.0");
    log_in(&plugged);
    assert_eq!(plugged.newest_of(2)["additional_metadata"], "2.0 alpha");
}

#[test]
fn a_bundle_of_another_type_does_not_take_the_place_of_a_plugin() {
    let plugged = open();
    let other = "class Plugin:\n    pass\n";
    let bundle = keyward_testsuite::BundleFolder::of_version("aa_bundle", "credentialstore", "2.0", other);
    assert_eq!(plugged.upload_bundle(&bundle).status.code(), Some(1));
    plugged.gateway.says(&["ALERT", "new version of a plugin is refused", "type credentialstore"]);
    log_in(&plugged);
}

#[test]
fn an_upload_waits_until_the_running_gateway_has_taken_it() {
    let mut plugged = open();
    let run = plugged.upload_bundle(&labelled("2.0").bundle());
    assert_eq!(run.text(), "aa_bundle 2.0 is updated.\naa runs 2.0.\n");
    log_in(&plugged);
    assert_eq!(plugged.session()["additional_metadata"], "2.0 alpha");

    let unused = keyward_testsuite::BundleFolder::new("unused", "aa", "class Plugin: pass\n");
    let told = plugged.upload_bundle(&unused).text();
    assert!(told.contains("No [[plugin]] of the gateway that runs has this bundle"), "{told}");
    assert!(plugged.gateway.stop().success());
    let told = plugged.upload_bundle(&labelled("3.0").bundle()).text();
    assert!(told.contains("No gateway runs on "), "{told}");
}

#[test]
fn what_was_refused_while_the_gateway_ran_is_not_taken_at_its_restart() {
    let mut plugged = open();
    plugged.upload_refused(&Plug::aa("raise ValueError('not today')").version("2.0"));
    assert!(plugged.gateway.stop().success());
    plugged.gateway.start();
    plugged.gateway.says(&["ALERT", "the newest version of a plugin cannot be loaded", "not today"]);
    log_in(&plugged);
    assert_eq!(plugged.session()["additional_metadata"], "1.0 alpha");
    let policy = plugged.gateway.policy();
    let list = keyward(["plugin", "list", "--json", "--policy", policy.to_str().unwrap()]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let instance = &list[0]["instances"][0];
    assert_eq!((&instance["version"], &instance["refused"]["version"]), (&json!("1.0"), &json!("2.0")));
}

#[test]
fn bundles_that_nobody_needs_any_more_go_at_a_start() {
    let mut plugged = open();
    for version in ["2.0", "3.0", "4.0", "5.0"] {
        plugged.upload(&labelled(version));
    }
    let unpacked = |plugged: &Plugged| fs::read_dir(plugged.data().join("bundles")).unwrap().count();
    assert_eq!(unpacked(&plugged), 5);
    assert!(plugged.gateway.stop().success());
    plugged.gateway.start();
    let (status, kept) = verify(&plugged);
    let kept: Vec<&str> =
        kept.as_array().unwrap().iter().map(|bundle| bundle["version"].as_str().unwrap()).collect();
    assert_eq!((status, kept.as_slice(), unpacked(&plugged)), (Some(0), &["5.0", "4.0", "3.0"][..], 3));
    log_in(&plugged);
}

#[test]
fn a_new_configuration_is_taken_at_sighup_and_a_session_keeps_the_one_that_it_began_with() {
    let mut plugged = open();
    let before = stay(&plugged);
    plugged.gateway.edit_policy(|text| text.replace("\nalpha\n", "\nbeta\n"));
    plugged.gateway.reread("was read again");
    log_in(&plugged);
    let sessions = plugged.gateway.sessions();
    let [new, old] = sessions.as_slice() else { panic!("{sessions:?}") };
    let (new, old) = (new["id"].as_str().unwrap(), old["id"].as_str().unwrap());
    // A call that is under way at the kill would not be repeated.
    until("the new one's end is told", PATIENCE, || (heard(&plugged, new).len() == 3).then_some(()));

    plugged.gateway.kill();
    before.ended(PATIENCE);
    plugged.gateway.start();
    until("both ends are told", PATIENCE, || {
        [old, new].iter().all(|id| heard(&plugged, id).len() == 3).then_some(())
    });
    assert_eq!(heard(&plugged, old), thrice("1.0", "alpha"));
    assert_eq!(heard(&plugged, new), thrice("1.0", "beta"));
}

#[test]
fn a_changed_document_is_taken_by_itself_and_a_broken_one_changes_nothing() {
    let plugged = open();
    plugged.gateway.edit_policy(|text| text.replace("\nalpha\n", "\nbeta\n"));
    plugged.gateway.says(&["the policy document was read again"]);
    log_in(&plugged);
    assert_eq!(plugged.session()["additional_metadata"], "1.0 beta");

    plugged
        .gateway
        .edit_policy(|text| text.replace("\nbeta\n", "\ngamma\n").replace("record = true", "record = 7"));
    plugged.gateway.says(&["ALERT", "the policy document is refused"]);
    // The commands of this test read the document as well.
    plugged
        .gateway
        .edit_policy(|text| text.replace("\ngamma\n", "\nbeta\n").replace("record = 7", "record = true"));
    log_in(&plugged);
    assert_eq!(plugged.newest_of(2)["additional_metadata"], "1.0 beta");
}

#[test]
fn a_broken_document_is_refused_at_sighup_with_its_errors_and_the_one_before_stays_in_force() {
    let plugged = open();
    plugged
        .gateway
        .edit_policy(|text| text.replace("bundle = ", "bindle = ").replace("record = true", "record = 7"));
    plugged.gateway.reread("the policy document is refused");
    plugged.gateway.says(&["ERROR", "bindle"]);
    plugged.gateway.says(&["ERROR", "record = 7"]);
    // The commands of this test read the document as well.
    plugged
        .gateway
        .edit_policy(|text| text.replace("bindle = ", "bundle = ").replace("record = 7", "record = true"));
    log_in(&plugged);
    assert_eq!(plugged.session()["verdict"], "accept");
}

#[test]
fn a_document_whose_plugin_cannot_be_loaded_is_refused_as_a_whole() {
    let plugged = open();
    plugged.gateway.edit_policy(|text| {
        text.replace("\nalpha\n", "\nbeta\n") + "\n[[plugin]]\nname = \"other\"\nbundle = \"nowhere\"\n"
    });
    plugged.gateway.reread("the policy document is refused");
    plugged.gateway.says(&["ERROR", "no bundle nowhere is in the store"]);
    log_in(&plugged);
    assert_eq!(plugged.session()["additional_metadata"], "1.0 alpha");
}

#[test]
fn sighup_opens_new_listeners_and_closes_those_that_are_gone_under_no_open_session() {
    let plugged = open();
    let person = stay(&plugged);
    let (old, new) = (plugged.gateway.addr("ssh"), keyward_testsuite::free_addr());
    plugged.gateway.edit_policy(|text| text.replace(&old.to_string(), &new.to_string()));
    plugged.gateway.reread("was read again");

    let askpass = Askpass::new(&[]);
    SshClient::with_answers(new, &plugged.user(), &askpass).exec("true").must_succeed();
    // What still waits at the old one when it closes is not refused, but cut off.
    until("the old listener is closed", PATIENCE, || {
        let refused = SshClient::with_answers(old, &plugged.user(), &askpass).exec("true");
        refused.stderr.contains("Connection refused").then_some(())
    });
    assert!(!person.has_ended());
}

#[test]
fn a_second_sigterm_ends_the_draining() {
    let slow = r#"
import time
from notes import note

class Plugin:
    def authenticate(self, server_username):
        return {"verdict": "ACCEPT", "gateway_user": server_username}

    def authorize(self):
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        note("session_ended")
        time.sleep(100)
"#;
    let mut plugged = PluggedPlan::new([Plug::aa(slow)]).open();
    plugged.gateway.edit_policy(|text| text.replace("drain = 30", "drain = 600"));
    plugged.gateway.reread("was read again");
    let person = stay(&plugged);
    let program = plugged.gateway.program();
    program.signal(Signal::TERM);
    person.ended(PATIENCE);
    until("the end is being told", PATIENCE, || (!plugged.heard("aa").is_empty()).then_some(()));
    program.signal(Signal::TERM);
    assert!(plugged.gateway.ended().success());
    plugged.gateway.start();
    let id = plugged.gateway.sessions()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(plugged.gateway.session(&id)["plugins"][0]["state"], "interrupted");
}

/// Where the one bundle is unpacked.
fn unpacked(plugged: &Plugged) -> PathBuf {
    let folders = fs::read_dir(plugged.data().join("bundles")).unwrap();
    let folders: Vec<PathBuf> = folders.map(|folder| folder.unwrap().path()).collect();
    let [folder] = folders.as_slice() else { panic!("{folders:?}") };
    folder.clone()
}

fn verify(plugged: &Plugged) -> (Option<i32>, Value) {
    let policy = plugged.gateway.policy();
    let run = keyward(["plugin", "verify", "--json", "--policy", policy.to_str().unwrap()]);
    (run.status.code(), serde_json::from_slice(&run.stdout).unwrap())
}

#[test]
fn a_plugin_whose_unpacked_files_were_changed_is_refused_at_start_and_found_on_demand() {
    let mut plugged = open();
    let (status, found) = verify(&plugged);
    assert_eq!((status, &found[0]["ok"], &found[0]["unpacked"]), (Some(0), &json!(true), &json!(true)));
    let folder = unpacked(&plugged);
    fs::write(folder.join("sitecustomize.py"), "").unwrap();

    let (status, found) = verify(&plugged);
    let error = found[0]["error"].as_str().unwrap();
    assert!(error.contains("sitecustomize.py was added"), "{error}");
    assert_eq!((status, &found[0]["ok"]), (Some(2), &json!(false)));
    assert!(plugged.gateway.stop().success());
    let said = plugged.gateway.refuses_to_start();
    assert!(said.contains("ALERT: a plugin is not what was uploaded"), "{said}");
    assert!(said.contains("plugin instance aa") && said.contains("sitecustomize.py was added"), "{said}");

    // As it says, it is unpacked again.
    fs::remove_dir_all(folder).unwrap();
    plugged.gateway.start();
    log_in(&plugged);
}

#[test]
fn a_plugin_that_was_changed_closes_its_own_connections_and_no_others() {
    let mut plugged = open();
    let second = keyward_testsuite::BundleFolder::new("second", "aa", Plug::ANYBODY);
    plugged.upload_bundle(&second).must_succeed();
    let other = keyward_testsuite::free_addr();
    let (target, host_key) = (plugged.sshd.addr(), plugged.sshd.host_key());
    let connection = format!(
        "[[plugin]]\nname = \"second\"\nbundle = \"second\"\n[[connection]]\nname = \"second\"\nprotocol = \"ssh\"\n\
         listen = [\"{other}\"]\ntarget = {{ fixed = \"{target}\" }}\naa-plugin = \"second\"\n\
         credential-store = {{ local = \"keys\" }}\nchannel-policy = \"work\"\n\
         known-host-keys = [{{ host = \"{target}\", key = \"{host_key}\" }}]\n"
    );
    plugged.gateway.edit_policy(|text| text + &connection);
    assert!(plugged.gateway.stop().success());
    let folder = unpacked(&plugged);
    fs::write(folder.join("sitecustomize.py"), "").unwrap();

    plugged.gateway.start();
    plugged.gateway.says(&[
        "ALERT",
        "connections that use it refuse everybody",
        "sitecustomize.py was added",
    ]);
    let askpass = Askpass::new(&[]);
    SshClient::with_answers(other, &plugged.user(), &askpass).exec("true").must_succeed();
    let logins = plugged.sshd.logins();
    let shown = crate::plugin_faults::told(&plugged, "");
    assert_eq!(shown, "The gateway cannot serve this session now.");
    let session = plugged.newest_of(2);
    assert_eq!((&session["verdict"], &session["calls"]), (&json!("plugin-error"), &json!([])));
    assert_eq!(
        (session["reason"].as_str(), plugged.sshd.logins()),
        (Some("plugin instance aa is not loaded"), logins)
    );

    // It is mended while the gateway runs.
    fs::remove_dir_all(folder).unwrap();
    plugged.gateway.reread("was read again");
    log_in(&plugged);
}

#[test]
fn a_plugin_whose_stored_archive_was_changed_is_refused() {
    let mut plugged = open();
    assert!(plugged.gateway.stop().success());
    let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.execute(\"UPDATE bundles SET archive = CAST('x' AS BLOB) || archive\")";
    let database = plugged.data().join("keyward.db");
    shell("python3 -c \"$1\" \"$2\"", &[script, database.to_str().unwrap()]).must_succeed();
    let said = plugged.gateway.refuses_to_start();
    assert!(said.contains("ALERT") && said.contains("upload the bundle again"), "{said}");
    let (status, found) = verify(&plugged);
    assert_eq!((status, &found[0]["ok"]), (Some(2), &json!(false)));
}
