//! Streamlined NTRU Prime and X25519 together (draft-ietf-sshm-ntruprime-ssh): safe while one of the two is. OpenSSH had it
//! by default before it had ML-KEM, from 9.0 to 9.9.

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use sntrup::{Ciphertext, DecapsulationKey, EncapsulationKey, Sntrup761, Sntrup761Params};

use super::curve::{Curve, KeyPair};
use super::{Hash, KexError, SharedSecret};

/// Bytes of an encapsulation key and of a ciphertext of sntrup761.
const ENCAPSULATION_KEY_LEN: usize = 1158;
const CIPHERTEXT_LEN: usize = 1039;

/// The client's private keys; both wipe themselves.
pub(super) struct KeyPairs {
    decapsulation: DecapsulationKey<Sntrup761Params>,
    curve: KeyPair,
}

impl KeyPairs {
    /// The keys, and `Q_C`: the encapsulation key and the X25519 public value.
    pub(super) fn generate() -> Result<(Self, Vec<u8>), KexError> {
        let (encapsulation, decapsulation) = Sntrup761::generate_key(&mut randomness()?);
        let (curve, public) = KeyPair::generate(Curve::X25519)?;
        let mut init = encapsulation.as_ref().to_vec();
        init.extend_from_slice(&public);
        Ok((Self { decapsulation, curve }, init))
    }

    /// `reply` is `Q_S`: the ciphertext and the X25519 public value.
    pub(super) fn finish(self, reply: &[u8]) -> Result<SharedSecret, KexError> {
        let (ciphertext, public) = reply.split_at_checked(CIPHERTEXT_LEN).ok_or(KexError::Public)?;
        let coordinate = self.curve.agree(public)?;
        let ciphertext = Ciphertext::<Sntrup761Params>::try_from(ciphertext).map_err(|_| KexError::Public)?;
        // A ciphertext that is none gives a secret that nobody else has.
        Ok(combine(self.decapsulation.decapsulate(&ciphertext).as_ref(), &coordinate))
    }
}

/// The server's side: `Q_S`, and K.
pub(super) fn respond(init: &[u8]) -> Result<(Vec<u8>, SharedSecret), KexError> {
    let (encapsulation, public) = init.split_at_checked(ENCAPSULATION_KEY_LEN).ok_or(KexError::Public)?;
    let (curve, our_public) = KeyPair::generate(Curve::X25519)?;
    let coordinate = curve.agree(public)?;
    let encapsulation =
        EncapsulationKey::<Sntrup761Params>::try_from(encapsulation).map_err(|_| KexError::Public)?;
    let (ciphertext, secret) = encapsulation.encapsulate(&mut randomness()?);
    let mut reply = ciphertext.as_ref().to_vec();
    reply.extend_from_slice(&our_public);
    Ok((reply, combine(secret.as_ref(), &coordinate)))
}

fn combine(kem: &[u8], coordinate: &[u8]) -> SharedSecret {
    SharedSecret::from_string(Hash::Sha512.compute(&[kem, coordinate]).as_ref())
}

/// The system's random numbers, asked once before they are relied upon: later they do not fail.
fn randomness() -> Result<UnwrapErr<SysRng>, KexError> {
    getrandom::fill(&mut [0]).map_err(|_| KexError::Library)?;
    Ok(UnwrapErr(SysRng))
}
