//! ML-KEM-768 and X25519 together (draft-ietf-sshm-mlkem-hybrid-kex): safe while one of the two is.

use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};

use super::curve::{Curve, KeyPair};
use super::{Hash, KexError, SharedSecret};

/// Bytes of an ML-KEM-768 encapsulation key and ciphertext (FIPS 203 section 8).
const ENCAPSULATION_KEY_LEN: usize = 1184;
const CIPHERTEXT_LEN: usize = 1088;

/// The client's private keys.
pub(super) struct KeyPairs {
    decapsulation: DecapsulationKey,
    curve: KeyPair,
}

impl KeyPairs {
    /// The keys, and `C_INIT`: the encapsulation key and the X25519 public value.
    pub(super) fn generate() -> Result<(Self, Vec<u8>), KexError> {
        let decapsulation = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| KexError::Library)?;
        let encapsulation = decapsulation.encapsulation_key().and_then(|key| key.key_bytes());
        let (curve, public) = KeyPair::generate(Curve::X25519)?;
        let mut init = encapsulation.map_err(|_| KexError::Library)?.as_ref().to_vec();
        init.extend_from_slice(&public);
        Ok((Self { decapsulation, curve }, init))
    }

    /// `reply` is `S_REPLY`: the ciphertext and the X25519 public value.
    pub(super) fn finish(self, reply: &[u8]) -> Result<SharedSecret, KexError> {
        let (ciphertext, public) = reply.split_at_checked(CIPHERTEXT_LEN).ok_or(KexError::Public)?;
        let coordinate = self.curve.agree(public)?;
        let secret =
            self.decapsulation.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| KexError::Public)?;
        Ok(combine(secret.as_ref(), &coordinate))
    }
}

/// The server's side: `S_REPLY`, and K.
pub(super) fn respond(init: &[u8]) -> Result<(Vec<u8>, SharedSecret), KexError> {
    let (encapsulation, public) = init.split_at_checked(ENCAPSULATION_KEY_LEN).ok_or(KexError::Public)?;
    let (curve, our_public) = KeyPair::generate(Curve::X25519)?;
    let coordinate = curve.agree(public)?;
    let encapsulation = EncapsulationKey::new(&ML_KEM_768, encapsulation).map_err(|_| KexError::Public)?;
    // Fails for a key whose coefficients are not reduced, as the draft wants it (FIPS 203 section 7.2).
    let (ciphertext, secret) = encapsulation.encapsulate().map_err(|_| KexError::Public)?;
    let mut reply = ciphertext.as_ref().to_vec();
    reply.extend_from_slice(&our_public);
    Ok((reply, combine(secret.as_ref(), &coordinate)))
}

fn combine(kem: &[u8], coordinate: &[u8]) -> SharedSecret {
    SharedSecret::from_string(Hash::Sha256.compute(&[kem, coordinate]).as_ref())
}
