use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha512};

use super::peer::Desk;
use crate::key::{KeyError, KeyKind, Presence, PublicKey, SignatureAlgorithm, SigningKey};
use crate::wire::{Reader, Write};

const MESSAGE: &[u8] = b"what is signed";
/// Of Debian's package `openssh-tests`: a security key in software.
const SECURITY_KEY: &str = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";
const TYPES: [(&str, SignatureAlgorithm); 5] = [
    ("ed25519", SignatureAlgorithm::Ed25519),
    ("ecdsa -b 256", SignatureAlgorithm::EcdsaP256),
    ("ecdsa -b 384", SignatureAlgorithm::EcdsaP384),
    ("ecdsa -b 521", SignatureAlgorithm::EcdsaP521),
    ("rsa -b 2048", SignatureAlgorithm::RsaSha512),
];

/// What OpenSSH signs for a file (PROTOCOL.sshsig), with the namespace `test`.
fn file_to_sign(message: &[u8]) -> Vec<u8> {
    let mut signed = b"SSHSIG".to_vec();
    for field in [&b"test"[..], b"", b"sha512", &Sha512::digest(message)] {
        signed.put_string(field);
    }
    signed
}

/// The signature blob in a file of `ssh-keygen -Y sign`.
fn signature_in(armored: &str) -> Vec<u8> {
    let base64: String = armored.lines().filter(|line| !line.starts_with("-----")).collect();
    let blob = Base64::decode_vec(&base64).unwrap();
    let mut reader = Reader::new(blob.strip_prefix(b"SSHSIG\0\0\0\x01").unwrap());
    for _field in ["public key", "namespace", "reserved", "hash"] {
        reader.string().unwrap();
    }
    reader.string().unwrap().to_vec()
}

