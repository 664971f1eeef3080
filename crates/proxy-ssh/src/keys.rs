//! The gateway's own host keys.

use std::fmt;

use keyward_model::Secret;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};

use crate::SshError;

/// The private keys by which clients recognise the gateway: never empty.
#[derive(Clone)]
pub struct HostKeys {
    keys: Vec<PrivateKey>,
}

impl HostKeys {
    /// Makes a new set: Ed25519, and ECDSA P-256 for clients that know no other.
    pub fn generate() -> Result<Self, SshError> {
        const KINDS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }];
        let made: Result<_, _> =
            KINDS.into_iter().map(|kind| PrivateKey::random(&mut safe_rng(), kind)).collect();
        Ok(Self { keys: made.map_err(SshError::MakeHostKey)? })
    }

    /// Reads keys in OpenSSH's private key format, without passphrase.
    pub fn from_openssh(texts: &[Secret]) -> Result<Self, SshError> {
        let read = |(place, text): (usize, &Secret)| {
            PrivateKey::from_openssh(text.expose())
                .map_err(|source| SshError::HostKey { number: place + 1, source })
        };
        let keys = texts.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(SshError::NoHostKey) } else { Ok(Self { keys }) }
    }

    /// The keys in OpenSSH's private key format, to be kept where nobody else can read them.
    pub fn to_openssh(&self) -> Result<Vec<Secret>, SshError> {
        let write = |key: &PrivateKey| {
            let text = key.to_openssh(LineEnding::LF).map_err(SshError::WriteHostKey)?;
            Ok(Secret::new(text.to_string()))
        };
        self.keys.iter().map(write).collect()
    }

    /// `type SHA256:...` for each key, as `ssh-keygen -l` shows it.
    pub fn fingerprints(&self) -> Vec<String> {
        let line = |key: &PrivateKey| {
            format!("{} {}", key.algorithm().as_str(), key.public_key().fingerprint(HashAlg::Sha256))
        };
        self.keys.iter().map(line).collect()
    }

    pub(crate) fn into_keys(self) -> Vec<PrivateKey> {
        self.keys
    }
}

impl fmt::Debug for HostKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fingerprints()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_keys_are_the_same_keys() {
        let keys = HostKeys::generate().unwrap();
        let again = HostKeys::from_openssh(&keys.to_openssh().unwrap()).unwrap();
        assert_eq!(keys.fingerprints(), again.fingerprints());
        assert_eq!(keys.fingerprints().len(), 2);
    }

    #[test]
    fn a_bad_key_is_named_by_its_place_and_not_shown() {
        let mut texts = HostKeys::generate().unwrap().to_openssh().unwrap();
        texts.push(Secret::new("-----BEGIN hunter2".into()));
        let error = HostKeys::from_openssh(&texts).unwrap_err();
        let text = crate::error::chain(&error);
        assert!(text.starts_with("host key 3 cannot be read: "), "{text}");
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn a_gateway_without_host_key_does_not_start() {
        assert!(matches!(HostKeys::from_openssh(&[]), Err(SshError::NoHostKey)));
    }

    #[test]
    fn debug_shows_fingerprints_only() {
        let shown = format!("{:?}", HostKeys::generate().unwrap());
        assert!(shown.contains("SHA256:") && !shown.contains("PRIVATE"));
    }
}
