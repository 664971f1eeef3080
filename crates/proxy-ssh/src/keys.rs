//! The gateway's own host keys.

use std::fmt;

use keyward_model::Secret;
use keyward_ssh::{KeyKind, SigningKey};

use crate::SshError;

/// The private keys by which clients recognise the gateway: never empty.
#[derive(Clone)]
pub struct HostKeys {
    keys: Vec<SigningKey>,
}

impl HostKeys {
    /// Makes a new set: one Ed25519 key, which every client of the last ten years takes.
    pub fn generate() -> Result<Self, SshError> {
        let key = SigningKey::generate(KeyKind::Ed25519).map_err(SshError::MakeHostKey)?;
        Ok(Self { keys: vec![key] })
    }

    /// Makes the key for clients of another time: RSA, which all of them take.
    pub fn generate_legacy() -> Result<Self, SshError> {
        let key = SigningKey::generate(KeyKind::Rsa3072).map_err(SshError::MakeHostKey)?;
        Ok(Self { keys: vec![key] })
    }

    /// Reads keys in OpenSSH's private key format, without passphrase.
    pub fn from_openssh(texts: &[Secret]) -> Result<Self, SshError> {
        let read = |(place, text): (usize, &Secret)| {
            SigningKey::from_text(text, None)
                .map_err(|source| SshError::HostKey { number: place + 1, source })
        };
        let keys = texts.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(SshError::NoHostKey) } else { Ok(Self { keys }) }
    }

    /// The keys in OpenSSH's private key format, to be kept where nobody else can read them.
    pub fn to_openssh(&self) -> Result<Vec<Secret>, SshError> {
        self.keys.iter().map(|key| key.to_openssh().map_err(SshError::WriteHostKey)).collect()
    }

    /// `type SHA256:...` for each key, as `ssh-keygen -l` shows it.
    pub fn fingerprints(&self) -> Vec<String> {
        let line = |key: &SigningKey| format!("{} {}", key.public().kind(), key.public().fingerprint());
        self.keys.iter().map(line).collect()
    }

    pub(crate) fn into_keys(self) -> Vec<SigningKey> {
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
        assert_eq!(keys.fingerprints().len(), 1);
    }

    #[test]
    fn a_bad_key_is_named_by_its_place_and_not_shown() {
        let mut texts = HostKeys::generate().unwrap().to_openssh().unwrap();
        texts.push(Secret::new("-----BEGIN hunter2".into()));
        let error = HostKeys::from_openssh(&texts).unwrap_err();
        let text = crate::error::chain(&error);
        assert!(text.starts_with("host key 2 cannot be read: "), "{text}");
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
