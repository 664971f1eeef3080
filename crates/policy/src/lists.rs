//! Lists that plugins may ask for by name (contract section 7).

use std::collections::BTreeSet;

/// `[[user-list]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserList {
    /// Who is on the list, apart from the exceptions.
    pub default: UserListDefault,
    /// Compared exactly.
    pub exceptions: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserListDefault {
    AllUsers,
    NoUser,
}

/// `[[trusted-ca-list]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedCaList {
    /// PEM, one certificate each. Never empty.
    pub certificates: Vec<String>,
    /// PEM, one revocation list each.
    pub crls: Vec<String>,
    /// Whether plugins are told to check that a certificate has the name of the host.
    pub strict_host_check: bool,
}

impl UserListDefault {
    /// The word of the document and of plugins.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllUsers => "all_users",
            Self::NoUser => "no_user",
        }
    }
}
