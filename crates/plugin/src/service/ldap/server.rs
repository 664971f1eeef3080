//! An LDAP server policy, as the configuration document has it.

use std::fmt;
use std::time::Duration;

use keyward_model::Secret;

use crate::service::CaList;

/// An LDAP server policy: where it is, and how users and groups are found there.
#[derive(Clone, Debug)]
pub struct LdapServer {
    /// Tried in this order until one can be reached.
    pub addresses: Vec<LdapAddress>,
    pub tls: LdapTls,
    /// `None`: anonymous.
    pub bind: Option<LdapBind>,
    /// The DN below which users and groups are.
    pub base: String,
    /// A filter (RFC 4515) that finds a user; `{user}` stands for the name.
    pub user_filter: String,
    pub groups: LdapGroups,
    /// For one request of a plugin as a whole, whatever it takes.
    pub timeout: Duration,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LdapAddress {
    /// A name or an address; with TLS, the certificate must have it.
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug)]
pub enum LdapTls {
    /// No protection at all.
    None,
    /// TLS on the same port, before anything else is said (RFC 4511 section 4.14).
    StartTls(CaList),
    /// TLS from the first byte: `ldaps`.
    Direct(CaList),
}

#[derive(Clone, Debug)]
pub struct LdapBind {
    pub dn: String,
    pub password: Secret,
}

/// What a group is, and how it names its members.
#[derive(Clone, Debug)]
pub struct LdapGroups {
    /// A filter (RFC 4515) that every group matches.
    pub filter: String,
    /// The attribute with the group's name.
    pub name: String,
    /// Attributes with the DNs of members, which may be groups.
    pub members: Vec<String>,
    /// Attributes with the names of users.
    pub member_names: Vec<String>,
}

impl fmt::Display for LdapAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
