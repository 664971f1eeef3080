//! With a terminal: a person at a shell, played with a given clock.

use std::time::Instant;

use keyward_content::{CannotJudge, Judge, Output, Place};

use crate::played::{Played, is_command};
use crate::{parsed, policy};

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