fn armored(key: &PublicKey, signature: &[u8]) -> String {
    let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
    for field in [key.blob(), b"test", b"", b"sha512", signature] {
        blob.put_string(field);
    }
    let base64 = Base64::encode_string(&blob);
    let lines: Vec<&str> = base64.as_bytes().chunks(70).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

/// A signature that OpenSSH made is right, and is not once anything in it or around it changes.
fn assert_verifies(key: &PublicKey, algorithm: SignatureAlgorithm, signature: &[u8], data: &[u8]) {
    assert_eq!(key.verify(algorithm, signature, data), Ok(()));
    assert!(key.verify(algorithm, signature, b"other").is_err());
    for place in 0..signature.len() {
        let mut changed = signature.to_vec();
        changed[place] ^= 0x10;
        assert!(key.verify(algorithm, &changed, data).is_err(), "{place}");
        assert!(key.verify(algorithm, &signature[..place], data).is_err(), "{place}");
    }
    let longer = [signature, b"\0"].concat();
    assert!(key.verify(algorithm, &longer, data).is_err());
}

#[test]
fn the_signatures_of_ssh_keygen_are_right() {
    for (kind, algorithm) in TYPES {
        let desk = Desk::new();
        desk.keygen("key", &format!("-t {kind} -N _"));
        desk.write("message", MESSAGE);
        desk.run("ssh-keygen -q -Y sign -f key -n test message");
        let signature = signature_in(&desk.text("message.sig"));
        assert_verifies(&desk.public("key.pub"), algorithm, &signature, &file_to_sign(MESSAGE));
    }
}

#[test]
fn ssh_keygen_finds_our_signatures_right() {
    let rsa256 = [("rsa -b 3072", SignatureAlgorithm::RsaSha256)];
    for (kind, algorithm) in TYPES.into_iter().chain(rsa256) {
        let desk = Desk::new();
        desk.keygen("key", &format!("-t {kind} -N _"));
        desk.write("message", MESSAGE);
        let key = desk.key("key", None);
        let signature = key.sign(algorithm, &file_to_sign(MESSAGE)).unwrap();
        desk.write("message.sig", armored(key.public(), &signature));
        desk.write("allowed", format!("someone {}\n", key.public().to_openssh()));
        desk.run_with("ssh-keygen -Y verify -f allowed -I someone -n test -s message.sig", "message");
    }
}

#[test]
fn the_signatures_of_security_keys_are_right() {
    for (kind, algorithm) in
        [("ed25519-sk", SignatureAlgorithm::SkEd25519), ("ecdsa-sk", SignatureAlgorithm::SkEcdsaP256)]
    {
        let desk = Desk::new();
        desk.keygen("key", &format!("-w {SECURITY_KEY} -t {kind} -N _"));
        desk.write("message", MESSAGE);
        desk.run(&format!("env SSH_SK_PROVIDER={SECURITY_KEY} ssh-keygen -q -Y sign -f key -n test message"));
        let signature = signature_in(&desk.text("message.sig"));
        let key = desk.public("key.pub");
        assert_eq!(key.kind(), algorithm.key_kind());
        assert_verifies(&key, algorithm, &signature, &file_to_sign(MESSAGE));
    }
}

/// A key that was made with these options, and its signature of [`MESSAGE`].
fn signed_by_security_key(options: &str) -> (PublicKey, Vec<u8>) {
    let desk = Desk::new();
    desk.keygen("key", &format!("-w {SECURITY_KEY} -t ed25519-sk -N _ {options}"));
    desk.write("message", MESSAGE);
    desk.run(&format!("env SSH_SK_PROVIDER={SECURITY_KEY} ssh-keygen -q -Y sign -f key -n test message"));
    (desk.public("key.pub"), signature_in(&desk.text("message.sig")))
}

#[test]
fn a_security_key_that_nobody_touched_is_refused() {
    let (key, signature) = signed_by_security_key("-O no-touch-required");
    let (algorithm, data) = (SignatureAlgorithm::SkEd25519, file_to_sign(MESSAGE));
    assert_eq!(key.verify(algorithm, &signature, &data), Err(KeyError::NoPresence));
    let verified = |presence| key.verify_with(algorithm, &signature, &data, presence);
    assert_eq!(verified(Presence::Verified), Err(KeyError::NoPresence));
    assert_eq!(verified(Presence::NotNeeded), Ok(()));
}

#[test]
fn only_a_security_key_can_say_that_it_knows_its_user() {
    let (algorithm, data) = (SignatureAlgorithm::SkEd25519, file_to_sign(MESSAGE));
    for (options, verdict) in [("-O verify-required", Ok(())), ("", Err(KeyError::NotVerified))] {
        let (key, signature) = signed_by_security_key(options);
        assert_eq!(key.verify(algorithm, &signature, &data), Ok(()));
        assert_eq!(key.verify_with(algorithm, &signature, &data, Presence::Verified), verdict);
    }
    let plain = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let signature = plain.sign(SignatureAlgorithm::Ed25519, MESSAGE).unwrap();
    let verified =
        plain.public().verify_with(SignatureAlgorithm::Ed25519, &signature, MESSAGE, Presence::Verified);
    assert_eq!(verified, Err(KeyError::NotVerified));
}

/// `ssh-rsa` and `ssh-dss`, which ssh-keygen does not use for files.
#[test]
fn legacy_signatures_are_those_of_openssl() {
    let desk = Desk::new();
    desk.keygen("rsa", "-t rsa -b 2048 -N _ -m PEM");
    desk.write("message", MESSAGE);
    let key = desk.key("rsa", None);
    desk.run("openssl dgst -sha1 -sign rsa -out signature message");
    let mut theirs = Vec::new();
    theirs.put_string(b"ssh-rsa");
    theirs.put_string(&desk.bytes("signature"));
    assert_verifies(key.public(), SignatureAlgorithm::RsaSha1, &theirs, MESSAGE);
    assert_eq!(key.sign(SignatureAlgorithm::RsaSha1, MESSAGE), Ok(theirs));
}

#[test]
fn dsa_signatures_are_those_of_openssl() {
    let desk = Desk::new();
    desk.keygen("dsa", "-t dsa -N _ -m PEM");
    desk.write("message", MESSAGE);
    let key = desk.key("dsa", None);
    desk.run("openssl dsa -in dsa -pubout -out public");
    for _ in 0..8 {
        desk.run("openssl dgst -sha1 -sign dsa -out signature message");
        let mut theirs = Vec::new();
        theirs.put_string(b"ssh-dss");
        theirs.put_string(&numbers_in_der(&desk.bytes("signature")));
        assert_verifies(key.public(), SignatureAlgorithm::Dss, &theirs, MESSAGE);
    }
    let ours = key.sign(SignatureAlgorithm::Dss, MESSAGE).unwrap();
    desk.write("signature", der_of_numbers(&ours[ours.len() - 40..]));
    desk.run("openssl dgst -sha1 -verify public -signature signature message");
}

/// `SEQUENCE { r, s }` as two numbers of 20 bytes.
fn numbers_in_der(der: &[u8]) -> Vec<u8> {
    let r = &der[4..4 + usize::from(der[3])];
    let s = &der[4 + r.len() + 2..];
    let fixed = |number: &[u8]| {
        let digits: Vec<u8> = number.iter().copied().skip_while(|&byte| byte == 0).collect();
        [vec![0; 20 - digits.len()], digits].concat()
    };
    [fixed(r), fixed(s)].concat()
}

fn der_of_numbers(numbers: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let mut out = Vec::new();
        out.put_mpint(number);
        [&[2, out[3]], &out[4..]].concat()
    };
    let both = [integer(&numbers[..20]), integer(&numbers[20..])].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

#[test]
fn a_signature_has_the_algorithm_that_was_asked_for() {
    let desk = Desk::new();
    desk.keygen("key", "-t rsa -b 2048 -N _");
    let key = desk.key("key", None);
    let signature = key.sign(SignatureAlgorithm::RsaSha256, MESSAGE).unwrap();
    let verify = |algorithm| key.public().verify(algorithm, &signature, MESSAGE);
    assert_eq!(verify(SignatureAlgorithm::RsaSha256), Ok(()));
    for other in [SignatureAlgorithm::RsaSha512, SignatureAlgorithm::RsaSha1, SignatureAlgorithm::Ed25519] {
        assert_eq!(verify(other), Err(KeyError::OtherAlgorithm));
    }
    assert_eq!(key.sign(SignatureAlgorithm::Ed25519, MESSAGE), Err(KeyError::OtherAlgorithm));
}

#[test]
fn short_rsa_keys_sign_only_in_the_legacy_way() {
    let desk = Desk::new();
    desk.keygen("key", "-t rsa -b 1024 -N _");
    let key = desk.key("key", None);
    let verdict = |algorithm| {
        let signature = key.sign(algorithm, MESSAGE).unwrap();
        key.public().verify(algorithm, &signature, MESSAGE)
    };
    assert_eq!(verdict(SignatureAlgorithm::RsaSha512), Err(KeyError::ShortModulus));
    assert_eq!(verdict(SignatureAlgorithm::RsaSha1), Ok(()));
}

#[test]
fn an_rsa_signature_may_lack_its_leading_zeros() {
    let desk = Desk::new();
    desk.keygen("key", "-t rsa -b 2048 -N _");
    let key = desk.key("key", None);
    let signed = |number: u32| key.sign(SignatureAlgorithm::RsaSha256, &number.to_be_bytes()).unwrap();
    let start = "\0\0\0\x0crsa-sha2-256\0\0\x01\0".len();
    let (number, signature) =
        (0..).map(|number| (number, signed(number))).find(|(_, signature)| signature[start] == 0).unwrap();
    let mut shorter = Vec::new();
    shorter.put_string(b"rsa-sha2-256");
    shorter.put_string(&signature[start + 1..]);
    let verdict = key.public().verify(SignatureAlgorithm::RsaSha256, &shorter, &number.to_be_bytes());
    assert_eq!(verdict, Ok(()));
}

#[test]
fn every_kind_of_key_checks_what_it_signs() {
    for (kind, _) in TYPES.into_iter().chain([("dsa", SignatureAlgorithm::Dss)]) {
        let desk = Desk::new();
        desk.keygen("key", &format!("-t {kind} -N _"));
        let key: SigningKey = desk.key("key", None);
        for algorithm in key.algorithms() {
            let signature = key.sign(*algorithm, MESSAGE).unwrap();
            assert_verifies(key.public(), *algorithm, &signature, MESSAGE);
        }
    }
}
