//! What can be wrong with a key, a signature or a certificate.

use crate::wire::Malformed;

/// Why a key, a signature or a certificate is refused. No text of a private key is in any of them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("it is longer than any key")]
    TooLong,
    #[error("keys of this kind are not supported")]
    UnknownKind,
    #[error("an RSA key has 1024 to 16384 bits, a DSA key 1024")]
    Size,
    #[error("its numbers are not those of a key")]
    NotAKey,

    #[error("it is no public key in OpenSSH's form: a type, base64, a comment")]
    NotOpenSsh,
    #[error("it is no private key in PEM")]
    NotPem,
    #[error("its private half is not that of its public half")]
    Mismatch,
    #[error("it needs a passphrase")]
    NeedsPassphrase,
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    #[error("it is encrypted in a way that is not supported; ssh-keygen -p writes it anew")]
    UnknownEncryption,
    #[error("its passphrase would take too long to check; ssh-keygen -p writes it anew")]
    TooCostly,
    #[error("the system gives no random numbers")]
    NoRandomness,

    #[error("a key of this kind makes no such signatures")]
    OtherAlgorithm,
    #[error("the signature is wrong")]
    WrongSignature,
    #[error("an RSA key that signs has 2048 bits or more")]
    ShortModulus,
    #[error("nobody touched the security key")]
    NoPresence,
    #[error("no security key has checked who touched it")]
    NotVerified,
    #[error("the key cannot sign this")]
    CannotSign,

    #[error("the certificate is for the other of users and hosts")]
    OtherPurpose,
    #[error("the certificate's authority is not one of those that are trusted")]
    UnknownAuthority,
    #[error("the certificate's authority signed it with SHA-1")]
    LegacyAuthority,
    #[error("the certificate is not valid yet")]
    NotYetValid,
    #[error("the certificate has expired")]
    Expired,
    #[error("the certificate lists no principals")]
    NoPrincipals,
    #[error("the certificate does not list this principal")]
    OtherPrincipal,
    #[error("the certificate has a critical option that is not known: {0:?}")]
    UnknownOption(String),
}
