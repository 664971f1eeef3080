//! Sessions that are watched while they are open.

use std::time::{Duration, Instant};

use keyward_testsuite::{PATIENCE, Program, keyward_to_log, until};

use crate::auditors::Auditors;
use crate::replay::watched;
use crate::site::Site;

#[test]
fn an_open_session_is_followed_with_the_auditors_key_less_than_a_second_behind() {
    let auditors = Auditors::new(2);
    let site = auditors.site("recipients = [\"@0@\"]\ntyped = { recipients = [\"@1@\"] }");
    let ssh = site.ssh();
    let mut session = Program::start(&mut ssh.command(&[], &["cat"]));
    session.tell("before");
    let recording = until("a recording begins", PATIENCE, || site.gateway.recordings().pop());
    let (key, recording) = (auditors.key(0), recording.to_str().unwrap().to_owned());
    let words = ["trail", "play", "--follow", "--key", key.to_str().unwrap(), &recording];
    let watching = Program::start(&mut keyward_to_log(site.sshd.folder(), &words));
    let sees = |word: &str| {
        let told = Instant::now();
        let look = |line: &str| line.contains(word).then(|| told.elapsed());
        watching.find_line(word, PATIENCE, look).unwrap()
    };
    sees("before");

    // A busy machine may be late once or twice.
    let words = ["one", "two", "three", "four", "five"];
    let times: Vec<Duration> = words
        .iter()
        .map(|word| {
            session.tell(word);
            sees(word)
        })
        .collect();
    assert!(times.iter().min().unwrap() < &Duration::from_secs(1), "{times:?}");

    assert!(!watching.has_ended());
    session.tell_no_more();
    assert!(watching.ended(PATIENCE).success());
    let log = watching.log().join("\n");
    assert!(log.contains("is signed by") && !log.contains("has no end"), "{log}");
}

#[test]
fn who_follows_is_told_when_the_gateway_has_died() {
    let mut site = Site::open();
    let ssh = site.ssh();
    let mut session = Program::start(&mut ssh.command(&["-tt"], &["cat"]));
    session.tell("first");
    let recording = until("a recording begins", PATIENCE, || site.gateway.recordings().pop());
    let words = ["trail", "play", "--follow", recording.to_str().unwrap()];
    let watching = Program::start(&mut keyward_to_log(site.sshd.folder(), &words));
    watching.find_line("first", PATIENCE, |line| line.contains("first").then_some(())).unwrap();
    let terminal = watched(site.sshd.folder(), &recording, "--follow");
    terminal.shows(&["live", "first"]);
    site.gateway.kill();
    assert!(watching.ended(PATIENCE).success());
    let log = watching.log().join("\n");
    assert!(log.contains("has no end that is signed"), "{log}");
    terminal.shows(&["the end", "first"]);
    terminal.press(&["q"]);
    terminal.shows(&["has no end that is signed", "icanon", "gone"]);
}

#[test]
fn at_a_terminal_a_session_is_followed_and_gone_back_in() {
    let site = Site::open();
    let ssh = site.ssh();
    let mut session = Program::start(&mut ssh.command(&["-tt"], &["cat"]));
    session.tell("first");
    let recording = until("a recording begins", PATIENCE, || site.gateway.recordings().pop());
    let terminal = watched(site.sshd.folder(), &recording, "--follow");
    terminal.shows(&["live", "first"]);
    session.tell("second");
    terminal.shows(&["live", "second"]);
    terminal.press(&["Left"]);
    until("a moment before", PATIENCE, || (!terminal.screen().contains("second")).then_some(()));
    session.tell("third");
    terminal.press(&["End"]);
    terminal.shows(&["live", "third"]);
    terminal.press(&["Space"]);
    terminal.shows(&["paused"]);
    terminal.press(&["Space"]);
    terminal.shows(&["live"]);
    session.tell("\u{4}");
    session.tell_no_more();
    let screen = terminal.shows(&["the end", "third"]);
    assert!(!screen.contains("live"), "{screen}");
    terminal.press(&["q"]);
    terminal.shows(&["is signed by", "icanon", "gone"]);
}
