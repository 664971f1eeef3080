//! Recordings that are watched.

#![expect(clippy::disallowed_methods, reason = "players and `kill` are programs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyward_testsuite::{Input, Link, PATIENCE, Route, Terminal, keyward, run, until};

/// A recorded shell that runs this.
fn recorded(script: &str) -> (Link, PathBuf) {
    let mut link = Link::open(Route::Gateway);
    link.ssh().terminal(&format!("{script}; exit\n")).must_succeed();
    link.gateway().ended_sessions(1);
    let recording = link.gateway().recordings().remove(0);
    (link, recording)
}

/// `keyward trail play` on a person's screen, in a shell that says when it has ended.
pub(crate) fn watched(folder: &Path, recording: &Path, options: &str) -> Terminal {
    let program = std::env::var("KEYWARD_BIN").unwrap();
    let script = folder.join("watch.sh");
    let play = format!("'{program}' trail play {options} '{}'", recording.display());
    let pid = folder.join("pid");
    let play = format!("sh -c \"echo \\$\\$ > '{}'; exec {play}\"", pid.display());
    fs::write(&script, format!("echo before; {play}; stty -a | grep -o ' icanon'; echo gone; read _\n"))
        .unwrap();
    Terminal::script(&script, (100, 30))
}

#[test]
fn keys_steer_a_recording_and_the_terminal_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_link, recording) = recorded("printf 'fir%s\\n' st; sleep 2; printf 'sec%s\\n' ond");
    let terminal = watched(folder.path(), &recording, "--speed 0.01");
    terminal.shows(&["playing 0:00:0", "x0.01"]);
    terminal.press(&["Space"]);
    terminal.shows(&["paused"]);
    terminal.press(&["+"]);
    terminal.shows(&["x0.02"]);
    terminal.press(&["-"]);
    terminal.shows(&["x0.01"]);
    until("the end", PATIENCE, || {
        terminal.press(&["Right"]);
        let screen = terminal.screen();
        (screen.contains("the end") && screen.contains("first") && screen.contains("second")).then_some(())
    });
    until("a moment before", PATIENCE, || {
        terminal.press(&["Left"]);
        let screen = terminal.screen();
        (screen.contains("paused") && !screen.contains("second")).then_some(())
    });
    terminal.press(&["q"]);
    let screen = terminal.shows(&["before", "is signed by", "icanon", "gone"]);
    assert!(!screen.contains("paused"), "{screen}");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_link, recording) = recorded("printf 'fir%s\\n' st; sleep 1");
    let terminal = watched(folder.path(), &recording, "--speed 0.01");
    terminal.shows(&["playing"]);
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap().success());
    let screen = terminal.shows(&["before", "icanon", "gone"]);
    assert!(!screen.contains("playing"), "{screen}");
}

#[test]
fn what_comes_before_damage_is_shown_and_then_the_damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_link, recording) = recorded("printf 'fir%s\\n' st; sleep 2; printf 'sec%s\\n' ond");
    let mut bytes = fs::read(&recording).unwrap();
    // In what closes it.
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    let damaged = folder.path().join("damaged.trail");
    fs::write(&damaged, bytes).unwrap();
    let terminal = watched(folder.path(), &damaged, "--from 1h");
    terminal.shows(&["DAMAGED behind", "first", "second"]);
    until("a moment before", PATIENCE, || {
        terminal.press(&["Left"]);
        (!terminal.screen().contains("second")).then_some(())
    });
    terminal.press(&["q"]);
    terminal.shows(&["before", "is damaged: ", "icanon", "gone"]);
}

