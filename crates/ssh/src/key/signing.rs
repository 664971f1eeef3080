//! Private keys, and signing with them.

use std::fmt;
use std::sync::Arc;

use dsa::signature::DigestSigner;
use ed25519_dalek::Signer;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyward_model::Secret;
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use sha2::Digest;
use ssh_key::LineEnding;
use ssh_key::private::{EcdsaKeypair, KeypairData, RsaKeypair};

use super::verify::rsa_digest;
use super::{KeyError, PublicKey, SignatureAlgorithm, form};
use crate::wire::Write;

const RSA_BITS: usize = 3072;

/// A private key with its public one. Clones share it; it is wiped when the last of them is dropped.
#[derive(Clone)]
pub struct SigningKey {
    inner: Arc<Inner>,
}

struct Inner {
    private: Private,
    public: PublicKey,
}

/// What [`SigningKey::generate`] makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Rsa3072,
}

/// The numbers of a private key. Each of these types wipes itself.
pub(super) enum Private {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
    P384(Box<p384::ecdsa::SigningKey>),
    P521(Box<p521::ecdsa::SigningKey>),
    Rsa(Box<rsa::RsaPrivateKey>),
    Dss(Box<dsa::SigningKey>),
}

impl SigningKey {
    /// Makes a new key.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let rng = &mut randomness()?;
        let unmade = |_| KeyError::NoRandomness;
        let ecdsa = |rng, curve| EcdsaKeypair::random(rng, curve).map(KeypairData::Ecdsa).map_err(unmade);
        let pair = match kind {
            KeyKind::Ed25519 => KeypairData::Ed25519(ssh_key::private::Ed25519Keypair::random(rng)),
            KeyKind::EcdsaP256 => ecdsa(rng, ssh_key::EcdsaCurve::NistP256)?,
            KeyKind::EcdsaP384 => ecdsa(rng, ssh_key::EcdsaCurve::NistP384)?,
            KeyKind::EcdsaP521 => ecdsa(rng, ssh_key::EcdsaCurve::NistP521)?,
            KeyKind::Rsa3072 => KeypairData::Rsa(RsaKeypair::random(rng, RSA_BITS).map_err(unmade)?),
        };
        Self::new(form::private_of(&pair)?)
    }

    /// Reads the first private key of a text: OpenSSH, PKCS#8, PKCS#1, SEC1, or DSA's traditional form,
    /// encrypted or not. Lines may be indented and end with CR; other text may stand around the key.
    ///
    /// A passphrase that the key does not need is left unused.
    pub fn from_text(text: &Secret, passphrase: Option<&Secret>) -> Result<Self, KeyError> {
        Self::new(form::read(text, passphrase)?)
    }

    /// OpenSSH's form, without a passphrase.
    pub fn to_openssh(&self) -> Result<Secret, KeyError> {
        let key = self.as_ssh_key().map_err(|_| KeyError::NotAKey)?;
        let mut text = key.to_openssh(LineEnding::LF).map_err(|_| KeyError::NotAKey)?;
        Ok(Secret::new(std::mem::take(&mut *text)))
    }

    pub(super) fn as_ssh_key(&self) -> Result<ssh_key::PrivateKey, ssh_key::Error> {
        let pair = self.inner.private.pair().map_err(|_| ssh_key::Error::Crypto)?;
        ssh_key::PrivateKey::new(pair, "")
    }

    pub fn public(&self) -> &PublicKey {
        &self.inner.public
    }

    /// What it signs with, best first. More than one only for RSA.
    pub fn algorithms(&self) -> &'static [SignatureAlgorithm] {
        match self.inner.private {
            Private::Ed25519(_) => &[SignatureAlgorithm::Ed25519],
            Private::P256(_) => &[SignatureAlgorithm::EcdsaP256],
            Private::P384(_) => &[SignatureAlgorithm::EcdsaP384],
            Private::P521(_) => &[SignatureAlgorithm::EcdsaP521],
            Private::Rsa(_) => {
                &[SignatureAlgorithm::RsaSha512, SignatureAlgorithm::RsaSha256, SignatureAlgorithm::RsaSha1]
            }
            Private::Dss(_) => &[SignatureAlgorithm::Dss],
        }
    }

    /// Makes a signature blob: the algorithm's name and the signature.
    pub fn sign(&self, algorithm: SignatureAlgorithm, data: &[u8]) -> Result<Vec<u8>, KeyError> {
        if !self.algorithms().contains(&algorithm) {
            return Err(KeyError::OtherAlgorithm);
        }
        let mut blob = Vec::new();
        blob.put_string(algorithm.name().as_bytes());
        blob.put_string(&self.inner.private.sign(algorithm, data)?);
        Ok(blob)
    }

    fn new(private: Private) -> Result<Self, KeyError> {
        let public = PublicKey::from_blob(&private.public_blob())?;
        Ok(Self { inner: Arc::new(Inner { private, public }) })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.public().kind(), self.public().fingerprint())
    }
}

