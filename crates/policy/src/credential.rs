//! Local credential stores.

use std::fmt;
use std::net::IpAddr;

use keyward_model::Secret;

use crate::PatternHost;

/// Credentials that the document itself holds: `[[local-credential-store]]`.
#[derive(Clone, Debug)]
pub struct LocalCredentialStore {
    pub rows: Vec<CredentialRow>,
}

/// The credentials of one user on some hosts.
#[derive(Clone, Debug)]
pub struct CredentialRow {
    pub host: CredentialHost,
    pub user: String,
    /// Tried in this order.
    pub passwords: Vec<Secret>,
    /// Tried in this order.
    pub keys: Vec<StoredKey>,
}

/// The hosts of a row: a pattern, or any other text, since plugins look up what they please (contract section 7).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CredentialHost {
    /// As the document has it.
    pub text: String,
    /// `None`: only the very same text is meant.
    pub pattern: Option<PatternHost>,
}

#[derive(Clone, Debug)]
pub struct StoredKey {
    /// `ssh-rsa`, `ssh-dss`, `x509v3-sign-rsa`...
    pub kind: String,
    /// The private key, PEM.
    pub key: Secret,
    /// The certificate, PEM, for the X.509 kinds.
    pub cert: Option<String>,
}

impl LocalCredentialStore {
    /// The rows for this user on this host, in the order of the document.
    ///
    /// `host` may be a name, an address, or the text that a plugin looks up; it is also compared as written.
    pub fn find(
        &self,
        host: Option<&str>,
        addr: Option<IpAddr>,
        user: &str,
    ) -> impl Iterator<Item = &CredentialRow> {
        // A plugin asks by text alone, and that text may be an address.
        let addr = addr.or_else(|| host?.parse().ok());
        self.rows.iter().filter(move |row| row.user == user && row.host.matches(host, addr))
    }
}

impl CredentialHost {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), pattern: PatternHost::parse(text) }
    }

    fn matches(&self, host: Option<&str>, addr: Option<IpAddr>) -> bool {
        host == Some(&self.text) || self.pattern.as_ref().is_some_and(|pattern| pattern.matches(host, addr))
    }
}

impl fmt::Display for CredentialHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
