//! `ssh -J`: a jump over a server behind the gateway.

use std::fs;
use std::net::SocketAddr;

use keyward_testsuite::{KeyPair, Run, Sshd, shell};
use serde_json::Value;

use crate::site::Site;

/// A site on which forwards to these hosts are allowed.
fn leading_to(hosts: &str) -> Site {
    Site::with(|draft| {
        draft.channels = format!(
            "types = [\"exec\"]\n\n[[channel-policy.rule]]\ntypes = [\"local-forward\"]\nhosts = [\"{hosts}\"]\n"
        );
    })
}

/// `ssh -J first second echo in`, each with an address and a key of its own.
#[track_caller]
fn jump(site: &Site, second: SocketAddr, key: &KeyPair) -> Run {
    let folder = site.sshd.folder();
    let host = |name: &str, addr: SocketAddr, key: &KeyPair| {
        format!(
            "Host {name}\nHostName {}\nPort {}\nUser {}\nIdentityFile {}\n",
            addr.ip(),
            addr.port(),
            site.sshd.user(),
            key.path().display()
        )
    };
    let known = folder.join("known_hosts_of_jumps");
    let all = format!(
        "Host *\nBatchMode yes\nIdentitiesOnly yes\nStrictHostKeyChecking accept-new\nUserKnownHostsFile {}\n",
        known.display()
    );
    let config = folder.join("config_of_jumps");
    fs::write(&config, host("first", site.addr(), &site.person) + &host("second", second, key) + &all)
        .unwrap();
    shell("unset SSH_AUTH_SOCK; ssh -F \"$1\" -J first second 'echo in'", &[config.to_str().unwrap()])
}

#[test]
fn a_server_behind_the_gateway_is_a_jump_host_where_the_policy_allows_the_forward() {
    let second = Sshd::start();
    let site = leading_to(&second.addr().to_string());
    assert_eq!(jump(&site, second.addr(), second.key()).text(), "in\n");
    assert_eq!(site.ended(1)["verdict"], "accept");
    let note = format!("local-forward ({}) opened as channel 0", second.addr());
    assert!(site.notes(1).contains(&note), "{:?}", site.notes(1));
}

#[test]
fn a_jump_that_the_policy_does_not_allow_leads_nowhere() {
    let second = Sshd::start();
    let site = leading_to("127.0.0.1:1");
    let refused = jump(&site, second.addr(), second.key());
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    let note = format!("local-forward ({}) refused by the channel policy", second.addr());
    assert!(site.notes(1).contains(&note), "{:?}", site.notes(1));
}

#[test]
fn each_hop_over_the_gateway_is_a_session_of_its_own() {
    let site = leading_to("127.0.0.1");
    assert_eq!(jump(&site, site.addr(), &site.person).text(), "in\n");
    let sessions = site.gateway.ended_sessions(2);
    let notes = |session: &Value| {
        let session = site.gateway.session(session["id"].as_str().unwrap());
        session["notes"].as_array().unwrap().iter().map(|note| note["text"].to_string()).collect::<String>()
    };
    let [inner, outer] = &sessions[..] else { panic!("{sessions:#?}") };
    assert!(notes(inner).contains("exec opened as channel 0"), "{inner:#}");
    assert!(notes(outer).contains("local-forward (127.0.0.1:"), "{outer:#}");
    assert!(sessions.iter().all(|session| session["verdict"] == "accept"), "{sessions:#?}");
}
