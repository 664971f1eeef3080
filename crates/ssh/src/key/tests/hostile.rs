use base64ct::{Base64, Encoding};
use keyward_model::Secret;
use proptest::prelude::*;

use super::peer::Desk;
use crate::key::{KeyError, PublicKey, SignatureAlgorithm, SigningKey};
use crate::wire::{Reader, Write};

const TYPES: [&str; 6] = ["ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 2048", "dsa"];

/// One key of each type.
fn keys() -> Vec<PublicKey> {
    let made = TYPES.iter().map(|kind| {
        let desk = Desk::new();
        desk.keygen("key", &format!("-t {kind} -N _"));
        desk.public("key.pub")
    });
    made.collect()
}

#[test]
fn a_blob_that_is_cut_or_longer_is_refused() {
    for key in keys() {
        for cut in 0..key.blob().len() {
            assert!(PublicKey::from_blob(&key.blob()[..cut]).is_err(), "{} {cut}", key.kind());
        }
        assert!(PublicKey::from_blob(&[key.blob(), b"\0"].concat()).is_err());
    }
}

/// Numbers of odd sizes reach the arithmetic only if it takes them.
#[test]
fn no_change_of_a_blob_makes_anything_panic() {
    for key in keys() {
        for place in 0..key.blob().len() {
            let mut blob = key.blob().to_vec();
            blob[place] ^= [0x01, 0x80, 0xff][place % 3];
            if let Ok(changed) = PublicKey::from_blob(&blob) {
                assert_ne!(changed, key);
            }
        }
    }
}

#[test]
fn fields_of_any_length_are_refused_without_a_panic() {
    for key in keys() {
        let mut reader = Reader::new(key.blob());
        let mut fields = Vec::new();
        while let Ok(field) = reader.string() {
            fields.push(field.to_vec());
        }
        for place in 1..fields.len() {
            for replacement in [vec![], vec![1], vec![2], vec![0x7f; 8], vec![0x7f; 128], vec![0x55; 200]] {
                let mut changed = fields.clone();
                changed[place] = replacement;
                let mut blob = Vec::new();
                changed.iter().for_each(|field| blob.put_string(field));
                let Ok(odd) = PublicKey::from_blob(&blob) else { continue };
                // An RSA key may have any odd modulus, and what its numbers are not, shows in what they check.
                let algorithm = SignatureAlgorithm::from_name(odd.kind()).unwrap();
                let mut signature = Vec::new();
                signature.put_string(odd.kind().as_bytes());
                signature.put_string(&[1; 40]);
                assert!(odd.verify(algorithm, &signature, b"data").is_err());
            }
        }
    }
}

fn rsa_blob(e: &[u8], n: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    blob.put_string(b"ssh-rsa");
    blob.put_mpint(e);
    blob.put_mpint(n);
    blob
}

#[test]
fn rsa_moduli_have_1024_to_16384_bits() {
    let e = [1, 0, 1];
    for bytes in [128, 2048] {
        assert!(PublicKey::from_blob(&rsa_blob(&e, &vec![0xff; bytes])).is_ok());
    }
    for bytes in [1, 127, 2049] {
        assert_eq!(PublicKey::from_blob(&rsa_blob(&e, &vec![0xff; bytes])), Err(KeyError::Size));
    }
    let n = vec![0xff; 256];
    for exponent in [&[1][..], &[2], &[4], &[0xff; 9], &[0xff; 256]] {
        assert_eq!(PublicKey::from_blob(&rsa_blob(exponent, &n)), Err(KeyError::NotAKey));
    }
    assert_eq!(PublicKey::from_blob(&vec![0; 16 * 1024 + 1]), Err(KeyError::TooLong));
}

#[test]
fn numbers_may_have_zeros_in_front_and_no_sign() {
    let desk = Desk::new();
    desk.keygen("key", "-t rsa -b 2048 -N _");
    let key = desk.key("key", None);
    let signature = key.sign(SignatureAlgorithm::RsaSha256, b"data").unwrap();
    let mut reader = Reader::new(key.public().blob());
    let [_, e, n] = [(); 3].map(|()| reader.string().unwrap());
    let with_modulus = |n: &[u8]| {
        let mut blob = Vec::new();
        [b"ssh-rsa", e, n].iter().for_each(|field| blob.put_string(field));
        PublicKey::from_blob(&blob)
    };
    let padded = with_modulus(&[&[0; 9], n].concat()).unwrap();
    assert_eq!(padded.verify(SignatureAlgorithm::RsaSha256, &signature, b"data"), Ok(()));
    assert_eq!(with_modulus(&n[1..]), Err(KeyError::NotAKey));
    assert_eq!(with_modulus(&[0; 256]), Err(KeyError::NotAKey));
}

