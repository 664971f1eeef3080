//! What plugins are told, what they may change, and what is kept of what they say.

use keyward_testsuite::{Askpass, Input, Lacking, Plug, Plugged, PluggedPlan, run};
use serde_json::{Value, json};

fn facts(plugged: &Plugged, word: &str) -> Value {
    let notes = plugged.notes("aa");
    let found = notes.into_iter().find(|(noted, _)| noted == word);
    found.unwrap_or_else(|| panic!("no note {word}")).1
}

const DOLLARS: &str = r#"
from notes import note
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        config = self.plugin_configuration
        note("read", key=config.get("api", "key"), price=config.get("api", "price"), none=config.get("api", "none"))
        return AAResponse.accept()
"#;

#[test]
fn a_dollar_is_looked_up_in_the_local_store_and_two_are_one() {
    let aa =
        Plug::aa(DOLLARS).configuration("[credential_store]\nname=tokens\n[api]\nkey=$\nprice=$$\nnone=$\n");
    let plugged = PluggedPlan::new([aa])
        .more(
            "[[local-credential-store]]\nname = \"tokens\"\n\
             [[local-credential-store.row]]\nhost = \"api\"\nuser = \"key\"\npasswords = [\"t0ken\"]\n",
        )
        .open();
    plugged.client("otp=1@", &Askpass::new(&[])).exec("true").must_succeed();
    assert_eq!(facts(&plugged, "read"), json!({"key": "t0ken", "price": "$", "none": null}));
}

const OVERRIDE: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, gateway_user, key_value_pairs):
        note("authenticate", user=gateway_user)
        return {"verdict": "ACCEPT", "gateway_user": "alice", "gateway_groups": key_value_pairs["groups"].split("+")}

    def authorize(self, gateway_user, gateway_groups):
        note("authorize", user=gateway_user, groups=gateway_groups)
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        pass
"#;

fn overriding() -> Plugged {
    PluggedPlan::new([Plug::aa(OVERRIDE)])
        .connection("usermapping = \"admins\"")
        .more(
            "[[usermapping]]\nname = \"admins\"\n[[usermapping.rule]]\nremote-user = \"root\"\ngroups = [\"admins\"]\n",
        )
        .channel_rule("types = [\"exec\"]\ngroups = [\"runners\"]")
        .open()
}

#[test]
fn a_gateway_user_and_groups_of_the_plugin_count_from_then_on() {
    let plugged = overriding();
    plugged.client("groups=admins+runners@", &Askpass::new(&[])).exec("true").must_succeed();

    assert_eq!(facts(&plugged, "authenticate")["user"], Value::Null);
    assert_eq!(facts(&plugged, "authorize"), json!({"user": "alice", "groups": ["admins", "runners"]}));
    let session = plugged.session();
    assert_eq!((&session["gateway_user"], &session["verdict"]), (&json!("alice"), &json!("accept")));
    assert_eq!(session["gateway_groups"], json!(["admins", "runners"]));
}

#[test]
fn groups_that_the_usermapping_does_not_have_are_refused() {
    let plugged = overriding();
    let run = plugged.client("groups=runners@", &Askpass::new(&[])).exec("true");
    assert_eq!(run.status.code(), Some(255));
    assert_eq!(plugged.session()["verdict"], "mapping-fail");
    assert_eq!(plugged.sshd.connections(), 0);
}

#[test]
fn groups_that_no_channel_rule_has_open_no_channel() {
    let plugged = overriding();
    let run = plugged.client("groups=admins@", &Askpass::new(&[])).exec("echo in");
    assert!(!run.status.success());
    assert_eq!(run.stdout, b"");
    assert_eq!(plugged.session()["verdict"], "accept");
}

const COOKIES: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, cookie, session_cookie):
        note("first", cookie=cookie, session_cookie=session_cookie)
        return {"verdict": "ACCEPT", "cookie": {1: "one", 2: (3, 4)}, "session_cookie": {7: {8: "deep"}}}

    def authorize(self, cookie, session_cookie):
        note("second", cookie=cookie, session_cookie=session_cookie)
        return {"verdict": "ACCEPT", "cookie": {"replaced": True}}

    def session_ended(self, cookie, session_cookie):
        note("last", cookie=cookie, session_cookie=session_cookie)
"#;

