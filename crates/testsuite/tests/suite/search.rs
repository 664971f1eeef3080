//! Recordings are searched: what was typed, shown and done to files, and what is known of sessions.

use std::fs;
use std::path::Path;

use keyward_testsuite::{Input, PATIENCE, Plug, PluggedPlan, Program, Run, Terminal, keyward, shell, until};
use serde_json::Value;

use crate::auditors::Auditors;
use crate::plugin_faults::told;
use crate::retention;
use crate::site::Site;

/// A session of a person who types two commands, one of which asks for a password.
fn typed(site: &Site) {
    let ssh = site.ssh();
    let terminal = Terminal::shell(&ssh);
    terminal.press(&["openssl passwd -5 -salt aa | cut -c 1-6", "Enter"]);
    terminal.shows(&["Password:"]);
    terminal.press(&["correct-horse", "Enter"]);
    terminal.shows(&["$5$aa$"]);
    // What is shown was never typed like this.
    terminal.press(&["echo ZOLTAR-$((40+2))/spoken", "Enter"]);
    terminal.shows(&["ZOLTAR-42/spoken"]);
    terminal.press(&["exit", "Enter"]);
    terminal.shows(&["status 0"]);
}

fn closed(site: &Site, count: usize) {
    for session in site.gateway.ended_sessions(count) {
        let id = session["id"].as_str().unwrap();
        until("the recording is closed", PATIENCE, || {
            site.gateway.session(id)["trail_closed"].is_object().then_some(())
        });
    }
}

fn index(site: &Site, words: &[&str]) -> Run {
    site.command(&[&["session", "index"], words].concat())
}

#[track_caller]
fn search(site: &Site, words: &[&str]) -> Vec<Value> {
    let found = site.command(&[&["session", "search", "--json"], words].concat());
    found.must_succeed();
    serde_json::from_str(&found.text()).unwrap()
}

fn texts(hits: &[Value]) -> Vec<(&str, &str)> {
    hits.iter().map(|hit| (hit["kind"].as_str().unwrap(), hit["text"].as_str().unwrap())).collect()
}

#[test]
fn what_was_typed_shown_and_moved_is_found_and_played_from_there() {
    let site = Site::open();
    typed(&site);
    let (local, remote) = (site.sshd.folder().join("payroll-2026.csv"), site.sshd.folder().join("taken.csv"));
    fs::write(&local, "a,b\n").unwrap();
    let ssh = site.ssh();
    let program = ssh.program();
    let script = r#"printf 'put %s %s\n' "$3" "$4" | sftp -q -S "$1" -b - "$2""#;
    let words =
        [program.to_str().unwrap(), &ssh.destination(), local.to_str().unwrap(), remote.to_str().unwrap()];
    shell(script, &words).must_succeed();
    closed(&site, 2);
    let without = site.command(&["session", "search", "zoltar"]);
    assert!(without.text().contains("Nothing found"), "{without:?}");
    assert!(
        without.stderr.contains("not in the index: 2 recordings (`keyward session index`"),
        "{without:?}"
    );
    let indexed = index(&site, &[]);
    indexed.must_succeed();
    assert!(indexed.text().contains("Put into the index: 2 recordings, 0 in part."), "{indexed:?}");

    assert_eq!(
        texts(&search(&site, &["openssl passwd", "--kind", "command"])),
        [("command", "openssl passwd -5 -salt aa | cut -c 1-6")]
    );
    // By its parts, in the other case, and as a beginning.
    for query in ["zoltar-42/spoken", "ZOLTAR 42", "\"zoltar 42 spoken\"", "zolt* 42"] {
        let hits = search(&site, &[query]);
        assert_eq!(texts(&hits), [("screen", "ZOLTAR-42/spoken")], "{query}");
        let session = site.gateway.session(hits[0]["session"].as_str().unwrap());
        assert_eq!(hits[0]["gateway_user"], session["gateway_user"]);
        assert!(hits[0]["time"].as_str() >= session["started"].as_str(), "{hits:?}");
        assert!(hits[0]["time"].as_str() <= session["ended"].as_str(), "{hits:?}");
    }
    let files = search(&site, &["payroll* OR taken.csv", "--kind", "file"]);
    assert_eq!(files, [] as [Value; 0], "OR is a word as others are");
    let files = search(&site, &["taken.csv", "--kind", "file"]);
    assert!(texts(&files).iter().any(|(_, text)| text.contains("taken.csv")), "{files:?}");
    // What a prompt hid.
    for query in ["correct", "correct-horse", "horse"] {
        assert_eq!(search(&site, &[query]), [] as [Value; 0], "{query}");
    }

    // The command that is printed shows it, and begins there.
    let printed = site.command(&["session", "search", "zoltar-42"]).text();
    let play = printed.lines().find(|line| line.contains("keyward trail play")).unwrap();
    let words: Vec<&str> = play.split_whitespace().skip(2).collect();
    let [_, file, "--from", moment] = words[..] else { panic!("{play}") };
    let played = keyward(["trail", "play", "--max-idle", "0", "--from", moment, file]);
    assert!(played.text().contains("ZOLTAR-42/spoken"), "{played:?}");
    let seconds = search(&site, &["zoltar-42"])[0]["seconds"].as_f64().unwrap();
    let cast = site.gateway.asciicast(Path::new(file));
    let shown = cast[1..].iter().find(|event| event[2].as_str().unwrap().contains("ZOLTAR-42")).unwrap();
    let late = shown[0].as_f64().unwrap() - seconds;
    assert!((-0.001..5.0).contains(&late), "told {late} s before it was there");
}