#[test]
fn points_that_are_not_on_the_curve_are_refused() {
    let mut blob = Vec::new();
    for field in [&b"ecdsa-sha2-nistp256"[..], b"nistp256", &[&[4][..], &[7; 64]].concat()] {
        blob.put_string(field);
    }
    assert_eq!(PublicKey::from_blob(&blob), Err(KeyError::NotAKey));
    // The neutral element, with which one signature fits many messages.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut blob = Vec::new();
    blob.put_string(b"ssh-ed25519");
    blob.put_string(&neutral);
    assert_eq!(PublicKey::from_blob(&blob), Err(KeyError::NotAKey));
}

#[test]
fn a_private_key_that_is_cut_is_refused() {
    let desk = Desk::new();
    for (name, options) in [("openssh", ""), ("pem", "-m PEM"), ("pkcs8", "-m PKCS8")] {
        desk.keygen(name, &format!("-t ecdsa -N _ {options}"));
        let text = desk.text(name);
        for cut in 0..text.trim_end().len() {
            assert!(SigningKey::from_text(&Secret::new(text[..cut].into()), None).is_err(), "{name} {cut}");
        }
    }
}

/// What is still read after a change is a whole key.
#[test]
fn a_private_key_that_was_changed_is_refused_or_signs_as_its_public_half_says() {
    let forms = ["", "-m PEM", "-m PKCS8"];
    for kind in ["ed25519", "ecdsa -b 256", "ecdsa -b 521", "rsa -b 1024", "dsa"] {
        for form in forms {
            let desk = Desk::new();
            desk.keygen("key", &format!("-t {kind} -N _ {form}"));
            let (label, body) = unarmored(&desk.text("key"));
            for place in 0..body.len() {
                let mut changed = body.clone();
                changed[place] ^= [0x01, 0x80, 0xff][place % 3];
                if let Ok(key) = SigningKey::from_text(&armored(&label, &changed), None) {
                    assert_signs(&key, kind, place);
                }
            }
        }
    }
}

fn assert_signs(key: &SigningKey, kind: &str, place: usize) {
    let algorithm = *key.algorithms().last().unwrap();
    let signature = key.sign(algorithm, b"data").unwrap();
    assert_eq!(key.public().verify(algorithm, &signature, b"data"), Ok(()), "{kind} {place}");
}

#[test]
fn halves_of_two_keys_are_refused() {
    for kind in ["ed25519", "ecdsa", "rsa -b 2048"] {
        let desk = Desk::new();
        desk.keygen("key", &format!("-t {kind} -N _"));
        desk.keygen("other", &format!("-t {kind} -N _"));
        let (label, body) = unarmored(&desk.text("key"));
        let (own, other) = (desk.public("key.pub"), desk.public("other.pub"));
        let unchanged = SigningKey::from_text(&armored(&label, &body), None).unwrap();
        assert_eq!(unchanged.public(), &own);
        let mixed = with_public_half(&body, own.blob(), other.blob());
        assert!(SigningKey::from_text(&armored(&label, &mixed), None).is_err(), "{kind}");
    }
}

/// OpenSSH's form has the public half at least twice. Its last bytes are what tells keys apart.
fn with_public_half(body: &[u8], own: &[u8], other: &[u8]) -> Vec<u8> {
    let (own, other) = (&own[own.len() - 32..], &other[other.len() - 32..]);
    let mut mixed = body.to_vec();
    let places: Vec<usize> =
        (0..=body.len() - own.len()).filter(|&start| body[start..].starts_with(own)).collect();
    assert!(places.len() >= 2);
    places.iter().for_each(|&start| mixed[start..start + other.len()].copy_from_slice(other));
    mixed
}

fn unarmored(text: &str) -> (String, Vec<u8>) {
    let label = text.lines().next().unwrap().trim_start_matches("-----BEGIN ").trim_end_matches('-');
    let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    (label.to_owned(), Base64::decode_vec(&base64).unwrap())
}

fn armored(label: &str, body: &[u8]) -> Secret {
    let base64 = Base64::encode_string(body);
    Secret::new(format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n"))
}

proptest! {
    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(PublicKey::from_blob(&bytes).is_err());
        let text = String::from_utf8_lossy(&bytes).into_owned();
        prop_assert!(PublicKey::from_openssh(&text).is_err());
        prop_assert!(SigningKey::from_text(&Secret::new(text), None).is_err());
    }

    #[test]
    fn random_fields_are_refused_without_a_panic(
        kind in 0_usize..7,
        fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..140), 0..5),
    ) {
        let kinds = [
            "ssh-ed25519", "ssh-rsa", "ssh-dss", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521",
            "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
        ];
        let mut blob = Vec::new();
        blob.put_string(kinds[kind].as_bytes());
        fields.iter().for_each(|field| blob.put_string(field));
        let _ = PublicKey::from_blob(&blob);
    }

    #[test]
    fn random_pem_is_refused_without_a_panic(
        kind in 0_usize..6,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let label = ["OPENSSH ", "", "ENCRYPTED ", "RSA ", "EC ", "DSA "][kind];
        let text = armored(&format!("{label}PRIVATE KEY"), &bytes);
        let passphrase = Secret::new("hunter2".into());
        prop_assert!(SigningKey::from_text(&text, Some(&passphrase)).is_err());
    }
}
