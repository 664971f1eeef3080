//! The shared secret, and the keys derived from it (RFC 4253 section 7.2).

use std::fmt;

use zeroize::Zeroizing;

use super::Hash;
use crate::wire::Write;

/// K, encoded as the exchange hash takes it, length included: an `mpint`, or a string for the hybrid method.
/// Wiped on drop.
pub(crate) struct SharedSecret(Zeroizing<Vec<u8>>);

impl SharedSecret {
    pub(super) fn from_number(big_endian: &[u8]) -> Self {
        let mut encoded = with_room(big_endian.len());
        encoded.put_mpint(big_endian);
        Self(encoded)
    }

    pub(super) fn from_string(bytes: &[u8]) -> Self {
        let mut encoded = with_room(bytes.len());
        encoded.put_string(bytes);
        Self(encoded)
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret").finish_non_exhaustive()
    }
}

/// Growing would leave a copy behind: room for the length and a sign from the start.
fn with_room(length: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(4 + 1 + length))
}

/// `len` bytes of key material of the kind that `letter` names, `b'A'` to `b'F'` (RFC 4253 section 7.2).
pub(crate) fn derive(
    hash: Hash,
    secret: &SharedSecret,
    exchange_hash: &[u8],
    letter: u8,
    session_id: &[u8],
    len: usize,
) -> Zeroizing<Vec<u8>> {
    let first = hash.compute(&[secret.encoded(), exchange_hash, &[letter], session_id]);
    let mut key = Zeroizing::new(Vec::with_capacity(len + first.as_ref().len()));
    key.extend_from_slice(first.as_ref());
    while key.len() < len {
        let next = hash.compute(&[secret.encoded(), exchange_hash, &key]);
        key.extend_from_slice(next.as_ref());
    }
    key.truncate(len);
    key
}
