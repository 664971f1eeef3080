//! Recordings as animated pictures.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use keyward_testsuite::{Input, Link, PATIENCE, Picture, Route, Terminal, keyward, run, until};

const SIZE: (u16, u16) = (80, 24);
const LARGER: (u16, u16) = (97, 31);

/// A program on a person's terminal, and what stood there each time that `see` looked, with the recording of it.
fn watched(program: &str, see: impl Fn(&Terminal) -> Vec<String>) -> (Link, PathBuf, Vec<String>) {
    let mut link = Link::open(Route::Gateway);
    let folder = link.sshd.folder().to_owned();
    let text: String = (1..=200).map(|n| format!("line {n} of a text <&> that is long\n")).collect();
    fs::write(folder.join("text"), text).unwrap();
    let ssh = link.ssh();
    let terminal = Terminal::remote(&ssh, &format!("cd '{}'; {program}", folder.display()), SIZE);
    let seen = see(&terminal);
    link.gateway().ended_sessions(1);
    let recording = link.gateway().recordings().remove(0);
    (link, recording, seen)
}

/// The screen when it has all of `texts`, and rests: what is gone within 40 ms is in no picture.
#[track_caller]
fn look(terminal: &Terminal, texts: &[&str]) -> String {
    let mut before = terminal.shows(texts);
    until("the screen rests", PATIENCE, || {
        thread::sleep(Duration::from_millis(150));
        let screen = terminal.shows(texts);
        let rests = screen == before;
        before.clone_from(&screen);
        rests.then_some(screen)
    })
}

/// A script on a terminal that nobody looks at.
fn recorded(script: &str) -> (Link, PathBuf) {
    let mut link = Link::open(Route::Gateway);
    run(&mut link.ssh().command(&["-tt"], &[script]), Input::Nothing).must_succeed();
    link.gateway().ended_sessions(1);
    let recording = link.gateway().recordings().remove(0);
    (link, recording)
}

/// Each of `seen` is a screen of the picture, one after the other.
#[track_caller]
fn shows(picture: &Picture, seen: &[String]) {
    let frames = picture.frames();
    let mut rest = frames.iter();
    for screen in seen {
        let is_there = rest.any(|(_, frame)| frame == screen);
        let all: Vec<String> = frames.iter().map(|(at, frame)| format!("{at}:\n{frame}")).collect();
        assert!(is_there, "not in the picture:\n{screen}\nbut:\n{}", all.join("\n"));
    }
}

#[test]
fn a_picture_shows_the_screens_of_vim_as_the_person_saw_them() {
    let (_link, recording, seen) =
        watched("vim -u NONE -i NONE -N --cmd 'set encoding=utf-8' text", |terminal| {
            terminal.shows(&["line 1 ", "line 23 "]);
            terminal.press(&[
                ":set number ruler",
                "Enter",
                "Go漢字 grün",
                "Escape",
                ":echo 'dra'..'wn'",
                "Enter",
            ]);
            let small = look(terminal, &["201 漢字 grün", "\ndrawn"]);
            terminal.resize(LARGER);
            terminal.press(&["gg"]);
            // What it wipes after it was told the size comes before its answer.
            let large = look(terminal, &["  1 line 1 ", " 30 line 30 ", "1,1 "]);
            terminal.press(&[":q!", "Enter"]);
            vec![small, large]
        });
    shows(&Picture::of(&recording, &[]), &seen);
}

#[test]
fn a_picture_shows_the_screens_of_less_as_the_person_saw_them() {
    let (_link, recording, seen) = watched("less -N text", |terminal| {
        let first = look(terminal, &["line 1 ", "line 23 of a text <&> that is long\ntext"]);
        terminal.press(&["Space"]);
        let second = look(terminal, &["line 46 of a text <&> that is long\n:"]);
        terminal.press(&["g"]);
        look(terminal, &["line 1 ", "line 23 of a text <&> that is long\n:"]);
        terminal.press(&["q"]);
        vec![first, second]
    });
    let first = seen[0].clone();
    let seen = [seen, vec![first.replace("\ntext\n", "\n:\n")]].concat();
    shows(&Picture::of(&recording, &["--skip-idle"]), &seen);
}

#[test]
fn a_picture_shows_the_numbers_of_top_as_they_were() {
    let (_link, recording, seen) = watched("top -d 100", |terminal| {
        let screen = look(terminal, &["PID", "COMMAND", "Tasks:"]);
        terminal.press(&["q"]);
        vec![screen]
    });
    shows(&Picture::of(&recording, &[]), &seen);
}

#[test]
fn chromium_shows_colours_wide_characters_and_letters_when_they_were_there() {
    let script = "printf '\\033[2J\\033[H\\033[?25l\\033[41m  \\033[m\\033[48;2;1;2;250m漢\\033[m\\033[42m \\033[m'; sleep 2; \
                  printf '\\033[H\\033[7m \\033[m\\033[6;1H\\342\\226\\210\\342\\226\\210'; sleep 1";
    let (_link, recording) = recorded(script);
    let picture = Picture::of(&recording, &[]);
    // In the cells, at their corners; the screen begins at (8, 34).
    let cell = |column: u32, row: u32| (8 + 9 * column, 34 + 18 * row + 1);
    let middle = |column: u32, row: u32| (8 + 9 * column + 4, 34 + 18 * row + 9);
    let points = [
        cell(0, 0),
        cell(1, 0),
        cell(2, 0),
        cell(4, 0),
        cell(5, 0),
        middle(0, 5),
        middle(1, 5),
        middle(2, 5),
    ];
    let (black, white) = ([0x12, 0x14, 0x16], [0xd0, 0xd0, 0xd0]);
    let (red, blue, green) = ([0xcd, 0x31, 0x31], [1, 2, 250], [0x0d, 0xbc, 0x79]);
    assert_eq!(picture.pixels(1.0, &points), [red, red, blue, green, black, black, black, black]);
    assert_eq!(picture.pixels(2.5, &points), [white, red, blue, green, black, white, white, black]);
}

#[test]
fn a_part_of_a_session_is_a_picture_and_only_pictures_have_parts() {
    let (_link, recording) = recorded("printf 'fir%s\\n' st; sleep 2; printf 'sec%s\\n' ond");
    let file = recording.to_str().unwrap();
    let whole = Picture::of(&recording, &[]).frames();
    assert!(whole.iter().any(|(_, frame)| frame.starts_with("first\nsecond\n")), "{whole:?}");
    let end = whole.last().unwrap().0;
    assert!(end > 1.5, "{whole:?}");
    let short = Picture::of(&recording, &["--skip-idle=0.5"]).frames();
    assert!(short.last().unwrap().0 < 1.5, "{short:?}");
    let late = Picture::of(&recording, &["--from", "1h"]).frames();
    assert!(late.iter().all(|(_, frame)| frame.starts_with("first\nsecond\n")), "{late:?}");
    for (words, complaint) in [
        (&["--as", "text", "--from", "1"][..], "--as svg"),
        (&["--as", "svg", "--from", "5", "--to", "5"], "--to"),
        (&["--as", "svg", "--channel", "7"], "it has 0"),
    ] {
        let run = keyward([&["trail", "export", file], words].concat());
        assert!(!run.status.success() && run.stderr.contains(complaint), "{words:?}: {}", run.stderr);
    }
}
