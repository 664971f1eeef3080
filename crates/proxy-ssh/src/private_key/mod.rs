//! Private keys for the target, in whatever text a credential store holds them.

#[cfg(test)]
mod samples;

use keyward_model::SessionId;
use keyward_session::OfferedKey;
use keyward_ssh::{KeyError, SigningKey};

/// The usable ones of the offered keys, in their order. The others cost a line in the log, which names their
/// place in the list and nothing of their text (contract section 5).
pub(crate) fn usable(offered: &[OfferedKey], session: &SessionId) -> Vec<SigningKey> {
    let read_one = |(index, key): (usize, &OfferedKey)| match read(key) {
        Ok(key) => Some(key),
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

/// Why a key is not used, in words without its text.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Unreadable(#[from] KeyError),
    #[error("it is of type {found}, and its tag says otherwise")]
    OtherType { found: String },
}

fn read(offered: &OfferedKey) -> Result<SigningKey, Unusable> {
    let key = SigningKey::from_text(&offered.pem, None)?;
    if !tag_fits(&offered.kind, key.public().kind()) {
        return Err(Unusable::OtherType { found: key.public().kind().to_owned() });
    }
    Ok(key)
}

/// The contract has `ssh-rsa` and `ssh-dss`; other keys go by their own type.
fn tag_fits(tag: &str, found: &str) -> bool {
    match found {
        "ssh-rsa" => matches!(tag, "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512"),
        other => tag == other,
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{EC_PKCS8, EC_SEC1, ED25519_PKCS8, RSA_OPENSSH, RSA_PKCS1, RSA_PKCS8};
    use super::*;
    use keyward_model::Secret;

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
    fn a_key_that_is_not_what_its_tag_says_is_skipped() {
        let error = read(&offered("ssh-rsa", ED25519_PKCS8)).unwrap_err();
        assert_eq!(error.to_string(), "it is of type ssh-ed25519, and its tag says otherwise");
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
    }
}
