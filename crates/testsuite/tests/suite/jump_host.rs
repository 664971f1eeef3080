//! The gateway as a jump host: `ssh -J keyward server`, where each server is a session of its own.

use std::fs;

use keyward_testsuite::{PATIENCE, Paramiko, Program, Run, Sshd, peers_program, run, shell, until};
use serde_json::Value;

use crate::site::{Draft, Site};

/// A site whose gateway is a jump host to its server.
#[track_caller]
fn site() -> Site {
    site_with(|_| ())
}

#[track_caller]
fn site_with(edit: impl FnOnce(&mut Draft)) -> Site {
    Site::with(|draft| {
        jump_host(draft);
        edit(draft);
    })
}

fn jump_host(draft: &mut Draft) {
    let server = draft.server;
    draft.target = format!("{{ inband = {{ allow = [\"{server}\"], jump-host = true }} }}");
}

/// Writes what a person has in `~/.ssh/config`: `keyward` is the jump host, `db` the server behind it.
fn config(site: &Site) -> String {
    let (gateway, server, user, folder) =
        (site.addr(), site.sshd.addr(), site.sshd.user(), site.sshd.folder());
    let text = format!(
        "Host keyward\nHostName {}\nPort {}\nUser {user}\nIdentityFile {}\n\
         Host db\nHostName {}\nPort {}\nUser {user}\nProxyJump keyward\nPubkeyAuthentication no\n\
         Host *\nBatchMode yes\nIdentitiesOnly yes\nStrictHostKeyChecking accept-new\n\
         UserKnownHostsFile {}\nConnectTimeout 20\n",
        gateway.ip(),
        gateway.port(),
        site.person.path().display(),
        server.ip(),
        server.port(),
        folder.join("known_hosts_of_hops").display(),
    );
    let path = folder.join("config_of_hops");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs a script in which `$ssh` has that configuration, and `$1` is a folder.
#[track_caller]
fn with_config(site: &Site, script: &str) -> Run {
    let config = config(site);
    let script = format!("unset SSH_AUTH_SOCK; config=$2 ssh=\"ssh -F $2\" server=$3\n{script}");
    let folder = site.sshd.folder().join("near");
    fs::create_dir_all(&folder).unwrap();
    shell(&script, &[folder.to_str().unwrap(), &config, &site.sshd.addr().to_string()])
}

/// The jump host's session and those of its hops, once there are `count` in all and all have ended.
#[track_caller]
fn ended(site: &Site, count: usize) -> (Value, Vec<Value>) {
    let sessions = site.gateway.ended_sessions(count);
    let whole = sessions.iter().map(|session| site.gateway.session(session["id"].as_str().unwrap()));
    let (mut jumps, hops): (Vec<Value>, Vec<Value>) =
        whole.partition(|session| session["jump_host"].is_null());
    assert_eq!(jumps.len(), 1, "{jumps:#?} {hops:#?}");
    (jumps.remove(0), hops)
}

fn notes(session: &Value) -> String {
    let notes = session["notes"].as_array().unwrap().iter();
    notes.map(|note| format!("{}\n", note["text"].as_str().unwrap())).collect()
}

#[test]
fn a_server_behind_the_jump_host_is_a_session_of_its_own() {
    let site = site();
    assert_eq!(with_config(&site, "$ssh db 'echo in'").text(), "in\n");

    let (jump, hops) = ended(&site, 2);
    let [hop] = &hops[..] else { panic!("{hops:#?}") };
    assert_eq!((&jump["verdict"], &hop["verdict"]), (&"accept".into(), &"accept".into()));
    assert_eq!(hop["jump_host"], jump["id"]);
    assert_eq!(hop["target"]["address"], site.sshd.addr().to_string());
    assert_eq!(
        (&hop["gateway_user"], &hop["remote_user"]),
        (&jump["gateway_user"], &site.sshd.user().into())
    );
    assert!(hop["trail"].is_string() && notes(hop).contains("exec opened as channel 0"), "{hop:#}");
    assert!(jump["trail"].is_null() && jump["target"].is_null(), "{jump:#}");
    let opened = format!("hop to {} opened as session {}", site.sshd.addr(), hop["id"].as_str().unwrap());
    assert!(notes(&jump).contains(&opened), "{jump:#}");
}

#[test]
fn whoever_forgets_to_name_a_server_reads_what_to_do() {
    let site = site();
    for what in ["keyward", "keyward 'echo in'", "-s keyward sftp", "-tt keyward"] {
        let run = with_config(&site, &format!("$ssh {what}"));
        assert_eq!(run.status.code(), Some(255), "{run:?}");
        assert!(run.stdout.is_empty() && run.stderr.contains("ssh -J you@gateway user@server"), "{run:?}");
    }
    let session = site.ended(4);
    assert_eq!(session["verdict"], "accept");
    assert!(
        notes(&session).contains("shell, command or subsystem refused: this is a jump host"),
        "{session:#}"
    );
    assert_eq!(site.sshd.connections(), 0);
}