#[test]
fn sessions_are_found_by_who_they_were_where_they_went_and_when() {
    let site = Site::open();
    for text in ["first", "second"] {
        site.ssh().exec(&format!("echo common {text}")).must_succeed();
    }
    closed(&site, 2);
    index(&site, &[]).must_succeed();
    let session = site.gateway.sessions().remove(0);
    let user = session["gateway_user"].as_str().unwrap();
    let address = session["target"]["address"].as_str().unwrap();
    let host = address.rsplit_once(':').unwrap().0;
    let screen = |words: &[&str]| {
        let hits = search(&site, &[&["common", "--kind", "screen"], words].concat());
        hits.iter().map(|hit| hit["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(", ")
    };
    let both = "common second, common first";
    assert_eq!(screen(&[]), both);
    assert_eq!(screen(&["--user", &user.to_uppercase(), "--target", host, "--from", "1h"]), both);
    assert_eq!(screen(&["--user", session["remote_user"].as_str().unwrap()]), both);
    assert_eq!(screen(&["--limit", "1"]), "common second");
    let none: [&[&str]; 5] = [
        &["--user", "nobody-else"],
        &["--target", "192.0.2.7"],
        &["--to", "1h"],
        &["--to", "2020-01-01"],
        &["--from", "2020-01-01", "--to", "2021-01-01T10:00:00Z"],
    ];
    for words in none {
        assert_eq!(screen(words), "", "{words:?}");
    }
    assert_eq!(screen(&["--from", "2020-01-01"]), both);
    let about = search(&site, &[&format!("{user} {host}"), "--kind", "session"]);
    assert_eq!(about.len(), 2, "{about:?}");
    let limited = site.command(&["session", "search", "common", "--limit", "1"]);
    assert!(limited.stderr.contains("--limit"), "{limited:?}");
    let nothing = site.command(&["session", "search", "nowhere"]);
    assert_eq!(nothing.text(), "Nothing found.\n");
    for (query, why) in [("\"open", "quotation mark"), ("|| --", "no letter"), ("*.log", "star")] {
        let refused = site.refused_command(&["session", "search", query]);
        assert!(refused.contains(why), "{refused}");
    }
    let refused = site.refused_command(&["session", "search", "x", "--from", "noon"]);
    assert!(refused.contains("--from") && refused.contains("2026-01-31"), "{refused}");
}

#[test]
fn an_encrypted_recording_is_found_once_its_auditor_has_indexed_it() {
    let auditors = Auditors::new(1);
    let site = auditors.site("recipients = [\"@0@\"]");
    site.ssh().exec_with("cat", Input::Bytes(b"chandelier\n".to_vec())).must_succeed();
    closed(&site, 1);
    let locked = index(&site, &[]);
    assert_eq!(locked.status.code(), Some(1), "{locked:?}");
    let told = String::from_utf8_lossy(&locked.stdout);
    assert!(locked.stderr.contains("it takes the private key of") && told.contains("--key"), "{locked:?}");
    let none = site.command(&["session", "search", "chandelier"]);
    assert!(none.stderr.contains("not in the index: 1 recording ("), "{none:?}");

    index(&site, &["--key", auditors.key(0).to_str().unwrap()]).must_succeed();
    let hits = search(&site, &["chandelier", "--kind", "screen"]);
    assert_eq!(texts(&hits), [("screen", "chandelier")]);
    let again = index(&site, &[]);
    again.must_succeed();
    assert!(again.text().starts_with("Put into the index: 0 recordings"), "{again:?}");
    assert!(has_nothing_of("chandelier", &site.gateway.data()), "the index is in the clear");
}

#[test]
fn a_session_is_found_while_it_is_recorded_and_without_a_key() {
    let auditors = Auditors::new(1);
    let site = auditors.site("recipients = [\"@0@\"]\nindex = \"as-recorded\"");
    let ssh = site.ssh();
    let mut session =
        Program::start(&mut ssh.command(&[], &["echo chandelier >&2; read -r _; echo candlestick >&2"]));
    session.find_line("chandelier", PATIENCE, |line| (line == "chandelier").then_some(())).unwrap();
    let found = |text: &str| {
        until("it is found", PATIENCE, || {
            let hits = search(&site, &[text, "--kind", "screen"]);
            (hits.len() == 1).then(|| hits[0].clone())
        })
    };
    let open = found("chandelier");
    assert_eq!(site.gateway.session(open["session"].as_str().unwrap())["ended"], Value::Null);
    session.tell("go on");
    session.tell_no_more();
    typed(&site);
    closed(&site, 2);
    assert_eq!(found("candlestick")["session"], open["session"]);
    assert_eq!(found("zoltar-42")["text"], "ZOLTAR-42/spoken");
    assert_eq!(texts(&search(&site, &["openssl passwd", "--kind", "command"])).len(), 1);
    assert_eq!(search(&site, &["horse"]), [] as [Value; 0]);
    let counted = site.command(&["session", "search", "candlestick"]);
    assert_eq!(counted.stderr, "", "both are counted");
    let again = index(&site, &[]);
    assert!(again.text().starts_with("Put into the index: 0 recordings"), "{again:?}");
    assert!(has_nothing_of("candlestick", &site.gateway.data()), "the index is in the clear");
}

#[test]
fn what_a_gateway_that_stops_has_recorded_is_in_the_index() {
    let auditors = Auditors::new(1);
    let mut site = auditors.site("recipients = [\"@0@\"]\nindex = \"as-recorded\"");
    site.ssh().exec("echo chandelier").must_succeed();
    closed(&site, 1);
    assert!(site.gateway.stop().success());
    assert_eq!(texts(&search(&site, &["chandelier", "--kind", "screen"])), [("screen", "chandelier")]);
}

#[test]
fn a_policy_keeps_recordings_out_of_the_index() {
    let auditors = Auditors::new(0);
    let site = auditors.site("index = \"never\"");
    site.ssh().exec("echo chandelier").must_succeed();
    closed(&site, 1);
    let indexed = index(&site, &[]);
    assert!(
        indexed.text().contains("Left out, as the audit policy of their connection says: 1 recording."),
        "{indexed:?}"
    );
    let found = site.command(&["session", "search", "chandelier", "--kind", "screen"]);
    assert_eq!((found.text().as_str(), found.stderr.as_str()), ("Nothing found.\n", ""));
}

/// Whether no file below has the text.
fn has_nothing_of(text: &str, folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().all(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return has_nothing_of(text, &path);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        !bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
    })
}

#[test]
fn a_recording_that_was_changed_is_not_searched() {
    let site = Site::open();
    for text in ["genuine", "doctored"] {
        site.ssh().exec(&format!("echo {text}")).must_succeed();
    }
    closed(&site, 2);
    let newest = site.gateway.session(site.gateway.sessions()[0]["id"].as_str().unwrap());
    let file = site.gateway.data().join("trails").join(newest["trail"].as_str().unwrap());
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let indexed = index(&site, &[]);
    assert_eq!(indexed.status.code(), Some(3), "{indexed:?}");
    assert!(indexed.stderr.contains("is not in the index"), "{indexed:?}");
    assert_eq!(search(&site, &["doctored"]), [] as [Value; 0]);
    assert_eq!(search(&site, &["genuine", "--kind", "screen"]).len(), 1);
}

#[test]
fn a_recording_that_was_deleted_is_not_found_any_more() {
    let site = retention::site();
    let (old, new) = (site.record_of_old(200), site.record_of_old(1));
    index(&site, &[]).must_succeed();
    let sessions = || {
        let hits = search(&site, &["shown", "--kind", "screen"]);
        hits.iter().map(|hit| hit["session"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(sessions(), [new.session.clone(), old.session.clone()]);
    let delete = ["session", "delete-recording", &old.session, "--reason", "asked for"];
    let deleted = site.command(&delete);
    deleted.must_succeed();
    assert_eq!(deleted.stderr, "");
    assert_eq!(sessions(), [new.session]);
    let known = search(&site, &["session", "--kind", "session"]);
    assert!(known.iter().any(|hit| hit["session"] == *old.session && hit["play"].is_null()), "{known:?}");
    // It has left the index by then.
    let again = index(&site, &[]);
    assert!(!again.text().contains("Left the index"), "{again:?}");
}

#[test]
fn a_refused_session_is_found_by_what_a_plugin_said_of_it() {
    let plugged = PluggedPlan::new([Plug::aa(DENIES)]).open();
    told(&plugged, "otp=1@");
    let policy = plugged.gateway.policy();
    let found = |query: &str| {
        let words = ["session", "search", query, "--json", "--policy", policy.to_str().unwrap()];
        serde_json::from_str::<Vec<Value>>(&keyward(words).text()).unwrap()
    };
    let hits = found("ticket 4711");
    assert_eq!(texts(&hits).len(), 1, "{hits:?}");
    assert!(
        hits[0]["kind"] == "session" && hits[0]["text"].as_str().unwrap().contains("TICKET 4711"),
        "{hits:?}"
    );
    assert_eq!(hits[0]["session"], plugged.session()["id"]);
    assert_eq!(found("ticket 4712"), [] as [Value; 0]);
}

const DENIES: &str = r#"
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        return AAResponse.accept()

    def do_authorize(self):
        return AAResponse.deny("TICKET 4711 is closed", "Your ticket is closed.")
"#;
