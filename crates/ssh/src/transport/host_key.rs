//! What a server proves itself with.

use crate::KeyError;
use crate::key::{Certificate, PublicKey};
use crate::negotiate::HostKeyAlgorithm;

/// What a server has proven itself with. Whose it is, its client must judge.
#[derive(Clone, Debug)]
pub struct HostKey {
    /// It has signed the key exchange.
    pub key: PublicKey,
    /// What an authority says of the key; nothing of it is checked yet. Only where certificates were asked for.
    pub certificate: Option<Certificate>,
}

impl HostKey {
    pub(super) fn from_blob(blob: &[u8], algorithm: HostKeyAlgorithm) -> Result<Self, KeyError> {
        match algorithm {
            HostKeyAlgorithm::Key(_) => Ok(Self { key: PublicKey::from_blob(blob)?, certificate: None }),
            HostKeyAlgorithm::Certificate(_) => {
                let certificate = Certificate::from_blob(blob)?;
                Ok(Self { key: certificate.key().clone(), certificate: Some(certificate) })
            }
        }
    }
}