#[test]
fn what_no_signature_covers_is_told_beside_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (_link, recording) = recorded("printf 'fir%s\\n' st; sleep 2; printf 'sec%s\\n' ond");
    let whole = watched(folder.path(), &recording, "--from 1h");
    let shown = whole.shows(&["the end", "second"]);
    assert!(!shown.contains("UNSIGNED"), "{shown}");
    drop(whole);
    let bytes = fs::read(&recording).unwrap();
    let cut = folder.path().join("cut.trail");
    // Without the last signature.
    fs::write(&cut, &bytes[..bytes.len() - 20]).unwrap();
    let terminal = watched(folder.path(), &cut, "--from 1h");
    terminal.shows(&["the end", ", UNSIGNED x1", "second"]);
    terminal.press(&["q"]);
    terminal.shows(&["signed", "icanon", "gone"]);
}

#[test]
fn keys_that_are_pressed_while_a_moment_is_looked_for_are_done_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (_link, recording) = recorded("seq 1 1000000; printf 'las%s\\n' t");
    let terminal = watched(folder.path(), &recording, "--from 1h --read-all");
    until("it looks", PATIENCE, || folder.path().join("pid").exists().then_some(()));
    until("the screen is wiped", PATIENCE, || (!terminal.screen().contains("before")).then_some(()));
    // Key by key: the player takes some of them on its way.
    for _ in 0..3 {
        terminal.press(&["+"]);
    }
    terminal.shows(&["the end", "last", " x8 "]);
    terminal.press(&["q"]);
    terminal.shows(&["before", "gone"]);
}

#[test]
fn seconds_of_pauses_that_are_written_apart_are_refused_with_what_to_write() {
    for words in [["--skip-idle", "5", "FILE"], ["FILE", "--skip-idle", "5"]] {
        let refused = keyward([&["trail", "play"], &words[..]].concat());
        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stderr.contains("write '--skip-idle=5'"), "{}", refused.stderr);
    }
}

#[test]
fn playing_begins_at_the_moment_asked_for() {
    let (_link, recording) = recorded("printf 'fir%s\\n' st");
    let file = recording.to_str().unwrap();
    // What comes before is shown at once; without that, a hundredth of the speed takes minutes.
    let played = keyward(["trail", "play", "--speed", "0.01", "--from", "1h", file]).text();
    assert!(played.contains("first"), "{played}");
    let refused = keyward(["trail", "play", "--from", "noon", file]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("--from") && refused.stderr.contains("noon"), "{}", refused.stderr);
}

#[test]
fn a_late_moment_looks_the_same_from_a_key_frame_and_from_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do seq 1 3000; printf '\\033[3%smro%s\\033[m\\n' 1 und$n; sleep 1; done";
    let (_link, recording) = recorded(script);
    let shown = ["--from 13s", "--from 13s --read-all"].map(|options| {
        let terminal = watched(folder.path(), &recording, options);
        terminal.shows(&["2998", "2999", "round12"]);
        terminal.press(&["Space"]);
        let screen = terminal.shows(&["round12"]);
        terminal.press(&["q"]);
        let after = terminal.shows(&["is signed by", "gone"]);
        let rows = screen.lines().filter(|line| !line.contains("q: quit"));
        (rows.map(str::to_owned).collect::<Vec<_>>(), after.contains("not all of the recording was read"))
    });
    let [(quick, was_partial), (slow, was_partial_too)] = shown;
    assert_eq!(quick, slow);
    assert_eq!((was_partial, was_partial_too), (true, false));
}

#[test]
fn a_recording_sets_no_title_and_asks_the_terminal_nothing() {
    let (_link, recording) =
        recorded("printf '\\033]0;mi%s\\007\\033]52;c;bWluZQ==\\007\\033[6n\\033[32mgre%s\\033[m\\n' ne en");
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    let program = std::env::var("KEYWARD_BIN").unwrap();
    let play = format!("'{program}' trail play --skip-idle=0 '{}' < /dev/null", recording.display());
    // `script` gives it a terminal, and keeps what that gets.
    run(Command::new("script").args(["-qec", &play]).arg(&output), Input::Nothing).must_succeed();
    let played = String::from_utf8(fs::read(&output).unwrap()).unwrap();
    assert!(played.contains("\x1b[32mgreen\x1b[m"), "{played:?}");
    assert!(
        !played.contains("\x1b]") && !played.contains("\x1b[6n") && !played.contains("mine"),
        "{played:?}"
    );
}

