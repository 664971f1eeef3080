//! Recordings at random moments of a power cut and of the gateway's death: nothing is lost that is older than a second, and what
//! is there is told as it is.
//!
//! `KEYWARD_TEST_MOMENTS` is how many moments each of the two has, and `KEYWARD_TEST_SEED` repeats those of an earlier run.

#![expect(clippy::print_stderr, reason = "the seed of a run that fails, and the figures of a long one")]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyward_testsuite::{PATIENCE, PowerCuts, Program, Sshd, Taken, keyward, until};
use serde_json::Value;

use crate::site::Site;

/// The least that a recording may be behind and still count: what is in it comes from other processes of a busy machine.
const BUSY: f64 = 5.0;
/// What is lost at most, with some for the command that tells the time.
const LOST: f64 = 1.2;
/// Lines that say when they were written, some alone, some behind much else; all of them short of a block.
const LINES: &str = r#"n=0; while sleep 0.05; do
    n=$((n + 1)); test $((n % 7)) = 0 && head -c 30000 /dev/urandom | base64 -w 120
    echo; date +@%s.%N
done"#;

/// Numbers that a seed repeats (SplitMix64).
struct Random(u64);

impl Random {
    fn of_today() -> Self {
        let seed = match std::env::var("KEYWARD_TEST_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64,
        };
        eprintln!("KEYWARD_TEST_SEED={seed}");
        Self(seed)
    }

    /// From 0 up to, and without, 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn moments() -> usize {
    std::env::var("KEYWARD_TEST_MOMENTS").map_or(8, |text| text.parse().unwrap())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn signer(site: &Site) -> String {
    site.command(&["trail", "signer"]).text().trim().to_owned()
}

/// Truncated, as it was signed so far, and playable. The time of its last line, if there is one.
#[track_caller]
fn last_line(site: &Site, signer: &str, recording: &Path) -> Option<f64> {
    let file = recording.to_str().unwrap();
    let verified = keyward(["trail", "verify", file, "--signed-by", signer]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(1), "{said}{}", verified.stderr);
    let played = site.gateway.played(recording);
    assert!(!played.stderr.contains("left out") && !played.stderr.contains("damage"), "{}", played.stderr);
    let shown = String::from_utf8_lossy(&played.stdout).into_owned();
    let times = shown.lines().rev().filter_map(|line| line.strip_prefix('@'));
    // The last line may be cut.
    times.filter(|time| time.len() >= 20).find_map(|time| time.trim_end().parse().ok())
}

/// Half of them are good, whatever the machine does beside, and none is far off.
#[track_caller]
fn judge(what: &str, mut lost: Vec<f64>) {
    lost.sort_by(f64::total_cmp);
    let (middle, most) = (lost[lost.len() / 2], lost[lost.len() - 1]);
    let late = lost.iter().filter(|lost| **lost > LOST).count();
    eprintln!(
        "{} {what}: {middle:.3} s lost in the middle, {most:.3} s at most, {late} over {LOST} s",
        lost.len()
    );
    assert!(middle < LOST && most < BUSY, "{lost:?}");
}

#[test]
fn a_power_cut_at_any_moment_costs_a_second_and_nothing_is_taken_for_changed() {
    let mut random = Random::of_today();
    let cuts = PowerCuts::prepare();
    let site = Site::planned(Sshd::start(), |_| (), |plan| plan.with_power_cuts(&cuts));
    let (trails, signer) = (site.gateway.data().join("trails"), signer(&site));
    let ssh = site.ssh();
    let begin = now();
    let session = Program::start(&mut ssh.command(&[], &[LINES]));
    // A long run has a longer recording.
    let length = Duration::from_millis(4000 + 40 * moments() as u64);
    thread::sleep(length);
    let end = now();
    let states = cuts.taken(&trails);
    let mut lost = Vec::new();
    for _ in 0..moments() {
        let cut = begin + (end - begin) * random.next();
        let state = states.iter().rfind(|state| state.since.as_secs_f64() <= cut);
        let last = state.and_then(|state| last_line(&site, &signer, &left(&site, state)));
        lost.push(cut - last.unwrap_or(begin));
    }
    judge("power cuts", lost);
    drop(session);
}

/// What a power cut leaves of a recording.
fn left(site: &Site, state: &Taken) -> PathBuf {
    let left = site.sshd.folder().join("left");
    let whole = fs::read(&state.path).unwrap();
    fs::write(&left, &whole[..usize::try_from(state.length).unwrap()]).unwrap();
    left
}

#[test]
fn a_gateway_killed_at_any_moment_costs_a_second_and_starts_again_with_a_ledger_that_knows() {
    let mut random = Random::of_today();
    let mut site = Site::open();
    let signer = signer(&site);
    let ssh = site.ssh();
    let mut lost = Vec::new();
    for round in 0..moments() {
        let session = Program::start(&mut ssh.command(&[], &[LINES]));
        let recording = until("a recording begins", PATIENCE, || {
            let all = site.gateway.recordings();
            (all.len() > round).then(|| newest(&site))
        });
        let begin = now();
        thread::sleep(Duration::from_secs_f64(2.0 * random.next()));
        let killed = now();
        site.gateway.kill();
        session.ended(PATIENCE);
        // It may have died before it was signed by anybody.
        let is_begun = fs::metadata(&recording).unwrap().len() > 0;
        let last = is_begun.then(|| last_line(&site, &signer, &recording)).flatten();
        lost.push(killed - last.unwrap_or(begin));
        site.gateway.start();
    }
    judge("kills", lost);
    until("the ledger has all recordings", PATIENCE, || {
        let unclosed = |session: &Value| {
            let whole = site.gateway.session(session["id"].as_str().unwrap());
            whole["trail"].is_string() && whole["trail_closed"].is_null()
        };
        (!site.gateway.sessions().iter().any(unclosed)).then_some(())
    });
    let all = site.command(&["trail", "verify"]);
    let said = String::from_utf8_lossy(&all.stdout).into_owned();
    assert_eq!(all.status.code(), Some(1), "{said}{}", all.stderr);
    let sessions = site.gateway.sessions();
    assert!(sessions.iter().all(|session| session["verdict"] == "lost"), "{sessions:#?}");
}

/// The recording of the newest session.
fn newest(site: &Site) -> PathBuf {
    let find = || {
        let session = site.gateway.session(site.gateway.sessions()[0]["id"].as_str()?);
        Some(site.gateway.data().join("trails").join(session["trail"].as_str()?))
    };
    until("the newest session has a recording", PATIENCE, find)
}
