//! Recordings of sessions that run, in an object store; and a store that has to have them, and is gone.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_testsuite::{PATIENCE, Program, SshClient, Swift, keyward, until};

use crate::object_store::site;
use crate::site::Site;

/// Counts on standard error, twenty times a second.
const COUNTS: &str = "i=0; while sleep 0.05 && echo $((i+=1)) >&2; do :; done";
const SPOOL: &str = "spool-every = 1\n";
/// The store may be late by two seconds.
const REQUIRED: &str = "spool-every = 1\nunsent-at-most = 2\n";
const CANNOT_SERVE: &str = "The gateway cannot serve this session now.";
const ENDED: &str = "The session was ended by the gateway.";

fn last_number(session: &Program) -> Option<u32> {
    session.log().iter().rev().find_map(|line| line.parse().ok())
}

#[track_caller]
fn counts(session: &Program, to: u32) {
    until("it counts", PATIENCE, || last_number(session).filter(|number| *number > to));
}

/// The names of pieces, once there are so many.
#[track_caller]
fn pieces(swift: &Swift, count: usize) -> Vec<String> {
    until("pieces are in the store", PATIENCE, || {
        let names: Vec<String> = swift.list().into_iter().filter(|name| name.contains(".partial/")).collect();
        (names.len() >= count).then_some(names)
    })
}

/// What the store has when it has one recording as a whole and nothing else.
#[track_caller]
fn only_the_whole(swift: &Swift) -> String {
    until("the pieces are gone", PATIENCE, || {
        let [name] = <[String; 1]>::try_from(swift.list()).ok()?;
        name.ends_with(".trail").then_some(name)
    })
}

/// A recorded session that counts, of which so many pieces are in the store.
fn spooled(swift: &Swift, settings: &str, count: usize) -> (Site, SshClient, Program) {
    let site = site(swift, settings);
    let (ssh, session) = site.running();
    pieces(swift, count);
    (site, ssh, session)
}

/// None is missing between the first number and the last, which is given.
#[track_caller]
fn last_of_all(shown: &str) -> u32 {
    let numbers: Vec<u32> = shown.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.last().copied().unwrap()), "{numbers:?}");
    numbers[numbers.len() - 1]
}

impl Site {
    fn running(&self) -> (SshClient, Program) {
        let ssh = self.ssh();
        let session = Program::start(&mut ssh.command(&[], &[COUNTS]));
        counts(&session, 20);
        (ssh, session)
    }

    fn fetch(&self, id: &str, more: &[&str]) -> PathBuf {
        let to = self.sshd.folder().join(format!("fetched-{}", more.len()));
        let words = [&["session", "fetch-recording", id, "--to", to.to_str().unwrap()], more].concat();
        let run = self.command(&words);
        run.must_succeed();
        assert!(run.text().contains("pieces, without the end"), "{}", run.text());
        to
    }

    /// The last number that a fetched recording shows: it is truncated and was not changed.
    #[track_caller]
    fn truncated(&self, recording: &Path, signer: &str) -> u32 {
        let verified = keyward(["trail", "verify", recording.to_str().unwrap(), "--signed-by", signer]);
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert_eq!(verified.status.code(), Some(1), "{said}{}", verified.stderr);
        assert!(said.contains("\ntruncated: ") && !said.contains("changed"), "{said}");
        last_of_all(&self.gateway.played(recording).text())
    }

    /// What the store has, as a whole, is the recording on the disk.
    #[track_caller]
    fn is_in(&self, swift: &Swift) -> PathBuf {
        let name = only_the_whole(swift);
        let recording = self.gateway.recordings().pop().unwrap();
        assert!(swift.get(&name) == fs::read(&recording).unwrap());
        recording
    }
}

#[test]
fn what_a_running_session_records_is_in_the_store_while_it_runs_and_then_the_whole_alone() {
    let swift = Swift::start();
    let (site, _ssh, session) = spooled(&swift, SPOOL, 2);
    let names = pieces(&swift, 2);
    assert!(names[0].starts_with("node-1/") && names[0].ends_with(".trail.partial/000001"), "{names:?}");
    let file = fs::read(site.gateway.recordings().pop().unwrap()).unwrap();
    let bytes: Vec<u8> = names.iter().flat_map(|name| swift.get(name)).collect();
    assert!(!bytes.is_empty() && file.starts_with(&bytes), "the pieces are not what was recorded");

    let id = site.gateway.sessions()[0]["id"].as_str().unwrap().to_owned();
    let fetched = fs::read(site.fetch(&id, &[])).unwrap();
    assert!(fetched.starts_with(&bytes));

    drop(session);
    site.ended(1);
    site.is_in(&swift);
    site.tells_no_secret();
}

