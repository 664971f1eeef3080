//! What a person types at a terminal that does not show it.

use std::path::{Path, PathBuf};

use keyward_testsuite::{Terminal, keyward};
use serde_json::Value;

use crate::auditors::Auditors;
use crate::site::Site;

/// A session of a person who types a command, the answers to two programs that hide what is typed, and one that is seen.
#[track_caller]
fn recorded(site: &Site) -> PathBuf {
    let ssh = site.ssh();
    let terminal = Terminal::shell(&ssh);
    // A real program's own prompt. The words are typed at once, as from a password manager.
    terminal.press(&["openssl passwd -5 -salt aa | cut -c 1-6", "Enter"]);
    terminal.shows(&["Password:"]);
    terminal.press(&["correct-horse", "Enter"]);
    terminal.shows(&["$5$aa$"]);
    // Key by key, at something that does not look like a prompt for a secret.
    terminal.press(&["read -rsp 'say it' it; echo \" len ${#it}\"", "Enter"]);
    terminal.shows(&["say it"]);
    for key in ["b", "a", "x", "BSpace", "t"] {
        terminal.press(&[key]);
        std::thread::sleep(std::time::Duration::from_millis(600));
    }
    terminal.press(&["Enter"]);
    terminal.shows(&[" len 3"]);
    terminal.press(&["read -rp 'seen: ' seen", "Enter"]);
    terminal.shows(&["> read -rp 'seen: ' seen", "\nseen:"]);
    terminal.press(&["plain-sight", "Enter"]);
    terminal.shows(&["seen: plain-sight"]);
    terminal.press(&["exit", "Enter"]);
    terminal.shows(&["status 0"]);
    site.ended(1);
    site.gateway.recordings().remove(0)
}

#[track_caller]
fn export(recording: &Path, words: &[&str]) -> String {
    keyward([&["trail", "export", recording.to_str().unwrap()], words].concat()).text()
}

fn hidden(recording: &Path, words: &[&str]) -> Vec<Value> {
    let text = export(recording, &[&["--as", "hidden-input"], words].concat());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What was typed, as an asciicast has it.
fn typed(recording: &Path, words: &[&str]) -> String {
    let cast = export(recording, &[&["--as", "asciicast", "--with-input"], words].concat());
    let events = cast.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event[1] == "i").map(|event| event[2].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn has_no_secret(typed: &str) {
    assert!(typed.contains("openssl passwd") && typed.contains("plain-sight"), "{typed:?}");
    assert!(!typed.contains("correct") && !typed.contains("ba"), "{typed:?}");
}

#[test]
fn it_is_marked_and_told_apart_from_what_is_seen() {
    let site = Site::open();
    let recording = recorded(&site);
    let inputs: Vec<String> =
        hidden(&recording, &[]).iter().map(|line| line["input"].as_str().unwrap().to_owned()).collect();
    assert_eq!(inputs, ["correct-horse", "bax\u{7f}t"]);
    has_no_secret(&typed(&recording, &[]));
    let commands = export(&recording, &["--as", "commands"]);
    assert!(commands.contains("openssl passwd") && !commands.contains("correct"), "{commands}");
}

#[test]
fn a_policy_leaves_it_out_of_the_recording() {
    let auditors = Auditors::new(0);
    let site = auditors.site("hidden-input = \"leave-out\"");
    let recording = recorded(&site);
    let lines = hidden(&recording, &[]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line["left_out"] == true && line["input"].is_null()), "{lines:?}");
    has_no_secret(&typed(&recording, &[]));
}

#[test]
fn a_policy_keeps_it_for_somebody_else() {
    let auditors = Auditors::new(2);
    let site = auditors.site("recipients = [\"@0@\"]\nhidden-input = { recipients = [\"@1@\"] }");
    let recording = recorded(&site);
    let key = |number: usize| auditors.key(number).to_str().unwrap().to_owned();
    let (auditor, officer) = (key(0), key(1));
    let sealed = hidden(&recording, &["--key", &auditor]);
    assert!(sealed.len() == 2 && sealed.iter().all(|line| line["sealed"] == true), "{sealed:?}");
    has_no_secret(&typed(&recording, &["--key", &auditor]));
    let opened = hidden(&recording, &["--key", &auditor, "--key", &officer]);
    assert_eq!(opened[0]["input"], "correct-horse", "{opened:?}");
    has_no_secret(&typed(&recording, &["--key", &auditor, "--key", &officer]));
}