impl Private {
    fn sign(&self, algorithm: SignatureAlgorithm, data: &[u8]) -> Result<Vec<u8>, KeyError> {
        let unsigned = |_| KeyError::CannotSign;
        match self {
            Self::Ed25519(key) => Ok(key.try_sign(data).map_err(unsigned)?.to_bytes().to_vec()),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(data).map_err(unsigned)?;
                Ok(two_numbers(&signature.to_bytes()))
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.try_sign(data).map_err(unsigned)?;
                Ok(two_numbers(&signature.to_bytes()))
            }
            Self::P521(key) => {
                let signature: p521::ecdsa::Signature = key.try_sign(data).map_err(unsigned)?;
                Ok(two_numbers(&signature.to_bytes()))
            }
            Self::Rsa(key) => {
                let (scheme, digest) = rsa_digest(algorithm, data)?;
                // With random numbers it blinds the key against those who measure its time.
                let signature = key.sign_with_rng(&mut randomness()?, scheme, &digest);
                signature.map_err(|_| KeyError::CannotSign)
            }
            Self::Dss(key) => {
                let signature = key.try_sign_digest(|digest: &mut Sha1| {
                    digest.update(data);
                    Ok(())
                });
                Ok(dss_numbers(&signature.map_err(unsigned)?))
            }
        }
    }

    fn public_blob(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => blob("ssh-ed25519", &[key.verifying_key().as_bytes()]),
            Self::P256(key) => ecdsa_blob("nistp256", key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::P384(key) => ecdsa_blob("nistp384", key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::P521(key) => ecdsa_blob("nistp521", key.verifying_key().to_sec1_point(false).as_bytes()),
            Self::Rsa(key) => number_blob("ssh-rsa", &[&key.e().to_be_bytes(), &key.n().to_be_bytes()]),
            Self::Dss(key) => {
                let public = key.verifying_key();
                let domain = public.components();
                let (p, q, g) =
                    (domain.p().to_be_bytes(), domain.q().to_be_bytes(), domain.g().to_be_bytes());
                number_blob("ssh-dss", &[&p, &q, &g, &public.y().to_be_bytes()])
            }
        }
    }

    /// The same key as `ssh-key` has it.
    fn pair(&self) -> Result<KeypairData, KeyError> {
        let pair = match self {
            Self::Ed25519(key) => KeypairData::Ed25519((&**key).into()),
            Self::P256(key) => KeypairData::Ecdsa(EcdsaKeypair::NistP256 {
                public: key.verifying_key().to_sec1_point(false),
                private: <[u8; 32]>::from(key.to_bytes()).into(),
            }),
            Self::P384(key) => KeypairData::Ecdsa(EcdsaKeypair::NistP384 {
                public: key.verifying_key().to_sec1_point(false),
                private: <[u8; 48]>::from(key.to_bytes()).into(),
            }),
            Self::P521(key) => KeypairData::Ecdsa(EcdsaKeypair::NistP521 {
                public: key.verifying_key().to_sec1_point(false),
                private: <[u8; 66]>::from(key.to_bytes()).into(),
            }),
            Self::Rsa(key) => KeypairData::Rsa(RsaKeypair::try_from(&**key).map_err(|_| KeyError::NotAKey)?),
            Self::Dss(key) => KeypairData::Dsa((&**key).into()),
        };
        Ok(pair)
    }
}

/// The system's random numbers, asked once before they are relied upon: later they do not fail.
pub(super) fn randomness() -> Result<UnwrapErr<SysRng>, KeyError> {
    getrandom::fill(&mut [0]).map_err(|_| KeyError::NoRandomness)?;
    Ok(UnwrapErr(SysRng))
}

/// Both halves of an ECDSA signature as `mpint`s (RFC 5656 section 3.1.2).
fn two_numbers(halves: &[u8]) -> Vec<u8> {
    let (r, s) = halves.split_at(halves.len() / 2);
    let mut numbers = Vec::new();
    numbers.put_mpint(r);
    numbers.put_mpint(s);
    numbers
}

/// Two numbers of 20 bytes each (RFC 4253 section 6.6).
fn dss_numbers(signature: &dsa::Signature) -> Vec<u8> {
    let mut numbers = Vec::new();
    for number in [signature.r(), signature.s()] {
        let bytes = number.to_be_bytes_trimmed_vartime();
        numbers.resize(numbers.len() + 20_usize.saturating_sub(bytes.len()), 0);
        numbers.extend_from_slice(&bytes);
    }
    numbers
}

fn blob(kind: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut blob = Vec::new();
    blob.put_string(kind.as_bytes());
    fields.iter().for_each(|field| blob.put_string(field));
    blob
}

fn number_blob(kind: &str, numbers: &[&[u8]]) -> Vec<u8> {
    let mut blob = blob(kind, &[]);
    numbers.iter().for_each(|number| blob.put_mpint(number));
    blob
}

fn ecdsa_blob(curve: &str, point: &[u8]) -> Vec<u8> {
    blob(&format!("ecdsa-sha2-{curve}"), &[curve.as_bytes(), point])
}
