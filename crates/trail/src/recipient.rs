//! Whom a recording is encrypted to: the public halves of auditors' keys.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, UnparsedPublicKey};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64ct::{Base64Unpadded, Encoding};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use rustls::crypto::aws_lc_rs::hpke;
use rustls::crypto::hpke::{Hpke, HpkePublicKey};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::cipher::KEY_LEN;
use crate::key_usage::allows_encryption;

/// One who may read recordings, alone or with others.
#[derive(Clone, Eq, PartialEq)]
pub struct Recipient {
    kind: KeyKind,
    name: String,
    /// X25519: 32 bytes; EC: the point, uncompressed; RSA: a SubjectPublicKeyInfo.
    public: Vec<u8>,
}

/// The kinds of keys, with their numbers in the format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyKind {
    X25519 = 1,
    P256 = 2,
    P384 = 3,
    P521 = 4,
    Rsa = 5,
}

/// Why a text or a file is no key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "this is no public key of age: it must be age1 and 58 letters and digits, as `keyward trail new-key` prints it"
    )]
    NoAgeKey,
    #[error("this is a private key: nobody but the auditor should have it; write the public one, age1...")]
    Private,
    #[error("nothing can be encrypted to this key of age: it is one of the few that would keep no secret")]
    WeakAgeKey,
    #[error("there are several certificates in this file: leave the auditor's own alone in it")]
    ManyCertificates,
    #[error(
        "the certificate says that its key is not for this: where it has a key usage, that must allow keyEncipherment or keyAgreement"
    )]
    KeyUsage,
    #[error("this is no certificate: a PEM file with BEGIN CERTIFICATE is one")]
    NoCertificate,
    #[error(
        "the key of this certificate cannot be encrypted to: take one with RSA (2048 to 8192 bits) or EC (P-256, P-384, P-521)"
    )]
    KeyOfCertificate,
    #[error(
        "this is no private key of an auditor: it has neither AGE-SECRET-KEY-1... nor a PEM key of EC or RSA (`openssl pkey -in FILE -out OTHER` makes the form that is read of older ones)"
    )]
    NoPrivateKey,
    #[error("this private key is encrypted: `openssl pkey -in FILE -out OTHER` takes the passphrase off")]
    Encrypted,
    #[error("the cryptographic library failed")]
    Library,
}

/// What age's keys begin with, before the 1 of Bech32 (BIP 173).
const AGE: Hrp = Hrp::parse_unchecked("age");
pub(crate) const AGE_PRIVATE: &str = "AGE-SECRET-KEY-";
const X25519_LEN: usize = 32;
/// Says what HPKE and OAEP are used for.
pub(crate) const INFO: &[u8] = b"keyward trail 2 share";

