//! Each algorithm that OpenSSH and the gateway have in common, towards either side, and no others.

use keyward_testsuite::{Input, KeyPair, PeerServer, Sshd, peers_program, run, shell};
use serde_json::Value;

use crate::site::Site;

const CIPHERS: [&str; 6] = [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
];
const MACS: [&str; 4] =
    ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"];
const CLIENT_KEX: [&str; 6] = [
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
];
/// What this OpenSSH has not; AsyncSSH has it.
const POST_QUANTUM: &str = "mlkem768x25519-sha256";
const CLIENT_HOST_KEYS: [&str; 1] = ["ssh-ed25519"];
/// Targets are older than clients.
const TARGET_KEX: [&str; 11] = [
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
];
/// Type and size of a key, and what it signs with.
const TARGET_HOST_KEYS: [(&str, &str, &str); 6] = [
    ("ed25519", "256", "ssh-ed25519"),
    ("ecdsa", "256", "ecdsa-sha2-nistp256"),
    ("ecdsa", "384", "ecdsa-sha2-nistp384"),
    ("ecdsa", "521", "ecdsa-sha2-nistp521"),
    ("rsa", "2048", "rsa-sha2-256"),
    ("rsa", "2048", "rsa-sha2-512"),
];

#[test]
fn a_client_gets_in_with_each_cipher_and_mac_of_the_gateway_and_with_no_other() {
    let site = Site::open();
    for cipher in CIPHERS {
        for mac in macs_for(cipher) {
            let options = [format!("Ciphers={cipher}"), format!("MACs={mac}")];
            assert_echoes(&site, &options.each_ref().map(String::as_str));
        }
    }
    for other in others("cipher", &CIPHERS) {
        assert_nothing_in_common(&site, &[&format!("Ciphers={other}")], "cipher");
    }
    for other in others("mac", &MACS) {
        assert_nothing_in_common(&site, &["Ciphers=aes128-ctr", &format!("MACs={other}")], "MAC");
    }
}

#[test]
fn a_client_gets_in_with_each_key_exchange_of_the_gateway_and_with_no_other() {
    let site = Site::open();
    for kex in CLIENT_KEX {
        assert_echoes(&site, &[&format!("KexAlgorithms={kex}")]);
    }
    for other in others("kex", &CLIENT_KEX) {
        assert_nothing_in_common(&site, &[&format!("KexAlgorithms={other}")], "key exchange method");
    }
}

#[test]
fn a_client_gets_in_with_each_host_key_of_the_gateway_and_with_no_other() {
    let site = Site::open();
    for key in CLIENT_HOST_KEYS {
        assert_echoes(&site, &[&format!("HostKeyAlgorithms={key}")]);
    }
    for other in others("HostKeyAlgorithms", &CLIENT_HOST_KEYS) {
        assert_nothing_in_common(&site, &[&format!("HostKeyAlgorithms={other}")], "host key type");
    }
}

#[test]
fn a_target_is_reached_with_each_cipher_and_mac() {
    let mut configurations = Vec::new();
    for cipher in CIPHERS {
        for mac in macs_for(cipher) {
            configurations.push(format!("Ciphers {cipher}\nMACs {mac}"));
        }
    }
    for configuration in configurations {
        assert_reached(&configuration);
    }
}

#[test]
fn a_target_is_reached_with_each_key_exchange() {
    for kex in TARGET_KEX {
        assert_reached(&format!("KexAlgorithms {kex}"));
    }
}

#[test]
fn a_client_gets_in_with_the_post_quantum_key_exchange() {
    let site = Site::open();
    assert_eq!(site.paramiko("async_kex", &[POST_QUANTUM]), "in\n");
}

#[test]
fn a_target_is_reached_with_the_post_quantum_key_exchange() {
    let server = PeerServer::start("async_kex_server", &[("PEER_KEX", POST_QUANTUM)]);
    let site = Site::with(|draft| {
        let (addr, host_key) = (server.addr(), server.host_key());
        draft.connection = format!("known-host-keys = [{{ host = \"{addr}\", key = \"{host_key}\" }}]\n");
        draft.target = format!("{{ fixed = \"{addr}\" }}");
        draft.credentials = "passwords = [\"any\"]\n".to_owned();
    });
    assert_eq!(site.ssh().exec("this").text(), "ran this\n");
}

