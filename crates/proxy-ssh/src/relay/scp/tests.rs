use super::*;
use keyward_policy::{FileRule, TextPattern};

fn rules(path: &str) -> FileRules {
    let path = TextPattern::parse(path).unwrap();
    FileRules::of(vec![FileRule { operations: vec![], paths: vec![path], allow: true }])
}

fn watcher(command: &str, rules: FileRules) -> Watcher {
    Watcher::new(Command::parse(command.as_bytes()).unwrap(), rules)
}

/// Of `abcdef`.
const SHA256: &str = "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721";

/// Who says what, piece by piece.
fn follow(
    command: &str,
    rules: FileRules,
    talk: &[(char, &[u8])],
    piece: usize,
) -> (Vec<String>, Option<ScpFault>) {
    let mut watcher = watcher(command, rules);
    let mut events = Vec::new();
    for (side, said) in talk {
        for piece in said.chunks(piece) {
            let seen = if *side == 'c' { watcher.up(piece) } else { watcher.down(piece) };
            events.extend(watcher.done().iter().map(ToString::to_string));
            if let Err(fault) = seen {
                return (events, Some(fault));
            }
        }
    }
    watcher.finish();
    events.extend(watcher.done().iter().map(ToString::to_string));
    (events, None)
}

#[test]
fn an_upload_of_a_tree_is_recorded_however_it_is_cut() {
    let talk: [(char, &[u8]); 15] = [
        ('t', b"\0"),
        ('c', b"D0755 0 tree\n"),
        ('t', b"\0"),
        ('c', b"T1 0 1 0\n"),
        ('t', b"\0"),
        ('c', b"C0644 6 a b\n"),
        ('t', b"\0"),
        ('c', b"abcdef\0"),
        ('t', b"\0"),
        ('c', b"C0644 0 empty\n"),
        ('t', b"\0"),
        ('c', b"\0"),
        ('t', b"\x01scp: no space\n"),
        ('c', b"E\n"),
        ('t', b"\0"),
    ];
    for piece in 1..20 {
        let (events, fault) = follow("scp -r -d -t /srv", rules("/srv/.*"), &talk, piece);
        assert_eq!(fault, None);
        assert_eq!(events[0], "make-directory \"/srv/tree\": done");
        assert_eq!(events[1], format!("upload \"/srv/tree/a b\": 6 bytes, sha256 {SHA256}"));
        assert!(
            events[2].starts_with("upload \"/srv/tree/empty\": failed, scp: no space: 0 bytes"),
            "{events:?}"
        );
        assert_eq!(events.len(), 3);
    }
}

#[test]
fn a_download_is_recorded_by_the_path_of_its_command() {
    let talk: [(char, &[u8]); 5] =
        [('c', b"\0"), ('t', b"C0644 6 x\n"), ('c', b"\0"), ('t', b"abcdef\0"), ('c', b"\0")];
    let (events, fault) = follow("scp -f /srv/x", rules("/srv/.*"), &talk, 3);
    assert_eq!((events, fault), (vec![format!("download \"/srv/x\": 6 bytes, sha256 {SHA256}")], None));
    let missing: [(char, &[u8]); 2] = [('c', b"\0"), ('t', b"\x01scp: /srv/x: No such file or directory\n")];
    let (events, _) = follow("scp -f /srv/x", rules("/srv/.*"), &missing, 100);
    assert_eq!(events, ["download \"/srv/x\": failed, scp: /srv/x: No such file or directory"]);
}

/// As PuTTY does, also for a file of no bytes.
#[test]
fn who_has_all_bytes_of_a_file_may_answer_before_its_end() {
    let talk: [(char, &[u8]); 11] = [
        ('c', b"\0"),
        ('t', b"C0644 6 x\n"),
        ('c', b"\0"),
        ('t', b"abcdef"),
        ('c', b"\0"),
        ('t', b"\0"),
        ('t', b"C0644 0 y\n"),
        ('c', b"\0\0"),
        ('t', b"\x01y: vanished\n"),
        ('t', b"C0644 1 z\n"),
        ('c', b"\0"),
    ];
    for rules in [rules("/srv/.*"), FileRules::default()] {
        let (events, fault) = follow("scp -r -f /srv/x", rules, &talk, 100);
        assert_eq!(fault, None);
        assert_eq!(events[0], format!("download \"/srv/x\": 6 bytes, sha256 {SHA256}"));
        assert!(events[1].contains("failed, y: vanished"), "{events:?}");
        assert!(events[2].contains("not finished"), "{events:?}");
        assert_eq!(events.len(), 3);
    }
    for too_early in [&b"\0\0"[..], b"\0"] {
        let twice: Vec<(char, &[u8])> = talk[..5].iter().copied().chain([('c', too_early)]).collect();
        let (_, fault) = follow("scp -f /srv/x", rules("/srv/.*"), &twice, 100);
        assert_eq!(fault, Some(Fault::OutOfTurn.into()));
    }
}

