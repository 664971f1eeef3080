//! Why an LDAP server has no answer.

use std::io;

use super::guard::GuardError;

/// By whose fault a question to an LDAP server has no answer. Plugins read it, and none of it is a secret.
#[derive(Debug, thiserror::Error)]
pub(in crate::service) enum LdapError {
    /// Not a fault: nobody has this name.
    #[error("user not found")]
    UserNotFound,
    /// The plugin's.
    #[error("{0}")]
    Question(String),
    /// The plugin's: it asked for what is not text.
    #[error("LDAP attribute is not UTF-8 string: {0}")]
    NotText(String),
    /// The configuration's: the user filter does not tell users apart.
    #[error("the user filter finds more than one entry")]
    Ambiguous,
    /// The environment's.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the server did not answer within {0} s")]
    Late(u64),
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    /// The server's, or the configuration's.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    #[error("the server refused {0}: {1}")]
    Refused(&'static str, String),
    /// The server's: more than is taken from it.
    #[error("{0}")]
    TooMuch(String),
    #[error("the server does not speak LDAP: {0}")]
    Malformed(#[from] GuardError),
    #[error("the server does not speak LDAP: {0}")]
    Broken(String),
}

/// Why an LDAP server policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LdapConfigError {
    #[error("the filter {0:?} is no LDAP filter (RFC 4515)")]
    Filter(String),
    #[error("certificate {0} of its trusted CA list cannot be used: {1}")]
    Certificate(usize, String),
    #[error("revocation list {0} of its trusted CA list cannot be used")]
    RevocationList(usize),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}
