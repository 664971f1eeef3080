//! The key exchange methods by their names on the wire, and the hashes that they use.

use aws_lc_rs::digest;

/// A key exchange method (RFC 4253 section 8, RFC 4419, RFC 5656, RFC 8268, RFC 8731,
/// draft-ietf-sshm-mlkem-hybrid-kex, draft-ietf-sshm-ntruprime-ssh).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    MlKem768X25519,
    Sntrup761X25519,
    /// The same as `Sntrup761X25519`, by the name it had before its draft.
    Sntrup761X25519OpenSsh,
    Curve25519,
    /// The same as `Curve25519`, by the name it had before RFC 8731.
    Curve25519LibSsh,
    EcdhP256,
    EcdhP384,
    EcdhP521,
    DhGroup18,
    DhGroup16,
    DhGroup14Sha256,
    GroupExchangeSha256,
    /// This one and those after it are for old devices only (RFC 9142).
    GroupExchangeSha1,
    DhGroup14Sha1,
    DhGroup1Sha1,
}

impl Method {
    /// Every method, the best first.
    pub const ALL: [Self; 15] = [
        Self::MlKem768X25519,
        Self::Sntrup761X25519,
        Self::Sntrup761X25519OpenSsh,
        Self::Curve25519,
        Self::Curve25519LibSsh,
        Self::EcdhP256,
        Self::EcdhP384,
        Self::EcdhP521,
        Self::DhGroup18,
        Self::DhGroup16,
        Self::DhGroup14Sha256,
        Self::GroupExchangeSha256,
        Self::GroupExchangeSha1,
        Self::DhGroup14Sha1,
        Self::DhGroup1Sha1,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::MlKem768X25519 => "mlkem768x25519-sha256",
            Self::Sntrup761X25519 => "sntrup761x25519-sha512",
            Self::Sntrup761X25519OpenSsh => "sntrup761x25519-sha512@openssh.com",
            Self::Curve25519 => "curve25519-sha256",
            Self::Curve25519LibSsh => "curve25519-sha256@libssh.org",
            Self::EcdhP256 => "ecdh-sha2-nistp256",
            Self::EcdhP384 => "ecdh-sha2-nistp384",
            Self::EcdhP521 => "ecdh-sha2-nistp521",
            Self::DhGroup18 => "diffie-hellman-group18-sha512",
            Self::DhGroup16 => "diffie-hellman-group16-sha512",
            Self::DhGroup14Sha256 => "diffie-hellman-group14-sha256",
            Self::GroupExchangeSha256 => "diffie-hellman-group-exchange-sha256",
            Self::GroupExchangeSha1 => "diffie-hellman-group-exchange-sha1",
            Self::DhGroup14Sha1 => "diffie-hellman-group14-sha1",
            Self::DhGroup1Sha1 => "diffie-hellman-group1-sha1",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The hash of the exchange and of the keys derived from it.
    pub fn hash(self) -> Hash {
        match self {
            Self::MlKem768X25519 | Self::Curve25519 | Self::Curve25519LibSsh => Hash::Sha256,
            Self::EcdhP256 | Self::DhGroup14Sha256 | Self::GroupExchangeSha256 => Hash::Sha256,
            Self::EcdhP384 => Hash::Sha384,
            Self::Sntrup761X25519 | Self::Sntrup761X25519OpenSsh => Hash::Sha512,
            Self::EcdhP521 | Self::DhGroup18 | Self::DhGroup16 => Hash::Sha512,
            Self::GroupExchangeSha1 | Self::DhGroup14Sha1 | Self::DhGroup1Sha1 => Hash::Sha1,
        }
    }

    /// The server chooses the group (RFC 4419).
    pub fn is_group_exchange(self) -> bool {
        matches!(self, Self::GroupExchangeSha256 | Self::GroupExchangeSha1)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The hash of the parts, one after the other.
    pub fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        self.compute(parts).as_ref().to_vec()
    }

    pub(super) fn compute(self, parts: &[&[u8]]) -> digest::Digest {
        let mut context = digest::Context::new(match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        });
        for part in parts {
            context.update(part);
        }
        context.finish()
    }
}
