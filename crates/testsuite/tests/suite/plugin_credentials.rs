//! What a credential store plugin has for the server, and what it has not.

use keyward_testsuite::{Askpass, Authority, Plug, Plugged, PluggedPlan, SshClient};
use serde_json::Value;

/// Its configuration is a certificate, a line of `=`, and a key. It has keys in the order that the test puts in the place
/// of KEYS, and no password that the server would take.
const KEYS: &str = r#"
from notes import note

class Plugin:
    def __init__(self, configuration):
        self.certificate, self.key = configuration.split("=====\n")

    def get_private_key_list(self):
        note("keys")
        certificate, key = self.certificate, self.key
        return {"private_keys": KEYS}

    def get_password_list(self):
        note("passwords")
        return {"passwords": ["not this one"]}

    def authentication_completed(self):
        note("completed")

    def session_ended(self):
        note("ended")
"#;

fn with_keys(keys: &str) -> Plugged {
    let certificate = Authority::new().certificate();
    let store = Plug::store(&KEYS.replace("KEYS", keys)).configuration(&format!("{certificate}=====\n@key@"));
    PluggedPlan::new([Plug::lets_anybody_in(), store]).open()
}

/// As the user whose key the plugin has.
fn client(plugged: &Plugged) -> SshClient {
    SshClient::with_answers(plugged.gateway.addr("ssh"), &plugged.sshd.user(), &Askpass::new(&[]))
}

#[test]
fn a_private_key_of_a_plugin_logs_in_and_no_password_is_asked_for() {
    let plugged = with_keys(r#"[["ssh-ed25519", key]]"#);
    assert_eq!(client(&plugged).exec("echo in").text(), "in\n");
    assert_eq!(plugged.session()["verdict"], "accept");
    assert_eq!(plugged.heard("store"), ["keys", "completed", "ended"]);
}

#[test]
fn a_certificate_of_x509_is_no_key_and_the_next_one_is_tried() {
    let keys = r#"[["x509v3-sign-rsa", key + certificate], ["ssh-rsa", certificate], ["ssh-ed25519", key]]"#;
    let plugged = with_keys(keys);
    assert_eq!(client(&plugged).exec("echo in").text(), "in\n");
    for place in ["place=1", "place=2"] {
        plugged.gateway.says(&["private key skipped", place]);
    }
    let log = plugged.gateway.log().join("\n");
    assert!(!log.contains("place=3") && !log.contains("-----BEGIN"), "{log}");
}

#[test]
fn keys_of_which_none_is_one_are_followed_by_the_passwords() {
    let plugged = with_keys(r#"[["ssh-rsa", certificate]]"#);
    assert_eq!(client(&plugged).exec("echo in").status.code(), Some(255));
    assert_eq!(plugged.session()["verdict"], "target-auth-fail");
    assert_eq!(plugged.heard("store"), ["keys", "passwords", "ended"]);
}

/// Finds nothing, in the three ways that a plugin may say so.
const NOTHING: &str = r#"
class Plugin:
    def get_private_key_list(self):
        return NO_KEYS

    def get_password_list(self):
        return NO_PASSWORDS

    def authentication_completed(self):
        pass

    def session_ended(self):
        pass
"#;

#[test]
fn where_a_plugin_finds_nothing_the_person_is_asked_if_the_connection_allows_it() {
    for (no_keys, no_passwords, allows) in [
        ("None", "None", true),
        ("{}", r#"{"passwords": []}"#, true),
        (r#"{"private_keys": []}"#, "{}", false),
    ] {
        let store = NOTHING.replace("NO_KEYS", no_keys).replace("NO_PASSWORDS", no_passwords);
        let plugged = PluggedPlan::new([Plug::lets_anybody_in(), Plug::store(&store)])
            .connection(&format!("ask-target-password = {allows}"))
            .open();
        let password = plugged.password().to_owned();
        let askpass = Askpass::new(&[&password]);

        let run = plugged.client("", &askpass).exec("id -un");

        let session: Value = plugged.session();
        if allows {
            assert_eq!(run.text().trim_end(), plugged.user());
            let [prompt] = &askpass.prompts()[..] else { panic!("{:?}", askpass.prompts()) };
            assert!(prompt.ends_with(&format!("Password of {} on the server: ", plugged.user())), "{prompt}");
            assert_eq!(session["verdict"], "accept");
        } else {
            assert_eq!(askpass.prompts(), [""; 0]);
            assert_eq!(session["verdict"], "target-auth-fail");
        }
    }
}
