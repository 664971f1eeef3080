//! When a jump host opens no more hops, and what the end of its session is for those that are open.

use std::net::TcpListener;

use crate::hops::{ended, site_with, with_config};

const TIMED_OUT: &str = "The session has timed out.";

#[test]
fn hops_end_with_the_session_of_their_jump_host_and_for_the_same_cause() {
    let site = site_with(|draft| draft.settings = "session-timeout = 10\n".to_owned());
    let run = with_config(&site, "$ssh db 'echo up; exec sleep 100'");
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    assert!(run.stderr.contains(TIMED_OUT), "{run:?}");
    let (jump, hops) = ended(&site, 2);
    for session in [&jump, &hops[0]] {
        assert_eq!(session["verdict"], "timeout", "{session:#}");
        assert_eq!(session["reason"], "the session was open for too long", "{session:#}");
    }
}

#[test]
fn a_hop_that_is_not_logged_in_yet_ends_with_its_jump_host_and_for_the_same_cause() {
    // The system takes the connection for it, and nobody answers there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap();
    let site = site_with(|draft| {
        draft.target = format!("{{ inband = {{ allow = [\"{addr}\"], jump-host = true }} }}");
        draft.settings = "session-timeout = 10\n".to_owned();
    });
    let run = with_config(&site, &format!("$ssh -p {} db 'echo in'", addr.port()));
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    let (jump, hops) = ended(&site, 2);
    for session in [&jump, &hops[0]] {
        assert_eq!(session["verdict"], "timeout", "{session:#}");
        assert_eq!(session["reason"], "the session was open for too long", "{session:#}");
    }
}
