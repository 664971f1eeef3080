mod attributes;
mod bounds;

use super::*;
use keyward_policy::{FileOperation, FileRule, TextPattern};
use keyward_ssh::wire::Write;
use keyward_trail::FileDigest;
use proptest::prelude::*;

/// A packet with a number.
pub(super) fn answer(kind: u8, number: u32, fields: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.put_string(&[&[kind][..], &number.to_be_bytes(), fields].concat());
    packet
}

/// The first packet of either side.
fn greeting(kind: u8, version: u32) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.put_string(&[&[kind][..], &version.to_be_bytes()].concat());
    packet
}

pub(super) fn version(version: u32) -> Vec<u8> {
    greeting(2, version)
}

fn strings(strings: &[&[u8]]) -> Vec<u8> {
    let mut fields = Vec::new();
    strings.iter().for_each(|string| fields.put_string(string));
    fields
}

fn open(number: u32, path: &[u8], flags: u32) -> Vec<u8> {
    answer(3, number, &[strings(&[path]), flags.to_be_bytes().to_vec(), vec![0; 4]].concat())
}

fn write(number: u32, handle: &[u8], offset: u64, data: &[u8]) -> Vec<u8> {
    answer(6, number, &[strings(&[handle]), offset.to_be_bytes().to_vec(), strings(&[data])].concat())
}

fn read(number: u32, handle: &[u8], offset: u64) -> Vec<u8> {
    answer(5, number, &[strings(&[handle]), offset.to_be_bytes().to_vec(), vec![0, 0, 0x80, 0]].concat())
}

fn close(number: u32, handle: &[u8]) -> Vec<u8> {
    answer(4, number, &strings(&[handle]))
}

fn status(number: u32, code: u32) -> Vec<u8> {
    answer(101, number, &[code.to_be_bytes().to_vec(), strings(&[b"so", b""])].concat())
}

fn handle(number: u32, handle: &[u8]) -> Vec<u8> {
    answer(102, number, &strings(&[handle]))
}

fn data(number: u32, data: &[u8]) -> Vec<u8> {
    answer(103, number, &strings(&[data]))
}

/// Both sides of a channel, and what has passed.
struct Talk {
    watcher: Watcher,
    /// The longest piece in which anything arrives.
    piece: usize,
    events: Vec<String>,
}

impl Talk {
    fn begin(rules: FileRules, piece: usize) -> Self {
        let watcher = Watcher::new(rules, LinkOrder::TargetFirst);
        let mut talk = Self { watcher, piece, events: Vec::new() };
        assert_eq!(talk.up(&greeting(1, 3)), greeting(1, 3));
        assert_eq!(talk.down(&version(3)), version(3));
        talk
    }

    fn up(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in bytes.chunks(self.piece) {
            let mut piece = piece.to_vec();
            let Passed { before, start, end } =
                self.watcher.up(&mut piece, OwnQuestion::MayNot).unwrap().passed;
            out.extend(before);
            out.extend_from_slice(&piece[start..end]);
        }
        self.events.extend(self.watcher.done().iter().map(ToString::to_string));
        out
    }

    fn down(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in bytes.chunks(self.piece) {
            let mut piece = piece.to_vec();
            let Passed { before, start, end } = self.watcher.down(&mut piece).unwrap().passed;
            out.extend(before);
            out.extend_from_slice(&piece[start..end]);
        }
        self.events.extend(self.watcher.done().iter().map(ToString::to_string));
        out
    }

    /// A request that goes on as it is, and its answer.
    #[track_caller]
    fn passes(&mut self, request: &[u8], answer: &[u8]) {
        assert_eq!(self.up(request), request);
        assert_eq!(self.down(answer), answer);
    }

    /// A request that the target never sees, and whose client hears this.
    #[track_caller]
    fn is_refused(&mut self, number: u32, request: &[u8], code: u32) {
        let sent = self.up(request);
        assert_eq!(sent.len(), request.len());
        let packet = Packet::begin(&sent).unwrap().unwrap();
        assert_eq!((packet.kind, packet.whole), (200, sent.len()));
        assert!(sent[13..].iter().all(|byte| *byte == b'-'), "{sent:?}");
        let heard = self.down(&status(number, 8));
        assert_eq!(heard.len(), status(number, 8).len());
        let packet = Packet::begin(&heard).unwrap().unwrap();
        let (heard_number, rest) = packet.numbered().unwrap().unwrap();
        assert_eq!((heard_number, Answer::parse(packet.kind, rest)), (number, Ok(Answer::Status(code))));
    }
}

