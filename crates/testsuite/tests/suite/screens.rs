//! Interactive programs on a real terminal: the same on the screen directly and through the gateway.

use std::fs;
use std::thread;
use std::time::Duration;

use keyward_testsuite::{Link, PATIENCE, Route, SshClient, Terminal, until};

const BEFORE: (u16, u16) = (80, 24);
const AFTER: (u16, u16) = (103, 37);

#[test]
fn vim_looks_the_same() {
    let file = are_the_same(|link, ssh| {
        let terminal = open(link, ssh, "vim -u NONE -i NONE -N text", BEFORE);
        terminal.shows(&["line 1 ", "text"]);
        terminal.press(&[":set number ruler incsearch", "Enter", "5Goinserted", "Escape", "yy3p"]);
        terminal.shows(&["9 inserted"]);
        terminal.press(&[":vsplit", "Enter", "G"]);
        terminal.shows(&["line 400 "]);
        // What it says now comes behind all that it has drawn.
        terminal.press(&[":echo 'dra'..'wn'", "Enter"]);
        let small = terminal.shows(&["\ndrawn"]);
        terminal.resize(AFTER);
        // What it says before it has drawn itself anew, it wipes away.
        until("vim says its size", PATIENCE, || {
            terminal.press(&[":echo &columns 'by' &lines", "Enter"]);
            thread::sleep(Duration::from_millis(500));
            terminal.screen().contains("103 by 37").then_some(())
        });
        let large = terminal.shows(&["103 by 37"]);
        terminal.press(&[":wqa", "Enter"]);
        terminal.shows(&["status 0"]);
        [small, large, fs::read_to_string(folder(link).join("text")).unwrap()]
    });
    assert!(file[2].contains("line 5 of a text that is long\ninserted\ninserted\n"), "{}", file[2]);
}

#[test]
fn less_looks_the_same() {
    are_the_same(|link, ssh| {
        let terminal = open(link, ssh, "less -N text", BEFORE);
        terminal.shows(&["line 1 ", "line 23 "]);
        terminal.press(&["Space"]);
        terminal.shows(&["line 46 "]);
        terminal.press(&["/line 3.3", "Enter"]);
        // Its prompt is drawn last.
        let found = terminal.shows(&["line 303 ", "line 325 of a text that is long\n:"]);
        terminal.resize(AFTER);
        let larger = terminal.shows(&["line 303 ", "line 338 of a text that is long\n:"]);
        terminal.press(&["q"]);
        terminal.shows(&["status 0"]);
        [found, larger]
    });
}

/// Its numbers differ each time, but not the words around them.
#[test]
fn top_looks_the_same() {
    let screens = are_the_same(|link, ssh| {
        let terminal = open(link, ssh, "top -d 0.3", BEFORE);
        let small = labels(&terminal.shows(&["PID", "COMMAND"]));
        terminal.resize(AFTER);
        terminal.press(&["e", "c"]);
        let large = labels(&terminal.shows(&["PID", "COMMAND"]));
        // While it starts anew on another size, it forgets what is pressed.
        until("top ends", PATIENCE, || {
            terminal.press(&["q"]);
            terminal.screen().contains("status 0").then_some(())
        });
        [small, large]
    });
    assert!(screens[0].contains("Tasks:"), "{}", screens[0]);
}

#[test]
fn top_without_a_screen_prints_the_same() {
    are_the_same(|_, ssh| {
        let printed = ssh.exec("TERM=xterm COLUMNS=100 top -b -n 3 -d 0.1 -p 1").text();
        [labels(&printed)]
    });
}

/// The words that are neither numbers nor names of processes, a line for each of the first lines.
fn labels(screen: &str) -> String {
    let is_label =
        |word: &&str| word.chars().all(|c| c.is_alphabetic() || "%():+".contains(c)) && word.len() > 2;
    let rows = screen.lines().take(7).map(|row| {
        let skipped = ["days", "day", "min", "users", "user", "top"];
        row.split(|c: char| " ,.".contains(c) || c.is_ascii_digit())
            .filter(is_label)
            .filter(|word| !skipped.contains(word))
            .collect::<Vec<_>>()
            .join(" ")
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// What `see` saw on both routes.
#[track_caller]
fn are_the_same<const N: usize>(see: impl Fn(&Link, &SshClient) -> [String; N]) -> [String; N] {
    let [direct, through] = Route::BOTH.map(|route| {
        let link = Link::open(route);
        fs::create_dir(folder(&link)).unwrap();
        let text: String = (1..=400).map(|n| format!("line {n} of a text that is long\n")).collect();
        fs::write(folder(&link).join("text"), text).unwrap();
        see(&link, &link.ssh())
    });
    for (direct, through) in direct.iter().zip(&through) {
        assert!(direct == through, "directly:\n{direct}\nthrough the gateway:\n{through}");
    }
    through
}

/// Runs a program on a terminal, and shows its status at its end until the screen is closed.
#[track_caller]
fn open(link: &Link, ssh: &SshClient, program: &str, size: (u16, u16)) -> Terminal {
    let folder = folder(link);
    let remote = format!("cd '{}'; {program}; echo status $?; read line", folder.display());
    Terminal::run(&ssh.command(&["-tt"], &[&remote]), size)
}

fn folder(link: &Link) -> std::path::PathBuf {
    link.sshd.folder().join("work")
}
