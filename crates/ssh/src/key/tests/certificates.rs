use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use proptest::prelude::*;

use super::peer::Desk;
use crate::key::{
    Certificate, CertificateOptions, KeyError, KeyKind, PublicKey, Purpose, SigningKey, UserCertificate,
};
use crate::wire::Write;

const SECURITY_KEY: &str = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";

/// A certificate for a new key of type `kind`, made by a new authority.
struct Issued {
    certificate: Certificate,
    authority: PublicKey,
    key: PublicKey,
}

fn issue(authority: &str, kind: &str, options: &str) -> Issued {
    let desk = Desk::new();
    desk.keygen("authority", &format!("-t {authority} -N _"));
    desk.keygen("key", &format!("-t {kind} -N _"));
    desk.run(&format!("ssh-keygen -q -s authority -I an-id {options} key.pub"));
    Issued {
        certificate: Certificate::from_openssh(&desk.text("key-cert.pub")).unwrap(),
        authority: desk.public("authority.pub"),
        key: desk.public("key.pub"),
    }
}

impl Issued {
    fn check(&self, purpose: Purpose, principal: &str) -> Result<CertificateOptions, KeyError> {
        let authorities = [self.authority.clone()];
        self.certificate.check(purpose, principal, &authorities, SystemTime::now())
    }
}

#[test]
fn a_name_of_a_host_may_be_a_pattern_and_its_case_does_not_count() {
    let issued = issue("ed25519", "ed25519", "-h -n web*.example.com,db?,10.0.0.7");
    for name in ["web.example.com", "WEB7.Example.COM", "web.a.example.com", "db1", "10.0.0.7"] {
        assert!(issued.check(Purpose::Host, name).is_ok(), "{name}");
    }
    for name in ["example.com", "web.example.com.org", "awebb.example.com", "db", "db12", "10.0.0.77", ""] {
        assert_eq!(issued.check(Purpose::Host, name), Err(KeyError::OtherPrincipal), "{name}");
    }
    // Users have no patterns.
    let user = issue("ed25519", "ed25519", "-n *");
    assert_eq!(user.check(Purpose::User, "ann"), Err(KeyError::OtherPrincipal));
}

#[test]
fn a_certificate_that_was_issued_here_is_what_ssh_keygen_reads() {
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let principals = ["ann".to_owned(), "root".to_owned()];
    let extensions = ["permit-pty".to_owned(), "permit-user-rc".to_owned()];
    let wanted = UserCertificate {
        principals: &principals,
        key_id: "an id",
        serial: u64::MAX,
        extensions: &extensions,
        valid: now..now + Duration::from_secs(300),
    };
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP521, KeyKind::Rsa3072] {
        let authority = SigningKey::generate(kind).unwrap();
        let certificate = authority.certify(key.public(), &wanted).unwrap();
        let authorities = [authority.public().clone()];
        let at = |seconds| now + Duration::from_secs(seconds);
        let check = |user, time| certificate.check(Purpose::User, user, &authorities, time);
        assert_eq!(check("ann", at(0)).unwrap().extensions, extensions);
        assert!(check("root", at(299)).is_ok());
        assert_eq!(check("root", at(300)), Err(KeyError::Expired));
        assert_eq!(check("bob", at(0)), Err(KeyError::OtherPrincipal));
        assert_eq!((certificate.key_id(), certificate.serial()), ("an id", u64::MAX));

        let desk = Desk::new();
        let line = format!("{} {}\n", certificate.kind(), Base64::encode_string(certificate.blob()));
        std::fs::write(desk.path("c-cert.pub"), line).unwrap();
        let shown = desk.run("ssh-keygen -L -f c-cert.pub");
        for word in
            ["user certificate", "Key ID: \"an id\"", "Serial: 18446744073709551615", "ann", "permit-pty"]
        {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert!(shown.contains(&authority.public().fingerprint()), "{shown}");
    }
}

#[test]
fn a_certificate_for_nobody_is_not_issued() {
    let (authority, key) =
        (SigningKey::generate(KeyKind::Ed25519).unwrap(), SigningKey::generate(KeyKind::Ed25519).unwrap());
    let now = SystemTime::now();
    let wanted = UserCertificate { principals: &[], key_id: "", serial: 1, extensions: &[], valid: now..now };
    assert_eq!(authority.certify(key.public(), &wanted).unwrap_err(), KeyError::NoPrincipals);
}