#[test]
fn a_file_goes_only_where_all_its_possible_places_are_allowed() {
    let talk: [(char, &[u8]); 2] = [('t', b"\0"), ('c', b"C0644 6 passwd\n")];
    for (command, path, is_allowed) in [
        ("scp -t /srv/x", "/srv/.*", true),
        ("scp -t /etc", "/srv/.*", false),
        ("scp -t /srv", "/srv/.*", false),
        ("scp -d -t /srv", "/srv/.*", true),
        ("scp -t /srv/", "/srv/.*", true),
        ("scp -t x", "~/x(/.*)?", true),
        ("scp -t ../x", ".*", false),
    ] {
        let (events, fault) = follow(command, rules(path), &talk, 100);
        assert_eq!(fault.is_none(), is_allowed, "{command}: {events:?}");
        assert_eq!(events.iter().any(|event| event.contains("refused")), !is_allowed);
    }
}

#[test]
fn what_is_no_line_of_scp_or_comes_before_its_turn_ends_the_channel() {
    for line in
        [&b"C0644 6 ../x\n"[..], b"C0644 6 ..\n", b"C0644 -1 x\n", b"C0644 6\n", b"X\n", b"E\n", b"C 6 x\n"]
    {
        let (_, fault) = follow("scp -t /srv/x", FileRules::default(), &[('t', b"\0"), ('c', line)], 100);
        assert!(fault.is_some(), "{line:?}");
    }
    let hasty: [(char, &[u8]); 2] = [('t', b"\0"), ('c', b"C0644 6 x\nabcdef\0")];
    assert_eq!(follow("scp -t /srv/x", rules("/.*"), &hasty, 100).1, Some(Fault::OutOfTurn.into()));
    assert_eq!(follow("scp -t /srv/x", FileRules::default(), &hasty, 100).1, None);
    let taken_for_lines = [hasty[0], hasty[1], ('t', b"\x01no\n")];
    let (_, fault) = follow("scp -t /srv/x", FileRules::default(), &taken_for_lines, 100);
    assert_eq!(fault, Some(Fault::OutOfTurn.into()));
}

#[test]
fn a_folder_that_was_refused_is_not_entered() {
    let forbidden = FileRule {
        operations: vec![],
        paths: vec![TextPattern::parse("/srv/private(/.*)?").unwrap()],
        allow: false,
    };
    let allowed =
        FileRule { operations: vec![], paths: vec![TextPattern::parse("/srv(/.*)?").unwrap()], allow: true };
    let talk: [(char, &[u8]); 4] = [
        ('t', b"\0"),
        ('c', b"D0755 0 a\n"),
        ('t', b"\x01scp: /srv/a: Not a directory\n"),
        ('c', b"D0755 0 private\n"),
    ];
    let (events, fault) = follow("scp -r -d -t /srv", FileRules::of(vec![forbidden, allowed]), &talk, 100);
    assert_eq!(events[0], "make-directory \"/srv/a\": failed, scp: /srv/a: Not a directory");
    assert_eq!(events[1], "make-directory \"/srv/private\": refused by the channel policy");
    assert!(matches!(fault, Some(ScpFault::NotAllowed { .. })));
}

#[test]
fn another_protocol_in_the_place_of_scp_ends_the_channel() {
    let init = b"\0\0\0\x05\x01\0\0\0\x03";
    let (_, fault) = follow("scp -f /srv/x", rules("/srv/.*"), &[('c', init)], 100);
    assert_eq!(fault, Some(Fault::OutOfTurn.into()));
    let version: [(char, &[u8]); 2] = [('c', b"\0"), ('t', b"\0\0\0\x05\x02\0\0\0\x03")];
    assert_eq!(follow("scp -f /srv/x", FileRules::default(), &version, 1).1, Some(Fault::Line.into()));
    let word: [(char, &[u8]); 1] = [('c', b"\x05")];
    assert_eq!(follow("scp -f /srv/x", rules("/srv/.*"), &word, 1).1, Some(Fault::Line.into()));
}

#[test]
fn of_two_sources_of_the_same_name_both_must_be_allowed() {
    let talk: [(char, &[u8]); 2] = [('c', b"\0"), ('t', b"C0644 6 x\n")];
    let (_, fault) = follow("scp -f /srv/x /etc/x", rules("/srv/.*"), &talk, 100);
    assert!(matches!(fault, Some(ScpFault::NotAllowed { .. })));
    let (_, fault) = follow("scp -f /srv/x /srv/a/x", rules("/srv/.*"), &talk, 100);
    assert_eq!(fault, None);
}

#[test]
fn long_lines_and_deep_folders_are_bounded() {
    let long = vec![b'C'; 10_000];
    let (_, fault) = follow("scp -t /x", FileRules::default(), &[('t', b"\0"), ('c', &long)], 100);
    assert_eq!(fault, Some(Fault::TooLong.into()));
    let mut deep = watcher("scp -r -t /x", FileRules::default());
    let fault = (0..300).find_map(|_| deep.up(b"D0755 0 d\n").err());
    assert_eq!(fault, Some(Fault::TooLong.into()));
    let (_, fault) = follow("scp -t /x", FileRules::default(), &[('t', &[b'!'; 10_000])], 100);
    assert_eq!(fault, Some(Fault::TooLong.into()));
}
