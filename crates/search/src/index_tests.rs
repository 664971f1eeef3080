//! What goes into an index is found again, and nothing else.

use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::*;
use crate::{IndexKey, Indexer, SessionFacts};

fn directory(path: &Path) -> EncryptedDirectory {
    let key = IndexKey::new(Zeroizing::new([3; IndexKey::BYTES]));
    EncryptedDirectory::open(path.join("index"), key).unwrap()
}

fn indexer(path: &Path) -> Indexer {
    Indexer::open(directory(path)).unwrap()
}

/// A session that began so many seconds after 1970, with a line each second.
fn add(indexer: &mut Indexer, id: &str, start: u64, lines: &[&str]) {
    let users = vec![format!("{id}-admin"), "Root".to_owned()];
    let facts = SessionFacts { id: id.into(), start: start * 1000, users, targets: vec!["DB01".into()] };
    let mut session = indexer.session(facts);
    for (n, text) in lines.iter().enumerate() {
        let kind = if text.starts_with("$ ") { LineKind::Command } else { LineKind::Screen };
        let at = Duration::from_secs(n as u64);
        session.add(Line { at, channel: 0, kind, text: (*text).to_owned() }).unwrap();
    }
    session.end(Coverage::Whole).unwrap();
}

fn hits(path: &Path, query: &str, filter: &Filter, limit: usize) -> Vec<(String, String)> {
    let reader = IndexReader::open(directory(path)).unwrap();
    let hits = reader.query(&Query::parse(query).unwrap(), filter, limit, |_| true).unwrap();
    assert!(hits.rest == Rest::None || hits.lines.len() == limit, "{hits:?}");
    hits.lines.into_iter().map(|hit| (hit.session, hit.line.text)).collect()
}

fn found(path: &Path, query: &str, limit: usize) -> Vec<(String, String)> {
    hits(path, query, &Filter::default(), limit)
}

fn hit(session: &str, line: &str) -> (String, String) {
    (session.to_owned(), line.to_owned())
}

#[test]
fn lines_are_found_the_newest_first_until_their_session_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut indexer = indexer(dir.path());
    let long: Vec<String> = (0..200).map(|n| format!("line {n} of /var/log/auth.log")).collect();
    add(&mut indexer, "old", 1, &["cat /etc/shadow", "permission denied"]);
    add(&mut indexer, "new", 2, &["vi /etc/shadow-", "permission", "denied"]);
    add(&mut indexer, "long", 3, &long.iter().map(String::as_str).collect::<Vec<_>>());
    indexer.commit().unwrap();

    let both = [hit("new", "vi /etc/shadow-"), hit("old", "cat /etc/shadow")];
    for query in ["shadow", "/etc/shadow", "SHA*", "/etc/sh*", "shadow etc"] {
        assert_eq!(found(dir.path(), query, 20), both, "{query}");
    }
    assert_eq!(found(dir.path(), "shadow", 1), [both[0].clone()]);
    assert_eq!(found(dir.path(), "\"permission denied\"", 20), [hit("old", "permission denied")]);
    assert_eq!(found(dir.path(), "permission denied", 20).len(), 1);
    assert_eq!(found(dir.path(), "auth.log", 1000).len(), 200);
    let newest: Vec<_> = (0..70).map(|n| hit("long", &long[199 - n])).collect();
    assert_eq!(found(dir.path(), "auth.log", 70), newest);
    assert_eq!(found(dir.path(), "line 199", 20), [hit("long", "line 199 of /var/log/auth.log")]);
    assert_eq!(found(dir.path(), "nowhere", 20), []);

    indexer.remove("new");
    indexer.commit().unwrap();
    assert_eq!(found(dir.path(), "shadow", 20), [hit("old", "cat /etc/shadow")]);
    add(&mut indexer, "old", 1, &["nothing"]);
    indexer.commit().unwrap();
    assert_eq!(found(dir.path(), "shadow", 20), []);
}

