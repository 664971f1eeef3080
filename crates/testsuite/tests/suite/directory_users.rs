//! Gateway users whom a directory knows, in front of OpenLDAP's server.

use keyward_testsuite::{Askpass, KeyPair, Run, Slapd, SshClient, UserCa};

use crate::site::{Draft, Site};

/// The address and the protection of the server, as the policy has them.
enum Protection {
    StartTls,
    Ldaps,
}

/// The people of the directory, whom `rule` makes the remote user.
fn known_to(slapd: &Slapd, methods: &str, rule: &str) -> Site {
    site(slapd, &Protection::StartTls, |draft| {
        draft.methods = methods.to_owned();
        map(draft, rule);
    })
}

fn site(slapd: &Slapd, protection: &Protection, edit: impl FnOnce(&mut Draft)) -> Site {
    Site::with(|draft| {
        draft.authentication = "backend = { ldap = \"corp\" }\n".to_owned();
        draft.more = directory(slapd, protection);
        edit(draft);
    })
}

fn directory(slapd: &Slapd, protection: &Protection) -> String {
    let (addr, tls) = match protection {
        Protection::StartTls => (slapd.plain(), "starttls"),
        Protection::Ldaps => (slapd.tls(), "ldaps"),
    };
    format!(
        r#"
[[trusted-ca-list]]
name = "corp-ca"
certificates = ["""
{certificate}"""]

[[ldap-server]]
name = "corp"
addresses = ["{addr}"]
tls = "{tls}"
trusted-ca-list = "corp-ca"
bind-dn = "{dn}"
bind-password = "{password}"
base = "{base}"
"#,
        certificate = slapd.authority().certificate(),
        dn = Slapd::BIND_DN,
        password = Slapd::BIND_PASSWORD,
        base = Slapd::BASE,
    )
}

fn map(draft: &mut Draft, rule: &str) {
    draft.connection += "usermapping = \"people\"\n";
    let remote_user = &draft.remote_user;
    draft.more += &format!(
        "[[usermapping]]\nname = \"people\"\n[[usermapping.rule]]\nremote-user = \"{remote_user}\"\n{rule}\n"
    );
}

fn log_in(site: &Site, person: &str, password: &str) -> Run {
    site.answering(&format!("gu={person}@{}", site.sshd.user()), &[password])
}

#[track_caller]
fn denied(site: &Site, run: &Run, count: usize) {
    assert_eq!(run.status.code(), Some(255), "{run:?}");
    assert!(run.stderr.contains("Permission denied ("), "{}", run.stderr);
    assert_eq!(site.ended(count)["verdict"], "auth-fail");
    assert_eq!(site.sshd.connections(), 0);
}

#[test]
fn the_password_of_the_directory_logs_in_by_either_method_and_over_either_tls() {
    let slapd = Slapd::start();
    for (method, protection) in
        [("password", Protection::StartTls), ("keyboard-interactive", Protection::Ldaps)]
    {
        let site = site(&slapd, &protection, |draft| {
            draft.methods = format!("\"{method}\"");
            map(draft, "users = [\"ann\"]");
        });
        assert_eq!(log_in(&site, "ann", Slapd::PASSWORD).text(), "in\n", "{method}");
        let session = site.ended(1);
        assert_eq!(session["gateway_user"], "ann");
        assert_eq!(session["gateway_groups"], serde_json::json!(["admins", "dba", "everything", "unique"]));
        assert!(slapd.log().contains("BIND dn=\"uid=ann"), "{}", slapd.log());
    }
}

#[test]
fn wrong_passwords_and_unknown_people_are_refused_alike() {
    let slapd = Slapd::start();
    let site = known_to(&slapd, "\"password\"", "users = [\"ann\", \"nobody\", \"cid\"]");
    let tries =
        [("ann", "wrong"), ("nobody", Slapd::PASSWORD), ("cid", Slapd::PASSWORD), ("a*", Slapd::PASSWORD)];
    for (count, (person, password)) in tries.into_iter().enumerate() {
        denied(&site, &log_in(&site, person, password), count + 1);
    }
}

/// The directory would find them: it ignores case and spaces.
#[test]
fn a_name_in_another_spelling_is_nobodys() {
    let slapd = Slapd::start();
    let site = known_to(&slapd, "\"password\"", "users = [\"ann\", \"ANN\", \"Ann\"]");
    for (count, person) in ["ANN", "Ann"].into_iter().enumerate() {
        denied(&site, &log_in(&site, person, Slapd::PASSWORD), count + 1);
    }
    assert_eq!(log_in(&site, "ann", Slapd::PASSWORD).text(), "in\n");
}

/// Servers take a bind with a name and no password, and call it a success.
#[test]
fn an_empty_password_is_nobodys() {
    let slapd = Slapd::start();
    for method in ["password", "keyboard-interactive"] {
        let site = known_to(&slapd, &format!("\"{method}\""), "users = [\"ann\"]");
        denied(&site, &log_in(&site, "ann", ""), 1);
        assert!(!slapd.log().contains("BIND dn=\"uid=ann"), "{}", slapd.log());
    }
}

