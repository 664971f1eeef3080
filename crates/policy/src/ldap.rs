//! LDAP servers that plugins may ask by name (contract section 7).

use std::time::Duration;

use keyward_model::Secret;

use crate::TrustedCaList;

/// `[[ldap-server]]`.
#[derive(Clone, Debug)]
pub struct LdapServer {
    /// Tried in this order. Never empty.
    pub addresses: Vec<LdapAddress>,
    pub tls: LdapTls,
    /// `None`: anonymous.
    pub bind: Option<LdapBind>,
    /// The DN below which users and groups are.
    pub base: String,
    /// A filter (RFC 4515) with `{user}` for the user's name.
    pub user_filter: String,
    pub groups: LdapGroups,
    /// For one question of a plugin.
    pub timeout: Duration,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LdapAddress {
    /// A name or an address.
    pub host: String,
    pub port: u16,
}

/// How the connection is protected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LdapTls {
    None,
    /// TLS that is begun on the port of LDAP, with whom this list trusts.
    StartTls(TrustedCaList),
    /// TLS from the first byte, with whom this list trusts.
    Ldaps(TrustedCaList),
}

#[derive(Clone, Debug)]
pub struct LdapBind {
    pub dn: String,
    pub password: Secret,
}

/// What a group is, and how it names its members.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LdapGroups {
    /// A filter (RFC 4515) that every group matches.
    pub filter: String,
    /// The attribute with the group's name.
    pub name: String,
    /// Attributes with the DNs of members.
    pub members: Vec<String>,
    /// Attributes with the names of users.
    pub member_names: Vec<String>,
}
