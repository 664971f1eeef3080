//! The names of signatures.

/// What a signature says it was made with (RFC 8332 for RSA).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureAlgorithm {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    RsaSha512,
    RsaSha256,
    /// A security key (OpenSSH's PROTOCOL.u2f).
    SkEd25519,
    SkEcdsaP256,
    /// `ssh-rsa`, with SHA-1.
    RsaSha1,
    Dss,
}

impl SignatureAlgorithm {
    const ALL: [Self; 10] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::RsaSha512,
        Self::RsaSha256,
        Self::SkEd25519,
        Self::SkEcdsaP256,
        Self::RsaSha1,
        Self::Dss,
    ];

    /// As in a signature, and in the lists of a key exchange.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaSha512 => "rsa-sha2-512",
            Self::RsaSha256 => "rsa-sha2-256",
            other => other.key_kind(),
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The same signature, by a key that a certificate comes with: as in the lists of a key exchange and in a
    /// request for authentication (PROTOCOL.certkeys). The signature itself has [`Self::name`].
    pub fn certificate_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519-cert-v01@openssh.com",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384-cert-v01@openssh.com",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521-cert-v01@openssh.com",
            Self::RsaSha512 => "rsa-sha2-512-cert-v01@openssh.com",
            Self::RsaSha256 => "rsa-sha2-256-cert-v01@openssh.com",
            Self::SkEd25519 => "sk-ssh-ed25519-cert-v01@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
            Self::RsaSha1 => "ssh-rsa-cert-v01@openssh.com",
            Self::Dss => "ssh-dss-cert-v01@openssh.com",
        }
    }

    pub fn from_certificate_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.certificate_name() == name)
    }

    /// The kind of the keys that sign so.
    pub fn key_kind(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::RsaSha512 | Self::RsaSha256 | Self::RsaSha1 => "ssh-rsa",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
            Self::Dss => "ssh-dss",
        }
    }

    /// Those with which keys of this kind sign, best first. More than one only for RSA.
    pub fn of_kind(kind: &str) -> Vec<Self> {
        Self::ALL.into_iter().filter(|algorithm| algorithm.key_kind() == kind).collect()
    }

    /// With SHA-1.
    pub fn is_legacy(self) -> bool {
        matches!(self, Self::RsaSha1 | Self::Dss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_that_of_one_algorithm() {
        for algorithm in SignatureAlgorithm::ALL {
            assert_eq!(SignatureAlgorithm::from_name(algorithm.name()), Some(algorithm));
            let name = algorithm.certificate_name();
            assert_eq!(SignatureAlgorithm::from_certificate_name(name), Some(algorithm));
        }
        assert_eq!(SignatureAlgorithm::from_name("ssh-rsa"), Some(SignatureAlgorithm::RsaSha1));
        assert_eq!(SignatureAlgorithm::from_name("none"), None);
    }

    #[test]
    fn a_kind_of_keys_signs_best_first() {
        use SignatureAlgorithm::{RsaSha1, RsaSha256, RsaSha512, SkEd25519};
        assert_eq!(SignatureAlgorithm::of_kind("ssh-rsa"), [RsaSha512, RsaSha256, RsaSha1]);
        assert_eq!(SignatureAlgorithm::of_kind("sk-ssh-ed25519@openssh.com"), [SkEd25519]);
        assert_eq!(SignatureAlgorithm::of_kind("none"), []);
    }
}
