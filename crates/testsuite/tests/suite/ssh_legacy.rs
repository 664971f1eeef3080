//! The legacy set of algorithms: switched on for one side of a connection, old peers are reached; else they are not, and
//! the record says what would help.

use std::path::Path;

use keyward_testsuite::{Dbclient, Input, KeyPair, Plug, PluggedPlan, SshClient, Sshd, run, shell};
use serde_json::Value;

use crate::site::{Site, stored_key};

const TARGET: &str = "target-algorithms = \"legacy\"\n";
const CLIENT: &str = "client-algorithms = \"legacy\"\n";
const KEX: [&str; 3] =
    ["diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1"];
const CIPHERS: [&str; 4] = ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"];
const MACS: [&str; 2] = ["hmac-sha1-etm@openssh.com", "hmac-sha1"];
const UNREACHABLE: &str = "The server cannot be reached.";
const NOT_LOGGED_IN: &str = "The gateway could not log in on the server.";

#[test]
fn an_old_target_is_reached_with_each_key_exchange_cipher_and_mac_of_the_set() {
    let kex = KEX.iter().map(|kex| format!("KexAlgorithms {kex}"));
    let ciphers =
        CIPHERS.iter().flat_map(|cipher| MACS.iter().map(move |mac| format!("Ciphers {cipher}\nMACs {mac}")));
    let ctr = MACS.iter().map(|mac| format!("Ciphers aes128-ctr\nMACs {mac}"));
    for configuration in kex.chain(ciphers).chain(ctr) {
        let site = Site::on(Sshd::with(&configuration), |draft| draft.settings = TARGET.to_owned());
        let noise: Vec<u8> = (0..100_003_u32).map(|n| (n % 251) as u8).collect();
        let run = site.ssh().exec_with("cat", Input::Bytes(noise.clone()));
        assert!(run.status.success(), "{configuration}: {}", run.stderr);
        assert!(run.stdout == noise, "{configuration}: {} bytes", run.stdout.len());
    }
}

#[test]
fn an_old_target_proves_itself_with_rsa_and_sha1_or_dsa() {
    for (kind, bits, algorithm) in
        [("rsa", "2048", "ssh-rsa"), ("rsa", "1024", "ssh-rsa"), ("dsa", "1024", "ssh-dss")]
    {
        let folder = tempfile::tempdir().unwrap();
        let (sshd, key) = with_host_key(folder.path(), [kind, bits, algorithm]);
        let site = known(sshd, &key, TARGET);
        assert_eq!(site.ssh().exec("echo in").text(), "in\n", "{kind} {bits}");
    }
}

#[test]
fn what_would_help_to_reach_an_old_target_is_in_the_record() {
    let configurations = [
        ("KexAlgorithms diffie-hellman-group1-sha1", "no key exchange in common"),
        ("Ciphers 3des-cbc,aes128-cbc", "no cipher in common"),
        ("Ciphers aes128-ctr\nMACs hmac-sha1", "no MAC in common"),
    ];
    for (configuration, missing) in configurations {
        // The client's side is another matter.
        let site = Site::on(Sshd::with(configuration), |draft| draft.settings = CLIENT.to_owned());
        refused_with_advice(&site, missing);
    }
    let folder = tempfile::tempdir().unwrap();
    let (sshd, key) = with_host_key(folder.path(), ["dsa", "1024", "ssh-dss"]);
    refused_with_advice(&known(sshd, &key, ""), "no host key in common: the peer has ssh-dss");
}

#[test]
fn an_old_target_takes_a_key_that_signs_with_sha1() {
    for (kind, tag) in [("rsa", "ssh-rsa"), ("dsa", "ssh-dss")] {
        let (sshd, pem) = that_takes(kind, tag);
        let site = Site::on(sshd, |draft| {
            draft.credentials = stored_key(tag, &pem);
            draft.settings = TARGET.to_owned();
        });
        assert_eq!(site.ssh().exec("echo in").text(), "in\n", "{tag}");
    }
}

