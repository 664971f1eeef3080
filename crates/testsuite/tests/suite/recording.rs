//! No record, no session: recordings and the ledger, also when the disk is full or the gateway dies.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keyward_testsuite::{
    Askpass, Frozen, GatewayPlan, PATIENCE, PowerCuts, Program, SshClient, Sshd, Taken, fill, until,
};
use serde_json::Value;

use crate::site::{Draft, Site};

const ENDED: &str = "The session was ended by the gateway.";
const CANNOT_SERVE: &str = "The gateway cannot serve this session now.";
const NO_END: &str = "the recording has no end";

#[test]
fn a_recording_plays_exactly_what_the_client_saw() {
    let site = Site::open();
    let seen = site.ssh().terminal("tty; printf '\\033[31mred\\033[0m\\n'; echo gr\u{fc}n; seq 2000; exit\n");
    site.ended(1);

    let played = site.gateway.played(&recording(&site));
    played.must_succeed();
    assert_eq!(String::from_utf8_lossy(&played.stdout), String::from_utf8_lossy(&seen.stdout));
    let said: Vec<_> = played.stderr.lines().collect();
    assert!(
        matches!(said[..], [line] if line.contains("is signed by")),
        "of an ended recording its signer is said, and nothing else: {said:?}"
    );
}

#[test]
fn a_terminal_is_recorded_in_both_directions_with_times_and_windows() {
    let site = Site::open();
    assert_eq!(site.paramiko("resize", &[]), "31 91, 45 123, 7\n");
    site.ended(1);

    let cast = site.gateway.asciicast(&recording(&site));
    assert_eq!((&cast[0]["width"], &cast[0]["height"]), (&Value::from(91), &Value::from(31)));
    let events = &cast[1..];
    let all = |code: &str| {
        let of_code = events.iter().filter(|event| event[1] == code);
        of_code.map(|event| event[2].as_str().unwrap()).collect::<Vec<_>>().concat()
    };
    assert!(all("i").contains("stty size; echo second=$((40+2))\n"), "{}", all("i"));
    assert!(all("o").contains("45 123\r\n"), "{}", all("o"));
    assert_eq!(all("r"), "123x45");
    let times: Vec<f64> = events.iter().map(|event| event[0].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.last().unwrap() < &PATIENCE.as_secs_f64(), "{times:?}");
}

#[test]
fn the_times_of_a_recording_are_those_of_the_session() {
    let site = Site::open();
    let (ssh, begun) = (site.ssh(), Instant::now());
    let command = "echo one >&2; read -r _; echo two >&2; read -r _";
    let mut session = Program::start(&mut ssh.command(&[], &[command]));
    session.find_line("one", PATIENCE, |line| (line == "one").then_some(())).unwrap();
    let one = Instant::now();
    thread::sleep(Duration::from_millis(1500));
    let least = one.elapsed();
    session.tell("go on");
    session.find_line("two", PATIENCE, |line| (line == "two").then_some(())).unwrap();
    let most = begun.elapsed();
    session.tell_no_more();
    site.ended(1);

    let cast = site.gateway.asciicast(&recording(&site));
    let at = |word: &str| {
        let line = cast[1..].iter().find(|event| event[2].as_str().unwrap().contains(word));
        line.unwrap_or_else(|| panic!("no {word}: {cast:?}"))[0].as_f64().unwrap()
    };
    let between = at("two") - at("one");
    assert!((least.as_secs_f64()..most.as_secs_f64()).contains(&between), "{between} s");
}

#[test]
fn a_command_is_recorded_with_its_name_its_output_and_its_complaints() {
    let site = Site::open();
    let command = "cat; echo complaint >&2";
    let run = site.ssh().exec_with(command, keyward_testsuite::Input::Bytes(b"typed\n".to_vec()));
    run.must_succeed();
    site.ended(1);

    let cast = site.gateway.asciicast(&recording(&site));
    assert_eq!(cast[0]["command"], command, "{}", cast[0]);
    assert!(cast[1..].iter().any(|event| event[1] == "i" && event[2] == "typed\n"), "{cast:?}");
    let played = site.gateway.play(&recording(&site));
    assert!(played.contains("typed\n") && played.contains("complaint\n"), "{played}");
}

