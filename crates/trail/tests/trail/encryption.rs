//! Who can read an encrypted trail, and who cannot.

use std::process::Command;
use std::time::Duration;

use keyward_trail::{
    AuditorKey, ChannelId, Direction, Ending, Event, KeyError, Protection, Reader, Recipient, Recipients,
    Stream, TrailError,
};
use proptest::prelude::*;

use crate::blocks::{BLOCK, relinked, split};
use crate::whole::any_session;
use crate::{Timed, read, read_with, session, signed, written, written_for};

fn key() -> AuditorKey {
    AuditorKey::generate().unwrap()
}

fn any(keys: &[&AuditorKey]) -> Option<Recipients> {
    Recipients::any(keys.iter().map(|key| key.recipient().clone()).collect())
}

fn all(keys: &[&AuditorKey]) -> Option<Recipients> {
    Recipients::all(keys.iter().map(|key| key.recipient().clone()).collect())
}

fn is_typed(event: &Event<'_>) -> bool {
    matches!(event, Event::Data { direction: Direction::FromClient, .. } | Event::Hidden { .. })
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn what_is_encrypted_cannot_be_found_in_the_file_and_its_auditor_reads_it() {
    let alice = key();
    let protection = Protection { shown: any(&[&alice]), ..signed() };
    let trail = written_for(&protection, &session(), &[1, 4]);
    for part in [b"ls\r".as_slice(), b"xterm", b"C.UTF-8"] {
        assert!(holds(&written(&session(), &[1, 4]), part) && !holds(&trail, part));
    }
    let (events, ending) = read_with(&trail, &[alice]).unwrap();
    assert_eq!(events, session());
    assert!(matches!(ending, Ending::Finished { .. }));
}

#[test]
fn without_the_key_or_with_another_one_the_reader_says_whose_is_needed() {
    let (alice, bob) = (key(), key());
    let trail = written_for(&Protection { shown: any(&[&alice]), ..signed() }, &session(), &[]);
    let name = alice.recipient().name().to_owned();
    assert_eq!(
        read(&trail).unwrap_err().1.to_string(),
        format!("what was shown is encrypted: it takes the private key of {name}")
    );
    let stranger = bob.recipient().name().to_owned();
    assert_eq!(
        read_with(&trail, &[bob]).unwrap_err().1.to_string(),
        format!("what was shown is not encrypted to {stranger}: it takes the private key of {name}")
    );
}

#[test]
fn any_of_several_reads_alone_and_several_jointly_only_together() {
    let (alice, bob) = (key(), key());
    let either = written_for(&Protection { shown: any(&[&alice, &bob]), ..signed() }, &session(), &[]);
    let both = written_for(&Protection { shown: all(&[&alice, &bob]), ..signed() }, &session(), &[]);
    let missing = bob.recipient().name().to_owned();
    let (alice, bob) = ([alice], [bob]);
    assert_eq!(read_with(&either, &alice).unwrap().0, session());
    assert_eq!(read_with(&either, &bob).unwrap().0, session());
    let error = read_with(&both, &alice).unwrap_err().1;
    assert_eq!(
        error.to_string(),
        format!(
            "what was shown is encrypted to several people together: the private key of {missing} is missing"
        )
    );
    let ([alice], [bob]) = (alice, bob);
    assert_eq!(read_with(&both, &[bob, alice]).unwrap().0, session());
}

#[test]
fn what_is_typed_is_read_by_its_own_recipients_and_nobody_else() {
    let (viewer, keylogger) = (key(), key());
    let (shown, typed) = (any(&[&viewer]), any(&[&keylogger]));
    let trail = written_for(&Protection { shown, typed, ..signed() }, &session(), &[4]);
    let of =
        |typed: bool| session().into_iter().filter(|(_, event)| is_typed(event) == typed).collect::<Vec<_>>();
    let (viewer, keylogger) = ([viewer], [keylogger]);
    assert_eq!(read_with(&trail, &viewer).unwrap().0, of(false));
    assert_eq!(read_with(&trail, &keylogger).unwrap().0, of(true));
    let reader = Reader::new(trail.as_slice(), &viewer).unwrap();
    assert!(matches!(reader.left_out(), Some(TrailError::WrongKey { what: "what was typed", .. })));
    let ([viewer], [keylogger]) = (viewer, keylogger);
    assert_eq!(read_with(&trail, &[viewer, keylogger]).unwrap().0, session());
}

#[test]
fn what_is_shown_may_be_open_while_what_is_typed_is_not() {
    let alice = key();
    let trail = written_for(&Protection { typed: any(&[&alice]), ..signed() }, &session(), &[]);
    assert!(read(&trail).unwrap().0.iter().all(|(_, event)| !is_typed(event)));
    assert_eq!(read_with(&trail, &[alice]).unwrap().0, session());
}

#[test]
fn typed_and_shown_events_keep_their_order_even_in_the_same_moment() {
    let (alice, channel) = (key(), ChannelId(0));
    let data = |direction, n: u8| {
        (Duration::ZERO, Event::Data { channel, direction, stream: Stream::Main, bytes: vec![n].into() })
    };
    let ways = [Direction::FromClient, Direction::ToClient, Direction::ToClient, Direction::FromClient];
    let events: Vec<Timed> =
        ways.into_iter().cycle().take(200).zip(0..).map(|(way, n)| data(way, n)).collect();
    let protection = Protection { shown: any(&[&alice]), typed: any(&[&alice]), ..signed() };
    let trail = written_for(&protection, &events, &[50, 120]);
    let read: Vec<_> = read_with(&trail, &[alice]).unwrap().0.into_iter().map(|(_, event)| event).collect();
    assert_eq!(read, events.into_iter().map(|(_, event)| event).collect::<Vec<_>>());
}

#[test]
fn long_data_is_encrypted_and_keeps_its_place() {
    let (alice, channel) = (key(), ChannelId(0));
    let noise: Vec<u8> = (0..400_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let event = |direction, bytes: &[u8]| Event::Data {
        channel,
        direction,
        stream: Stream::Main,
        bytes: bytes.to_vec().into(),
    };
    let events = [
        (Duration::ZERO, event(Direction::ToClient, b"before")),
        (Duration::from_secs(1), event(Direction::FromClient, &noise[..200_000])),
        (Duration::from_secs(2), event(Direction::ToClient, &noise[200_000..])),
        (Duration::from_secs(3), event(Direction::ToClient, &[7; 200_000])),
        (Duration::from_secs(4), event(Direction::FromClient, b"after")),
    ];
    let protection = Protection { shown: any(&[&alice]), typed: any(&[&alice]), ..signed() };
    let trail = written_for(&protection, &events, &[]);
    assert!(!holds(&trail, &noise[1000..1016]) && !holds(&trail, &noise[390_000..390_016]));
    assert_eq!(read_with(&trail, &[alice]).unwrap().0, events);
}

/// An auditor knows the file key, and can make blocks that decrypt: these are caught by the chain and its signatures, but
/// a block from elsewhere does not even decrypt.
#[test]
fn a_block_of_another_trail_does_not_decrypt_in_its_place() {
    let alice = key();
    let protection = Protection { shown: any(&[&alice]), ..signed() };
    let (mut one, other) = (
        split(&written_for(&protection, &session(), &[])),
        split(&written_for(&protection, &session(), &[])),
    );
    assert_ne!(one[2][BLOCK..], other[2][BLOCK..], "each file has a key of its own");
    one[2] = other[2].clone();
    one.truncate(3);
    let error = read_with(&relinked(&one), &[alice]).unwrap_err().1;
    assert_eq!(error.to_string().rsplit(": ").next(), Some("its content cannot be decrypted"));
}

/// The recipients of an X.509 certificate are those who have its private key, made by OpenSSL.
#[test]
fn certificates_with_rsa_and_ec_keys_are_recipients() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let kinds: [&[&str]; 4] = [
        &["rsa:2048"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ];
    for kind in kinds {
        let (key_file, certificate) = (path("key.pem"), path("certificate.pem"));
        let files = ["-nodes", "-subj", "/CN=auditor", "-keyout", &key_file, "-out", &certificate];
        openssl([&["req", "-x509", "-newkey"], kind, &files].concat());
        let recipient = Recipient::from_certificate(&std::fs::read_to_string(&certificate).unwrap()).unwrap();
        let keys = AuditorKey::parse(&std::fs::read_to_string(&key_file).unwrap()).unwrap();
        assert_eq!(keys[0].recipient(), &recipient);
        let protection = Protection { shown: Recipients::any(vec![recipient]), ..signed() };
        let trail = written_for(&protection, &session(), &[]);
        assert_eq!(read_with(&trail, &keys).unwrap().0, session(), "{kind:?}");
        assert!(read_with(&trail, &[key()]).is_err());
    }
    let old_form = path("old.pem");
    openssl(vec!["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &old_form]);
    assert_eq!(AuditorKey::parse(&std::fs::read_to_string(&old_form).unwrap()).unwrap().len(), 1);
    let (unfit, certificate) = (path("ed25519.pem"), path("ed25519-certificate.pem"));
    let files = ["-nodes", "-subj", "/CN=auditor", "-keyout", &unfit, "-out", &certificate];
    openssl([&["req", "-x509", "-newkey", "ed25519"], files.as_slice()].concat());
    let unfit = Recipient::from_certificate(&std::fs::read_to_string(&certificate).unwrap());
    assert_eq!(unfit, Err(KeyError::KeyOfCertificate));
}

#[test]
fn a_certificate_that_cannot_serve_an_auditor_is_refused_before_anything_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key_file, certificate) = (path("key.pem"), path("certificate.pem"));
    let made = |kind: &[&str]| {
        let files = ["-nodes", "-subj", "/CN=auditor", "-keyout", &key_file, "-out", &certificate];
        openssl([&["req", "-x509", "-newkey"], kind, &files].concat());
        std::fs::read_to_string(&certificate).unwrap()
    };
    let pss = made(&["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"]);
    assert_eq!(Recipient::from_certificate(&pss), Err(KeyError::KeyOfCertificate));
    let to_sign = made(&["rsa:2048", "-addext", "keyUsage=critical,digitalSignature"]);
    assert_eq!(Recipient::from_certificate(&to_sign), Err(KeyError::KeyUsage));
    let one = made(&["rsa:2048", "-addext", "keyUsage=keyEncipherment,digitalSignature"]);
    Recipient::from_certificate(&one).unwrap();
    assert_eq!(Recipient::from_certificate(&format!("{one}{one}")), Err(KeyError::ManyCertificates));
    assert_eq!(Recipient::from_certificate("no certificate"), Err(KeyError::NoCertificate));
}

#[expect(clippy::disallowed_methods, reason = "OpenSSL is the other end of this test")]
fn openssl(arguments: Vec<&str>) {
    let done = Command::new("openssl").args(&arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn keys_are_written_and_read_in_ages_form() {
    // What age-keygen 1.1.1 has made.
    let private = "AGE-SECRET-KEY-1Y6FLDYLPVYQXW6A2K8W0NVMK2YATEQ25AX0ST3GAKZ7LRHPHR0CQTDTRHH";
    let public = "age1sl9det44s83x5hcmkpxhe6aflj6gx335lntmnt3m675hvqej4drqn9fuhm";
    let ages = AuditorKey::parse(private).unwrap();
    assert_eq!(ages[0].recipient().name(), public);
    assert_eq!(ages[0].to_age().unwrap().as_str(), private);
    let made = key();
    let text = made.to_age().unwrap();
    let again = AuditorKey::parse(&format!("# a remark\n\n{}\n", text.as_str())).unwrap();
    assert_eq!(again[0].recipient(), made.recipient());
    assert_eq!(&Recipient::from_age(made.recipient().name()).unwrap(), made.recipient());
    assert_eq!(Recipient::from_age(&text), Err(KeyError::Private));
    for wrong in ["", "age1", &public[..public.len() - 1], &public.replace('9', "8")] {
        assert_eq!(Recipient::from_age(wrong), Err(KeyError::NoAgeKey));
    }
    for wrong in ["", "# nothing", &private[..private.len() - 1], public, "-----BEGIN PRIVATE KEY-----"] {
        assert!(AuditorKey::parse(wrong).is_err(), "{wrong}");
    }
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(AuditorKey::parse(encrypted).err(), Some(KeyError::Encrypted));
    assert!(!format!("{made:?}").contains("SECRET"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_encrypted_session_reads_as_it_was_written(
        events in any_session(),
        flushes in prop::collection::vec(0usize..40, 0..6),
        apart: bool,
    ) {
        let (alice, bob) = (key(), key());
        let protection = Protection {
            shown: any(&[&alice]),
            typed: if apart { any(&[&bob]) } else { None },
            ..signed()
        };
        let trail = written_for(&protection, &events, &flushes);
        let (again, _) = read_with(&trail, &[alice, bob]).unwrap();
        let events_only = |events: Vec<Timed>| events.into_iter().map(|(_, event)| event).collect::<Vec<_>>();
        prop_assert!(events_only(again) == events_only(events));
    }

    #[test]
    fn no_changed_byte_of_an_encrypted_trail_panics(place: prop::sample::Index, change in 1u8..) {
        let alice = key();
        let protection = Protection { shown: any(&[&alice]), typed: any(&[&alice]), ..signed() };
        let mut trail = written_for(&protection, &session(), &[1, 4]);
        let place = place.index(trail.len());
        trail[place] ^= change;
        prop_assert!(read_with(&trail, &[alice]).is_err());
    }
}
