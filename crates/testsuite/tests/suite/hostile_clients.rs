//! Clients that vanish, or ask for what is absurd: nothing of them stays.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use keyward_testsuite::{Link, PATIENCE, until};

use crate::site::Site;

on_both_routes! {
    windows_and_packets_may_be_as_large_as_a_number_can_be,
    channels_opened_in_a_loop_are_refused_or_closed_one_by_one,
}

fn windows_and_packets_may_be_as_large_as_a_number_can_be(link: &Link) {
    let printed = link.paramiko("absurd_windows", &[]);
    assert_eq!(printed, "largest True 0\ngrown True 0\ntiny packets True 0\nstill here\n");
}

fn channels_opened_in_a_loop_are_refused_or_closed_one_by_one(link: &Link) {
    assert_eq!(link.paramiko("channel_flood", &["10000", "1000"]), "10000 1000\nstill here\n");
}

/// Before anything is negotiated, and while it is.
#[test]
fn a_client_that_leaves_before_there_are_keys_leaves_nothing() {
    nothing_is_left_of(&["connected", "half a version", "version", "half a packet", "announced"], 50);
}

#[test]
fn a_client_that_leaves_before_it_is_known_leaves_nothing() {
    nothing_is_left_of(&["keys", "refused", "question"], 50);
}

#[test]
fn a_client_that_leaves_an_open_session_leaves_nothing() {
    nothing_is_left_of(&["logged in", "channel", "data"], 16);
}

#[test]
fn a_client_that_never_stops_talking_is_cut_at_the_grace_time_and_holds_nobody_up() {
    // Who is served meanwhile has to be in within that time.
    let site = Site::with(|draft| draft.settings = "login-grace = 12\n".to_owned());
    let process = site.gateway.program().id();
    site.ssh().exec("true").must_succeed();
    let memory = resident_kib(process);
    std::thread::scope(|scope| {
        let floods = ["plain", "ignore", "service", "ignore", "service", "ignore"];
        let floods = floods.map(|flood| scope.spawn(|| site.paramiko("log_in_flood", &[flood])));
        assert_eq!(site.ssh().exec("echo served").text(), "served\n");
        assert_eq!(floods.map(|flood| flood.join().unwrap()).concat(), "cut\n".repeat(6));
    });
    let now = resident_kib(process);
    assert!(now < memory + 24 * 1024, "{memory} KiB grew to {now} KiB");
}

/// The gateway has as many open descriptors as before, about as much memory, and each session has its end.
#[track_caller]
fn nothing_is_left_of(states: &[&str], times: usize) {
    let site = Site::with(|draft| {
        draft.methods = "\"public-key\", \"keyboard-interactive\"".to_owned();
        draft.user = keyward_testsuite::password_line("mine");
    });
    let process = site.gateway.program().id();
    let times = times.to_string();
    // Once before it is measured: what is made at the first use stays.
    for state in states {
        site.paramiko("leaving", &[state, "2", "mine"]);
    }
    site.ssh().exec("true").must_succeed();
    let calm = settled(&site, process);
    let memory = resident_kib(process);

    for state in states {
        assert_eq!(site.paramiko("leaving", &[state, &times, "mine"]), format!("{times}\n"), "{state}");
        let started = Instant::now();
        while descriptors(process).len() > calm.len() {
            let left = descriptors(process);
            assert!(started.elapsed() < PATIENCE, "left of {state:?}: {left:?}, where there was {calm:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    site.ssh().exec("true").must_succeed();
    until("each session has its end", PATIENCE, || {
        site.gateway.sessions().iter().all(|session| session["verdict"].is_string()).then_some(())
    });
    let now = resident_kib(process);
    assert!(now < memory + 24 * 1024, "{memory} KiB grew to {now} KiB");
}

/// How many descriptors are open when nobody is connected: what three looks in a row agree on.
#[track_caller]
fn settled(site: &Site, process: i32) -> Vec<PathBuf> {
    until("each session has its end", PATIENCE, || {
        site.gateway.sessions().iter().all(|session| session["verdict"].is_string()).then_some(())
    });
    let mut seen = Vec::new();
    until("the descriptors settle", PATIENCE, || {
        seen.push(descriptors(process));
        match seen.as_slice() {
            [.., a, b, c] if a == b && b == c => Some(a.clone()),
            _ => None,
        }
    })
}

/// What each open descriptor is. Without the ledger's: it opens one more of its few connections whenever two look into it
/// at the same moment, and keeps it.
fn descriptors(process: i32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    // One may be closed between the two looks.
    let mut found: Vec<PathBuf> =
        entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    found.retain(|path| !path.to_string_lossy().contains("/keyward.db"));
    found.sort();
    found
}

pub(crate) fn resident_kib(process: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
