//! With a terminal: what somebody does who knows how lines are judged.

use std::time::{Duration, Instant};

use keyward_content::{CannotJudge, Finding, Judge, Output};

use crate::parsed;
use crate::played::{Played, is_command};

#[test]
fn keys_that_end_a_line_in_some_programs_only_are_no_way_around() {
    for key in ["\x04", "\x1b\r", "\x1b\n", "\x1bOM", "\x1b[\r", "\x16\n", "\x18\r", "\x1b[13;2u"] {
        let mut played = Played::new();
        played.shows("$ \x1b[?2004h");
        played.echoes("reb");
        assert_eq!(played.types(key), [], "{key:?}");
        played.wait(600);
        assert_eq!(played.released(), []);
        played.echoes("oot");
        played.wait(600);
        is_command(&played.types("\r"), Some("reboot"));
        // Where the screen shows nothing of it, too.
        let mut played = Played::new();
        played.shows("$ ");
        assert_eq!(played.types(&format!("rm -r{key}f /")), []);
        played.wait(600);
        let mut found = played.released();
        played.wait(600);
        found.extend(played.types("\r"));
        played.wait(20_000);
        let late = played.judge.released(played.now);
        let is_ended = late == Err(CannotJudge::TypedAhead);
        found.extend(late.unwrap_or_default().findings);
        assert!(is_ended || found.iter().any(Finding::terminates), "{key:?}");
        assert!(!played.reached().ends_with("f /\r"), "{key:?}");
    }
}

#[test]
fn a_line_that_was_put_aside_is_judged_when_it_is_back() {
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    played.echoes("reb");
    assert_eq!(played.types("\x1bq"), []);
    played.shows("\r\x1b[K$ \x08\x08$ ");
    played.echoes("ls");
    played.wait(500);
    assert_eq!(played.types("\r"), []);
    // All at once, before the shell has read any of it.
    assert_eq!(played.types("oot\r"), []);
    played.shows("\r\n\x1b[?2004l");
    played.wait(1000);
    assert_eq!(played.released(), []);
    assert!(!played.reached().ends_with("oot\r"));
    played.shows("a\r\n\x1b[?2004h$ reboot");
    played.wait(500);
    is_command(&played.released(), Some("reboot"));
}