#[test]
fn a_key_that_can_only_sign_with_sha1_is_not_tried_and_the_record_says_what_would_help() {
    let (sshd, pem) = that_takes("dsa", "ssh-dss");
    let site = Site::on(sshd, |draft| draft.credentials = stored_key("ssh-dss", &pem));
    let run = site.log_in(&site.sshd.user());
    site.refused(&run, "target-auth-fail", NOT_LOGGED_IN);
    let reason = reason(&site);
    assert!(reason.contains("tried 0 keys") && reason.contains("1 keys only have legacy"), "{reason}");
    assert!(reason.contains("`target-algorithms = \"legacy\"`"), "{reason}");
}

#[test]
fn a_dsa_key_of_a_plugin_logs_in() {
    const STORE: &str = r#"
class Plugin:
    def __init__(self, configuration):
        self.key = configuration

    def get_private_key_list(self):
        return {"private_keys": [["ssh-dss", self.key]]}

    def authentication_completed(self):
        pass

    def session_ended(self):
        pass
"#;
    let (sshd, pem) = that_takes("dsa", "ssh-dss");
    let plan = PluggedPlan::new([Plug::lets_anybody_in(), Plug::store(STORE).configuration(&pem)])
        .connection("settings = \"old\"")
        .more(&format!("[[settings]]\nname = \"old\"\n{TARGET}"));
    let plugged = plan.open_on(sshd);
    let askpass = keyward_testsuite::Askpass::new(&[]);
    let client = SshClient::with_answers(plugged.gateway.addr("ssh"), &plugged.sshd.user(), &askpass);
    assert_eq!(client.exec("echo in").text(), "in\n");
    let accepted = plugged.sshd.log().into_iter().find(|line| line.starts_with("Accepted publickey"));
    assert!(accepted.as_ref().is_some_and(|line| line.contains("ssh2: DSA ")), "{accepted:?}");
}

#[test]
fn an_old_client_gets_in_with_each_algorithm_of_the_set() {
    let site = Site::with(|draft| draft.settings = CLIENT.to_owned());
    let kex = [KEX[0], KEX[2]].map(|kex| vec![format!("KexAlgorithms={kex}")]);
    let ciphers = CIPHERS.map(|cipher| vec![format!("Ciphers={cipher}"), "MACs=hmac-sha1".to_owned()]);
    let host_key = [vec!["HostKeyAlgorithms=ssh-rsa".to_owned()]];
    for options in kex.into_iter().chain(ciphers).chain(host_key) {
        let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
        let run = run(&mut site.ssh().command(&options, &["echo in"]), Input::Nothing);
        assert_eq!(run.text(), "in\n", "{options:?}");
    }
    // A client of today does not come to see any of it.
    let run = run(&mut site.ssh().command(&["-v"], &["echo in"]), Input::Nothing);
    let agreed = run.stderr.lines().filter(|line| line.starts_with("debug1: kex: "));
    assert!(run.status.success() && agreed.clone().count() > 3, "{}", run.stderr);
    for line in agreed {
        assert!(!line.contains("sha1") && !line.contains("cbc") && !line.contains("ssh-rsa"), "{line}");
    }
}

#[test]
fn an_old_client_shows_a_key_that_signs_with_sha1_where_the_policy_lets_it() {
    let sha1 = ["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"];
    for (settings, gets_in) in [(CLIENT, true), (TARGET, false)] {
        let sshd = Sshd::start();
        let rsa = KeyPair::generate(sshd.folder(), "old_key", "rsa");
        let site = Site::on(sshd, |draft| {
            let (remote, public) = (&draft.remote_user, rsa.public());
            draft.settings = settings.to_owned();
            draft.connection += "usermapping = \"old\"\n";
            draft.more = format!(
                "[[user]]\nname = \"old\"\npublic-keys = [\"{public}\"]\n\
                 [[usermapping]]\nname = \"old\"\nrule = [{{ remote-user = \"{remote}\", users = [\"old\"] }}]\n"
            );
        });
        let client = SshClient::with_key(site.addr(), &format!("gu=old@{}", site.sshd.user()), &rsa);
        let run = run(&mut client.command(&sha1, &["echo in"]), Input::Nothing);
        assert_eq!(run.status.success(), gets_in, "{settings}: {}", run.stderr);
    }
}

