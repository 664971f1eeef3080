//! Without a terminal.

use std::time::Instant;

use keyward_content::{CannotJudge, Judge, Output, Passed};

use crate::{parsed, policy};

fn judge() -> Judge {
    Judge::new(policy(), None).unwrap()
}

fn typed(judge: &mut Judge, text: &str) -> Passed {
    judge.typed(text.as_bytes(), Instant::now()).unwrap()
}

fn shown(judge: &mut Judge, text: &str) -> usize {
    judge.shown(text.as_bytes(), Output::Main, Instant::now()).unwrap().len()
}

#[test]
fn a_forbidden_line_is_not_passed() {
    let mut judge = judge();
    assert_eq!(typed(&mut judge, "ls\nreb"), Passed { bytes: 6, ..Passed::default() });
    let passed = typed(&mut judge, "oot\nls\n");
    assert_eq!(passed.bytes, 0);
    assert!(passed.findings[0].terminates());
    assert_eq!(passed.findings[0].to_string(), r#"content rule "power" (terminate): command "reboot""#);
    let mut judge = crate::lines::judge();
    assert_eq!(typed(&mut judge, "ls\nsudo reboot\nls\n").bytes, 3);
}

/// A shell runs its last line also where the connection is cut before the line's end.
#[test]
fn a_forbidden_line_is_not_passed_without_its_end_either() {
    let mut judge = judge();
    let passed = typed(&mut judge, "ls\nreboot");
    assert_eq!(passed.bytes, 3);
    assert!(passed.findings[0].terminates());
}

#[test]
fn the_last_line_ends_with_the_input() {
    let mut judge = Judge::new(parsed("{ commands = ['reboot'], action = 'log' }"), None).unwrap();
    assert_eq!(typed(&mut judge, "ls\nreboot").findings, []);
    assert_eq!(judge.typed_all().unwrap().len(), 1);
    assert_eq!(judge.typed_all(), Ok(Vec::new()));
}

#[test]
fn a_line_that_is_longer_than_can_be_held_is_not_judged() {
    let mut judge = judge();
    let line = [b'x'; 64 * 1024];
    assert_eq!(judge.typed(&line, Instant::now()).unwrap().bytes, line.len());
    assert_eq!(judge.typed(b"x", Instant::now()), Err(CannotJudge::LongLine));
}

#[test]
fn without_patterns_for_commands_any_data_passes() {
    let policy = parsed("{ screen = ['x'], action = 'log' }");
    let mut judge = Judge::new(policy, None).unwrap();
    let data = vec![0; 1 << 20];
    assert_eq!(judge.typed(&data, Instant::now()).unwrap().bytes, data.len());
}

#[test]
fn what_is_shown_is_found_over_the_ends_of_packets_and_colours() {
    let text = "a\r\nthe token=\x1b[31mabc\x1b[0m\r\n";
    for cut in 0..text.len() {
        let mut judge = judge();
        let (one, two) = text.split_at(cut);
        assert_eq!(shown(&mut judge, one) + shown(&mut judge, two), 1, "at {cut}");
    }
    let mut judge = judge();
    assert_eq!(text.split("").map(|piece| shown(&mut judge, piece)).sum::<usize>(), 1);
    assert_eq!(shown(&mut judge, "token=\nabc\n"), 0);
}

#[test]
fn output_and_stderr_are_two_texts() {
    let mut judge = judge();
    assert_eq!(shown(&mut judge, "token"), 0);
    assert_eq!(judge.shown(b"=x\n", Output::Stderr, Instant::now()).unwrap(), []);
    assert_eq!(shown(&mut judge, "=x\n"), 1);
}

#[test]
fn a_long_line_is_judged_in_pieces_that_overlap() {
    let mut judge = judge();
    for _ in 0..100 {
        assert_eq!(shown(&mut judge, &"x".repeat(1013)), 0);
    }
    assert_eq!(shown(&mut judge, "-BEGIN PRIV"), 0);
    assert_eq!(shown(&mut judge, "ATE KEY-"), 0, "it is looked at again after some more");
    assert_eq!(shown(&mut judge, &"x".repeat(8192)), 1);
}

#[test]
fn lines_are_judged_as_shells_read_them() {
    for text in ["reb\\\noot\n", "re\0boot\n", "\0reb\\\0\no\\\not", "x\\\nhalt\n"] {
        let policy = parsed("{ commands = ['\\breboot\\b', '^halt'], action = 'terminate' }");
        for cut in 0..text.len() {
            let mut judge = Judge::new(policy.clone(), None).unwrap();
            let mut found = typed(&mut judge, &text[..cut]).findings;
            found.extend(typed(&mut judge, &text[cut..]).findings);
            assert!(!found.is_empty(), "{text:?} at {cut}");
        }
        assert_eq!(keyward_content::command(&policy, text.as_bytes()).len(), 1, "{text:?}");
    }
    assert_eq!(typed(&mut judge(), "reb\\\\\noot\n").findings, []);
}
