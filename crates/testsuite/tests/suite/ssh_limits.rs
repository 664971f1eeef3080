//! Times and numbers: how long a session may last, and how many there may be.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use keyward_testsuite::{
    Askpass, Input, PATIENCE, Plug, PluggedPlan, Program, Run, password_line, run, until,
};

use crate::site::Site;

const TIMED_OUT: &str = "The session has timed out.";
const TICKING: &str = "while sleep 0.1 && echo tick; do :; done";

#[test]
fn a_session_lasts_no_longer_than_its_settings_allow() {
    let (site, run) = with("session-timeout", 8, TICKING);
    assert_timed_out(&site, &run);
    assert!(String::from_utf8_lossy(&run.stdout).contains("tick"));
}

#[test]
fn a_person_who_types_nothing_is_idle_whatever_the_server_says() {
    let (site, run) = with("user-idle-timeout", 2, TICKING);
    assert_timed_out(&site, &run);
}

#[test]
fn a_session_in_which_nothing_passes_times_out() {
    let (site, run) = with("timeout", 2, "sleep 60");
    assert_timed_out(&site, &run);
}

#[test]
fn a_terminal_shows_why_the_session_ended() {
    let site = Site::with(|draft| draft.settings = "timeout = 2\n".to_owned());
    let started = Instant::now();
    let shell = site.ssh().terminal("sleep 60\n");
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
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
        draft.settings = "timeout = 6\n".to_owned();
        draft.methods = "\"keyboard-interactive\"".to_owned();
        draft.user = password_line("mine");
        draft.credentials = "passwords = [\"stale\"]\n".to_owned();
        draft.connection += "ask-target-password = true\n";
    });
    let printed = site.paramiko("no_answer", &[&site.sshd.user(), "mine", "60"]);
    assert!(printed.ends_with("hung up\n"), "{printed}");
    assert!(printed.contains("on the server: "), "{printed}");
    assert_eq!(site.ended(1)["verdict"], "timeout");
}

#[test]
fn a_session_in_which_something_passes_does_not_time_out() {
    let site = Site::with(|draft| draft.settings = "timeout = 8\n".to_owned());
    let run = site.ssh().exec("for n in 1 2 3 4 5; do sleep 2; echo $n; done");
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

/// Runs a command on a gateway with this limit.
#[track_caller]
fn with(limit: &str, seconds: u64, command: &str) -> (Site, Run) {
    let site = Site::with(|draft| draft.settings = format!("{limit} = {seconds}\n"));
    let started = Instant::now();
    let run = site.ssh().exec(command);
    let took = started.elapsed();
    assert!(took > Duration::from_secs(seconds) && took < PATIENCE, "{took:?}");
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

/// Each call is short, and there are many of them.
const SLOW: &str = r#"
import time
from notes import note

class Plugin:
    def authenticate(self, key_value_pairs):
        time.sleep(0.5)
        n = len(key_value_pairs)
        return {"verdict": "NEEDINFO", "question": ("answer%d" % n, "Question %d: " % n)}

    def authorize(self):
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        note("session_ended")
"#;

#[test]
fn plugins_and_questions_together_take_no_longer_than_the_log_in_timeout() {
    let plugged = PluggedPlan::new([Plug::aa(SLOW)])
        .connection("settings = \"short\"")
        .more("[[settings]]\nname = \"short\"\nlog-in-timeout = 8")
        .open();
    let run = plugged.person("", &Askpass::new(&["a"; 30])).exec("true");
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    assert!(run.stderr.contains(TIMED_OUT), "{run:?}");
    let session = plugged.session();
    assert_eq!(session["verdict"], "timeout", "{session:#}");
    let reason = session["reason"].as_str().unwrap();
    assert!(reason.contains("not logged in on the target within 8 s (`log-in-timeout`)"), "{reason}");
    assert!(plugged.gateway.log().join("\n").contains(reason));
    assert_eq!(plugged.heard("aa"), ["session_ended"]);
}

const ANYBODY: &str = r#"
class Plugin:
    def authenticate(self):
        return {"verdict": "ACCEPT"}

    def authorize(self):
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        pass
"#;

#[test]
#[expect(clippy::disallowed_methods, reason = "clients that say nothing")]
fn clients_that_do_not_log_in_are_no_more_than_may_be_and_leave_others_alone() {
    let plugged = PluggedPlan::new([Plug::aa(ANYBODY)]).gateway("max-log-ins = 2").open();
    let client = plugged.client("", &Askpass::new(&[]));
    let inside = Program::start(&mut client.command(&[], &["echo ready >&2; cat"]));
    // That it is in at the server, the gateway hears later.
    inside
        .find_line("the session works", PATIENCE, |line| (line.trim_end() == "ready").then_some(()))
        .unwrap();
    let silent = [(); 2].map(|()| {
        let mut silent = TcpStream::connect(plugged.gateway.addr("ssh")).unwrap();
        // It has its place once it is greeted.
        silent.read_exact(&mut [0; 4]).unwrap();
        silent
    });

    assert_eq!(client.exec("true").status.code(), Some(255));
    let log = plugged.gateway.log().join("\n");
    assert!(log.contains("client refused") && log.contains("`max-log-ins`"), "{log}");
    assert_eq!(plugged.gateway.sessions().len(), 1, "a client that was turned away has no row");
    assert!(!inside.has_ended(), "who is in stays");

    drop(silent);
    until("there is room again", PATIENCE, || client.exec("true").status.success().then_some(()));
}