#[test]
fn a_channel_whose_rule_does_not_record_leaves_no_recording() {
    let site = Site::with(|draft| draft.channels = "types = [\"exec\"]\nrecord = false\n".to_owned());
    site.ssh().exec("echo unseen").must_succeed();
    site.ended(1);
    assert_eq!(site.gateway.recordings(), Vec::<PathBuf>::new());
}

#[test]
fn a_recording_is_at_most_a_second_behind() {
    let site = Site::open();
    let ssh = site.ssh();
    let mut session = Program::start(&mut ssh.command(&[], &["cat"]));
    until("a recording begins", PATIENCE, || site.gateway.recordings().pop());
    let mut words = String::new();
    let mut takes = |word: usize| {
        let told = Instant::now();
        session.tell(&word.to_string());
        words += &format!("{word}\n");
        until("it is recorded", PATIENCE, || {
            (site.gateway.played(&recording(&site)).stdout == words.as_bytes()).then(|| told.elapsed())
        })
    };
    // The second that it may be behind, and some time for a busy machine, which may be late once or twice: a recording
    // that were written less often would be so each time.
    let times: Vec<Duration> = (0..5).map(&mut takes).collect();
    assert!(times.iter().min().unwrap() < &Duration::from_millis(1500), "{times:?}");
    let played = site.gateway.played(&recording(&site));
    assert!(played.stderr.contains(NO_END), "{}", played.stderr);
}

#[test]
fn a_power_cut_leaves_a_recording_up_to_the_last_second() {
    let cuts = PowerCuts::prepare();
    let site = Site::planned(Sshd::start(), |_| (), |plan| plan.with_power_cuts(&cuts));
    let trails = site.gateway.data().join("trails");
    let command = "while sleep 0.05 && date +%s.%N; do :; done";
    let ssh = site.ssh();
    let session = Program::start(&mut ssh.command(&[], &[command]));
    let states = until("the disk has taken it often", PATIENCE, || {
        let states = cuts.taken(&trails);
        (states.len() >= 10).then_some(states)
    });

    // Just before the disk takes more, a power cut costs most. As above, a busy machine may be late.
    let mut lost = Vec::new();
    for pair in states.windows(2) {
        let left = left_by_a_power_cut(&site, &pair[0]);
        lost.extend(left.map(|last| pair[1].since.as_secs_f64() - last));
    }
    lost.sort_by(f64::total_cmp);
    assert!(lost.len() >= 8 && lost[lost.len() / 2] < 1.2, "{lost:?} s are lost");
    drop(session);
}

/// The last line of what was recorded; `None` where that had not begun.
fn left_by_a_power_cut(site: &Site, state: &Taken) -> Option<f64> {
    let left = site.sshd.folder().join("left");
    let whole = fs::read(&state.path).unwrap();
    fs::write(&left, &whole[..usize::try_from(state.length).unwrap()]).unwrap();
    let played = site.gateway.played(&left);
    assert!(played.stderr.contains(NO_END) && !played.stderr.contains("left out"), "{}", played.stderr);
    played.text().lines().last().map(|line| line.parse().unwrap())
}

#[test]
fn a_killed_gateway_leaves_a_recording_up_to_the_last_second() {
    let mut site = Site::open();
    let command = "while sleep 0.05 && date +%s.%N; do :; done";
    let ssh = site.ssh();
    let session = Program::start(&mut ssh.command(&[], &[command]));
    until("a recording begins", PATIENCE, || site.gateway.recordings().pop());
    thread::sleep(Duration::from_millis(8300));

    let killed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    site.gateway.kill();
    session.ended(PATIENCE);

    let played = site.gateway.played(&recording(&site));
    let text = played.text();
    let last: f64 = text.lines().last().unwrap().parse().unwrap();
    // How long it takes is the rule of the test before; here, a busy machine may hold up the command as well.
    assert!(killed - last < 5.0, "{} s are missing", killed - last);
    assert!(played.stderr.contains(NO_END), "{}", played.stderr);
}

