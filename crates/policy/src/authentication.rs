//! How the gateway itself finds out who a person is.

use std::ops::RangeInclusive;

use crate::Revocations;

/// `[[authentication]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authentication {
    pub name: String,
    /// Alternatives in the order in which they are offered: one of them must succeed whole, its methods in their order.
    /// Never empty, nor is any of them; no method is twice in one.
    pub sequences: Vec<Vec<Method>>,
    pub backend: Backend,
    /// Who may sign certificates of users.
    pub user_cas: Vec<UserCa>,
    /// Keys that nobody may use any more, in certificates neither, and authorities that are believed no more; in
    /// OpenSSH's text form without comment.
    pub revoked_keys: Vec<String>,
    /// What key revocation lists say beside them.
    pub revocations: Revocations,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// A key, or a certificate of one.
    PublicKey,
    Password,
    KeyboardInteractive,
}

impl Method {
    /// The word of the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PublicKey => "public-key",
            Self::Password => "password",
            Self::KeyboardInteractive => "keyboard-interactive",
        }
    }
}

/// Who knows the passwords, keys and groups.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Backend {
    /// The `[[user]]` entries of the document.
    Local,
    Ldap {
        /// The name of an `[[ldap-server]]`.
        server: String,
        /// The attribute with a user's public keys.
        public_keys: String,
    },
}

/// An authority for the certificates of users: `[[authentication.user-ca]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserCa {
    /// In OpenSSH's text form without comment: `ssh-ed25519 AAAA...`.
    pub key: String,
    /// Of certificates that are valid no more.
    pub revoked_serials: Vec<RangeInclusive<u64>>,
    /// Of certificates that are valid no more.
    pub revoked_key_ids: Vec<String>,
}

impl UserCa {
    /// Whether a certificate of this authority is one that it has taken back.
    fn has_revoked(&self, serial: u64, key_id: &str) -> bool {
        self.revoked_serials.iter().any(|range| range.contains(&serial))
            || self.revoked_key_ids.iter().any(|revoked| revoked == key_id)
    }
}

impl Authentication {
    pub fn has_revoked(&self, key: &str) -> bool {
        self.revoked_keys.iter().any(|revoked| revoked == key) || self.revocations.have_key(key)
    }

    /// Whether this key is that of an authority, which is believed still.
    pub fn has_user_ca(&self, key: &str) -> bool {
        self.user_cas.iter().any(|ca| ca.key == key) && !self.has_revoked(key)
    }

    /// Whether any entry with this authority's key, or a key revocation list, has taken the certificate back.
    pub fn has_revoked_certificate(&self, authority: &str, serial: u64, key_id: &str) -> bool {
        let mut entries = self.user_cas.iter().filter(|ca| ca.key == authority);
        entries.any(|ca| ca.has_revoked(serial, key_id))
            || self.revocations.have_certificate(authority, serial, key_id)
    }
}