fn rules(rules: &[(&[FileOperation], &str, bool)]) -> FileRules {
    let rule = |(operations, path, allow): &(&[FileOperation], &str, bool)| FileRule {
        operations: operations.to_vec(),
        paths: vec![TextPattern::parse(path).unwrap()],
        allow: *allow,
    };
    FileRules::of(rules.iter().map(rule).collect())
}

/// Of `abcdef`.
const SHA256: &str = "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721";

#[test]
fn a_transfer_is_recorded_with_its_size_and_digest_however_it_is_cut() {
    for piece in 1..80 {
        let mut talk = Talk::begin(FileRules::default(), piece);
        talk.passes(&open(1, b"/up", 26), &handle(1, b"h"));
        let both = [write(2, b"h", 0, b"abc"), write(3, b"h", 3, b"def")].concat();
        talk.passes(&both, &[status(3, 0), status(2, 0)].concat());
        talk.passes(&close(4, b"h"), &status(4, 0));
        talk.passes(&open(5, b"/down", 1), &handle(5, b"h"));
        let both = [read(6, b"h", 0), read(7, b"h", 3), read(8, b"h", 6)].concat();
        talk.passes(&both, &[data(6, b"abc"), data(7, b"def"), status(8, 1)].concat());
        talk.passes(&close(9, b"h"), &status(9, 0));
        let line = |what: &str| format!("{what}: 6 bytes, sha256 {SHA256}");
        assert_eq!(talk.events, [line("upload \"/up\""), line("download \"/down\"")], "{piece}");
    }
}

#[test]
fn answers_out_of_order_leave_a_download_without_a_digest_and_say_so() {
    let mut talk = Talk::begin(FileRules::default(), 1000);
    talk.passes(&open(1, b"/x", 1), &handle(1, b"h"));
    let both = [read(2, b"h", 0), read(3, b"h", 3)].concat();
    talk.passes(&both, &[data(3, b"def"), data(2, b"abc")].concat());
    talk.passes(&close(4, b"h"), &status(4, 0));
    let why = "no sha256: the transfer does not begin at the start of the file";
    assert_eq!(talk.events, [format!("download \"/x\": 6 bytes, {why}")]);
}

#[test]
fn what_fails_or_is_not_finished_is_recorded_as_that() {
    let mut talk = Talk::begin(FileRules::default(), 1000);
    talk.passes(&open(1, b"/missing", 1), &status(1, 2));
    talk.passes(&open(2, b"/full", 26), &handle(2, b"h"));
    talk.passes(&write(3, b"h", 0, b"abc"), &status(3, 4));
    talk.passes(&close(4, b"h"), &status(4, 0));
    talk.passes(&open(5, b"/half", 26), &handle(5, b"i"));
    assert_eq!(talk.up(&write(6, b"i", 0, b"abcdef")), write(6, b"i", 0, b"abcdef"));
    talk.watcher.finish();
    talk.events.extend(talk.watcher.done().iter().map(ToString::to_string));
    assert_eq!(talk.events.len(), 3);
    assert_eq!(talk.events[0], "download \"/missing\": failed, no such file");
    assert!(talk.events[1].starts_with("upload \"/full\": failed, failed: 3 bytes"), "{}", talk.events[1]);
    assert_eq!(talk.events[2], format!("upload \"/half\": not finished: 6 bytes, sha256 {SHA256}"));
}

#[test]
fn a_forbidden_request_is_refused_and_the_channel_goes_on() {
    use FileOperation::{Download, List};
    for piece in 1..60 {
        let mut talk = Talk::begin(rules(&[(&[Download, List], "/srv(/.*)?", true)]), piece);
        let removes = answer(13, 20, &strings(&[b"/srv/x"]));
        let renames = answer(200, 21, &strings(&[b"posix-rename@openssh.com", b"/srv/a", b"/srv/b"]));
        for (number, request) in [
            (10, open(10, b"/etc/passwd", 1)),
            (11, open(11, b"/srv/../etc/passwd", 1)),
            (12, open(12, b"/srv/x", 26)),
            (13, open(13, b"relative", 1)),
            (14, answer(11, 14, &strings(&[b"/"]))),
            (20, removes),
            (21, renames),
        ] {
            talk.is_refused(number, &request, status::PERMISSION_DENIED);
        }
        assert_eq!(talk.events.len(), 7);
        assert!(talk.events.iter().all(|event| event.ends_with("refused by the channel policy")));
        talk.passes(&open(30, b"/srv/x", 1), &handle(30, b"h"));
        talk.passes(&answer(11, 31, &strings(&[b"//srv/."])), &handle(31, b"d"));
        assert_eq!(talk.events[7..], ["list \"/srv\": done"]);
    }
}