#[test]
fn a_session_whose_recording_finds_no_room_is_ended_and_others_are_not() {
    let site = with_an_unrecorded_port(|plan| plan.on_small_disk("trails", 1024));
    let (unrecorded, proof) = (unrecorded(&site), site.sshd.folder().join("ticks"));
    let ticking = format!("while sleep 0.1 && echo tick; do echo tick >> '{}'; done", proof.display());
    let other = Program::start(&mut unrecorded.command(&[], &[&ticking]));
    let ticks = || fs::metadata(&proof).map_or(0, |file| file.len());
    until("the other session works", PATIENCE, || (ticks() > 0).then_some(()));

    let run = site.ssh().exec("head -c 16M /dev/urandom; sleep 60");

    assert_eq!(run.status.code(), Some(255));
    assert!(run.stderr.contains(ENDED), "{}", run.stderr);
    site.is_calm(&run.stderr);
    let session = site.ended(1);
    assert_eq!(session["verdict"], "accept-terminated", "{session:#}");
    assert!(session["reason"].as_str().unwrap().contains("recording failed"), "{session:#}");
    let before = ticks();
    until("the other session goes on", PATIENCE, || (ticks() > before).then_some(()));
    unrecorded.exec("true").must_succeed();
    drop(other);
    // What was written before the disk was full can be read.
    let played = site.gateway.played(&recording(&site));
    played.must_succeed();
    assert!(played.stdout.len() > 100_000, "{} bytes", played.stdout.len());
}

#[test]
fn a_disk_that_does_not_answer_stops_the_relay_then_ends_the_session_and_nothing_is_lost() {
    let site = with_an_unrecorded_port(|plan| plan.on_a_disk_of_its_own("trails"));
    let ssh = site.ssh();
    let session = Program::start(&mut ssh.command(&[], &[COUNTS]));
    until("it counts", PATIENCE, || last_number(&session).filter(|number| *number > 20));

    let frozen = Frozen::freeze(&site.gateway.data().join("trails"));
    let status = session.ended(PATIENCE * 2);

    assert_eq!(status.code(), Some(255));
    assert!(session.log().iter().any(|line| line.contains(ENDED)), "{:?}", session.log());
    let seen = last_number(&session).unwrap();
    unrecorded(&site).exec("true").must_succeed();
    drop(frozen);
    let sessions = site.gateway.ended_sessions(2);
    let session = sessions.iter().find(|session| session["connection"] != "unrecorded").unwrap();
    assert_eq!(session["verdict"], "accept-terminated", "{session:#}");
    let reason = session["reason"].as_str().unwrap();
    assert!(reason.contains("recording failed: the disk took nothing for 10 s"), "{session:#}");
    // All that the person has seen is in the recording, which has its end.
    let played = site.gateway.played(&recording(&site));
    played.must_succeed();
    assert!(!played.stderr.contains(NO_END), "{}", played.stderr);
    let numbers: Vec<u32> = played.text().lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.last().copied().unwrap()), "{numbers:?}");
    assert!(numbers.last().unwrap() >= &seen, "{numbers:?} ends before {seen}");
}

#[test]
fn while_a_disk_is_slow_nothing_passes_and_then_the_session_goes_on() {
    let site = Site::planned(Sshd::start(), |_| (), |plan| plan.on_a_disk_of_its_own("trails"));
    let ssh = site.ssh();
    let session = Program::start(&mut ssh.command(&[], &[COUNTS]));
    until("it counts", PATIENCE, || last_number(&session).filter(|number| *number > 20));

    let frozen = Frozen::freeze(&site.gateway.data().join("trails"));
    // It stops, although the target goes on.
    let stopped = until("nothing passes", PATIENCE, || {
        let before = last_number(&session);
        thread::sleep(Duration::from_secs(1));
        before.filter(|_| before == last_number(&session))
    });
    drop(frozen);
    until("it goes on", PATIENCE, || last_number(&session).filter(|number| *number > stopped + 20));

    drop(session);
    site.ended(1);
    let played = site.gateway.played(&recording(&site));
    let numbers: Vec<u32> = played.text().lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.last().copied().unwrap()), "{numbers:?}");
    let said = site.gateway.program().log();
    assert!(said.iter().any(|line| line.contains("waited for the disk of its recording")), "{said:?}");
}

