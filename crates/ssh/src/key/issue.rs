//! Making certificates for users, as an authority.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ssh_key::certificate::{Builder, CertType};

use super::signing::randomness;
use super::{Certificate, KeyError, PublicKey, SigningKey};

/// What a certificate for a user is to say.
#[derive(Clone, Debug)]
pub struct UserCertificate<'a> {
    /// The users that it is for on the server; one at least.
    pub principals: &'a [String],
    /// For the server's log.
    pub key_id: &'a str,
    pub serial: u64,
    /// `permit-pty` and so on: what is not in it is not permitted.
    pub extensions: &'a [String],
    pub valid: std::ops::Range<SystemTime>,
}

impl SigningKey {
    /// Certifies somebody's key. Not with a DSA key, which signs with SHA-1.
    pub fn certify(&self, key: &PublicKey, wanted: &UserCertificate<'_>) -> Result<Certificate, KeyError> {
        if self.algorithms().iter().all(|algorithm| algorithm.is_legacy()) {
            return Err(KeyError::LegacyAuthority);
        }
        if wanted.principals.is_empty() {
            return Err(KeyError::NoPrincipals);
        }
        let certificate = self.sign_certificate(key, wanted).map_err(|_| KeyError::CannotSign)?;
        Certificate::from_blob(&certificate)
    }

    fn sign_certificate(
        &self,
        key: &PublicKey,
        wanted: &UserCertificate<'_>,
    ) -> Result<Vec<u8>, ssh_key::Error> {
        let random = &mut randomness().map_err(|_| ssh_key::Error::Crypto)?;
        let key = ssh_key::PublicKey::from_bytes(key.blob())?;
        let (from, until) = (seconds(wanted.valid.start), seconds(wanted.valid.end));
        let mut builder = Builder::new_with_random_nonce(random, key, from, until)?;
        builder.cert_type(CertType::User)?.serial(wanted.serial)?.key_id(wanted.key_id)?;
        for principal in wanted.principals {
            builder.valid_principal(principal)?;
        }
        for extension in wanted.extensions {
            builder.extension(extension, "")?;
        }
        builder.sign(&self.as_ssh_key()?)?.to_bytes()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