#[test]
fn data_for_a_handle_that_may_not_be_written_never_reaches_the_target() {
    for piece in 1..60 {
        let mut talk = Talk::begin(FileRules::default(), piece);
        talk.passes(&open(1, b"/x", 1), &handle(1, b"h"));
        talk.is_refused(2, &write(2, b"h", 0, b"some data of a file"), status::FAILURE);
        talk.is_refused(3, &write(3, b"guessed", 0, b"some data of a file"), status::FAILURE);
        talk.passes(&close(4, b"h"), &status(4, 0));
        talk.is_refused(5, &read(5, b"h", 0), status::FAILURE);
    }
}

#[test]
fn what_nobody_knows_is_not_let_through() {
    let mut talk = Talk::begin(FileRules::default(), 1000);
    talk.is_refused(1, &answer(200, 1, &strings(&[b"version-select", b"6"])), status::OP_UNSUPPORTED);
    talk.is_refused(2, &answer(22, 2, &strings(&[b"h", b"12345678"])), status::OP_UNSUPPORTED);
    talk.passes(&answer(200, 3, &strings(&[b"limits@openssh.com"])), &answer(201, 3, &[0; 32]));
}

#[test]
fn whatever_a_target_answers_to_a_refused_request_its_client_hears_the_refusal() {
    let mut talk = Talk::begin(rules(&[(&[], "/srv/.*", true)]), 1000);
    for (number, lie) in [(1, handle(1, b"h")), (2, data(2, b"secret")), (3, status(3, 0))] {
        talk.up(&open(number, b"/etc/x", 1));
        let heard = talk.down(&lie);
        assert_eq!((heard.len(), heard[4]), (lie.len(), 101));
        assert_eq!(heard[9..13], 3_u32.to_be_bytes());
        assert!(!heard.windows(6).any(|part| part == b"secret"));
    }
    // The handle of the lie is none.
    talk.is_refused(4, &read(4, b"h", 0), status::FAILURE);
}

#[test]
fn a_symbolic_link_is_judged_by_where_it_leads() {
    use FileOperation::{Download, Link};
    let mut talk = Talk::begin(rules(&[(&[Download, Link], "/srv/.*", true)]), 1000);
    let link = |number, to: &[u8], name: &[u8]| answer(20, number, &strings(&[to, name]));
    talk.passes(&link(1, b"/srv/x", b"/srv/y"), &status(1, 0));
    talk.passes(&link(2, b"/srv/sub/x", b"/srv/y"), &status(2, 0));
    talk.is_refused(3, &link(3, b"/etc/passwd", b"/srv/y"), status::PERMISSION_DENIED);
    talk.is_refused(4, &link(4, b"../etc", b"/srv/y"), status::PERMISSION_DENIED);
    talk.is_refused(5, &link(5, b"/srv/y", b"/etc/y"), status::PERMISSION_DENIED);
    let hard = answer(200, 6, &strings(&[b"hardlink@openssh.com", b"/etc/shadow", b"/srv/y"]));
    talk.is_refused(6, &hard, status::PERMISSION_DENIED);
}

/// A link keeps its words when it is renamed, or when it gets a second name: they would lead elsewhere from there.
#[test]
fn a_symbolic_link_that_leads_on_from_its_folder_is_refused() {
    let mut talk = Talk::begin(rules(&[(&[], "/srv/.*", true)]), 1000);
    for (number, to) in [(1, &b"x"[..]), (2, b"../x"), (3, b"./x"), (4, b"")] {
        let link = answer(20, number, &strings(&[to, b"/srv/a/b/y"]));
        talk.is_refused(number, &link, status::PERMISSION_DENIED);
    }
    let mut free = Talk::begin(FileRules::default(), 1000);
    free.passes(&answer(20, 1, &strings(&[b"../x", b"/srv/y"])), &status(1, 0));
}