/// Counts on standard error, twenty times a second.
const COUNTS: &str = "i=0; while sleep 0.05 && echo $((i+=1)) >&2; do :; done";

fn last_number(session: &Program) -> Option<u32> {
    session.log().iter().rev().find_map(|line| line.parse().ok())
}

#[test]
fn a_session_that_cannot_be_recorded_does_not_begin() {
    let site = with_an_unrecorded_port(|plan| plan);
    let trails = site.gateway.data().join("trails");
    fs::remove_dir_all(&trails).unwrap();
    fs::write(&trails, "no folder").unwrap();

    let proof = site.sshd.folder().join("proof");
    let run =
        site.person(&site.sshd.user(), &Askpass::new(&[])).exec(&format!("touch '{}'", proof.display()));

    site.refused(&run, "gateway-error", CANNOT_SERVE);
    assert!(!proof.exists());
    assert!(site.ended(1)["reason"].as_str().unwrap().contains("recording failed"));
    unrecorded(&site).exec("true").must_succeed();
}

#[test]
fn a_gateway_whose_ledger_finds_no_room_refuses_sessions_until_there_is_some() {
    let site = Site::planned(Sshd::start(), |_| (), |plan| plan.on_small_disk("", 16 * 1024));
    site.ssh().exec("true").must_succeed();
    site.gateway.ended_sessions(1);

    let filler = fill(&site.gateway.data());
    // The database may have some room of its own left.
    let refused = until("a session is refused", PATIENCE * 2, || {
        let run = site.log_in(&site.sshd.user());
        (!run.status.success()).then_some(run)
    });
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "");
    assert!(refused.stderr.contains(CANNOT_SERVE), "{}", refused.stderr);
    site.is_calm(&refused.stderr);

    fs::remove_file(filler).unwrap();
    site.ssh().exec("true").must_succeed();
}

#[test]
fn a_second_gateway_in_the_same_data_folder_does_not_start_and_names_the_first() {
    let site = Site::open();
    let document = fs::read_to_string(site.gateway.policy()).unwrap();
    let other = document.replace(&format!(":{}\"]", site.addr().port()), ":@port:ssh@\"]");
    assert_ne!(other, document);

    let said = GatewayPlan::new(&other).refuses_to_start();

    let holder = format!("process {}", site.gateway.program().id());
    assert!(said.contains(&holder), "{holder} is not in {said}");
    assert!(said.contains(site.gateway.data().to_str().unwrap()), "{said}");
    site.ssh().exec("true").must_succeed();
}

/// A gateway with a second port, on which nothing is recorded.
#[track_caller]
fn with_an_unrecorded_port(prepare: impl FnOnce(GatewayPlan) -> GatewayPlan) -> Site {
    Site::planned(Sshd::start(), unrecorded_port, prepare)
}

fn unrecorded_port(draft: &mut Draft) {
    let Draft { target, connection, .. } = draft;
    draft.more = format!(
        r#"
[[connection]]
name = "unrecorded"
protocol = "ssh"
listen = ["127.0.0.1:@port:unrecorded@"]
target = {target}
authentication = "people"
credential-store = {{ local = "keys" }}
channel-policy = "unrecorded"
{connection}

[[channel-policy]]
name = "unrecorded"

[[channel-policy.rule]]
types = ["exec"]
record = false
"#
    );
}

fn unrecorded(site: &Site) -> SshClient {
    SshClient::with_key(site.gateway.addr("unrecorded"), &site.sshd.user(), &site.person)
}

/// The only recording.
#[track_caller]
fn recording(site: &Site) -> PathBuf {
    let recordings = site.gateway.recordings();
    assert_eq!(recordings.len(), 1, "{recordings:?}");
    recordings.into_iter().next().unwrap()
}