#[test]
fn a_certificate_says_what_ssh_keygen_wrote() {
    let issued = issue(
        "ed25519",
        "ed25519",
        "-n alice,bob -z 18446744073709551615 -O clear -O permit-pty -O permit-port-forwarding \
         -O force-command=/bin/true -O source-address=127.0.0.0/8,::1/128",
    );
    let certificate = &issued.certificate;
    assert_eq!(certificate.kind(), "ssh-ed25519-cert-v01@openssh.com");
    assert_eq!((certificate.key(), certificate.authority()), (&issued.key, &issued.authority));
    assert_eq!((certificate.key_id(), certificate.serial()), ("an-id", u64::MAX));
    assert_eq!(certificate.principals(), ["alice", "bob"]);
    let expected = CertificateOptions {
        force_command: Some("/bin/true".into()),
        source_addresses: Some("127.0.0.0/8,::1/128".into()),
        verify_required: false,
        extensions: vec!["permit-port-forwarding".into(), "permit-pty".into()],
    };
    assert_eq!(issued.check(Purpose::User, "bob"), Ok(expected));
}

#[test]
fn keys_and_authorities_of_every_kind_are_taken() {
    for kind in ["ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048", "dsa"] {
        assert!(issue("ed25519", kind, "-n alice").check(Purpose::User, "alice").is_ok(), "{kind}");
    }
    for authority in ["ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048"] {
        let issued = issue(authority, "ed25519", "-n alice");
        assert!(issued.check(Purpose::User, "alice").is_ok(), "{authority}");
    }
    for kind in ["ed25519-sk", "ecdsa-sk"] {
        let issued = issue("ed25519", &format!("{kind} -w {SECURITY_KEY}"), "-n alice");
        assert!(issued.check(Purpose::User, "alice").is_ok(), "{kind}");
        let issued =
            issue(&format!("{kind} -w {SECURITY_KEY}"), "ed25519", &format!("-n alice -w {SECURITY_KEY}"));
        assert!(issued.check(Purpose::User, "alice").is_ok(), "{kind} as an authority");
    }
}

#[test]
fn a_certificate_is_for_users_or_for_hosts() {
    let user = issue("ed25519", "ed25519", "-n alice");
    assert_eq!(user.check(Purpose::Host, "alice"), Err(KeyError::OtherPurpose));
    let host = issue("ed25519", "ed25519", "-h -n server.example");
    assert_eq!(host.check(Purpose::Host, "server.example"), Ok(CertificateOptions::default()));
    assert_eq!(host.check(Purpose::User, "server.example"), Err(KeyError::OtherPurpose));
}

#[test]
fn a_certificate_is_for_the_principals_that_it_lists() {
    let issued = issue("ed25519", "ed25519", "-n alice,bob");
    for other in ["carol", "", "alice,bob", "Alice", "*"] {
        assert_eq!(issued.check(Purpose::User, other), Err(KeyError::OtherPrincipal));
    }
    for options in ["", "-h"] {
        let purpose = if options.is_empty() { Purpose::User } else { Purpose::Host };
        let unlisted = issue("ed25519", "ed25519", options);
        assert_eq!(unlisted.check(purpose, "alice"), Err(KeyError::NoPrincipals));
    }
}

#[test]
fn a_certificate_holds_within_its_time() {
    let issued = issue("ed25519", "ed25519", "-n alice -V 20200101000000:20200102000000");
    let at = |seconds| {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        issued.certificate.check(Purpose::User, "alice", std::slice::from_ref(&issued.authority), now)
    };
    let valid = issued.certificate.valid.clone();
    assert_eq!(valid.end - valid.start, 24 * 60 * 60);
    assert_eq!(at(valid.start - 1), Err(KeyError::NotYetValid));
    assert!(at(valid.start).is_ok());
    assert!(at(valid.end - 1).is_ok());
    assert_eq!(at(valid.end), Err(KeyError::Expired));
    assert_eq!(at(0), Err(KeyError::NotYetValid));
    assert_eq!(issued.check(Purpose::User, "alice"), Err(KeyError::Expired));
}

#[test]
fn only_a_trusted_authority_counts() {
    let issued = issue("ed25519", "ed25519", "-n alice");
    let other = issue("ed25519", "ed25519", "-n alice");
    for authorities in [&[][..], std::slice::from_ref(&other.authority), std::slice::from_ref(&issued.key)] {
        let verdict = issued.certificate.check(Purpose::User, "alice", authorities, SystemTime::now());
        assert_eq!(verdict, Err(KeyError::UnknownAuthority));
    }
    let both = [other.authority, issued.authority.clone()];
    assert!(issued.certificate.check(Purpose::User, "alice", &both, SystemTime::now()).is_ok());
}

