//! What belongs to the machine that a gateway runs on: `[node]`.

use std::path::PathBuf;

use keyward_model::Secret;

/// What one node has for itself. It takes effect at a start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeSettings {
    /// Where the ledger, the recordings and the plugins are kept.
    pub data_dir: PathBuf,
    /// The server that has the database of the store; `None`: it is a file in the data directory.
    pub database: Option<DatabaseServer>,
    /// Where the key is that opens the secrets of the store; `None`: in the data directory.
    pub master_key: Option<MasterKeySource>,
    pub configuration: ConfigurationPlace,
}

/// A PostgreSQL, and how to log in there. `Debug` does not show the password.
#[derive(Clone, Debug)]
pub struct DatabaseServer {
    /// A name, an address, or the folder of its socket: that begins with a slash.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: String,
    /// `None`: the server knows the user by other means.
    pub password: Option<Secret>,
    /// A file with certificates in PEM, of authorities that are believed for the server beside the public ones.
    pub ca: Option<PathBuf>,
}

/// Where a master key is: 32 bytes, in hexadecimal digits or base64.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MasterKeySource {
    File(PathBuf),
    /// A variable of the gateway's environment.
    Environment(String),
    /// A program that prints it, and its arguments.
    Command(Vec<String>),
}

/// Where the policy document is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConfigurationPlace {
    /// It is the file that has the `[node]`.
    File,
    /// In the store, in revisions. The file has nothing but the `[node]`.
    Store,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/keyward"),
            database: None,
            master_key: None,
            configuration: ConfigurationPlace::File,
        }
    }
}

impl PartialEq for DatabaseServer {
    /// The password counts. Both are the administrator's: nobody learns from the time that it takes.
    fn eq(&self, other: &Self) -> bool {
        let facts = |server: &Self| {
            let Self { host, port, user, database, password: _, ca } = server.clone();
            (host, port, user, database, ca)
        };
        let password = |server: &Self| server.password.as_ref().map(|password| password.expose().to_owned());
        facts(self) == facts(other) && password(self) == password(other)
    }
}

impl Eq for DatabaseServer {}
