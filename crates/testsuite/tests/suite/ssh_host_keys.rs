//! How a server proves who it is: by a pinned fingerprint, by a certificate of a known authority; and what the record says
//! when it does not.

use std::path::Path;

use keyward_testsuite::{Input, KeyPair, Run, Sshd, shell};
use tempfile::TempDir;

use crate::site::{Draft, Site};

const NOT_PROVEN: &str = "The server could not prove its identity.";
/// What a certificate for the server of these tests says, in the words of ssh-keygen.
const RIGHT: [&str; 6] = ["-h", "-n", "127.0.0.1", "-V", "-1h:+1h", "-q"];

/// A server with a key that an authority has certified.
struct Certified {
    sshd: Sshd,
    authority: KeyPair,
    key: KeyPair,
    /// Of the keys, which sshd reads for each connection.
    folder: TempDir,
}

impl Certified {
    /// `options` are those of `ssh-keygen -s`.
    #[track_caller]
    fn with(kind: &str, options: &[&str], configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = KeyPair::generate(folder.path(), "authority", "ed25519");
        let key = KeyPair::generate(folder.path(), "key", kind);
        certify(&authority, &key, options);
        let (file, certificate) = (key.path().display(), folder.path().join("key-cert.pub"));
        let lines = format!("HostKey {file}\nHostCertificate {}\n{configuration}", certificate.display());
        Self { sshd: Sshd::with(&lines), authority, key, folder }
    }

    /// A gateway that knows of the server what these entries say, and what comes of a log-in there.
    #[track_caller]
    fn known_by(self, entries: &[(&str, &str)]) -> (Site, Run) {
        let site = known_by(self.sshd, entries, "");
        let run = site.log_in(&site.sshd.user());
        drop(self.folder);
        (site, run)
    }
}

#[track_caller]
fn certify(authority: &KeyPair, key: &KeyPair, options: &[&str]) {
    let public = key.path().with_extension("pub");
    let [authority, public] = [authority.path(), &public].map(|path| path.to_str().unwrap());
    let arguments: Vec<&str> = [authority, public].into_iter().chain(options.iter().copied()).collect();
    shell(r#"ca=$1; key=$2; shift 2; ssh-keygen -s "$ca" -I id "$@" "$key""#, &arguments).must_succeed();
}

#[track_caller]
fn known_by(sshd: Sshd, entries: &[(&str, &str)], more: &str) -> Site {
    Site::on(sshd, |draft| know(draft, entries, more))
}

fn know(draft: &mut Draft, entries: &[(&str, &str)], more: &str) {
    let host = draft.server;
    let entry = |(key, value): &(&str, &str)| format!("{{ host = \"{host}\", {key} = \"{value}\" }}");
    let entries: Vec<String> = entries.iter().map(entry).collect();
    draft.connection = format!("known-host-keys = [{}]\n{more}", entries.join(", "));
}

/// As `ssh-keygen -l` shows it.
#[track_caller]
fn fingerprint(public: &Path) -> String {
    let shown = shell(r#"ssh-keygen -lf "$1""#, &[public.to_str().unwrap()]).text();
    shown.split(' ').nth(1).unwrap().to_owned()
}

#[track_caller]
fn assert_refused(site: &Site, run: &Run, reasons: &[&str]) {
    site.refused(run, "key-error", NOT_PROVEN);
    assert_eq!(site.sshd.logins(), 0);
    let session = site.ended(1);
    for reason in reasons {
        assert!(session["reason"].as_str().unwrap().contains(reason), "{reason}: {session:#}");
    }
}

#[test]
fn a_server_is_known_by_the_fingerprint_of_its_key() {
    let sshd = Sshd::start();
    let pin = fingerprint(&sshd.folder().join("host_key.pub"));
    let site = known_by(sshd, &[("fingerprint", &pin)], "");
    assert_eq!(site.ssh().exec("echo in").text(), "in\n");
}

#[test]
fn a_pinned_key_of_a_type_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let rsa = KeyPair::generate(folder.path(), "key", "rsa");
    let pin = format!("ssh-rsa {}", fingerprint(&folder.path().join("key.pub")));
    // It has an Ed25519 key as well, which it would show by itself.
    let sshd = Sshd::with(&format!("HostKey {}", rsa.path().display()));
    let site = known_by(sshd, &[("fingerprint", &pin)], "");
    assert_eq!(site.ssh().exec("echo in").text(), "in\n");
}

#[test]
fn a_server_with_another_fingerprint_is_refused_and_the_record_has_both() {
    let (sshd, other) = (Sshd::start(), Sshd::start());
    let [shown, pin] = [&sshd, &other].map(|sshd| fingerprint(&sshd.folder().join("host_key.pub")));
    let site = known_by(sshd, &[("fingerprint", &pin)], "host-key-check = \"trust-on-first-use\"\n");
    let run = site.log_in(&site.sshd.user());
    assert_refused(&site, &run, &[&format!("(known: {pin}; it offers ssh-ed25519 {shown})")]);
}

#[test]
fn a_certificate_of_a_known_authority_proves_a_server_of_each_type_of_key() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let server = Certified::with(kind, &RIGHT, "");
        let authority = server.authority.public();
        let (_site, run) = server.known_by(&[("authority", &authority)]);
        assert_eq!(run.text(), "in\n", "{kind}");
    }
}

