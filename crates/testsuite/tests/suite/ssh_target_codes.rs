//! Targets that ask for a one-time code, which a credential store plugin has.

use std::path::Path;

use keyward_testsuite::{
    Askpass, BundleFolder, Gateway, GatewayPlan, PATIENCE, PeerServer, SshClient, plugin_python, until,
};
use serde_json::Value;

const AA: &str = r#"
class Plugin:
    def authenticate(self, key_value_pairs):
        return {"verdict": "ACCEPT", "gateway_user": "ann", "gateway_groups": []}
    def authorize(self):
        return {"verdict": "ACCEPT"}
    def session_ended(self, session_id):
        pass
"#;

const STORE: &str = r#"
import time

class Plugin:
    def get_private_key_list(self, session_id):
        return None
    def get_password_list(self, session_id):
        return {"passwords": ["sesame"]}
    def authentication_completed(self, session_id):
        return None
    def session_ended(self, session_id):
        return None
"#;

/// The hook that not every plugin has.
const CODES: &str = r#"
    def get_totp_codes(self, server_username, target_port):
        now = time.time()
        print("codes for", server_username, "271828")
        return {"totp_codes": [
            {"unix_time": now - 90, "period": 30, "code": "000000"},
            {"unix_time": now - 10, "period": 30, "code": "271828"},
        ]}
"#;

/// A gateway in front of a server that wants the password `sesame`, and perhaps more.
fn before(server: &PeerServer, store: &str, start: &str) -> Gateway {
    let document = format!(
        r#"
[node]
data-dir = "@data@"

[[environment]]
name = "python3"
python = "{python}"

[[plugin]]
name = "aa"
bundle = "aa_bundle"

[[plugin]]
name = "store"
bundle = "store_bundle"
start = "{start}"

[[usermapping]]
name = "all"
[[usermapping.rule]]
remote-user = "root"
users = ["ann"]

[[connection]]
name = "ssh"
protocol = "ssh"
listen = ["127.0.0.1:@port:ssh@"]
target = {{ fixed = "{target}" }}
aa-plugin = "aa"
usermapping = "all"
credential-store = {{ plugin = "store" }}
channel-policy = "work"
known-host-keys = [{{ host = "{target}", key = "{key}" }}]

[[channel-policy]]
name = "work"
[[channel-policy.rule]]
types = ["exec"]
"#,
        python = Path::new(&plugin_python()).display(),
        target = server.addr(),
        key = server.host_key(),
    );
    GatewayPlan::new(&document)
        .plugin(&BundleFolder::new("aa_bundle", "aa", AA))
        .plugin(&BundleFolder::new("store_bundle", "credentialstore", store))
        .start()
}

/// The hooks of the store that were called in the one session, each with its outcome.
fn hooks(gateway: &Gateway) -> Vec<(String, String)> {
    let session = until("the session has ended and its plugins know", PATIENCE, || {
        let newest = gateway.sessions().into_iter().next()?;
        let session = gateway.session(newest["id"].as_str()?);
        let told = session["plugins"].as_array()?.iter().all(|plugin| plugin["outcome"].is_string());
        (session["ended"].is_string() && told).then_some(session)
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let calls = session["calls"].as_array().unwrap().iter().filter(|call| call["instance"] == "store");
    calls.map(|call| (text(&call["hook"]), text(&call["outcome"]))).collect()
}

fn log_in(gateway: &Gateway) -> keyward_testsuite::Run {
    SshClient::with_answers(gateway.addr("ssh"), "root", &Askpass::new(&[])).exec("this")
}

#[test]
fn a_server_that_asks_for_a_code_gets_the_one_that_is_valid_now() {
    for halfway in [false, true] {
        let mut asks = vec![("PEER_PASSWORD", "sesame"), ("PEER_CODE", "271828")];
        asks.extend(halfway.then_some(("PEER_HALFWAY", "1")));
        let server = PeerServer::start("interactive_server", &asks);
        let gateway = before(&server, &format!("{STORE}{CODES}"), "warm");

        assert_eq!(log_in(&gateway).text(), "ran this\n", "{:?}", server.log());

        let called = hooks(&gateway);
        assert!(called.contains(&("get_totp_codes".into(), "ok".into())), "{called:?}");
        let log = gateway.log().join("\n");
        assert!(log.contains("codes for root [masked]") && !log.contains("271828"), "{log}");
    }
}

#[test]
fn a_server_that_asks_for_no_code_has_the_plugin_asked_for_none() {
    let server = PeerServer::start("interactive_server", &[("PEER_PASSWORD", "sesame")]);
    let gateway = before(&server, &format!("{STORE}{CODES}"), "warm");
    assert_eq!(log_in(&gateway).text(), "ran this\n", "{:?}", server.log());
    assert!(hooks(&gateway).iter().all(|(hook, _)| hook != "get_totp_codes"));
}

#[test]
fn a_plugin_without_the_hook_is_not_called_for_it() {
    for start in ["warm", "cold"] {
        let asks = [("PEER_PASSWORD", "sesame"), ("PEER_CODE", "271828")];
        let server = PeerServer::start("interactive_server", &asks);
        let gateway = before(&server, STORE, start);
        assert!(!log_in(&gateway).status.success());
        let code = server.log().into_iter().find(|line| line.starts_with("code "));
        assert_eq!(code.as_deref(), Some("code wrong"));
        let called = hooks(&gateway);
        let for_codes: Vec<_> = called.iter().filter(|(hook, _)| hook == "get_totp_codes").collect();
        // Of a cold one nobody knows its hooks before a call.
        assert_eq!(for_codes.len(), usize::from(start == "cold"), "{called:?}");
    }
}
