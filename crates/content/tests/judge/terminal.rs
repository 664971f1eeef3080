//! With a terminal: a person at a shell, played with a given clock.

use std::time::{Duration, Instant};

use keyward_content::{CannotJudge, Finding, Judge, Output, Place};

use crate::{parsed, policy};

/// A terminal between a person and a program, each of which is what the test says.
struct Played {
    judge: Judge,
    now: Instant,
    /// What reached the target.
    passed: Vec<u8>,
}

impl Played {
    fn new() -> Self {
        Self::of((80, 24))
    }

    fn of(size: (u32, u32)) -> Self {
        Self { judge: Judge::new(policy(), Some(size)).unwrap(), now: Instant::now(), passed: Vec::new() }
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    #[track_caller]
    fn shows(&mut self, text: &str) -> Vec<Finding> {
        self.wait(1);
        self.judge.shown(text.as_bytes(), Output::Main, self.now).unwrap()
    }

    #[track_caller]
    fn types(&mut self, keys: &str) -> Vec<Finding> {
        self.wait(1);
        let passed = self.judge.typed(keys.as_bytes(), self.now).unwrap();
        self.passed.extend(&keys.as_bytes()[..passed.bytes]);
        passed.findings
    }

    #[track_caller]
    fn released(&mut self) -> Vec<Finding> {
        let released = self.judge.released(self.now).unwrap();
        self.passed.extend(released.bytes);
        released.findings
    }

    /// Keys that a program echoes.
    #[track_caller]
    fn echoes(&mut self, text: &str) {
        for key in text.chars() {
            assert_eq!(self.types(&key.to_string()), []);
            assert_eq!(self.shows(&key.to_string()), []);
        }
    }

    fn reached(&self) -> &str {
        std::str::from_utf8(&self.passed).unwrap()
    }
}

#[track_caller]
fn is_command(found: &[Finding], matched: Option<&str>) {
    let [one] = found else { panic!("{found:?}") };
    assert_eq!((one.place, one.matched.as_deref(), one.terminates()), (Place::Typed, matched, true));
}

#[test]
fn the_enter_of_a_forbidden_command_is_not_passed() {
    let mut played = Played::new();
    played.shows("$ ");
    played.echoes("sudo reboot");
    is_command(&played.types("\r"), Some("reboot"));
    assert_eq!(played.reached(), "sudo reboot");
}

#[test]
fn a_pattern_may_begin_where_the_prompt_ends() {
    let mut played = Played::new();
    played.shows("[root@halt ~]# ");
    played.echoes("echo halt");
    assert_eq!(played.types("\r"), []);
    played.shows("\r\nhalt\r\n\x1b[1m[root@halt ~]#\x1b[0m ");
    played.echoes("halt");
    is_command(&played.types("\r"), Some("halt"));
}

#[test]
fn a_line_of_the_history_is_judged_once_the_screen_shows_it() {
    let mut played = Played::new();
    played.shows("$ ");
    assert_eq!(played.types("\x1b[A\r"), []);
    assert_eq!(played.reached(), "\x1b[A", "the Enter waits");
    played.wait(20);
    assert_eq!(played.released(), []);
    played.shows("rm -rf /");
    played.wait(10);
    assert_eq!(played.released(), [], "more may come");
    played.wait(500);
    is_command(&played.released(), Some("rm -rf /"));
    assert_eq!(played.reached(), "\x1b[A");
}

#[test]
fn a_line_that_is_allowed_goes_on_with_what_was_typed_after_it() {
    let mut played = Played::new();
    played.shows("$ ");
    assert_eq!(played.types("\x1b[A\recho\r"), []);
    played.shows("ls");
    played.wait(500);
    assert_eq!(played.released(), []);
    assert_eq!(played.reached(), "\x1b[A\recho", "the next line may have something in it already");
    played.shows("\r\na\r\n$ echo");
    played.wait(500);
    assert_eq!(played.released(), []);
    assert_eq!(played.reached(), "\x1b[A\recho\r");
    assert_eq!(played.judge.due(), None);
}

#[test]
fn what_a_person_types_slowly_is_never_held() {
    let mut played = Played::new();
    played.shows("$ ");
    assert_eq!(played.types("\x1b[A"), []);
    played.shows("ls");
    played.wait(300);
    assert_eq!(played.types("\r"), []);
    assert_eq!(played.judge.due(), None);
    assert_eq!(played.reached(), "\x1b[A\r");
}

#[test]
fn completion_and_search_do_not_go_around_a_rule() {
    for (keys, answer) in [("reb\t", "reboot "), ("\x12reb", "\r(reverse-i-search)`reb': reboot")] {
        let mut played = Played::new();
        played.shows("$ ");
        assert_eq!(played.types(keys), []);
        played.shows(answer);
        played.wait(300);
        is_command(&played.types("\r"), Some("reboot"));
    }
}

#[test]
fn editing_does_not_go_around_a_rule() {
    let mut played = Played::new();
    played.shows("$ ");
    played.echoes("rexboot");
    // Four times to the left, and one character less.
    assert_eq!(played.types("\x1b[D\x1b[D\x1b[D\x1b[D\x7f"), []);
    played.shows("\x08\x08\x08\x08\x08\x1b[P");
    played.wait(300);
    is_command(&played.types("\r"), Some("reboot"));
}

#[test]
fn the_next_line_of_the_history_is_judged_too() {
    let mut played = Played::new();
    played.shows("$ ");
    assert_eq!(played.types("\x1b[A"), []);
    played.shows("ls");
    played.wait(300);
    assert_eq!(played.types("\x0f"), [], "^O accepts the line and shows the next");
    assert_eq!(played.types("\x0f"), []);
    assert_eq!(played.reached(), "\x1b[A\x0f");
    played.shows("\r\n");
    played.wait(500);
    assert_eq!(played.released(), [], "that answers the first only");
    played.shows("a\r\n$ reboot");
    played.wait(500);
    is_command(&played.released(), Some("reboot"));
}

#[test]
fn what_is_typed_in_one_piece_is_judged_too() {
    let mut played = Played::new();
    assert_eq!(played.types("echo one\rreboot\recho two\r"), []);
    assert_eq!(played.reached(), "echo one\rreboot", "what was found waits for the screen");
    played.shows("$ reboot");
    played.wait(500);
    is_command(&played.released(), Some("reboot"));
    let mut played = Played::new();
    assert_eq!(played.types("reboot\r"), []);
    played.wait(600);
    is_command(&played.released(), None);
}

#[test]
fn keys_behind_a_command_that_runs_are_held_until_somebody_reads_them() {
    let mut played = Played::new();
    played.shows("$ \x1b[?2004h");
    assert_eq!(played.types("sleep 3\r\x1b[A\r"), []);
    // The answer to the first Enter is none to the key behind it.
    played.shows("sleep 3\r\n\x1b[?2004l\r");
    played.wait(2900);
    assert_eq!(played.released(), []);
    assert_eq!(played.reached(), "sleep 3\r\x1b[A");
    played.shows("$ \x1b[?2004hrm -rf /");
    played.wait(500);
    is_command(&played.released(), Some("rm -rf /"));
    // Between the two no answer tells from nothing to answer.
    let mut silent = Played::new();
    silent.shows("$ \x1b[?2004h");
    silent.echoes("sleep 3");
    assert_eq!(silent.types("\r"), []);
    silent.shows("\r\n\x1b[?2004l\r");
    assert_eq!(silent.types("\x1b[A\r"), []);
    silent.wait(2900);
    assert_eq!(silent.released(), []);
    assert_eq!(silent.reached(), "sleep 3\r\x1b[A");
    silent.shows("$ \x1b[?2004hrm -rf /");
    silent.wait(500);
    is_command(&silent.released(), Some("rm -rf /"));
}

#[test]
fn a_program_that_reads_keys_and_shows_nothing_of_them_is_no_reason_to_wait() {
    let mut played = Played::new();
    played.shows("\x1b[?1049h\x1b[?2004hediting");
    assert_eq!(played.types("\x1b[B"), []);
    played.wait(600);
    assert_eq!(played.types("\x1b"), []);
    assert_eq!(played.types("\x1bOM"), []);
    assert_eq!(played.judge.due(), None);
}

#[test]
fn what_is_typed_unseen_is_judged_and_not_kept() {
    let mut played = Played::new();
    played.shows("Password: ");
    assert_eq!(played.types("my reboot\r"), []);
    played.wait(600);
    let found = played.released();
    is_command(&found, None);
    assert!(!format!("{found:?}{}", found[0]).contains("reboot"));
}

#[test]
fn keys_that_show_nothing_are_held_for_a_moment_only() {
    let mut played = Played::new();
    played.shows("Password: ");
    assert_eq!(played.types("secreX\x7ft\r"), []);
    assert_eq!(played.reached(), "secreX\x7ft");
    played.wait(600);
    assert_eq!(played.released(), []);
    assert_eq!(played.reached(), "secreX\x7ft\r");
}

#[test]
fn keys_that_nobody_has_read_are_held_until_somebody_does() {
    let mut played = Played::new();
    assert_eq!(played.types("\x1b[A"), []);
    played.shows("^[[A");
    assert_eq!(played.types("\r"), []);
    played.wait(3000);
    assert_eq!(played.released(), []);
    assert_eq!(played.reached(), "\x1b[A");
    played.shows("\r\n$ rm -rf /");
    played.wait(500);
    is_command(&played.released(), Some("rm -rf /"));

    let mut played = Played::new();
    assert_eq!(played.types("\x1b[A"), []);
    played.shows("^[[A");
    assert_eq!(played.types("\r"), []);
    played.wait(11_000);
    assert_eq!(played.judge.released(played.now), Err(CannotJudge::TypedAhead));
}

#[test]
fn a_command_over_several_lines_is_one() {
    let mut played = Played::new();
    played.shows("$ ");
    played.echoes("rm -r\\");
    assert_eq!(played.types("\r"), []);
    played.shows("\r\n> ");
    played.echoes("f /");
    is_command(&played.types("\r"), Some("rm -rf /"));
}

#[test]
fn a_line_that_is_wrapped_is_one() {
    let mut played = Played::of((10, 4));
    played.shows("$ ");
    played.echoes("echo x; rm   -rf    /");
    is_command(&played.types("\r"), Some("rm   -rf    /"));
    // A program that draws windows wraps by itself.
    let mut played = Played::of((10, 4));
    assert_eq!(played.types("\t"), []);
    played.shows("\x1b[1;1H$ sudo reb\x1b[2;1Hoot");
    played.wait(300);
    is_command(&played.types("\r"), Some("reboot"));
}

#[test]
fn the_screen_is_what_counts_however_it_was_drawn() {
    for text in [
        "token=abc",
        "tok\x1b[1men=\x1b[0mabc",
        "\x1b[5;3Hken=abc\x1b[5;1Hto",
        "xoken=abc\rt",
        "toXken=abc\x1b[3G\x1b[P",
        "tken=abc\x1b[2G\x1b[@o",
        "\x1b(0\x1b(Btoken=abc",
        "\x1b]0;title\x07token=abc",
        "\x1b[?1049h\x1b[2J\x1b[Htoken=abc",
        "token=abc\r         \r",
        "token=abc\x1b[2J\x1b[H",
        "token=abc\x1b[1K",
        "token=abc\x1bc",
        "a\r\nb\r\ntoken=abc\r\nc\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
    ] {
        let mut played = Played::new();
        let found = played.shows(text);
        assert_eq!(
            found.iter().filter(|found| found.place == Place::Shown).count(),
            1,
            "{text:?}: {found:?}"
        );
        for cut in 1..text.len() {
            let mut played = Played::new();
            let (one, two) = text.split_at(cut);
            assert_eq!(played.shows(one).len() + played.shows(two).len(), 1, "{text:?} at {cut}");
        }
    }
}

#[test]
fn a_text_without_line_ends_is_looked_at_before_it_leaves_the_screen() {
    let mut played = Played::of((20, 4));
    let text = "x".repeat(500) + " token=abc " + &"y".repeat(500);
    assert!(!played.shows(&text).is_empty());
}

#[test]
fn what_stays_on_the_screen_is_found_once() {
    let mut played = Played::new();
    assert_eq!(played.shows("token=abc\r\n$ ").len(), 1);
    assert_eq!(played.shows("\x1b[Htoken=abc\x1b[K\r\n$ "), []);
    assert_eq!(played.shows("token=other\r\n").len(), 1);
}

#[test]
fn a_terminal_that_is_too_large_is_not_judged() {
    assert!(matches!(Judge::new(policy(), Some((100_000, 100_000))), Err(CannotJudge::LargeTerminal)));
    let mut judge = Judge::new(policy(), Some((0, 0))).unwrap();
    assert_eq!(judge.resized((u32::MAX, u32::MAX), Instant::now()), Err(CannotJudge::LargeTerminal));
    assert_eq!(judge.resized((120, 40), Instant::now()), Ok(()));
}

#[test]
fn a_target_cannot_make_the_terminal_larger_or_the_judge_slower() {
    let mut played = Played::new();
    assert_eq!(played.shows("\x1b[8;65535;65535t"), []);
    let shown = played.judge.shown(b"x\x1b[65535b", Output::Main, played.now);
    assert_eq!(shown, Err(CannotJudge::Repeats));
}

#[test]
fn more_than_can_be_held_is_not_passed() {
    let mut played = Played::new();
    assert_eq!(played.types("\x1b[A\r"), []);
    let paste = vec![b'x'; 1 << 20];
    let mut results = (0..5).map(|_| played.judge.typed(&paste, played.now));
    assert!(results.any(|result| result == Err(CannotJudge::TypedTooMuch)));
}

#[test]
fn without_patterns_for_commands_no_key_is_held() {
    let policy = parsed("{ screen = ['x'], action = 'log' }");
    let mut judge = Judge::new(policy, Some((80, 24))).unwrap();
    assert_eq!(judge.typed(b"\x1b[A\r", Instant::now()).unwrap().bytes, 4);
    assert_eq!(judge.due(), None);
}

/// The crate behind it is not ours.
#[test]
fn no_bytes_break_the_model_of_the_terminal() {
    // A generator of bytes that are often control sequences, the same in each run.
    let mut state = 0x2545_f491_u64;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let pieces = [
        "\x1b[", ";", "0", "1", "9", "24", "80", "?", "h", "l", "H", "J", "K", "L", "M", "P", "@", "r",
        "\u{4e16}",
    ];
    let more = [
        "x", "\r", "\n", "\t", "\x08", "\x1b7", "\x1b8", "\x1bM", "\x1bc", "\x1b#8", "S", "T", "X", "d", "G",
        "1049",
    ];
    let words: Vec<&str> = pieces.into_iter().chain(more).collect();
    for (columns, rows) in [(80, 24), (1, 1), (2, 1), (1, 3), (7, 5)] {
        let mut judge = Judge::new(policy(), Some((columns, rows))).unwrap();
        for n in 0..3000 {
            let text: String = (0..20).map(|_| words[next(words.len() as u64) as usize]).collect();
            let shown = judge.shown(text.as_bytes(), Output::Main, Instant::now());
            assert!(shown != Err(CannotJudge::Broken), "{text:?} on {columns} by {rows}");
            if n % 50 == 0 {
                judge.resized((1 + next(90) as u32, 1 + next(30) as u32), Instant::now()).unwrap();
            }
        }
    }
}

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
        played.shows(command);
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