#[test]
fn asciinema_shows_of_an_export_what_the_person_saw() {
    let folder = tempfile::tempdir().unwrap();
    let (_link, recording) = recorded("printf 'gr\\303\\274%s\\n\\033[1mbold\\033[m\\n' n");
    let cast = folder.path().join("shell.cast");
    let file = recording.to_str().unwrap();
    keyward(["trail", "export", file, "--as", "asciicast-v2", "-o", cast.to_str().unwrap()]).must_succeed();
    let shown: String = events(&fs::read_to_string(&cast).unwrap(), "o");
    assert!(shown.contains("grün\r\n\x1b[1mbold\x1b[m\r\n"), "{shown:?}");
    // It wants a terminal to be there; its output goes to a file all the same.
    let output = folder.path().join("output");
    let cat = format!("asciinema cat '{}' > '{}'", cast.display(), output.display());
    let mut asciinema = Command::new("script");
    asciinema.args(["-qec", &cat, "/dev/null"]).env("ASCIINEMA_CONFIG_HOME", folder.path());
    run(&mut asciinema, Input::Nothing).must_succeed();
    assert_eq!(fs::read_to_string(&output).unwrap(), shown);
}

#[test]
fn version_3_of_an_asciicast_has_the_same_output_and_the_exit_status() {
    let (_link, recording) = recorded("printf 'fir%s\\n' st");
    let file = recording.to_str().unwrap();
    let export = |more: &[&str]| keyward([&["trail", "export", file, "--as"], more].concat()).text();
    let (two, three) = (export(&["asciicast-v2"]), export(&["asciicast-v3"]));
    assert_eq!(events(&two, "o"), events(&three, "o"));
    // What was typed may be a password at a prompt that shows nothing.
    assert_eq!(events(&two, "i") + &events(&three, "i"), "");
    let typed = export(&["asciicast-v3", "--with-input"]);
    assert_eq!(events(&typed, "i"), events(&export(&["asciicast-v2", "--with-input"]), "i"));
    assert!(events(&typed, "i").contains("exit\n"), "{typed}");
    assert_eq!(events(&three, "x"), "0");
    assert!(three.starts_with(r#"{"version":3,"term":{"cols":"#), "{three}");
}

#[test]
fn commands_and_text_are_what_the_screen_showed() {
    let (_link, recording) = recorded("printf 'fir%s\\n' st");
    let export =
        |format: &str| keyward(["trail", "export", recording.to_str().unwrap(), "--as", format]).text();
    let text = export("text");
    assert!(text.lines().any(|line| line.starts_with("0:0") && line.ends_with(" first")), "{text}");
    let commands = export("commands");
    let told = commands.lines().any(|line| line.contains("printf 'fir%s"));
    assert!(told && !commands.contains("first"), "{commands}");
}

#[test]
fn a_channel_that_the_recording_does_not_have_is_told_with_those_that_it_has() {
    let (_link, recording) = recorded("echo one");
    let file = recording.to_str().unwrap();
    for of in [
        &["play", file, "--max-idle", "0"][..],
        &["export", file, "--as", "text"],
        &["export", file, "--as", "commands"],
        &["export", file, "--as", "asciicast-v3"],
    ] {
        let asked = |channel| keyward([&["trail"][..], of, &["--channel", channel]].concat());
        asked("0").must_succeed();
        let run = asked("7");
        assert_eq!(run.status.code(), Some(2), "{of:?}");
        assert!(run.stderr.contains("has no channel 7 (--channel): it has 0\n"), "{}", run.stderr);
    }
}

/// The texts of an asciicast's events of one kind.
fn events(cast: &str, wanted: &str) -> String {
    let events =
        cast.lines().skip(1).map(|line| serde_json::from_str::<(f64, String, String)>(line).unwrap());
    events.filter(|(_, code, _)| code == wanted).map(|(.., text)| text).collect()
}