#[test]
fn a_target_is_reached_with_each_host_key() {
    for (kind, bits, algorithm) in TARGET_HOST_KEYS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let script = r#"ssh-keygen -q -t "$1" -b "$2" -N '' -C key -f "$3""#;
        shell(script, &[kind, bits, file.to_str().unwrap()]).must_succeed();
        let key = KeyPair::at(&file);
        let sshd = Sshd::with(&format!("HostKey {}\nHostKeyAlgorithms {algorithm}", file.display()));
        let server = sshd.addr();
        let site = Site::on(sshd, |draft| {
            draft.connection =
                format!("known-host-keys = [{{ host = \"{server}\", key = \"{}\" }}]\n", key.public());
        });
        assert_eq!(site.ssh().exec("echo in").text(), "in\n", "{kind} {bits} {algorithm}");
    }
}

#[test]
fn ssh_audit_finds_no_failure() {
    let site = Site::open();
    // It fails at warnings, too: what it found is in what it prints.
    let script = r#""$1" --json --skip-rate-test --timeout 60 -p "$2" 127.0.0.1 || true"#;
    let audit = peers_program("ssh-audit");
    let printed = shell(script, &[audit.to_str().unwrap(), &site.addr().port().to_string()]);
    let report: Value = serde_json::from_slice(&printed.stdout).unwrap();
    for subject in ["kex", "key", "enc", "mac"] {
        let found = report[subject].as_array().unwrap();
        assert!(!found.is_empty(), "{report:#}");
        for algorithm in found {
            assert!(algorithm["notes"].get("fail").is_none(), "{algorithm:#}");
        }
    }
    assert_eq!(report["cves"].as_array().map(Vec::len), Some(0), "{report:#}");
}

/// The ciphers that authenticate by themselves need none; any is right.
fn macs_for(cipher: &str) -> &'static [&'static str] {
    if cipher.ends_with("-ctr") { &MACS } else { &MACS[..1] }
}

/// What else this OpenSSH can be told to use.
#[track_caller]
fn others(subject: &str, ours: &[&str]) -> Vec<String> {
    let all = shell(r#"ssh -Q "$1""#, &[subject]).text();
    let others: Vec<String> = all.lines().filter(|name| !ours.contains(name)).map(str::to_owned).collect();
    assert!(all.lines().count() > others.len(), "OpenSSH knows none of {ours:?}");
    others
}

#[track_caller]
fn assert_echoes(site: &Site, options: &[&str]) {
    let options: Vec<&str> = options.iter().flat_map(|option| ["-o", *option]).collect();
    let noise: Vec<u8> = (0..100_003_u32).map(|n| (n % 251) as u8).collect();
    let run = run(&mut site.ssh().command(&options, &["cat"]), Input::Bytes(noise.clone()));
    assert!(run.status.success(), "{options:?}: {}", run.stderr);
    assert!(run.stdout == noise, "{options:?}: {} bytes", run.stdout.len());
}

#[track_caller]
fn assert_nothing_in_common(site: &Site, options: &[&str], what: &str) {
    let options: Vec<&str> = options.iter().flat_map(|option| ["-o", *option]).chain(["-v"]).collect();
    let run = run(&mut site.ssh().command(&options, &["true"]), Input::Nothing);
    assert_eq!(run.status.code(), Some(255), "{options:?}");
    assert!(run.stderr.contains(&format!("no matching {what} found")), "{options:?}: {}", run.stderr);
}

/// A target with this configuration.
#[track_caller]
fn assert_reached(configuration: &str) {
    let site = Site::on(Sshd::with(configuration), |_| ());
    assert_echoes(&site, &[]);
    assert_eq!(site.sshd.logins(), 1, "{configuration}");
}
