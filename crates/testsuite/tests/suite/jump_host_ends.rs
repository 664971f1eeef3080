//! What a jump host does not open, when it opens no more, and what the end of its session is for the hops that are open.

use std::fs;
use std::net::TcpListener;

use keyward_testsuite::UserCa;

use crate::hops::{ended, jump_host, notes, site, site_with, with_config};
use crate::site::Site;

const TIMED_OUT: &str = "The session has timed out.";

#[test]
fn hops_end_with_the_session_of_their_jump_host_and_for_the_same_cause() {
    let site = site_with(|draft| draft.settings = "session-timeout = 20\n".to_owned());
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
#[expect(clippy::disallowed_methods, reason = "a server that never answers")]
fn a_hop_that_is_not_logged_in_yet_ends_with_its_jump_host_and_for_the_same_cause() {
    // The system takes the connection for it, and nobody answers there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap();
    let site = site_with(|draft| {
        draft.target = format!("{{ inband = {{ allow = [\"{addr}\"], jump-host = true }} }}");
        draft.settings = "session-timeout = 20\n".to_owned();
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
    let key = ca.certified(&format!("-n {} -V always:+60s", site.sshd.user()));
    let script = r#"
        $ssh $control -i KEY -E "$1/master" -o ControlMaster=yes -fN keyward
        hop "echo before"
        # No more than are listed below.
        while hop true 2>/dev/null; do sleep 2; done
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

#[test]
fn what_a_jump_host_refuses_is_noted_once_and_without_an_end_it_is_not_asked() {
    let site = site();
    let long = "x".repeat(300);
    let said = site.paramiko("hop_refused", &["bad host", &long]);
    assert!(said.starts_with("200 refused\n"), "{said}");
    assert!(said.contains("Too many requests were refused on this connection."), "{said}");
    let jump = site.ended(1);
    assert_eq!(jump["reason"], "the client was refused too often", "{jump:#}");
    let notes: String = notes(&jump).split_inclusive('\n').filter(|note| note.contains("refused")).collect();
    assert_eq!(
        notes,
        "hop to bad host:22 refused: this is no name and no address of a server\n\
         hop to a name that is too long refused: this is a jump host\n"
    );
}

#[test]
fn a_channel_that_the_policy_refuses_is_refused_behind_a_jump_host_as_well() {
    let site = site_with(|draft| draft.channels = "types = [\"sftp\"]\nrecord = true\n".to_owned());
    let run = with_config(&site, "$ssh db 'echo in'");
    assert!(!run.status.success() && run.stdout.is_empty(), "{run:?}");
    let (_, hops) = ended(&site, 2);
    assert!(notes(&hops[0]).contains("exec refused by the channel policy"), "{:#}", hops[0]);
}

#[test]
fn a_server_in_the_user_name_of_a_hop_leads_nowhere_else() {
    let site = site();
    let run = with_config(&site, "$ssh -l root@localhost db 'echo in'");
    assert!(!run.status.success() && run.stdout.is_empty(), "{run:?}");
    let (_, hops) = ended(&site, 2);
    assert_eq!(hops[0]["remote_user"], "root@localhost", "{:#}", hops[0]);
    assert_eq!(hops[0]["target"]["address"], site.sshd.addr().to_string(), "{:#}", hops[0]);
    assert_eq!(site.sshd.logins(), 0);
}

#[test]
fn hops_count_as_the_sessions_that_a_connection_may_have() {
    let site = site_with(|draft| draft.connection += "max-sessions = 2\n");
    let script = r#"
        $ssh $control -E "$1/master" -o ControlMaster=yes -fN keyward
        hop 'echo up; cat' < <(while [ ! -e "$1/over" ]; do sleep 0.1; done) > "$1/first" &
        while ! grep -q up "$1/first"; do sleep 0.1; done
        ! hop "echo in" 2>/dev/null
        : > "$1/over"
        wait $!
        $ssh $control -O exit keyward 2>/dev/null
        grep -c "takes no more sessions at the moment" "$1/master"
    "#;
    assert_eq!(with_config(&site, script).text(), "1\n");
    let (jump, hops) = ended(&site, 2);
    assert_eq!(hops.len(), 1);
    assert!(notes(&jump).contains("the connection policy has as many sessions as it may"), "{jump:#}");
}

#[test]
fn a_jump_host_may_have_a_listener_of_its_own() {
    let site = Site::with(|draft| {
        let ordinary = draft.target.clone();
        jump_host(draft);
        draft.more = format!(
            "[[connection]]\nname = \"jump\"\nprotocol = \"ssh\"\nlisten = [\"127.0.0.1:@port:jump@\"]\n\
             target = {}\nauthentication = \"people\"\ncredential-store = {}\n\
             channel-policy = \"work\"\nsettings = \"times\"\n{}\n",
            draft.target, draft.credential_store, draft.connection
        );
        draft.target = ordinary;
    });
    let port = site.gateway.addr("jump").port();
    let jump = format!("$ssh -o ProxyCommand=\"$ssh -p {port} -W %h:%p keyward\" db 'echo in'");
    assert_eq!(with_config(&site, &jump).text(), "in\n");
    let (jump, hops) = ended(&site, 2);
    assert_eq!((&jump["connection"], &hops[0]["connection"]), (&"jump".into(), &"jump".into()));
    assert_eq!(site.ssh().exec("echo in").text(), "in\n", "the other leads to its server as before");
}
