//! The gateway dies at any moment: nothing is owed afterwards, and what was recorded can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use keyward_testsuite::{Askpass, PATIENCE, Program, until};

use crate::vault::{CODE, Vault};

const ROUNDS: u64 = 5;
const SESSIONS_A_ROUND: usize = 10;

#[test]
fn after_each_kill_every_called_plugin_hears_the_end_of_each_session_once() {
    let mut vault = Vault::open();
    let askpass = Askpass::new(&[]);
    for round in 0..ROUNDS {
        let client = vault.client(&format!("otp={CODE}@"), &askpass);
        let busy = || Program::start(&mut client.command(&[], &["while sleep 0.1 && echo tick; do :; done"]));
        let sessions: Vec<Program> = (0..SESSIONS_A_ROUND).map(|_| busy()).collect();
        // To hit the logins, the work and what is between at another moment each time.
        thread::sleep(Duration::from_millis(300 + 400 * round));
        if round == ROUNDS - 1 {
            // A recording that is just being created cannot be played yet.
            let shows_work = |file: &PathBuf| shows_work(&vault.gateway.played(file).stdout);
            until("work is recorded", PATIENCE, || {
                vault.gateway.recordings().iter().any(shows_work).then_some(())
            });
        }
        vault.gateway.kill();
        for session in sessions {
            session.ended(PATIENCE);
        }
        vault.gateway.start();
    }

    until("each debt is paid", PATIENCE * 4, || {
        let all_paid =
            ["code-instance", "vault-instance"].iter().all(|instance| owed(&vault, instance).is_empty());
        all_paid.then_some(())
    });
    for instance in ["code-instance", "vault-instance"] {
        assert_eq!(told_twice(&vault, instance), Vec::<String>::new(), "{instance} heard an end twice");
    }
    let sessions = vault.gateway.sessions();
    assert!(sessions.iter().all(|session| session["verdict"].is_string()), "{sessions:?}");
    // Playing fails on a recording that is broken rather than cut. An empty one was cut before its first byte.
    let is_begun = |file: &&PathBuf| fs::metadata(file).unwrap().len() > 0;
    let recordings = vault.gateway.recordings();
    let played: Vec<String> =
        recordings.iter().filter(is_begun).map(|file| vault.gateway.play(file)).collect();
    let of_work = played.iter().filter(|shown| shows_work(shown.as_bytes())).count();
    assert!(of_work > 0, "{} recordings, none with work", played.len());
}

fn shows_work(played: &[u8]) -> bool {
    String::from_utf8_lossy(played).contains("tick")
}

/// The sessions that this plugin was called for and whose end it has not heard.
fn owed(vault: &Vault, instance: &str) -> BTreeSet<String> {
    let calls = vault.calls(instance);
    let ended: BTreeSet<&String> =
        calls.iter().filter(|(hook, _)| hook == "session_ended").map(|(_, session)| session).collect();
    calls.iter().map(|(_, session)| session).filter(|session| !ended.contains(session)).cloned().collect()
}

fn told_twice(vault: &Vault, instance: &str) -> Vec<String> {
    let mut times = BTreeMap::new();
    for (hook, session) in vault.calls(instance) {
        *times.entry(session).or_insert(0) += i32::from(hook == "session_ended");
    }
    times.into_iter().filter(|(_, times)| *times > 1).map(|(session, _)| session).collect()
}
