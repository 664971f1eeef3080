//! Times and numbers: how long a session may last, and how many there may be.

use std::time::{Duration, Instant};

use keyward_testsuite::{Input, PATIENCE, Program, Run, password_line, run, until};

use crate::site::Site;

const TIMED_OUT: &str = "The session has timed out.";
const TICKING: &str = "while sleep 0.1 && echo tick; do :; done";

#[test]
fn a_session_lasts_no_longer_than_its_settings_allow() {
    let (site, run) = with("session-timeout = 2\n", TICKING);
    assert_timed_out(&site, &run);
    assert!(String::from_utf8_lossy(&run.stdout).contains("tick"));
}

#[test]
fn a_person_who_types_nothing_is_idle_whatever_the_server_says() {
    let (site, run) = with("user-idle-timeout = 2\n", TICKING);
    assert_timed_out(&site, &run);
}

#[test]
fn a_session_in_which_nothing_passes_times_out() {
    let (site, run) = with("timeout = 2\n", "sleep 60");
    assert_timed_out(&site, &run);
}

#[test]
fn a_terminal_shows_why_the_session_ended() {
    let site = Site::with(|draft| draft.settings = "timeout = 2\n".to_owned());
    let started = Instant::now();
    let shell = site.ssh().terminal("sleep 60\n");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let told = String::from_utf8_lossy(&shell.stdout).into_owned() + &shell.stderr;
    assert!(told.contains(TIMED_OUT), "{told}");
    assert_eq!(site.ended(1)["verdict"], "timeout");
}

#[test]
fn a_connection_without_any_channel_times_out_too() {
    let site = Site::with(|draft| draft.settings = "timeout = 2\n".to_owned());
    let ssh = site.ssh();
    let idle = run(&mut ssh.command(&["-N"], &[]), Input::Nothing);
    assert_timed_out(&site, &idle);
}

#[test]
fn a_question_waits_no_longer_for_its_answer_than_the_timeout() {
    let site = Site::with(|draft| {
        draft.settings = "timeout = 2\n".to_owned();
        draft.methods = "\"keyboard-interactive\"".to_owned();
        draft.user = password_line("mine");
        draft.credentials = "passwords = [\"stale\"]\n".to_owned();
        draft.connection += "ask-target-password = true\n";
    });
    let printed = site.paramiko("no_answer", &[&site.sshd.user(), "mine", "20"]);
    assert!(printed.ends_with("hung up\n"), "{printed}");
    assert!(printed.contains("on the server: "), "{printed}");
    assert_eq!(site.ended(1)["verdict"], "timeout");
}

#[test]
fn a_session_in_which_something_passes_does_not_time_out() {
    let site = Site::with(|draft| draft.settings = "timeout = 2\n".to_owned());
    let run = site.ssh().exec("for n in 1 2 3 4 5; do sleep 1; echo $n; done");
    assert_eq!(run.text(), "1\n2\n3\n4\n5\n");
    assert_eq!(site.ended(1)["verdict"], "accept");
}

#[test]
fn a_connection_policy_takes_no_more_sessions_than_it_may() {
    let site = Site::with(|draft| draft.connection += "max-sessions = 1\n");
    let ssh = site.ssh();
    let first = Program::start(&mut ssh.command(&[], &["cat"]));
    until("the first session is there", PATIENCE, || (site.sshd.logins() == 1).then_some(()));

    let second = site.ssh().exec("true");
    assert_eq!(second.status.code(), Some(255));
    assert_eq!(site.sshd.connections(), 1);
    assert_eq!(site.gateway.sessions().len(), 1, "a client that was turned away has no row");
    drop(first);

    site.gateway.ended_sessions(1);
    until("there is room again", PATIENCE, || site.ssh().exec("true").status.success().then_some(()));
}

#[test]
fn a_client_that_comes_too_often_is_turned_away() {
    let site = Site::with(|draft| draft.connection += "rate-limit = 2\n");
    // Should the minute end in the middle, then there is room for two more.
    let refused = until("a client is turned away", PATIENCE, || {
        let run = site.ssh().exec("true");
        (!run.status.success()).then_some(run)
    });

    assert_eq!(refused.status.code(), Some(255));
    let sessions = site.gateway.sessions().len();
    assert!((2..=4).contains(&sessions), "{sessions} sessions");
    let log = site.gateway.log().join("\n");
    assert!(log.contains("the client connects too often"), "{log}");
}

/// Runs a command on a gateway with these settings.
#[track_caller]
fn with(settings: &str, command: &str) -> (Site, Run) {
    let site = Site::with(|draft| draft.settings = settings.to_owned());
    let started = Instant::now();
    let run = site.ssh().exec(command);
    let took = started.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(15), "{took:?}");
    (site, run)
}

#[track_caller]
fn assert_timed_out(site: &Site, run: &Run) {
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    assert!(run.stderr.contains(TIMED_OUT), "{}", run.stderr);
    site.is_calm(&run.stderr);
    assert_eq!(site.ended(1)["verdict"], "timeout");
    assert!(site.gateway.play(&site.gateway.recordings()[0]).is_ascii());
}