#[test]
fn what_would_help_an_old_client_is_in_the_log() {
    // The target's side is another matter.
    let site = Site::with(|draft| draft.settings = TARGET.to_owned());
    let options = ["-o", "KexAlgorithms=diffie-hellman-group1-sha1"];
    let run = run(&mut site.ssh().command(&options, &["true"]), Input::Nothing);
    assert_eq!(run.status.code(), Some(255));
    site.gateway.says(&["nothing but legacy algorithms", "client-algorithms"]);
}

#[test]
fn the_key_that_old_clients_know_the_gateway_by_is_made_when_they_are_let_in_and_kept() {
    let options = ["-o", "HostKeyAlgorithms=ssh-rsa"];
    let mut site = Site::open();
    let client = site.ssh();
    let old = || run(&mut client.command(&options, &["echo in"]), Input::Nothing);
    assert_eq!(old().status.code(), Some(255));
    site.gateway
        .edit_policy(|text| text.replace("name = \"times\"\n", &format!("name = \"times\"\n{CLIENT}")));
    site.gateway.reread("the policy document was read again");
    assert_eq!(old().text(), "in\n");
    assert!(site.gateway.stop().success());
    site.gateway.start();
    // The client knows the key now, and would refuse another one.
    assert_eq!(old().text(), "in\n");
}

#[test]
fn dropbears_client_gets_in_with_sha1() {
    let site = Site::with(|draft| draft.settings = CLIENT.to_owned());
    let client = Dbclient::with_key(site.addr(), &site.sshd.user(), &site.person);
    let options = ["-c", "aes128-ctr", "-m", "hmac-sha1"];
    assert_eq!(run(&mut client.command(&options, &["echo in"]), Input::Nothing).text(), "in\n");
}

#[track_caller]
fn refused_with_advice(site: &Site, missing: &str) {
    let run = site.log_in(&site.sshd.user());
    site.refused(&run, "connect-fail", UNREACHABLE);
    let reason = reason(site);
    assert!(reason.contains(missing), "{reason}");
    assert!(
        reason.contains("`target-algorithms = \"legacy\"` in the settings of the connection"),
        "{reason}"
    );
}

fn reason(site: &Site) -> String {
    site.ended(1).get("reason").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A server whose host key is of this type and size, and signs this way alone.
#[track_caller]
fn with_host_key(folder: &Path, [kind, bits, algorithm]: [&str; 3]) -> (Sshd, String) {
    let file = folder.join("key");
    let script = r#"ssh-keygen -q -t "$1" -b "$2" -N '' -C key -f "$3""#;
    shell(script, &[kind, bits, file.to_str().unwrap()]).must_succeed();
    let key = KeyPair::at(&file);
    let sizes = if bits == "1024" { "RequiredRSASize 1024\n" } else { "" };
    let sshd = Sshd::with(&format!("{sizes}HostKey {}\nHostKeyAlgorithms {algorithm}", file.display()));
    (sshd, key.public())
}

fn known(sshd: Sshd, key: &str, settings: &str) -> Site {
    let server = sshd.addr();
    Site::on(sshd, |draft| {
        draft.connection = format!("known-host-keys = [{{ host = \"{server}\", key = \"{key}\" }}]\n");
        draft.settings = settings.to_owned();
    })
}

/// A server that takes one key of this kind, signing in its oldest way, and the key.
#[track_caller]
fn that_takes(kind: &str, algorithm: &str) -> (Sshd, String) {
    let sshd = Sshd::with(&format!("PubkeyAcceptedAlgorithms {algorithm}"));
    let key = sshd.folder().join("old_key");
    let script = r#"ssh-keygen -q -t "$1" -m PEM -N '' -f "$2" && cat "$2.pub" > "$3""#;
    let authorized = sshd.folder().join("authorized_keys");
    shell(script, &[kind, key.to_str().unwrap(), authorized.to_str().unwrap()]).must_succeed();
    (sshd, KeyPair::at(&key).private())
}
