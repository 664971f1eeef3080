//! The examples' own scenarios, with their transcripts, played by `keyward plugin scenario`: each session as a person sees
//! it, with what each hook printed.

use std::fs;

use keyward_testsuite::{FakeTarget, FreeRadius, Slapd, keyward, plugin_python};
use serde_json::json;

use super::kv_vault::SecretServer;
use super::ticketing::TicketServer;
use super::totp;
use super::trial::{example, examples};

/// Plays all scenarios of an example, in which `values` stand for what is different each time.
#[track_caller]
fn all_pass(name: &str, values: &[(&str, &str)]) {
    let environment = format!("python3={}", plugin_python().display());
    let folder = example(name);
    let mut words = vec!["plugin", "scenario", folder.to_str().unwrap(), "--environment", &environment];
    let values: Vec<String> = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
    words.extend(values.iter().flat_map(|value| ["--set", value]));
    if std::env::var_os("KEYWARD_UPDATE_TRANSCRIPTS").is_some() {
        words.push("--update");
    }
    let played = keyward(&words);
    let shown = String::from_utf8_lossy(&played.stdout);
    assert!(played.status.success(), "{shown}\n{}", played.stderr);
    let scenarios = fs::read_dir(folder.join("tests")).unwrap().flatten();
    let scenarios =
        scenarios.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "toml")).count();
    assert!(scenarios > 0 && shown.contains(&format!("{scenarios} ")), "{scenarios}: {shown}");
}

#[test]
fn each_example_has_scenarios_and_transcripts() {
    for folder in fs::read_dir(examples()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let files: Vec<_> = fs::read_dir(folder.path().join("tests")).unwrap().flatten().collect();
        for ending in ["toml", "txt"] {
            let has = files.iter().any(|file| file.path().extension().is_some_and(|found| found == ending));
            assert!(has, "{} has no .{ending} in its tests", folder.path().display());
        }
    }
}

#[test]
fn plain_aa_plays_as_written() {
    all_pass("plain_aa", &[]);
}

#[test]
fn otp_demo_plays_as_written() {
    all_pass("otp_demo", &[]);
}

#[test]
fn vault_demo_plays_as_written() {
    all_pass("vault_demo", &[]);
}

#[test]
fn fixed_credentials_plays_as_written() {
    all_pass("fixed_credentials", &[]);
}

#[test]
fn totp_plays_as_written() {
    let code = totp::code(&["--totp"], 0);
    all_pass("totp", &[("secret", totp::SECRET), ("code", &code)]);
}

#[test]
fn ldap_groups_plays_as_written() {
    let slapd = Slapd::start();
    let (port, certificate) = (slapd.tls().port().to_string(), slapd.authority().certificate());
    let values = [
        ("port", port.as_str()),
        ("certificate", &certificate),
        ("bind", Slapd::BIND_DN),
        ("password", Slapd::BIND_PASSWORD),
        ("base", Slapd::BASE),
    ];
    all_pass("ldap_groups", &values);
}

#[test]
fn radius_mfa_plays_as_written() {
    let radius = FreeRadius::start();
    let [port, gone] = [radius.addr(), FakeTarget::gone()].map(|addr| addr.port().to_string());
    let values = [
        ("port", port.as_str()),
        ("gone", &gone),
        ("secret", FreeRadius::SECRET),
        ("password", FreeRadius::BOB),
        ("token", FreeRadius::BOB_TOKEN),
    ];
    all_pass("radius_mfa", &values);
}

#[test]
fn kv_vault_plays_as_written() {
    let password = "vaulted $ecret";
    let server = SecretServer::with(&json!({"hosts/db1/root": {"password": password}}));
    let (port, folder) = (server.port().to_string(), server.authority.folder());
    let values = [
        ("port", port.as_str()),
        ("folder", folder.to_str().unwrap()),
        ("certificate", &server.client.certificate),
        ("password", password),
    ];
    all_pass("kv_vault", &values);
}

#[test]
fn ticketing_plays_as_written() {
    let targets = json!(["root@db*"]);
    let server = TicketServer::with(&json!({
        "CHG-17": {"state": "approved", "assignee": "alice", "targets": targets},
        "CHG-19": {"state": "approved", "assignee": "bob", "targets": targets},
    }));
    let (port, folder) = (server.port().to_string(), server.folder());
    all_pass(
        "ticketing",
        &[("port", &port), ("folder", folder.to_str().unwrap()), ("token", super::ticketing::TOKEN)],
    );
}
