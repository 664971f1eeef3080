//! The confinement of plugins as an administrator meets it: what is missing is named, and refused where the policy says so.

use std::net::TcpListener;

use keyward_testsuite::{Askpass, Lacking, Plug, PluggedPlan};
use serde_json::json;

const CALM: &str = r#"
import os
from notes import note

class Plugin:
    def authenticate(self):
        note("authenticate", uid=os.getuid())
        return {"verdict": "ACCEPT"}

    def authorize(self):
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        pass
"#;

/// A part, and what the gateway calls it.
const PARTS: [(Lacking, &str); 3] =
    [(Lacking::Landlock, "landlock"), (Lacking::Seccomp, "seccomp"), (Lacking::Cgroup, "cgroup v2")];

fn confined(user: u32) -> PluggedPlan {
    PluggedPlan::new([Plug::aa(CALM)]).own_users(user)
}

#[test]
fn a_strict_gateway_runs_where_nothing_is_missing() {
    let plugged = confined(171_000).gateway("strict = true").open();
    plugged.client("", &Askpass::new(&[])).exec("true").must_succeed();
    assert_eq!(plugged.notes("aa")[0].1, json!({"uid": 171_000}));
    let log = plugged.gateway.log().join("\n");
    assert!(!log.contains("plugins are confined without"), "{log}");
}

#[test]
fn a_strict_gateway_refuses_to_run_without_a_part_of_the_confinement_and_names_it() {
    for (lacking, name) in PARTS {
        let log = confined(172_000).gateway("strict = true").lacking(&[lacking]).refuses_to_open();
        assert!(log.contains("as `strict = true` wants") && log.contains(&format!("no {name}: ")), "{log}");
        for (_, other) in PARTS.iter().filter(|(_, other)| *other != name) {
            assert!(!log.contains(&format!("no {other}: ")), "{log}");
        }
    }
    let log = PluggedPlan::new([Plug::aa(CALM)]).gateway("strict = true").refuses_to_open();
    assert!(log.contains("no users of their own: ") && log.contains("plugin-user-base"), "{log}");
}

#[test]
fn a_gateway_that_is_not_strict_warns_of_each_missing_part_and_works() {
    let all = PARTS.map(|(lacking, _)| lacking);
    let alone = PARTS.iter().map(|(lacking, name)| (vec![*lacking], vec![*name]));
    let together = (all.to_vec(), PARTS.iter().map(|(_, name)| *name).collect());
    for ((lacking, names), user) in alone.chain([together]).zip((173_000..).step_by(10)) {
        let plugged = confined(user).lacking(&lacking).open();
        plugged.client("", &Askpass::new(&[])).exec("true").must_succeed();
        assert_eq!(plugged.notes("aa")[0].1, json!({"uid": user}));
        let log = plugged.gateway.log();
        for name in names {
            let warned =
                log.iter().filter(|line| line.contains("WARN") && line.contains(&format!("no {name}: ")));
            assert_eq!(warned.count(), 1, "{name}: {log:#?}");
        }
    }
}

#[test]
fn a_network_list_that_the_kernel_cannot_keep_is_refused() {
    let plug = Plug::aa(CALM).settings("network = [\"127.0.0.1:1\"]");
    let log = PluggedPlan::new([plug]).lacking(&[Lacking::Seccomp]).refuses_to_open();
    assert!(log.contains("has a `network` list, and this kernel cannot keep it"), "{log}");
}

const CALLER: &str = r#"
import socket
from notes import note

class Plugin:
    def __init__(self, configuration):
        self.ports = [int(port) for port in configuration.split()]

    def authenticate(self):
        note("reached", outcomes=[socket.socket().connect_ex(("127.0.0.1", port)) for port in self.ports])
        return {"verdict": "ACCEPT"}

    def authorize(self):
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        pass
"#;

#[test]
#[expect(clippy::disallowed_methods, reason = "the servers that the plugin calls")]
fn a_plugin_with_a_network_list_reaches_what_is_on_it() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [open, shut] = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let plug = Plug::aa(CALLER)
        .configuration(&format!("{open} {shut}\n"))
        .settings(&format!("network = [\"127.0.0.1:{open}\", \"*.example.com:443\"]"));
    let plugged = PluggedPlan::new([plug]).own_users(174_000).open();
    plugged.client("", &Askpass::new(&[])).exec("true").must_succeed();
    assert_eq!(plugged.notes("aa")[0].1, json!({"outcomes": [0, 13]}));
    let log = plugged.gateway.log();
    assert!(
        log.iter().any(|line| line.contains("network` list") && line.contains(&shut.to_string())),
        "{log:#?}"
    );
}