#[test]
fn integer_keys_of_cookies_arrive_as_texts() {
    let plugged = PluggedPlan::new([Plug::aa(COOKIES)]).open();
    plugged.client("", &Askpass::new(&[])).exec("true").must_succeed();
    plugged.session();

    let session_cookie = json!({"7": {"8": "deep"}});
    assert_eq!(facts(&plugged, "first"), json!({"cookie": {}, "session_cookie": {}}));
    let second = json!({"cookie": {"1": "one", "2": [3, 4]}, "session_cookie": session_cookie});
    assert_eq!(facts(&plugged, "second"), second);
    assert_eq!(
        facts(&plugged, "last"),
        json!({"cookie": {"replaced": true}, "session_cookie": session_cookie})
    );
}

const OLD_NAMES: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, target_username, target_domain):
        note("authenticate", username=target_username, domain=target_domain)

    def authorize(self, target_server, target_host, target_port, target_username, server_ip, server_hostname):
        note("authorize", names=[target_server, target_host, target_port, target_username, server_ip, server_hostname])
        return {"verdict": "ACCEPT", "additional_metadata": "ticket 4711, grün"}

    def session_ended(self, session_id):
        note("session_ended", id=session_id)
"#;

#[test]
fn old_argument_names_are_filled_and_metadata_is_kept() {
    let plugged = PluggedPlan::new([Plug::aa(OLD_NAMES)]).open();
    plugged.client("", &Askpass::new(&[])).exec("true").must_succeed();

    let session = plugged.session();
    let (user, server) = (plugged.user(), plugged.sshd.addr());
    let host = server.ip().to_string();
    assert_eq!(facts(&plugged, "authenticate"), json!({"username": user, "domain": null}));
    assert_eq!(facts(&plugged, "authorize")["names"], json!([host, host, server.port(), user, host, null]));
    assert_eq!(facts(&plugged, "session_ended")["id"], session["id"]);
    assert_eq!(session["additional_metadata"], "ticket 4711, grün");
}

const DENIES: &str = r#"
from notes import note
from safeguard.sessions.plugin import AAPlugin, AAResponse

class Plugin(AAPlugin):
    def do_authenticate(self):
        return AAResponse.accept()

    def do_authorize(self):
        return AAResponse.deny("ticket 12 is closed", "Your ticket is closed.").with_cookie({"kept": 1})

    def do_session_ended(self):
        note("session_ended", cookie=self.cookie["kept"])
"#;

#[test]
fn the_reason_of_a_refusal_is_shown_and_its_cookie_is_kept() {
    let plugged = PluggedPlan::new([Plug::aa(DENIES)]).open();
    let shown = crate::plugin_faults::told(&plugged, "otp=1@");

    assert_eq!(shown, "Access denied. Your ticket is closed.");
    let session = plugged.session();
    assert_eq!(session["verdict"], "deny");
    assert_eq!(facts(&plugged, "session_ended"), json!({"cookie": 1}));
    assert_eq!(plugged.sshd.connections(), 0);
}

#[test]
fn the_metadata_of_a_refusal_is_kept() {
    let plugged = PluggedPlan::new([Plug::aa(DENIES)]).open();
    crate::plugin_faults::told(&plugged, "otp=1@");
    assert_eq!(plugged.session()["additional_metadata"], r#"{"reason": "ticket 12 is closed"}"#);
}

const WHENCE: &str = r#"
from notes import note

class Plugin:
    def authenticate(self, client_ip, client_hostname, server_username):
        note("authenticate", ip=client_ip, name=client_hostname)
        return {"verdict": "ACCEPT", "gateway_user": server_username}

    def authorize(self, client_ip, client_hostname):
        note("authorize", ip=client_ip, name=client_hostname)
        return {"verdict": "ACCEPT"}

    def session_ended(self):
        pass
"#;

#[test]
fn the_name_of_a_client_is_none_when_reverse_dns_fails() {
    let plugged = PluggedPlan::new([Plug::aa(WHENCE)]).lacking(&[Lacking::NameServer]).open();
    for (address, name) in [("127.0.0.1", json!("localhost")), ("127.77.66.55", Value::Null)] {
        let client = plugged.client("", &Askpass::new(&[]));
        run(&mut client.command(&["-b", address], &["true"]), Input::Nothing).must_succeed();
        let told = plugged.notes("aa").into_iter().filter(|(_, facts)| facts["ip"] == address);
        let told: Vec<(String, Value)> = told.map(|(hook, facts)| (hook, facts["name"].clone())).collect();
        assert_eq!(told, [("authenticate".to_owned(), name.clone()), ("authorize".to_owned(), name)]);
    }
}
