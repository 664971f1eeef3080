//! Private keys for the target, in whatever text a credential store holds them.

#[cfg(test)]
mod samples;

use std::sync::Arc;

use keyward_model::{Secret, SessionId};
use keyward_session::OfferedKey;
use russh::keys::{Algorithm, PrivateKey, decode_secret_key};

/// The usable ones of the offered keys, in their order. The others cost a line in the log, which names their
/// place in the list and nothing of their text (contract section 5).
pub(crate) fn usable(offered: &[OfferedKey], session: &SessionId) -> Vec<Arc<PrivateKey>> {
    let read_one = |(index, key): (usize, &OfferedKey)| match read(key) {
        Ok(key) => Some(Arc::new(key)),
        Err(why) => {
            tracing::warn!(session = %session, place = index + 1, error = %why, "private key skipped");
            None
        }
    };
    offered.iter().enumerate().filter_map(read_one).collect()
}

/// Why the gateway would not use a key, in words without its text; `None`: it would.
pub fn key_fault(offered: &OfferedKey) -> Option<String> {
    read(offered).err().map(|why| why.to_string())
}

/// Why a key is not used. The library's own errors are left out: they may quote what they could not read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
enum Unusable {
    #[error("it is no private key in PEM, or it needs a passphrase")]
    Unreadable,
    #[error("it is of type {found}, and its tag says otherwise")]
    OtherType { found: String },
    #[error("the text is longer than any key")]
    TooLong,
}

/// An RSA key of 16,384 bits has about 13,000 characters.
const LONGEST_KEY: usize = 64 * 1024;

fn read(offered: &OfferedKey) -> Result<PrivateKey, Unusable> {
    if offered.pem.expose().len() > LONGEST_KEY {
        return Err(Unusable::TooLong);
    }
    let key = decode_secret_key(tidy(&offered.pem).expose(), None).map_err(|_| Unusable::Unreadable)?;
    if !tag_fits(&offered.kind, &key.algorithm()) {
        return Err(Unusable::OtherType { found: key.algorithm().as_str().to_owned() });
    }
    Ok(key)
}

/// Stores indent keys, end their lines with CR, or put text around them.
fn tidy(pem: &Secret) -> Secret {
    let mut tidy = String::with_capacity(pem.expose().len() + 1);
    for line in pem.expose().lines() {
        tidy.push_str(line.trim());
        tidy.push('\n');
    }
    Secret::new(tidy)
}

/// The contract has `ssh-rsa` and `ssh-dss`; other keys go by their own type.
fn tag_fits(tag: &str, found: &Algorithm) -> bool {
    match found {
        Algorithm::Rsa { .. } => matches!(tag, "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512"),
        other => tag == other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{EC_PKCS8, EC_SEC1, ED25519_PKCS8, RSA_OPENSSH, RSA_PKCS1, RSA_PKCS8};
    use super::*;
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::{EcdsaCurve, key::safe_rng};

    fn offered(kind: &str, pem: &str) -> OfferedKey {
        OfferedKey { kind: kind.into(), pem: Secret::new(pem.into()) }
    }

    #[test]
    fn every_common_text_of_a_key_is_read() {
        for (kind, pem) in [
            ("ssh-ed25519", ED25519_PKCS8),
            ("ssh-rsa", RSA_PKCS1),
            ("ssh-rsa", RSA_PKCS8),
            ("ssh-rsa", RSA_OPENSSH),
            ("ecdsa-sha2-nistp256", EC_SEC1),
            ("ecdsa-sha2-nistp256", EC_PKCS8),
        ] {
            let key = offered(kind, pem);
            assert!(read(&key).is_ok(), "{kind}: {}", pem.lines().next().unwrap());
            let indented: String = pem.lines().map(|line| format!("  {line}\r\n")).collect();
            assert!(read(&offered(kind, &format!("a comment\n\n{indented}\n"))).is_ok(), "{kind}, indented");
        }
    }

    #[test]
    fn openssh_keys_of_each_type_are_read() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 }] {
            let key = PrivateKey::random(&mut safe_rng(), algorithm.clone()).unwrap();
            let text = key.to_openssh(LineEnding::LF).unwrap();
            assert!(read(&offered(algorithm.as_str(), &text)).is_ok());
        }
    }

    #[test]
    fn a_key_that_is_not_what_its_tag_says_is_skipped() {
        let error = read(&offered("ssh-rsa", ED25519_PKCS8)).unwrap_err();
        assert_eq!(error, Unusable::OtherType { found: "ssh-ed25519".into() });
        assert!(read(&offered("ssh-dss", RSA_PKCS1)).is_err());
        assert!(read(&offered("", RSA_PKCS1)).is_err());
    }

    #[test]
    fn a_bad_key_neither_stops_the_next_one_nor_is_shown() {
        let session = SessionId::new([7; 16], &"a".try_into().unwrap(), 1);
        let keys = [offered("ssh-rsa", "hunter2"), offered("ssh-rsa", RSA_PKCS1), offered("ssh-rsa", "")];
        assert_eq!(usable(&keys, &session).len(), 1);
        let broken = RSA_PKCS1.replace("-----END", "hunter2\n-----END");
        let error = read(&offered("ssh-rsa", &broken)).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(read(&offered("ssh-rsa", &"x".repeat(LONGEST_KEY + 1))).unwrap_err(), Unusable::TooLong);
    }
}
