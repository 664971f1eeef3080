//! When a jump host opens no more hops, and what the end of its session is for those that are open.

use std::fs;
use std::net::TcpListener;

use keyward_testsuite::UserCa;

use crate::hops::{ended, notes, site_with, with_config};

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

#[test]
fn a_certificate_that_has_expired_since_the_log_in_opens_no_more_hops() {
    let ca = UserCa::new();
    let site = site_with(|draft| {
        draft.authentication = format!("[[authentication.user-ca]]\nkey = \"{}\"\n", ca.public());
    });
    // The configuration's own key is known as well: without it only the certificate is left.
    fs::rename(site.person.path(), site.sshd.folder().join("away")).unwrap();
    let key = ca.certified(&format!("-n {} -V always:+20s", site.sshd.user()));
    let script = r#"
        control="-o ControlPath=$1/control"
        $ssh $control -i KEY -E "$1/master" -o ControlMaster=yes -fN keyward
        hop() { $ssh -o ProxyCommand="$ssh $control -W %h:%p keyward" db "$@" 2>/dev/null; }
        hop "echo before"
        while hop true; do sleep 1; done
        $ssh $control -O exit keyward 2>/dev/null
        grep -c "your certificate has expired: log in again" "$1/master"
    "#;
    let script = script.replace("KEY", key.path().to_str().unwrap());
    assert_eq!(with_config(&site, &script).text(), "before\n1\n");
    let all = site.gateway.sessions();
    let jump = all.iter().find(|session| session["jump_host"].is_null()).unwrap();
    let jump = site.gateway.session(jump["id"].as_str().unwrap());
    assert!(notes(&jump).contains("refused: the certificate has expired since the log-in"), "{jump:#}");
}
