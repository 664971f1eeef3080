//! The private halves of auditors' keys: what a recording is read with.

use std::fmt;

use aws_lc_rs::agreement::{self, PrivateKey, X25519};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, PublicKeyX509Der};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use rustls::crypto::hpke::{EncapsulatedSecret, HpkePrivateKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::cipher::KEY_LEN;
use crate::recipient::{AGE_PRIVATE, INFO, KeyError, KeyKind, Recipient, oaep_label};

/// A private key. Wiped when dropped.
pub struct AuditorKey {
    recipient: Recipient,
    /// X25519 and EC: the number, of fixed length; RSA: PKCS#8.
    secret: Zeroizing<Vec<u8>>,
}

impl AuditorKey {
    /// A new X25519 key.
    pub fn generate() -> Result<Self, KeyError> {
        let key = PrivateKey::generate(&X25519).map_err(|_| KeyError::Library)?;
        let seed: Curve25519SeedBin<'_> = key.as_be_bytes().map_err(|_| KeyError::Library)?;
        Self::x25519(Zeroizing::new(seed.as_ref().to_vec()))
    }

    fn x25519(secret: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let key = PrivateKey::from_private_key(&X25519, &secret).map_err(|_| KeyError::NoPrivateKey)?;
        let public = key.compute_public_key().map_err(|_| KeyError::Library)?;
        Ok(Self { recipient: Recipient::x25519(public.as_ref().to_vec())?, secret })
    }

    /// All keys of a text: lines as age writes them, with remarks behind `#`, or one PEM block, not encrypted: PKCS#8, or
    /// SEC 1 of EC keys.
    pub fn parse(text: &str) -> Result<Vec<Self>, KeyError> {
        if text.contains("-----BEGIN ") {
            return Ok(vec![Self::from_pem(text)?]);
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(Self::from_age).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::NoPrivateKey) } else { Ok(keys) }
    }

    fn from_age(line: &str) -> Result<Self, KeyError> {
        let parsed = CheckedHrpstring::new::<Bech32>(line).map_err(|_| KeyError::NoPrivateKey)?;
        if !parsed.hrp().as_str().eq_ignore_ascii_case(AGE_PRIVATE) {
            return Err(KeyError::NoPrivateKey);
        }
        Self::x25519(Zeroizing::new(parsed.byte_iter().collect()))
    }

    fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.contains("ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::NoPrivateKey)?;
        // What is parsed from PEM does not wipe itself.
        let der = Zeroizing::new(der);
        let der = Zeroizing::new(der.secret_der().to_vec());
        let on_curve = [KeyKind::P256, KeyKind::P384, KeyKind::P521].into_iter();
        match on_curve.filter_map(|kind| Self::from_ec(kind, &der)).next() {
            Some(key) => Ok(key),
            None => Self::from_rsa(der).ok_or(KeyError::NoPrivateKey),
        }
    }

    fn from_ec(kind: KeyKind, der: &[u8]) -> Option<Self> {
        let key = PrivateKey::from_private_key_der(kind.curve()?, der).ok()?;
        let secret: EcPrivateKeyBin<'_> = key.as_be_bytes().ok()?;
        let secret = Zeroizing::new(secret.as_ref().to_vec());
        let public: agreement::PublicKey = key.compute_public_key().ok()?;
        let info: PublicKeyX509Der<'_> = public.as_der().ok()?;
        Some(Self { recipient: Recipient::from_info(info.as_ref()).ok()?, secret })
    }

    fn from_rsa(der: Zeroizing<Vec<u8>>) -> Option<Self> {
        let key = PrivateDecryptingKey::from_pkcs8(&der).ok()?;
        let info: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
        Some(Self { recipient: Recipient::from_info(info.as_ref()).ok()?, secret: der })
    }

    /// The public half.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The key as age keeps it: `AGE-SECRET-KEY-1...`; `None` for RSA and EC.
    pub fn to_age(&self) -> Option<Zeroizing<String>> {
        if self.recipient.kind() != KeyKind::X25519 {
            return None;
        }
        let text = bech32::encode_upper::<Bech32>(Hrp::parse_unchecked(AGE_PRIVATE), &self.secret).ok()?;
        Some(Zeroizing::new(text))
    }

    /// What [`Recipient::wrap`] has encrypted, which must be a share.
    pub(crate) fn unwrap(&self, wrapped: &[u8], about: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
        let kind = self.recipient.kind();
        let bytes = match kind.hpke() {
            Some(hpke) => {
                let (encapsulated, text) = wrapped.split_at_checked(kind.encapsulated())?;
                let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
                let key = HpkePrivateKey::from(self.secret.to_vec());
                Zeroizing::new(hpke.open(&encapsulated, INFO, about, text, &key).ok()?)
            }
            None => self.unwrap_rsa(wrapped, about)?,
        };
        Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
    }

    fn unwrap_rsa(&self, wrapped: &[u8], about: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = PrivateDecryptingKey::from_pkcs8(&self.secret).ok()?;
        let key = OaepPrivateDecryptingKey::new(key).ok()?;
        let mut room = Zeroizing::new(vec![0; key.min_output_size()]);
        let label = oaep_label(about);
        let bytes = key.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut room, Some(&label)).ok()?;
        Some(Zeroizing::new(bytes.to_vec()))
    }
}

/// The public half only.
impl fmt::Debug for AuditorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuditorKey").field(&self.recipient.name()).finish()
    }
}