#[test]
fn of_a_gateway_that_is_lost_with_its_disk_the_store_has_a_truncated_recording() {
    let swift = Swift::start();
    let (mut site, _ssh, session) = spooled(&swift, SPOOL, 2);
    site.gateway.kill();
    drop(session);
    let id = site.gateway.sessions()[0]["id"].as_str().unwrap().to_owned();
    let signer = site.command(&["trail", "signer"]).text().trim().to_owned();
    let last = site.truncated(&site.fetch(&id, &[]), &signer);
    // The ledger and the recordings burn.
    let data = site.gateway.data();
    fs::rename(&data, data.with_extension("burnt")).unwrap();
    let unique = id.split('/').nth(1).unwrap();
    assert!(
        site.refused_command(&["session", "fetch-recording", &id, "--to", "/nowhere"])
            .contains("--without-ledger")
    );
    let without = site.fetch(unique, &["--without-ledger"]);
    assert!(site.truncated(&without, &signer) >= last);
    fs::rename(data.with_extension("burnt"), &data).unwrap();
}

#[test]
fn pieces_of_a_killed_gateway_go_when_it_has_sent_the_whole() {
    let swift = Swift::start();
    let (mut site, _ssh, session) = spooled(&swift, SPOOL, 2);
    site.gateway.kill();
    drop(session);
    site.gateway.start();
    site.is_in(&swift);
}

#[test]
fn who_deletes_a_recording_deletes_its_pieces() {
    let mut swift = Swift::start();
    let (mut site, _ssh, session) = spooled(&swift, SPOOL, 2);
    swift.stop();
    drop(session);
    let id = site.ended(1)["id"].as_str().unwrap().to_owned();
    until("it is closed", PATIENCE, || {
        site.gateway.session(&id)["trail_closed"]["last"].is_object().then_some(())
    });
    site.gateway.kill();
    swift.come_back();
    assert!(swift.list().iter().all(|name| name.contains(".partial/")));
    site.command(&["session", "delete-recording", &id, "--reason", "wanted"]).must_succeed();
    assert!(swift.list().is_empty(), "{:?}", swift.list());
}

#[test]
fn a_required_store_that_is_gone_stops_the_relay_then_ends_the_session_and_nothing_is_lost() {
    let mut swift = Swift::start();
    let (site, _ssh, session) = spooled(&swift, REQUIRED, 1);
    swift.stop();
    let status = session.ended(PATIENCE * 2);
    assert_eq!(status.code(), Some(255));
    assert!(session.log().iter().any(|line| line.contains(ENDED)), "{:?}", session.log());
    let seen = last_number(&session).unwrap();
    let record = site.ended(1);
    assert_eq!(record["verdict"], "accept-terminated", "{record:#}");
    let reason = record["reason"].as_str().unwrap();
    let says = "recording failed: the object store took nothing for ";
    let late = reason
        .strip_prefix(says)
        .and_then(|rest| rest.strip_suffix(" s"))
        .unwrap_or_else(|| panic!("{reason}"));
    assert!(late.parse::<u32>().unwrap() >= 12, "{reason}");
    site.logs(&["ALERT", "the object store took nothing for", "new ones are refused"]);

    // Who comes now is refused before anything else.
    let refused = site.log_in(&site.sshd.user());
    assert_eq!(refused.status.code(), Some(255));
    assert!(refused.stdout.is_empty() && refused.stderr.contains(CANNOT_SERVE), "{refused:?}");
    let record = site.ended(2);
    assert_eq!(record["verdict"], "gateway-error");
    assert!(record["reason"].as_str().unwrap().contains("the object store took nothing for"), "{record:#}");
    assert_eq!(record["target"], serde_json::Value::Null);

    // All that the person has seen is in the recording, on the disk and then in the store.
    swift.come_back();
    site.logs(&["sessions go on"]);
    let last = last_of_all(&site.gateway.play(&site.is_in(&swift)));
    assert!(last >= seen, "{last} comes before {seen}");
    site.ssh().exec("echo in").must_succeed();
}

#[test]
fn while_a_required_store_is_gone_nothing_passes_and_then_the_session_goes_on() {
    let mut swift = Swift::start();
    let (site, _ssh, session) = spooled(&swift, REQUIRED, 1);
    swift.stop();
    site.logs(&["ALERT", "the object store took nothing for", "recorded sessions are stopped"]);
    let stopped = last_number(&session).unwrap();
    swift.come_back();
    site.logs(&["a session waited for the object store"]);
    counts(&session, stopped + 20);
    drop(session);
    let record = site.ended(1);
    assert!(!record["reason"].as_str().unwrap().contains("recording failed"), "{record:#}");
    assert!(last_of_all(&site.gateway.play(&site.is_in(&swift))) >= stopped + 20);
}
