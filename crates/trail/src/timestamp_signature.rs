//! The algorithms of timestamps: which there are, and how a signature is held against a key.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use der::asn1::ObjectIdentifier;
use der::referenced::OwnedToRef;
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoOwned};

use crate::timestamp_token::TokenError;

const SHA1_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
pub(crate) const SHA256_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// A hash that a token may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Digest {
    /// Only in the older attribute that names the certificate (RFC 2634), which knows no other; nothing is signed with it.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    /// # Errors
    /// Also for SHA-1, which nobody may choose.
    pub(crate) fn of(algorithm: AlgorithmIdentifierRef<'_>) -> Result<Self, TokenError> {
        has_no_parameters(algorithm)?;
        match algorithm.oid {
            SHA256_ID => Ok(Self::Sha256),
            SHA384_ID => Ok(Self::Sha384),
            SHA512_ID => Ok(Self::Sha512),
            SHA1_ID => Err(TokenError::Algorithm("SHA-1".to_owned())),
            other => Err(TokenError::Algorithm(other.to_string())),
        }
    }

    pub(crate) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}

/// A way to check a signature.
pub(crate) struct Algorithm(&'static dyn VerificationAlgorithm);

impl Algorithm {
    /// `named`: what the token says that the signature is, which must fit the hash and the key.
    pub(crate) fn of(
        named: AlgorithmIdentifierRef<'_>,
        digest: Digest,
        key: &SubjectPublicKeyInfoOwned,
    ) -> Result<Self, TokenError> {
        has_no_parameters(named)?;
        let unknown = || TokenError::Algorithm(format!("{} with {}", named.oid, key.algorithm.oid));
        let curve = match key.algorithm.oid {
            RSA => None,
            EC => Some(key.algorithm.owned_to_ref().parameters_oid().map_err(|_| unknown())?),
            _ => return Err(unknown()),
        };
        Ok(Self(match (named.oid, curve, digest) {
            (RSA | RSA_SHA256, None, Digest::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
            (RSA | RSA_SHA384, None, Digest::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
            (RSA | RSA_SHA512, None, Digest::Sha512) => &RSA_PKCS1_2048_8192_SHA512,
            (ECDSA_SHA256, Some(P256), Digest::Sha256) => &ECDSA_P256_SHA256_ASN1,
            (ECDSA_SHA384, Some(P256), Digest::Sha384) => &ECDSA_P256_SHA384_ASN1,
            (ECDSA_SHA512, Some(P256), Digest::Sha512) => &ECDSA_P256_SHA512_ASN1,
            (ECDSA_SHA256, Some(P384), Digest::Sha256) => &ECDSA_P384_SHA256_ASN1,
            (ECDSA_SHA384, Some(P384), Digest::Sha384) => &ECDSA_P384_SHA384_ASN1,
            (ECDSA_SHA512, Some(P384), Digest::Sha512) => &ECDSA_P384_SHA512_ASN1,
            (ECDSA_SHA256, Some(P521), Digest::Sha256) => &ECDSA_P521_SHA256_ASN1,
            (ECDSA_SHA384, Some(P521), Digest::Sha384) => &ECDSA_P521_SHA384_ASN1,
            (ECDSA_SHA512, Some(P521), Digest::Sha512) => &ECDSA_P521_SHA512_ASN1,
            _ => return Err(unknown()),
        }))
    }

    pub(crate) fn verify(
        &self,
        key: &SubjectPublicKeyInfoOwned,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenError> {
        let key = key.subject_public_key.as_bytes().ok_or(TokenError::Form("key"))?;
        UnparsedPublicKey::new(self.0, key).verify(message, signature).map_err(|_| TokenError::Signature)
    }
}

/// Parameters are absent or NULL in all that is known here.
fn has_no_parameters(algorithm: AlgorithmIdentifierRef<'_>) -> Result<(), TokenError> {
    if algorithm.parameters.is_none_or(|parameters| parameters.is_null()) {
        return Ok(());
    }
    Err(TokenError::Algorithm(format!("{} with parameters", algorithm.oid)))
}