/// What stands before the point in the SubjectPublicKeyInfo of a key on a named curve (RFC 5480).
const EC_INFO: [(KeyKind, &[u8]); 3] = [
    (KeyKind::P256, b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"),
    (KeyKind::P384, b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00"),
    (KeyKind::P521, b"\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23\x03\x81\x86\x00"),
];

/// Bytes of tag and length in front of a SubjectPublicKeyInfo of 256 bytes to 64 KiB, as those of RSA are.
const OUTER: usize = 4;
/// Its AlgorithmIdentifier for rsaEncryption (RFC 3279, section 2.3.1).
const RSA_ENCRYPTION: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

impl Recipient {
    /// A public key of age: `age1...`, an X25519 key in Bech32.
    pub fn from_age(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.get(..AGE_PRIVATE.len()).is_some_and(|start| start.eq_ignore_ascii_case(AGE_PRIVATE)) {
            return Err(KeyError::Private);
        }
        let parsed = CheckedHrpstring::new::<Bech32>(text).map_err(|_| KeyError::NoAgeKey)?;
        let public: Vec<u8> = parsed.byte_iter().collect();
        if parsed.hrp() != AGE || public.len() != X25519_LEN {
            return Err(KeyError::NoAgeKey);
        }
        Self::x25519(public)?.probed(KeyError::WeakAgeKey)
    }

    pub(crate) fn x25519(public: Vec<u8>) -> Result<Self, KeyError> {
        let name = bech32::encode::<Bech32>(AGE, &public).map_err(|_| KeyError::Library)?;
        Ok(Self { kind: KeyKind::X25519, name, public })
    }

    /// The key of an X.509 certificate, the only one in this PEM text. Who has issued it and until when it is valid does
    /// not matter: the policy names it.
    pub fn from_certificate(pem: &str) -> Result<Self, KeyError> {
        let mut all = CertificateDer::pem_slice_iter(pem.as_bytes());
        let certificate = all.next().and_then(Result::ok).ok_or(KeyError::NoCertificate)?;
        if all.next().is_some() {
            return Err(KeyError::ManyCertificates);
        }
        let parsed = webpki::EndEntityCert::try_from(&certificate).map_err(|_| KeyError::NoCertificate)?;
        if !allows_encryption(&certificate) {
            return Err(KeyError::KeyUsage);
        }
        Self::from_info(&parsed.subject_public_key_info())?.probed(KeyError::KeyOfCertificate)
    }

    /// Encrypts something to the key, once: what fails at that would otherwise fail when a session begins.
    fn probed(self, error: KeyError) -> Result<Self, KeyError> {
        let mut probe = [0; KEY_LEN];
        aws_lc_rs::rand::fill(&mut probe).map_err(|_| KeyError::Library)?;
        match self.wrap(&probe, b"probe") {
            Ok(_) => Ok(self),
            Err(_) => Err(error),
        }
    }

    /// From a SubjectPublicKeyInfo in DER.
    pub(crate) fn from_info(info: &[u8]) -> Result<Self, KeyError> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, info);
        let name = format!("SHA256:{}", Base64Unpadded::encode_string(digest.as_ref()));
        let on_curve = EC_INFO.iter().find_map(|(kind, start)| Some((*kind, info.strip_prefix(*start)?)));
        if let Some((kind, point)) = on_curve {
            let curve = kind.curve().ok_or(KeyError::KeyOfCertificate)?;
            ParsedPublicKey::try_from(UnparsedPublicKey::new(curve, point))
                .map_err(|_| KeyError::KeyOfCertificate)?;
            return Ok(Self { kind, name, public: point.to_vec() });
        }
        // A key for RSASSA-PSS is one for signatures (RFC 4055, section 1.2).
        if info.get(OUTER..).is_none_or(|inner| !inner.starts_with(RSA_ENCRYPTION)) {
            return Err(KeyError::KeyOfCertificate);
        }
        PublicEncryptingKey::from_der(info).map_err(|_| KeyError::KeyOfCertificate)?;
        Ok(Self { kind: KeyKind::Rsa, name, public: info.to_vec() })
    }

    /// The key as people compare it: `age1...`, or of a certificate `SHA256:` and the hash of its public key.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Encrypts a few bytes; `about` must be the same when they are decrypted.
    pub(crate) fn wrap(&self, bytes: &[u8], about: &[u8]) -> Result<Vec<u8>, KeyError> {
        let Some(hpke) = self.kind.hpke() else {
            return self.wrap_rsa(bytes, about).ok_or(KeyError::Library);
        };
        let key = HpkePublicKey(self.public.clone());
        let (encapsulated, mut wrapped) =
            hpke.seal(INFO, about, bytes, &key).map_err(|_| KeyError::Library)?;
        let mut out = encapsulated.0;
        out.append(&mut wrapped);
        Ok(out)
    }

    fn wrap_rsa(&self, bytes: &[u8], about: &[u8]) -> Option<Vec<u8>> {
        let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&self.public).ok()?).ok()?;
        let mut room = vec![0; key.ciphertext_size()];
        let label = oaep_label(about);
        let wrapped = key.encrypt(&OAEP_SHA256_MGF1SHA256, bytes, &mut room, Some(&label)).ok()?;
        Some(wrapped.to_vec())
    }
}

pub(crate) fn oaep_label(about: &[u8]) -> Vec<u8> {
    [INFO, about].concat()
}

impl KeyKind {
    /// The suite of RFC 9180 for keys of this kind; `None` for RSA.
    pub(crate) fn hpke(self) -> Option<&'static dyn Hpke> {
        match self {
            Self::X25519 => Some(hpke::DH_KEM_X25519_HKDF_SHA256_AES_256),
            Self::P256 => Some(hpke::DH_KEM_P256_HKDF_SHA256_AES_256),
            Self::P384 => Some(hpke::DH_KEM_P384_HKDF_SHA384_AES_256),
            Self::P521 => Some(hpke::DH_KEM_P521_HKDF_SHA512_AES_256),
            Self::Rsa => None,
        }
    }

    /// Bytes of the encapsulated key (`Nenc` of RFC 9180).
    pub(crate) fn encapsulated(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::P256 => 65,
            Self::P384 => 97,
            Self::P521 => 133,
            Self::Rsa => 0,
        }
    }

    pub(crate) fn curve(self) -> Option<&'static agreement::Algorithm> {
        match self {
            Self::P256 => Some(&ECDH_P256),
            Self::P384 => Some(&ECDH_P384),
            Self::P521 => Some(&ECDH_P521),
            Self::X25519 | Self::Rsa => None,
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recipient").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_age_that_keeps_no_secret_is_refused() {
        // Points of low order (RFC 7748, section 6.1): the shared secret is zero, whoever encrypts.
        let mut one = [0; X25519_LEN];
        one[0] = 1;
        for point in [[0; X25519_LEN], one] {
            let text = bech32::encode::<Bech32>(AGE, &point).unwrap();
            assert_eq!(Recipient::from_age(&text), Err(KeyError::WeakAgeKey));
        }
    }
}
