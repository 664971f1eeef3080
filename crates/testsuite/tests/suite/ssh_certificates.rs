//! Logging in on the server with a certificate that the gateway makes for the session.

use std::fs;

use keyward_testsuite::{Input, KeyPair, Sshd, run};

use crate::site::Site;

const NOT_LOGGED_IN: &str = "The gateway could not log in on the server.";

/// A server that takes nothing but certificates of the first authority, and a gateway that has the second.
#[track_caller]
fn trusting(trusted: &KeyPair, own: &KeyPair, table: &str, configuration: &str) -> Site {
    let public = trusted.path().with_extension("pub");
    let lines = format!("TrustedUserCAKeys {}\nAuthorizedKeysFile none\n{configuration}", public.display());
    Site::on(Sshd::with(&lines), |draft| {
        draft.credential_store = "{ authority = \"users\" }".to_owned();
        let key = own.path().display();
        draft.more = format!("[[certificate-authority]]\nname = \"users\"\nkey-file = \"{key}\"\n{table}\n");
    })
}

/// Lines of the server's log about log-ins that succeeded.
fn accepted(site: &Site) -> Vec<String> {
    let log = site.sshd.log();
    log.into_iter().filter(|line| line.starts_with("Accepted publickey") && line.contains("-CERT ")).collect()
}

#[test]
fn each_session_has_a_certificate_of_its_own_which_both_sides_write_down() {
    let folder = tempfile::tempdir().unwrap();
    let authority = KeyPair::generate(folder.path(), "authority", "ed25519");
    let site = trusting(&authority, &authority, "", "");
    let mut serials = Vec::new();
    for count in [1, 2] {
        assert_eq!(site.ssh().exec("echo in").text(), "in\n");
        let (session, notes) = (site.ended(count), site.notes(count));
        let line = accepted(&site).pop().unwrap();
        let id = format!("keyward session {} user {}", session["id"].as_str().unwrap(), site.sshd.user());
        assert!(line.contains(&id), "{line}");
        let serial = line.split("(serial ").nth(1).unwrap().split(')').next().unwrap().to_owned();
        let note = format!("certificate {serial} for {} on the target", site.sshd.user());
        assert!(notes.contains(&note), "{notes:?}");
        serials.push(serial);
    }
    assert_ne!(serials[0], serials[1]);
}

#[test]
fn an_authority_may_be_of_each_type_of_key() {
    for kind in ["rsa", "ecdsa"] {
        let folder = tempfile::tempdir().unwrap();
        let authority = KeyPair::generate(folder.path(), "authority", kind);
        let site = trusting(&authority, &authority, "", "");
        assert_eq!(site.ssh().exec("echo in").text(), "in\n", "{kind}");
    }
}

#[test]
fn a_server_that_trusts_another_authority_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let [trusted, own] = ["trusted", "own"].map(|name| KeyPair::generate(folder.path(), name, "ed25519"));
    let site = trusting(&trusted, &own, "", "");
    let run = site.log_in(&site.sshd.user());
    site.refused(&run, "target-auth-fail", NOT_LOGGED_IN);
}

#[test]
fn a_certificate_may_name_the_gateway_user() {
    let folder = tempfile::tempdir().unwrap();
    let authority = KeyPair::generate(folder.path(), "authority", "ed25519");
    for (principal, gets_in) in [("team-@user@", true), ("@user@", false)] {
        let file = folder.path().join("principals");
        let principals = format!("AuthorizedPrincipalsFile {}", file.display());
        let table = "principals = [\"team-{gateway-user}\"]";
        let site = trusting(&authority, &authority, table, &principals);
        fs::write(&file, principal.replace("@user@", &site.sshd.user()) + "\n").unwrap();
        assert_eq!(site.ssh().exec("echo in").status.success(), gets_in, "{principal}");
    }
}

#[test]
fn a_certificate_permits_what_the_policy_says() {
    let folder = tempfile::tempdir().unwrap();
    let authority = KeyPair::generate(folder.path(), "authority", "ed25519");
    for (table, has_terminal) in [("", true), ("extensions = [\"permit-user-rc\"]", false)] {
        let site = trusting(&authority, &authority, table, "");
        let run =
            run(&mut site.ssh().command(&["-tt"], &["test -t 0 && echo terminal; echo in"]), Input::Nothing);
        let shown = String::from_utf8_lossy(&run.stdout).into_owned();
        assert_eq!(shown.contains("terminal"), has_terminal, "{table}: {shown} {}", run.stderr);
    }
}