#[test]
fn a_filter_leaves_out_what_does_not_fit_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut indexer = indexer(dir.path());
    add(&mut indexer, "one", 100, &["$ make one", "$ make two", "made"]);
    add(&mut indexer, "other", 200, &["$ make other"]);
    indexer.commit().unwrap();
    let of = |filter: Filter| {
        let lines = hits(dir.path(), "ma*", &filter, 20);
        lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join(", ")
    };
    let any = Filter::default();
    assert_eq!(of(any.clone()), "$ make other, made, $ make two, $ make one");
    assert_eq!(of(Filter { user: Some("ONE-Admin".into()), ..any.clone() }), "made, $ make two, $ make one");
    assert_eq!(of(Filter { user: Some("one".into()), ..any.clone() }), "");
    assert_eq!(of(Filter { user: Some("root".into()), from: Some(200_000), ..any.clone() }), "$ make other");
    assert_eq!(of(Filter { target: Some("db01".into()), until: Some(101_000), ..any.clone() }), "$ make one");
    assert_eq!(of(Filter { target: Some("db02".into()), ..any.clone() }), "");
    assert_eq!(of(Filter { from: Some(101_000), until: Some(102_000), ..any.clone() }), "$ make two");
    assert_eq!(of(Filter { kind: Some(LineKind::Screen), ..any.clone() }), "made");
    let names = ["Alice".to_owned(), "root".to_owned()];
    let user = |name: &str| Filter { user: Some(name.into()), ..any.clone() };
    assert_eq!(
        ["alice", "ROOT", "ali"].map(|name| user(name).counts_session(&names, &[])),
        [true, true, false]
    );
    let reader = IndexReader::open(directory(dir.path())).unwrap();
    let query = Query::parse("make").unwrap();
    let hits = reader.query(&query, &Filter::default(), 20, |session| session == "one").unwrap();
    assert_eq!(hits.lines.len(), 2);
    assert_eq!((hits.lines[0].start, hits.lines[0].line.at), (100_000, Duration::from_secs(1)));
}

#[test]
fn a_session_without_its_end_is_not_there_and_the_others_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut indexer = indexer(dir.path());
    add(&mut indexer, "whole", 1, &["text"]);
    let at = Duration::ZERO;
    let line = || Line { at, channel: 0, kind: LineKind::File, text: "text\nof\tmore".into() };
    let mut partly = indexer.session(SessionFacts { id: "partly".into(), ..SessionFacts::default() });
    partly.add(line()).unwrap();
    partly.end(Coverage::Partly).unwrap();
    let mut dropped = indexer.session(SessionFacts { id: "dropped".into(), ..SessionFacts::default() });
    for _ in 0..100 {
        dropped.add(line()).unwrap();
    }
    drop(dropped);
    indexer.commit().unwrap();
    drop(indexer);
    let reader = IndexReader::open(directory(dir.path())).unwrap();
    assert_eq!([Coverage::Whole, Coverage::Partly].map(|c| reader.count(c).unwrap()), [1, 1]);
    assert_eq!(found(dir.path(), "text", 20), [hit("whole", "text"), hit("partly", "text of more")]);
    let indexer = Indexer::open(directory(dir.path())).unwrap();
    assert_eq!(indexer.sessions().unwrap(), ["partly", "whole"]);
    let coverage = ["whole", "partly", "dropped"].map(|id| indexer.coverage(id).unwrap());
    assert_eq!(coverage, [Some(Coverage::Whole), Some(Coverage::Partly), None]);
}

#[test]
fn what_was_purged_is_in_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = indexer(dir.path());
    let long: Vec<String> = (0..5000).map(|n| format!("{n} {:x}", n * 7_919_u64 % 65_537)).collect();
    add(&mut first, "long", 1, &long.iter().map(String::as_str).collect::<Vec<_>>());
    add(&mut first, "short", 2, &["stays"]);
    first.commit().unwrap();
    let size = || {
        let files = std::fs::read_dir(directory(dir.path()).path()).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    let before = size();
    first.remove("long");
    first.commit().unwrap();
    first.purge().unwrap();
    assert!(size() * 5 < before, "{} of {before} bytes", size());
    assert_eq!(found(dir.path(), "stays", 20), [hit("short", "stays")]);
    let mut second = indexer(dir.path());
    second.remove("short");
    second.commit().unwrap();
    second.purge().unwrap();
    assert_eq!(found(dir.path(), "stays", 20), []);
}

fn asked(directory: EncryptedDirectory) -> tantivy::Result<Hits> {
    IndexReader::open(directory)?.query(&Query::parse("etc/sh*").unwrap(), &Filter::default(), 20, |_| true)
}
#[test]
fn a_file_that_was_changed_never_gives_a_wrong_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut indexer = indexer(dir.path());
    add(&mut indexer, "one", 1, &["cat /etc/shadow", "permission denied"]);
    indexer.commit().unwrap();
    drop(indexer);
    let right = asked(directory(dir.path())).unwrap();
    let mut errors = 0;
    for entry in std::fs::read_dir(directory(dir.path()).path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for place in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[place] ^= 0x10;
            std::fs::write(&path, changed).unwrap();
            match asked(directory(dir.path())) {
                // The question does not read every file.
                Ok(hits) => assert_eq!(hits, right, "{path:?}, byte {place}"),
                Err(_) => errors += 1,
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(errors > 100, "{errors}");
}

#[test]
fn another_key_is_told() {
    let dir = tempfile::tempdir().unwrap();
    drop(Indexer::open(directory(dir.path())).unwrap());
    let key = IndexKey::new(Zeroizing::new([4; IndexKey::BYTES]));
    let other = EncryptedDirectory::open(dir.path().join("index"), key).unwrap();
    let error = format!("{:?}", asked(other).unwrap_err());
    assert!(error.contains("WrongKey"), "{error}");
}
