//! Local credential stores.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use keyward_model::Secret;

use crate::PatternHost;

/// Credentials that the document itself holds: `[[local-credential-store]]`.
#[derive(Clone, Debug)]
pub struct LocalCredentialStore {
    pub rows: Vec<CredentialRow>,
}

/// A key of the gateway that targets trust, and what it certifies: `[[certificate-authority]]`.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    /// The private key, PEM.
    pub key: Secret,
    /// Whom a certificate is for on the target. In them `{user}` stands for the remote user and `{gateway-user}` for the
    /// gateway user. Never empty.
    pub principals: Vec<String>,
    pub validity: Duration,
    /// `permit-pty` and so on.
    pub extensions: Vec<String>,
}

impl CertificateAuthority {
    /// The principals for a session; one that stands for a gateway user who is not there is left out.
    pub fn principals_for(&self, user: &str, gateway_user: Option<&str>) -> Vec<String> {
        let fill = |template: &String| {
            if gateway_user.is_none() && template.contains(GATEWAY_USER) {
                return None;
            }
            // Piece by piece: what is filled in is not looked at again.
            let pieces = template.split(USER);
            let pieces: Vec<String> =
                pieces.map(|piece| piece.replace(GATEWAY_USER, gateway_user.unwrap_or_default())).collect();
            Some(pieces.join(user))
        };
        self.principals.iter().filter_map(fill).collect()
    }
}

pub(crate) const USER: &str = "{user}";
pub(crate) const GATEWAY_USER: &str = "{gateway-user}";

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