#[test]
fn a_certificate_is_shown_again_when_the_keys_are_renewed() {
    let Certified { sshd, authority, folder: _folder, .. } =
        Certified::with("ed25519", &RIGHT, "RekeyLimit 1M");
    let authority = authority.public();
    let site = known_by(sshd, &[("authority", &authority)], "");
    let bytes = vec![b'x'; 6_000_000];
    let run = site.ssh().exec_with("wc -c", Input::Bytes(bytes));
    assert_eq!(run.text(), "6000000\n");
}

#[test]
fn a_certificate_that_does_not_hold_is_refused_with_its_reason() {
    let cases: [(&[&str], &str); 6] = [
        (&["-h", "-n", "127.0.0.1", "-V", "-2h:-1h"], "the certificate has expired"),
        (&["-h", "-n", "127.0.0.1", "-V", "+1h:+2h"], "the certificate is not valid yet"),
        (&["-h", "-n", "127.0.0.2,db1"], "the certificate does not list this principal"),
        (&["-h"], "the certificate lists no principals"),
        (&["-n", "127.0.0.1"], "the certificate is for the other of users and hosts"),
        (
            &["-h", "-n", "127.0.0.1", "-O", "critical:odd@example.com=1"],
            "a critical option that is not known: \"odd@example.com\"",
        ),
    ];
    for (options, reason) in cases {
        // sshd itself refuses to show a certificate that is not for hosts.
        let server = Certified::with("ed25519", options, "");
        let (pin, authority) =
            (fingerprint(&server.key.path().with_extension("pub")), server.authority.public());
        let (site, run) = server.known_by(&[("authority", &authority)]);
        assert_refused(&site, &run, &[reason, &pin, "certificates of ssh-ed25519 SHA256:"]);
    }
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (server, other) = (Certified::with("ed25519", &RIGHT, ""), Certified::with("ed25519", &RIGHT, ""));
    let (site, run) = server.known_by(&[("authority", &other.authority.public())]);
    assert_refused(&site, &run, &["the certificate's authority is not one of those that are trusted"]);
}

#[test]
fn what_was_revoked_is_refused_whoever_vouches_for_it() {
    for revoked in ["key", "authority"] {
        let server = Certified::with("ed25519", &RIGHT, "");
        let (key, authority) = (server.key.public(), server.authority.public());
        let pin = fingerprint(&server.folder.path().join(revoked).with_extension("pub"));
        let written = if revoked == "key" { key.clone() } else { pin.clone() };
        let (site, run) = server.known_by(&[("authority", &authority), ("revoked", &written)]);
        assert_refused(&site, &run, &[&format!("its key was revoked: {pin}")]);
    }
    let server = Certified::with("ed25519", &RIGHT, "");
    let key = server.key.public();
    let (site, run) = server.known_by(&[("key", &key), ("revoked", &key)]);
    assert_refused(&site, &run, &["its key was revoked"]);
}

#[test]
fn a_key_that_no_authority_has_certified_is_no_first_key_to_trust() {
    let authority = Certified::with("ed25519", &RIGHT, "").authority.public();
    let sshd = Sshd::start();
    let site = known_by(sshd, &[("authority", &authority)], "host-key-check = \"trust-on-first-use\"\n");
    let run = site.log_in(&site.sshd.user());
    assert_refused(&site, &run, &["it offers a key other than the one that is known"]);
}

#[test]
fn a_key_that_is_known_needs_no_certificate_that_holds() {
    let server = Certified::with("ed25519", &["-h", "-n", "db1"], "");
    let (key, authority) = (server.key.public(), server.authority.public());
    let (_site, run) = server.known_by(&[("authority", &authority), ("key", &key)]);
    assert_eq!(run.text(), "in\n");
}

#[test]
fn a_certificate_may_be_for_a_name_or_a_pattern_of_names() {
    for names in ["localhost", "db?,*host"] {
        let Certified { sshd, authority, folder: _folder, .. } =
            Certified::with("ed25519", &["-h", "-n", names], "");
        let (authority, port) = (authority.public(), sshd.addr().port());
        let site = Site::on(sshd, |draft| {
            draft.inband(&format!("\"localhost:{port}\", \"127.0.0.1:{port}\""), "");
            draft.connection = format!(
                "known-host-keys = [{{ host = \"localhost:{port}\", authority = \"{authority}\" }}]\n"
            );
        });
        let run = site.log_in(&format!("{}@localhost:{port}", site.sshd.user()));
        assert_eq!(run.text(), "in\n", "{names}");
    }
}

/// Whoever answers for DNS chooses the address.
#[test]
fn what_is_known_of_an_address_proves_no_name() {
    let Certified { sshd, authority, key, folder: _folder } =
        Certified::with("ed25519", &["-h", "-n", "127.0.0.1"], "");
    let (authority, host_key, port) = (authority.public(), key.public(), sshd.addr().port());
    let site = Site::on(sshd, |draft| {
        draft.inband(&format!("\"localhost:{port}\", \"127.0.0.1:{port}\""), "");
        draft.connection = format!(
            "known-host-keys = [\n\
             {{ host = \"localhost:{port}\", authority = \"{authority}\" }},\n\
             {{ host = \"127.0.0.1:{port}\", key = \"{host_key}\" }},\n]\n"
        );
    });
    let run = site.log_in(&format!("{}@localhost:{port}", site.sshd.user()));
    assert_refused(&site, &run, &["the certificate does not list this principal"]);
}
