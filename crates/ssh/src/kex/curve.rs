//! Diffie-Hellman on elliptic curves (RFC 5656 section 4, RFC 8731).

use aws_lc_rs::agreement::{self, Algorithm, EphemeralPrivateKey, UnparsedPublicKey};
use aws_lc_rs::rand::SystemRandom;
use zeroize::Zeroizing;

use super::KexError;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Curve {
    X25519,
    P256,
    P384,
    P521,
}

impl Curve {
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::X25519 => &agreement::X25519,
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
        }
    }

    /// Bytes of a public value: a coordinate, or a mark and two (SEC 1 section 2.3.3, not compressed).
    fn public_len(self) -> usize {
        match self {
            Self::X25519 => X25519_LEN,
            Self::P256 => 1 + 2 * 32,
            Self::P384 => 1 + 2 * 48,
            Self::P521 => 1 + 2 * 66,
        }
    }

    /// The library reads other forms of a point too; whether one is on the curve is left to it.
    fn has_form(self, public: &[u8]) -> bool {
        const UNCOMPRESSED: u8 = 4;
        let is_marked = self == Self::X25519 || public.first() == Some(&UNCOMPRESSED);
        is_marked && public.len() == self.public_len()
    }
}

/// Bytes of an X25519 public value.
pub(super) const X25519_LEN: usize = 32;

/// A private key for one exchange.
pub(super) struct KeyPair {
    curve: Curve,
    private: EphemeralPrivateKey,
}

impl KeyPair {
    /// The key and its public value.
    pub(super) fn generate(curve: Curve) -> Result<(Self, Vec<u8>), KexError> {
        let private = EphemeralPrivateKey::generate(curve.algorithm(), &SystemRandom::new())
            .map_err(|_| KexError::Library)?;
        let public = private.compute_public_key().map_err(|_| KexError::Library)?.as_ref().to_vec();
        Ok((Self { curve, private }, public))
    }

    /// The coordinate that both sides get. Refuses a point that is not on the curve, and an X25519 result of zeros.
    pub(super) fn agree(self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KexError> {
        if !self.curve.has_form(peer) {
            return Err(KexError::Public);
        }
        let peer = UnparsedPublicKey::new(self.curve.algorithm(), peer);
        agreement::agree_ephemeral(self.private, peer, KexError::Public, |coordinate| {
            // RFC 8731 section 3: what a point of small order gives.
            if coordinate.iter().all(|&byte| byte == 0) {
                return Err(KexError::Public);
            }
            Ok(Zeroizing::new(coordinate.to_vec()))
        })
    }
}
