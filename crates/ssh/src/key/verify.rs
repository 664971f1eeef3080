//! Checking signatures.

use dsa::signature::hazmat::PrehashVerifier;
use ed25519_dalek::Verifier;
use rsa::Pkcs1v15Sign;
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::public::positive;
use super::{KeyError, SignatureAlgorithm};
use crate::wire::{Reader, Write};

/// Below that, an RSA signature is only taken where the algorithm is a legacy one already.
const RSA_BITS_TODAY: u32 = 2048;
/// The bit of a security key's flags that says that somebody touched it.
const USER_PRESENT: u8 = 1;
/// The bit that says that the key knows who it was, by a PIN or a finger.
const USER_VERIFIED: u8 = 4;
const DSS_NUMBER: usize = 20;

/// What a security key must say of whoever used it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Presence {
    /// Nothing: the key may sign by itself.
    NotNeeded,
    /// That somebody touched it.
    #[default]
    Touched,
    /// That somebody touched it whom it knows, by a PIN or a finger. Other keys than security keys cannot say so.
    Verified,
}

/// The numbers of a public key.
pub(super) enum Numbers {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
    Rsa(rsa::RsaPublicKey),
    Dss(dsa::VerifyingKey),
}

impl Numbers {
    pub(super) fn ed25519(point: &[u8]) -> Result<Self, KeyError> {
        let point = point.try_into().map_err(|_| KeyError::NotAKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| KeyError::NotAKey)?;
        // For a point of small order, one signature fits many messages.
        if key.is_weak() { Err(KeyError::NotAKey) } else { Ok(Self::Ed25519(key)) }
    }

    /// A point of the curve `nistp256`, `nistp384` or `nistp521`, uncompressed.
    pub(super) fn point(curve: &str, point: &[u8]) -> Result<Self, KeyError> {
        if point.first() != Some(&4) {
            return Err(KeyError::NotAKey);
        }
        let numbers = match curve {
            "nistp256" => p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::P256),
            "nistp384" => p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::P384),
            "nistp521" => p521::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::P521),
            _ => return Err(KeyError::UnknownKind),
        };
        numbers.map_err(|_| KeyError::NotAKey)
    }

    /// `algorithm` must be one of this kind of key.
    pub(super) fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        signature: &[u8],
        data: &[u8],
    ) -> Result<(), KeyError> {
        let right = match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .and_then(|signature| key.verify_strict(data, &signature)),
            Self::P256(key) => {
                let (r, s) = two_numbers(signature)?;
                p256::ecdsa::Signature::from_scalars(r, s).and_then(|signature| key.verify(data, &signature))
            }
            Self::P384(key) => {
                let (r, s) = two_numbers(signature)?;
                p384::ecdsa::Signature::from_scalars(r, s).and_then(|signature| key.verify(data, &signature))
            }
            Self::P521(key) => {
                let (r, s) = two_numbers::<66>(signature)?;
                p521::ecdsa::Signature::from_scalars(r, s).and_then(|signature| key.verify(data, &signature))
            }
            Self::Dss(key) => dss_signature(signature)
                .ok_or(KeyError::WrongSignature)
                .map(|signature| key.verify_prehash(&Sha1::digest(data), &signature))?,
            Self::Rsa(key) => return verify_rsa(key, algorithm, signature, data),
        };
        right.map_err(|_| KeyError::WrongSignature)
    }
}

/// Of an ECDSA signature (RFC 5656 section 3.1.2), with zeros in front.
fn two_numbers<const SIZE: usize>(signature: &[u8]) -> Result<([u8; SIZE], [u8; SIZE]), KeyError> {
    let mut reader = Reader::new(signature);
    let numbers = (padded(positive(&mut reader)?)?, padded(positive(&mut reader)?)?);
    reader.end()?;
    Ok(numbers)
}

pub(super) fn padded<const SIZE: usize>(number: &[u8]) -> Result<[u8; SIZE], KeyError> {
    let mut padded = [0; SIZE];
    let start = SIZE.checked_sub(number.len()).ok_or(KeyError::WrongSignature)?;
    padded.get_mut(start..).ok_or(KeyError::WrongSignature)?.copy_from_slice(number);
    Ok(padded)
}

/// Two numbers of 20 bytes (RFC 4253 section 6.6).
fn dss_signature(signature: &[u8]) -> Option<dsa::Signature> {
    let (r, s) = signature.split_at_checked(DSS_NUMBER)?;
    let number = |bytes| dsa::BoxedUint::from_be_slice(bytes, 160).ok();
    dsa::Signature::from_components(number(r)?, number(s)?).filter(|_| s.len() == DSS_NUMBER)
}

fn verify_rsa(
    key: &rsa::RsaPublicKey,
    algorithm: SignatureAlgorithm,
    signature: &[u8],
    data: &[u8],
) -> Result<(), KeyError> {
    if key.n().bits() < RSA_BITS_TODAY && !algorithm.is_legacy() {
        return Err(KeyError::ShortModulus);
    }
    // Some peers leave out the zeros in front (RFC 8332 section 3 has them in; OpenSSH takes both).
    let missing = key.size().checked_sub(signature.len()).ok_or(KeyError::WrongSignature)?;
    let mut whole = vec![0; missing];
    whole.extend_from_slice(signature);
    let (scheme, digest) = rsa_digest(algorithm, data)?;
    key.verify(scheme, &digest, &whole).map_err(|_| KeyError::WrongSignature)
}

/// What RSA signs: the digest of `data`, and how it is wrapped.
pub(super) fn rsa_digest(
    algorithm: SignatureAlgorithm,
    data: &[u8],
) -> Result<(Pkcs1v15Sign, Vec<u8>), KeyError> {
    match algorithm {
        SignatureAlgorithm::RsaSha512 => Ok((Pkcs1v15Sign::new::<Sha512>(), Sha512::digest(data).to_vec())),
        SignatureAlgorithm::RsaSha256 => Ok((Pkcs1v15Sign::new::<Sha256>(), Sha256::digest(data).to_vec())),
        SignatureAlgorithm::RsaSha1 => Ok((Pkcs1v15Sign::new::<Sha1>(), Sha1::digest(data).to_vec())),
        _ => Err(KeyError::OtherAlgorithm),
    }
}

/// What a security key signs (PROTOCOL.u2f): digests of the application and of the data, between them the
/// flags and the counter that follow in the signature blob.
pub(super) fn signed_by_security_key(
    application: &str,
    mut rest: Reader<'_>,
    data: &[u8],
    presence: Presence,
) -> Result<Vec<u8>, KeyError> {
    let (flags, counter) = (rest.u8()?, rest.u32()?);
    rest.end()?;
    if presence != Presence::NotNeeded && flags & USER_PRESENT == 0 {
        return Err(KeyError::NoPresence);
    }
    if presence == Presence::Verified && flags & USER_VERIFIED == 0 {
        return Err(KeyError::NotVerified);
    }
    let mut signed = Sha256::digest(application).to_vec();
    signed.put_byte(flags);
    signed.put_number(counter);
    signed.put_bytes(&Sha256::digest(data));
    Ok(signed)
}