#[test]
fn the_keys_of_the_directory_log_in_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let [own, second, other] =
        ["own", "second", "other"].map(|name| KeyPair::generate(folder.path(), name, "ed25519"));
    let slapd = Slapd::with_keys(&[own.public(), second.public()]);
    let site = known_to(&slapd, "\"public-key\"", "groups = [\"everything\"]");
    let show = |person: &str, key: &KeyPair| {
        SshClient::with_key(site.addr(), &format!("gu={person}@{}", site.sshd.user()), key).exec("echo in")
    };
    denied(&site, &show("ann", &other), 1);
    denied(&site, &show("bob", &own), 2);
    for key in [&own, &second] {
        assert_eq!(show("ann", key).text(), "in\n");
    }
}

#[test]
fn a_certificate_needs_somebody_whom_the_directory_knows() {
    let (slapd, ca) = (Slapd::start(), UserCa::new());
    let site = site(&slapd, &Protection::Ldaps, |draft| {
        draft.authentication += &format!("[[authentication.user-ca]]\nkey = \"{}\"\n", ca.public());
        map(draft, "users = [\"cid\", \"nobody\"]");
    });
    let key = ca.certified("-n cid,nobody");
    let show = |person: &str| {
        SshClient::with_key(site.addr(), &format!("gu={person}@{}", site.sshd.user()), &key).exec("echo in")
    };
    denied(&site, &show("nobody"), 1);
    assert_eq!(show("cid").text(), "in\n");
}

#[test]
fn a_key_and_a_password_of_the_directory_go_in_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate(folder.path(), "key", "ed25519");
    let slapd = Slapd::with_keys(&[key.public()]);
    let site = site(&slapd, &Protection::StartTls, |draft| {
        draft.methods = String::new();
        draft.authentication.insert_str(0, "sequences = [[\"public-key\", \"password\"]]\n");
        map(draft, "users = [\"ann\"]");
    });
    let askpass = Askpass::new(&[Slapd::PASSWORD]);
    let login = format!("gu=ann@{}", site.sshd.user());
    let client = SshClient::of_a_person(site.addr(), &login, Some(&key), &askpass);
    assert_eq!(client.exec("echo in").text(), "in\n");
    assert_eq!(site.notes(1)[1], "password accepted");
}

#[test]
fn groups_of_the_directory_decide_mappings_and_channels() {
    let slapd = Slapd::start();
    // Of a group in a group,
    let site = known_to(&slapd, "\"password\"", "groups = [\"everything\"]");
    assert_eq!(log_in(&site, "ann", Slapd::PASSWORD).text(), "in\n");
    let run = log_in(&site, "bob", Slapd::PASSWORD);
    assert!(run.stderr.contains("You may not use this account."), "{}", run.stderr);
    assert_eq!(site.ended(2)["verdict"], "mapping-fail");
    // and of one that names its members.
    let site = self::site(&slapd, &Protection::StartTls, |draft| {
        draft.methods = "\"password\"".to_owned();
        map(draft, "users = [\"ann\", \"bob\"]");
        draft.channels = "types = [\"exec\"]\ngroups = [\"wheel\"]\n".to_owned();
    });
    assert_eq!(log_in(&site, "bob", Slapd::PASSWORD).text(), "in\n");
    let run = log_in(&site, "ann", Slapd::PASSWORD);
    assert!(run.stderr.contains("keyward: exec is not allowed here."), "{}", run.stderr);
}

#[test]
fn a_directory_that_is_down_is_the_gateways_fault_and_not_a_wrong_password() {
    let mut slapd = Slapd::start();
    let site = known_to(&slapd, "\"keyboard-interactive\"", "users = [\"ann\"]");
    slapd.stop();

    let run = log_in(&site, "ann", Slapd::PASSWORD);

    site.refused(&run, "gateway-error", "The gateway cannot serve this session now.");
    assert!(!run.stderr.contains("LDAP") && !run.stderr.contains("corp"), "{}", run.stderr);
    let log = site.gateway.log().concat();
    assert!(log.contains("an LDAP server gave no answer") && log.contains("cannot be reached"), "{log}");
    for secret in [Slapd::PASSWORD, Slapd::BIND_PASSWORD] {
        assert!(!log.contains(secret));
    }

    slapd.start_again();
    assert_eq!(log_in(&site, "ann", Slapd::PASSWORD).text(), "in\n");
}

#[test]
fn a_server_whose_certificate_is_not_trusted_hears_no_password() {
    let (slapd, other) = (Slapd::start(), Slapd::start());
    let site = Site::with(|draft| {
        draft.methods = "\"password\"".to_owned();
        draft.authentication = "backend = { ldap = \"corp\" }\n".to_owned();
        let trusted = directory(&slapd, &Protection::Ldaps);
        draft.more = trusted.replace(&slapd.tls().to_string(), &other.tls().to_string());
        map(draft, "users = [\"ann\"]");
    });
    let run = log_in(&site, "ann", Slapd::PASSWORD);
    site.refused(&run, "gateway-error", "The gateway cannot serve this session now.");
    assert!(!other.log().contains("BIND"), "{}", other.log());
}