#[test]
fn a_symbolic_link_to_a_folder_with_a_forbidden_part_is_refused() {
    let rules = rules(&[(&[], "/srv/ex/private(/.*)?", false), (&[], "/srv/ex(/.*)?", true)]);
    let mut talk = Talk::begin(rules, 1000);
    let link = answer(20, 1, &strings(&[b"/srv/ex", b"/srv/ex/l"]));
    talk.is_refused(1, &link, status::PERMISSION_DENIED);
    let hard =
        |number, to: &[u8]| answer(200, number, &strings(&[b"hardlink@openssh.com", to, b"/srv/ex/l"]));
    talk.passes(&hard(2, b"/srv/ex/file"), &status(2, 0));
    talk.is_refused(3, &hard(3, b"/srv/ex/private/file"), status::PERMISSION_DENIED);
}

#[test]
fn what_goes_on_of_a_path_is_what_was_judged() {
    let mut talk = Talk::begin(rules(&[(&[], "/srv/.*", true)]), 1000);
    // Behind a link of the target, `..` would be the folder above where the link leads.
    assert_eq!(talk.up(&open(1, b"/srv/link/../x", 1)), open(1, b"/.///////srv/x", 1));
    talk.is_refused(2, &answer(20, 2, &strings(&[b"link/../x", b"/srv/y"])), status::PERMISSION_DENIED);
}

#[test]
fn a_name_that_patterns_do_not_see_is_refused_wherever_it_stands() {
    let rules = rules(&[(&[], "/srv/secret(/.*)?", false), (&[], "(?s-u:/srv(/.*)?)", true)]);
    let mut talk = Talk::begin(rules, 1000);
    let hidden: [&[u8]; 3] = [b"/srv/secret/a\nb", b"/srv/secret/\xff", b"/srv\\secret"];
    for path in hidden {
        talk.is_refused(1, &open(1, path, 1), status::PERMISSION_DENIED);
        talk.is_refused(2, &answer(13, 2, &strings(&[path])), status::PERMISSION_DENIED);
        talk.is_refused(3, &answer(18, 3, &strings(&[path, b"/srv/x"])), status::PERMISSION_DENIED);
        talk.is_refused(4, &answer(18, 4, &strings(&[b"/srv/x", path])), status::PERMISSION_DENIED);
        talk.is_refused(5, &answer(20, 5, &strings(&[path, b"/srv/x"])), status::PERMISSION_DENIED);
        let hard = answer(200, 6, &strings(&[b"hardlink@openssh.com", path, b"/srv/x"]));
        talk.is_refused(6, &hard, status::PERMISSION_DENIED);
    }
    talk.passes(&answer(13, 7, &strings(&["/srv/größe".as_bytes()])), &status(7, 0));
}

#[test]
fn relative_paths_are_judged_once_the_target_has_said_where_they_begin() {
    let mut talk = Talk::begin(rules(&[(&[], "/home/x/.*", true)]), 1000);
    talk.is_refused(1, &open(1, b"file", 1), status::PERMISSION_DENIED);
    let name = answer(104, 2, &[&[0, 0, 0, 1][..], &strings(&[b"/home/x", b""]), &[0; 4]].concat());
    talk.passes(&answer(16, 2, &strings(&[b"."])), &name);
    talk.passes(&open(3, b"file", 1), &handle(3, b"h"));
    talk.is_refused(4, &open(4, b"../file", 1), status::PERMISSION_DENIED);
}

#[test]
fn the_gateway_asks_where_relative_paths_begin_before_the_client_hears_of_the_target() {
    let mut watcher = Watcher::new(rules(&[(&[], "/home/.*", true)]), LinkOrder::Unknown);
    let upward = watcher.up(&mut greeting(1, 6), OwnQuestion::May).unwrap();
    let question = upward.question.unwrap();
    let number = u32::from_be_bytes(question[5..9].try_into().unwrap());
    assert_eq!(watcher.down(&mut version(3)).unwrap().passed, Passed::default());
    let name = answer(104, number, &[&[0, 0, 0, 1][..], &strings(&[b"/home/x", b""]), &[0; 4]].concat());
    let downward = watcher.down(&mut name.clone()).unwrap();
    assert_eq!((downward.passed.before, downward.ours), (version(3), name.len()));
    let mut request = open(1, b"file", 1);
    watcher.up(&mut request, OwnQuestion::May).unwrap();
    assert_eq!(request, open(1, b"file", 1));
}

