//! What belongs to the machine that a gateway runs on: `[node]`.

use std::path::PathBuf;

/// What one node has for itself. It takes effect at a start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeSettings {
    /// Where the ledger, the recordings and the plugins are kept.
    pub data_dir: PathBuf,
    pub configuration: ConfigurationPlace,
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
        Self { data_dir: PathBuf::from("/var/lib/keyward"), configuration: ConfigurationPlace::File }
    }
}
