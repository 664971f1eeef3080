//! Sessions that an administrator ends.

use std::net::TcpListener;
use std::process::Command;

use keyward_testsuite::{PATIENCE, Program, Terminal, until};
use serde_json::Value;

use crate::hops;
use crate::site::Site;

const TERMINATED: &str = "The session was terminated by an administrator.";

impl Site {
    /// The id of the session that was there first.
    fn first_session(&self) -> String {
        let find = || Some(self.gateway.sessions().last()?["id"].as_str()?.to_owned());
        until("a session begins", PATIENCE, find)
    }

    /// Terminated, by whom and with which words, as the record has it.
    #[track_caller]
    fn is_terminated(&self, session: &Value, message: &str) {
        assert_eq!(session["verdict"], "accept-terminated", "{session:#}");
        let reason = session["reason"].as_str().unwrap();
        assert!(reason.starts_with("terminated by ") && reason.ends_with(message), "{session:#}");
    }
}

#[track_caller]
fn hears(person: &Program, words: &str) {
    // The last words may be read after the client's end is known.
    let said = |line: &str| line.contains(words).then_some(());
    assert_eq!(person.find_line(words, PATIENCE, said), Some(()), "{}", person.log().join("\n"));
}

#[test]
fn a_person_reads_why_the_session_ends_and_nobody_elses_does() {
    let site = Site::open();
    let (ssh, other) = (site.ssh(), site.ssh());
    let terminal = Terminal::remote(&ssh, "exec sh", (90, 24));
    terminal.press(&["echo he''re", "Enter"]);
    terminal.shows(&["here"]);
    let id = site.first_session();
    let mut goes_on = Program::start(&mut other.command(&[], &["read -r _; echo still >&2; exit 3"]));
    until("another session begins", PATIENCE, || (site.gateway.recordings().len() == 2).then_some(()));

    let words = ["session", "terminate", &id, "--message", "Maintenance: call 4711."];
    let said = site.command(&words).text();
    assert!(said.contains("terminated by ") && said.ends_with(": Maintenance: call 4711.\n"), "{said}");

    let shown = terminal.shows(&[TERMINATED, "Maintenance: call 4711.", "status 255"]);
    site.is_calm(&shown);
    site.is_terminated(&site.gateway.session(&id), ": Maintenance: call 4711.");
    goes_on.tell("");
    assert_eq!(goes_on.ended(PATIENCE).code(), Some(3));
    hears(&goes_on, "still");
    site.gateway.ended_sessions(2);
    let again = site.refused_command(&words);
    assert!(again.contains("has ended at"), "{again}");
    // The recording has the reason, and is whole.
    let trail = site.gateway.data().join("trails").join(site.gateway.session(&id)["trail"].as_str().unwrap());
    let verified = site.command(&["trail", "verify", trail.to_str().unwrap()]).text();
    assert!(verified.contains("Maintenance: call 4711."), "{verified}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a server that never answers")]
fn a_session_that_waits_for_its_server_is_terminated_as_well() {
    // The system takes the connection for it, and nobody answers there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let site =
        Site::with(|draft| draft.target = format!("{{ fixed = \"{}\" }}", silent.local_addr().unwrap()));
    let ssh = site.ssh();
    let person = Program::start(&mut ssh.command(&[], &["echo in"]));
    let id = site.first_session();
    site.command(&["session", "terminate", &id]).must_succeed();
    assert_eq!(person.ended(PATIENCE).code(), Some(255));
    hears(&person, TERMINATED);
    site.is_terminated(&site.ended(1), "");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a client that goes on beside the test")]
fn what_terminates_a_jump_host_terminates_its_hops_and_a_hop_goes_alone() {
    let site = hops::site();
    let config = hops::config(&site);
    let person = || {
        let mut command = Command::new("ssh");
        command.args(["-F", &config, "db", "echo up >&2; exec sleep 100"]).env_remove("SSH_AUTH_SOCK");
        let person = Program::start(&mut command);
        hears(&person, "up");
        person
    };
    let by = |is_jump_host: bool| {
        let sessions = site.gateway.sessions();
        let open = sessions.iter().filter(|session| session["verdict"].is_null());
        let mut wanted = open.filter(|session| session["jump_host"].is_null() == is_jump_host);
        wanted.next().unwrap()["id"].as_str().unwrap().to_owned()
    };

    let first = person();
    let hop = by(false);
    site.command(&["session", "terminate", &hop, "--message", "one"]).must_succeed();
    hears(&first, &format!("{TERMINATED} one"));
    first.ended(PATIENCE);
    let sessions = site.gateway.ended_sessions(2);
    site.is_terminated(&site.gateway.session(&hop), ": one");
    let jump = sessions.iter().find(|session| session["jump_host"].is_null()).unwrap();
    assert_eq!(jump["verdict"], "accept", "{jump:#}");

    let second = person();
    let (jump, hop) = (by(true), by(false));
    site.command(&["session", "terminate", &jump, "--message", "both"]).must_succeed();
    hears(&second, &format!("{TERMINATED} both"));
    second.ended(PATIENCE);
    site.gateway.ended_sessions(4);
    for id in [&jump, &hop] {
        site.is_terminated(&site.gateway.session(id), ": both");
    }
}

#[test]
fn what_cannot_be_terminated_is_told_with_the_reason() {
    let mut site = Site::open();
    let unknown = site.refused_command(&["session", "terminate", "nobody"]);
    assert!(unknown.contains("no session has the id \"nobody\""), "{unknown}");
    let ssh = site.ssh();
    let mut person = Program::start(&mut ssh.command(&[], &["echo in >&2; read -r _"]));
    hears(&person, "in");
    let id = site.first_session();
    for (message, why) in
        [("", "leave it out"), ("two\nlines", "one line"), (&"x".repeat(501), "500 are shown")]
    {
        let refused = site.command(&["session", "terminate", &id, "--message", message]);
        assert!(refused.status.code() == Some(2) && refused.stderr.contains(why), "{refused:?}");
    }
    assert!(!person.has_ended());
    site.gateway.kill();
    let alone = site.refused_command(&["session", "terminate", &id]);
    assert!(alone.contains("no gateway runs"), "{alone}");
    person.tell_no_more();
    person.ended(PATIENCE);
    // What was not ordered is not found by the next run.
    site.gateway.start();
    assert_eq!(site.ended(1)["verdict"], "lost");
}
