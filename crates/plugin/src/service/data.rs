//! The gateway's own settings and lists, as plugins may ask for them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keyward_model::Secret;

use super::LdapServer;

/// Everything that the services answer from; taken from the configuration document.
#[derive(Clone, Debug, Default)]
pub struct ServiceData {
    /// The gateway's name, `BoxConfig.get_gateway_fqdn`.
    pub host_name: String,
    pub http_proxy: Option<HttpProxy>,
    pub starling_join: Option<Secret>,
    /// Local credential stores by name.
    pub credential_stores: BTreeMap<String, Vec<StoreRow>>,
    pub user_lists: BTreeMap<String, UserList>,
    /// LDAP server policies by name.
    pub ldap_servers: BTreeMap<String, LdapServer>,
    /// Trusted CA lists by name.
    pub trusted_cas: BTreeMap<String, CaList>,
    /// Where a directory of hashed PEM files is made for each trusted CA list. Readable by the plugins.
    pub ca_dir: PathBuf,
}

#[derive(Clone, Debug)]
pub struct HttpProxy {
    pub server: String,
    pub port: u16,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

/// One credential of a local credential store.
#[derive(Clone, Debug)]
pub struct StoreRow {
    /// Compared as it is written, without regard to ASCII case.
    pub host: String,
    pub user: String,
    pub credential: StoredCredential,
}

#[derive(Clone, Debug)]
pub enum StoredCredential {
    Password(Secret),
    Key {
        /// `ssh-rsa`, or with a certificate `x509v3-sign-rsa`.
        kind: String,
        key: Secret,
        cert: Option<String>,
    },
}

/// A user list policy, case sensitive.
#[derive(Clone, Debug)]
pub struct UserList {
    /// The exceptions from the default.
    pub names: Vec<String>,
    /// The default: `true` for `all_users`, `false` for `no_user`.
    pub all_users: bool,
}

/// A trusted CA list: PEM texts.
#[derive(Clone, Debug, Default)]
pub struct CaList {
    pub certs: Vec<String>,
    pub crls: Vec<String>,
    /// `config.strict_hostcheck` of the list, which plugins may heed.
    pub strict_host_check: bool,
}