#[test]
fn every_line_of_what_is_edited_is_judged() {
    // From the history, with the cursor in the last line.
    let mut played = Played::new();
    played.shows("a\r\n$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[A"), []);
    played.shows("reboot\r\n:");
    played.wait(500);
    is_command(&played.types("\r"), Some("reboot"));
    // The cursor in the first line.
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[A"), []);
    played.shows(":\r\nreboot\x1b[A\r");
    played.wait(500);
    is_command(&played.types("\r"), Some("reboot"));
    // Of a shell that says nothing of pastes; the first line has left the screen.
    let mut played = Played::of((20, 4));
    played.shows("$ ");
    assert_eq!(played.types("\x1b[A"), []);
    played.shows("reboot\r\n:\r\n:\r\n:\r\n:");
    played.wait(500);
    let ended = played.judge.typed(b"\r", played.now);
    assert!(ended == Err(CannotJudge::TallLine) || ended.is_ok_and(|passed| passed.findings.len() == 1));
    // Joined by a backslash.
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[A"), []);
    played.shows("rm -r\\\r\nf /\r\n:");
    played.wait(500);
    is_command(&played.types("\r"), Some("rm -rf /"));
}

#[test]
fn a_pasted_line_is_judged_with_those_after_it() {
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[200~echo\r"), []);
    assert_eq!(played.types("reboot\recho\x1b[201~\r"), []);
    played.wait(600);
    is_command(&played.released(), None);
    assert!(played.reached().ends_with("reboot"));
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[200~one\rtwo\x1b[201~"), [], "no line of it waits");
    assert_eq!(played.judge.due(), None);
    assert_eq!(played.types("\r"), []);
    played.shows("one\r\ntwo");
    played.wait(500);
    assert_eq!(played.released(), []);
    assert_eq!(played.reached(), "\x1b[200~one\rtwo\x1b[201~\r");
}

#[test]
fn what_the_program_does_not_show_whole_is_not_passed() {
    // readline shows as much as there is room for.
    let mut played = Played::of((10, 2));
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[A"), []);
    played.shows("aaaaaaaaaaaaaaaa");
    played.wait(500);
    assert_eq!(played.judge.typed(b"\r", played.now), Err(CannotJudge::TallLine));
    // Where it cannot move the cursor up, a part of the line.
    for shown in ["\r<aaaa", "aaaaaaa>"] {
        let mut played = Played::of((10, 4));
        played.shows("$ ");
        assert_eq!(played.types("\x1b[A"), []);
        played.shows(shown);
        played.wait(500);
        assert_eq!(played.judge.typed(b"\r", played.now), Err(CannotJudge::WideLine), "{shown:?}");
    }
}

#[test]
fn a_pager_is_no_line() {
    let mut played = Played::of((40, 4));
    played.shows(":");
    assert_eq!(played.types("\x1b[6~"), []);
    played.shows("\r\x1b[Kone\r\nhow to reboot\r\ntwo\r\nthree\r\n:");
    played.wait(500);
    assert_eq!(played.types("\r"), []);
    assert_eq!(played.judge.due(), None);
}

#[test]
fn what_was_shown_before_a_line_is_none_of_it() {
    let mut played = Played::of((40, 6));
    played.shows("reboot\r\n$ \x1b[?2004h");
    for command in ["ls", "pwd", "id"] {
        assert_eq!(played.types("\x1b[A"), []);
        // Over two rows, and up again as terminals such as screen do it.
        played.shows(&format!("{command}\r\n:\x1b[L\x1bM\r"));
        played.wait(500);
        assert_eq!(played.types("\r"), []);
        played.shows("\r\n\x1b[?2004lreboot\r\n\x1b[?2004h$ ");
        played.wait(500);
    }
    assert_eq!(played.judge.due(), None);
}

#[test]
fn a_window_that_changes_while_a_key_is_held_makes_it_wait_again() {
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[A\r"), []);
    played.shows("ls");
    played.wait(200);
    played.judge.resized((20, 5), played.now).unwrap();
    played.wait(30);
    assert_eq!(played.released(), []);
    assert_eq!(played.reached(), "\x1b[A");
    played.shows("\r\x1b[K$ reboot");
    played.wait(500);
    is_command(&played.released(), Some("reboot"));
}

#[test]
fn what_a_shell_does_not_show_is_not_passed() {
    // `stty -echo`: the shell reads keys, and shows none.
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[A\r"), []);
    played.wait(11_000);
    assert_eq!(played.judge.released(played.now), Err(CannotJudge::TypedAhead));
    // The same, with keys that come before its prompt.
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    played.echoes("stty -echo");
    assert_eq!(played.types("\r\x10\x10\r"), []);
    played.shows("\r\n\x1b[?2004l\x1b[?2004h$ ");
    played.wait(11_000);
    assert_eq!(played.judge.released(played.now), Err(CannotJudge::TypedAhead));
    // ^S: nothing is shown until ^Q.
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    played.echoes("x");
    assert_eq!(played.types("\x13\x1b[A\r"), []);
    played.wait(11_000);
    assert_eq!(played.judge.released(played.now), Err(CannotJudge::TypedAhead));
    // A key that has no effect rings the bell.
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x1b[B\r"), []);
    played.shows("\x07");
    played.wait(1000);
    assert_eq!(played.released(), []);
    assert_eq!(played.reached(), "\x1b[B\r");
}

/// `sleep 1; stty -echo` and the like: the keys come while nobody reads, and what the shell makes of them is not shown.
#[test]
fn a_prompt_is_no_answer_to_keys_that_came_before_it() {
    let echoes: [&[(&str, &str)]; 3] =
        [&[("\x10\x10\x10", "")], &[("\x10\x10\x10", "^P^P^P")], &[("\x10", "^P"), ("\x10\x10", "")]];
    for echoes in echoes {
        for prompt in ["\x1b[?2004h$ ", "$ "] {
            for is_late in [false, true] {
                let mut played = Played::new();
                played.shows(prompt);
                played.echoes("stty -echo");
                assert_eq!(played.types("\r"), []);
                played.shows("\r\n\x1b[?2004l\r");
                for (keys, echo) in echoes {
                    played.wait(300);
                    assert_eq!(played.types(keys), []);
                    if !echo.is_empty() {
                        played.shows(echo);
                    }
                }
                let enter = |played: &mut Played| assert_eq!(played.types("\r"), []);
                if !is_late {
                    enter(&mut played);
                }
                played.wait(700);
                played.shows(prompt);
                played.wait(1000);
                if is_late {
                    enter(&mut played);
                }
                played.wait(2000);
                assert_eq!(played.released(), []);
                assert!(!played.reached().ends_with("\x10\r"), "{echoes:?} {prompt:?} {is_late}");
                played.wait(9000);
                assert_eq!(played.judge.released(played.now), Err(CannotJudge::TypedAhead));
            }
        }
    }
}

/// They are none of the shell's.
#[test]
fn keys_that_another_program_has_answered_are_no_reason_to_wait() {
    for prompt in ["\x1b[?2004h$ ", "$ "] {
        for (begin, end) in [("one\r\n:", "\r\x1b[K"), ("\x1b[?1049hone", "\x1b[?1049l")] {
            let mut played = Played::new();
            played.shows(prompt);
            played.echoes("less text");
            assert_eq!(played.types("\r"), []);
            played.shows(&format!("\r\n\x1b[?2004l{begin}"));
            assert_eq!(played.types("\x1b[B"), []);
            played.shows("\rtwo\r\n:");
            assert_eq!(played.types("q"), []);
            played.shows(&format!("{end}{prompt}"));
            played.wait(1000);
            assert_eq!(played.types("\r"), []);
            assert!(played.reached().ends_with("q\r"), "{prompt:?} {begin:?}");
        }
    }
}

#[test]
fn keys_that_were_recorded_are_not_played() {
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("\x18e"), [], "nothing was recorded");
    played.wait(1000);
    assert_eq!(played.types("\x18("), []);
    let ended = played.judge.typed(b"\x18)\x18e", played.now);
    assert_eq!(ended, Err(CannotJudge::Macro));
}

#[test]
fn other_keys_that_run_a_line_are_held_as_enter_is() {
    for key in ["\x1ba", "\x1bA", "\x1b#", "\x1bOM", "\x0f", "\x04"] {
        let mut played = Played::new();
        played.shows("$ \x1b[?2004h");
        assert_eq!(played.types("\x1b[A"), []);
        played.shows("reboot");
        played.wait(500);
        is_command(&played.types(key), Some("reboot"));
        assert!(!played.reached().ends_with(key));
    }
}

#[test]
fn an_interrupt_does_not_wait_behind_what_is_held() {
    for interrupt in ["\x03", "\x1c", "\x1a"] {
        let mut played = Played::new();
        played.shows("$ ");
        assert_eq!(played.types("\x1b[A"), []);
        for _ in 0..100 {
            played.shows("more\r\n");
        }
        assert_eq!(played.types("\recho"), []);
        played.shows("more\r\n");
        let passed = played.judge.typed(format!("x{interrupt}").as_bytes(), played.now).unwrap();
        assert_eq!((passed.bytes, passed.dropped), (0, 6));
        assert!(played.judge.due().is_some_and(|due| due <= played.now));
        assert_eq!(played.released(), []);
        assert_eq!(played.reached(), format!("\x1b[A{interrupt}"));
        assert_eq!(played.judge.due(), None);
    }
}

/// What is found once is not sought again while nothing has changed.
#[test]
fn a_screen_that_has_not_changed_is_judged_once() {
    let policy = parsed("{ commands = ['reboot'], action = 'log' }");
    let mut judge = Judge::new(policy, Some((80, 24))).unwrap();
    let now = Instant::now();
    let _ = judge.shown(b"$ reboot", Output::Main, now).unwrap();
    let passed = judge.typed(&[b'\r'; 100], now + Duration::from_secs(1)).unwrap();
    assert_eq!((passed.bytes, passed.findings.len()), (100, 1));
}

#[test]
fn a_hidden_password_is_no_part_of_the_next_line() {
    let mut played = Played::new();
    played.shows("Password: ");
    assert_eq!(played.types("rm -r\\\r"), []);
    played.wait(600);
    assert_eq!(played.released(), []);
    played.shows("\r\n$ ");
    played.echoes("f /");
    assert_eq!(played.types("\r"), []);
    assert!(played.reached().ends_with("f /\r"));
}
