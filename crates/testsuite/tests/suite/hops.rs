//! A topology of the subjects below: a gateway that is a jump host to the server, and a person whose client knows both.

use std::fs;

use keyward_testsuite::{Run, shell};
use serde_json::Value;

use crate::site::{Draft, Site};

/// A site whose gateway is a jump host to its server.
#[track_caller]
pub(crate) fn site() -> Site {
    site_with(|_| ())
}

#[track_caller]
pub(crate) fn site_with(edit: impl FnOnce(&mut Draft)) -> Site {
    Site::with(|draft| {
        jump_host(draft);
        edit(draft);
    })
}

pub(crate) fn jump_host(draft: &mut Draft) {
    let server = draft.server;
    draft.target = format!("{{ inband = {{ allow = [\"{server}\"], jump-host = true }} }}");
}

/// Writes what a person has in `~/.ssh/config`: `keyward` is the jump host, `db` the server behind it.
pub(crate) fn config(site: &Site) -> String {
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

/// Runs a script in which `$ssh` has that configuration, and `$1` is a folder. `$control` is for a connection to the jump
/// host that is shared, through which `hop` then runs a command on the server.
#[track_caller]
pub(crate) fn with_config(site: &Site, script: &str) -> Run {
    let config = config(site);
    let script = format!("unset SSH_AUTH_SOCK; config=$2 ssh=\"ssh -F $2\" server=$3\n{SHARED}\n{script}");
    let folder = site.sshd.folder().join("near");
    fs::create_dir_all(&folder).unwrap();
    shell(&script, &[folder.to_str().unwrap(), &config, &site.sshd.addr().to_string()])
}

const SHARED: &str = r#"
    control="-o ControlPath=$1/control"
    hop() { timeout 100 $ssh -o ProxyCommand="$ssh $control -W %h:%p keyward" db "$@"; }
"#;

/// The jump host's session and those of its hops, once there are `count` in all and all have ended.
#[track_caller]
pub(crate) fn ended(site: &Site, count: usize) -> (Value, Vec<Value>) {
    let sessions = site.gateway.ended_sessions(count);
    let whole = sessions.iter().map(|session| site.gateway.session(session["id"].as_str().unwrap()));
    let (mut jumps, hops): (Vec<Value>, Vec<Value>) =
        whole.partition(|session| session["jump_host"].is_null());
    assert_eq!(jumps.len(), 1, "{jumps:#?} {hops:#?}");
    (jumps.remove(0), hops)
}

pub(crate) fn notes(session: &Value) -> String {
    let notes = session["notes"].as_array().unwrap().iter();
    notes.map(|note| format!("{}\n", note["text"].as_str().unwrap())).collect()
}