#[test]
fn an_authority_that_signs_with_sha1_is_refused() {
    let rsa = issue("rsa -b 2048", "ed25519", "-n alice -t ssh-rsa");
    assert_eq!(rsa.check(Purpose::User, "alice"), Err(KeyError::LegacyAuthority));
    let dsa = issue("dsa", "ed25519", "-n alice");
    assert_eq!(dsa.check(Purpose::User, "alice"), Err(KeyError::LegacyAuthority));
    let sha256 = issue("rsa -b 2048", "ed25519", "-n alice -t rsa-sha2-256");
    assert!(sha256.check(Purpose::User, "alice").is_ok());
    let short = issue("rsa -b 1024", "ed25519", "-n alice");
    assert_eq!(short.check(Purpose::User, "alice"), Err(KeyError::ShortModulus));
}

#[test]
fn a_critical_option_that_is_not_known_is_refused() {
    let issued = issue("ed25519", "ed25519", "-n alice -O critical:odd@example.com=1");
    let unknown = KeyError::UnknownOption("odd@example.com".into());
    assert_eq!(issued.check(Purpose::User, "alice"), Err(unknown));
    let valued = issue("ed25519", "ed25519", "-n alice -O critical:verify-required=1");
    assert_eq!(valued.check(Purpose::User, "alice"), Err(KeyError::NotAKey));
    let extended = issue("ed25519", "ed25519", "-n alice -O clear -O extension:odd@example.com=1");
    let options = extended.check(Purpose::User, "alice").unwrap();
    assert_eq!(options.extensions, ["odd@example.com"]);
}

#[test]
fn a_certificate_may_require_that_the_security_key_knows_its_user() {
    let issued = issue("ed25519", "ed25519", "-n alice -O verify-required");
    assert!(issued.check(Purpose::User, "alice").unwrap().verify_required);
    let plain = issue("ed25519", "ed25519", "-n alice");
    assert!(!plain.check(Purpose::User, "alice").unwrap().verify_required);
}

/// A user's option has no meaning for a host.
#[test]
fn a_host_has_no_critical_options() {
    let issued = issue("ed25519", "ed25519", "-h -n a -O critical:force-command=x");
    let unknown = KeyError::UnknownOption("force-command".into());
    assert_eq!(issued.check(Purpose::Host, "a"), Err(unknown));
}

#[test]
fn a_certificate_that_is_cut_or_changed_is_refused() {
    let issued = issue("ed25519", "ed25519", "-n alice -O force-command=/bin/true");
    let blob = issued.certificate.blob();
    let check = |blob: &[u8]| {
        let authorities = [issued.authority.clone()];
        Certificate::from_blob(blob)?.check(Purpose::User, "alice", &authorities, SystemTime::now())
    };
    assert!(check(blob).is_ok());
    for place in 0..blob.len() {
        assert!(Certificate::from_blob(&blob[..place]).is_err(), "cut at {place}");
        for change in [0x01, 0x80] {
            let mut changed = blob.to_vec();
            changed[place] ^= change;
            assert!(check(&changed).is_err(), "changed at {place}");
        }
    }
    assert!(Certificate::from_blob(&[blob, b"\0"].concat()).is_err());
    assert_eq!(Certificate::from_blob(&vec![0; 32 * 1024 + 1]).unwrap_err(), KeyError::TooLong);
}

#[test]
fn a_key_is_no_certificate_and_a_certificate_no_key() {
    let issued = issue("ed25519", "ed25519", "-n alice");
    assert_eq!(PublicKey::from_blob(issued.certificate.blob()), Err(KeyError::UnknownKind));
    assert_eq!(Certificate::from_blob(issued.key.blob()).unwrap_err(), KeyError::UnknownKind);
}

proptest! {
    #[test]
    fn random_certificates_are_refused_without_a_panic(
        fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
        numbers in prop::collection::vec(any::<u64>(), 4),
    ) {
        let mut blob = Vec::new();
        blob.put_string(b"ssh-ed25519-cert-v01@openssh.com");
        blob.put_string(b"nonce");
        blob.put_string(b"\x01\x01\x01\x01");
        for (place, field) in fields.iter().enumerate() {
            blob.put_string(field);
            blob.put_bytes(&numbers[place % 4].to_be_bytes());
        }
        prop_assert!(Certificate::from_blob(&blob).is_err());
    }

    /// The fields behind the key, with lists that are none.
    #[test]
    fn random_lists_in_a_certificate_never_panic(
        lists in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 6),
    ) {
        let mut basepoint = [0x66; 32];
        basepoint[0] = 0x58;
        let mut blob = Vec::new();
        blob.put_string(b"ssh-ed25519-cert-v01@openssh.com");
        blob.put_string(b"nonce");
        blob.put_string(&basepoint);
        blob.put_bytes(&[0; 12]);
        blob.put_string(b"id");
        blob.put_string(&lists[0]);
        blob.put_bytes(&[0; 16]);
        lists[1..].iter().for_each(|list| blob.put_string(list));
        prop_assert!(Certificate::from_blob(&blob).is_err());
    }
}