#[test]
fn numbers_answers_and_versions_out_of_turn_end_the_channel() {
    let fresh = || Watcher::new(FileRules::default(), LinkOrder::Unknown);
    assert!(fresh().up(&mut open(1, b"/x", 1), OwnQuestion::MayNot).is_err());
    assert!(fresh().down(&mut version(3)).is_err());
    let mut early = fresh();
    early.up(&mut greeting(1, 3), OwnQuestion::MayNot).unwrap();
    assert_eq!(early.up(&mut open(1, b"/x", 1), OwnQuestion::MayNot).unwrap_err(), Fault::OutOfTurn);
    let mut newer = fresh();
    newer.up(&mut greeting(1, 3), OwnQuestion::MayNot).unwrap();
    assert_eq!(newer.down(&mut version(6)).unwrap_err(), Fault::Version);
    let mut talk = Talk::begin(FileRules::default(), 1000);
    assert_eq!(talk.watcher.down(&mut status(1, 0)).unwrap_err(), Fault::Unasked);
    let mut twice = [open(1, b"/x", 1), open(1, b"/y", 1)].concat();
    assert_eq!(talk.watcher.up(&mut twice, OwnQuestion::MayNot).unwrap_err(), Fault::SameNumber);
}

#[test]
fn a_target_cannot_make_one_handle_stand_for_two_files() {
    let mut talk = Talk::begin(FileRules::default(), 1000);
    talk.passes(&open(1, b"/x", 1), &handle(1, b"h"));
    talk.up(&open(2, b"/y", 1));
    assert_eq!(talk.watcher.down(&mut handle(2, b"h")).unwrap_err(), Fault::SameHandle);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_length_changes(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..40),
    ) {
        let mut talk = Talk::begin(rules(&[(&[], "/srv/.*", true)]), 1000);
        for (is_up, mut piece) in pieces {
            let end = match is_up {
                true => talk.watcher.up(&mut piece, OwnQuestion::MayNot).map(|upward| upward.passed),
                false => talk.watcher.down(&mut piece).map(|downward| downward.passed),
            };
            match end {
                Ok(passed) => prop_assert!(passed.end <= piece.len()),
                Err(_) => break,
            }
        }
    }

    #[test]
    fn any_cut_of_a_talk_gives_the_same_bytes_and_events(piece in 1_usize..200, content: Vec<u8>) {
        let run = |piece| {
            let mut talk = Talk::begin(rules(&[(&[], "/srv/.*", true)]), piece);
            let mut out = talk.up(&[open(1, b"/srv/x", 26), open(2, b"/etc/x", 26)].concat());
            out.extend(talk.down(&[handle(1, b"h"), status(2, 8)].concat()));
            out.extend(talk.up(&[write(3, b"h", 0, &content), write(4, b"i", 0, &content)].concat()));
            out.extend(talk.down(&[status(4, 8), status(3, 0)].concat()));
            out.extend(talk.up(&close(5, b"h")));
            out.extend(talk.down(&status(5, 0)));
            (out, talk.events)
        };
        prop_assert_eq!(run(piece), run(1_000_000));
    }
}

#[test]
fn a_file_that_is_read_and_written_is_recorded_twice() {
    let mut talk = Talk::begin(FileRules::default(), 1000);
    talk.passes(&open(1, b"/x", 3), &handle(1, b"h"));
    talk.passes(&write(2, b"h", 0, b"abcdef"), &status(2, 0));
    talk.passes(&read(3, b"h", 0), &data(3, b"abcdef"));
    assert_eq!(talk.up(&close(4, b"h")), close(4, b"h"));
    talk.watcher.down(&mut status(4, 0)).unwrap();
    let events = talk.watcher.done();
    let operations: Vec<&str> = events.iter().map(|event| &*event.operation).collect();
    assert_eq!(operations, ["upload", "download"]);
    assert!(events.iter().all(|event| matches!(event.digest, Some(FileDigest::Sha256(_)))));
}
