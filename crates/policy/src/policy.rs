//! The snapshot that connections are judged by, and how a document becomes one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyward_model::{ConnectionName, InstanceName, Secret};

use crate::connection::canonical;
use crate::{
    CertificateAuthority, Connection, Indexing, LdapServer, LocalCredentialStore, LocalUser, NodeSettings,
    ObjectStorePolicy, PluginInstance, PolicyError, PythonEnvironment, TrustedCaList, UserList, document,
};

/// A document that was checked as a whole. It does not change; `Debug` shows no secret of it.
#[derive(Clone, Debug)]
pub struct Policy {
    pub node: NodeSettings,
    pub gateway: GatewaySettings,
    /// In the order of the document: the first that matches takes the client.
    pub connections: Vec<Arc<Connection>>,
    pub plugins: BTreeMap<InstanceName, PluginInstance>,
    pub environments: BTreeMap<String, PythonEnvironment>,
    pub users: BTreeMap<String, LocalUser>,
    pub credential_stores: BTreeMap<String, LocalCredentialStore>,
    pub certificate_authorities: BTreeMap<String, CertificateAuthority>,
    pub user_lists: BTreeMap<String, UserList>,
    pub ldap_servers: BTreeMap<String, LdapServer>,
    pub trusted_cas: BTreeMap<String, TrustedCaList>,
}

/// What holds for the gateway as a whole: `[gateway]`.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// The name of this gateway, which plugins may ask for (contract section 7).
    pub host_name: String,
    /// The proxy that plugins are told to use.
    pub http_proxy: Option<HttpProxy>,
    /// The Starling join string that plugins may ask for.
    pub starling_join: Option<Secret>,
    /// Sessions at one time, over all connections.
    pub max_sessions: NonZeroUsize,
    /// How many of them may be not logged in yet: each hop of a jump host counts until it has logged in on its server.
    pub max_log_ins: NonZeroUsize,
    /// Hook calls at one time (contract section 3, "Many at once").
    pub max_plugin_calls: NonZeroUsize,
    /// Bytes of memory that the machine must have left for a session to begin with a plugin call.
    pub min_free_memory: u64,
    /// What the interpreters that wait for calls hold together, over all plugin instances, in bytes; `None`: a quarter of
    /// the machine's memory.
    pub plugin_memory: Option<u64>,
    /// Bytes of all recordings together, of which the oldest are deleted past it; `None`: as much as the disk takes.
    pub keep_at_most: Option<u64>,
    /// Where recordings go when they are finished; `None`: they stay where they are.
    pub object_store: Option<Arc<ObjectStorePolicy>>,
    /// How long the gateway waits at a stop for its sessions to be ended and settled.
    pub drain: Duration,
    /// The first of the user ids that plugin workers run as; `None`: as the gateway's own user.
    pub plugin_user_base: Option<u32>,
    /// Whether the gateway refuses to run where a part of the confinement of plugins is missing.
    pub strict: bool,
}

/// An HTTP proxy as plugins get it.
#[derive(Clone, Debug)]
pub struct HttpProxy {
    pub server: String,
    pub port: u16,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        const SESSIONS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
        const LOG_INS: NonZeroUsize = NonZeroUsize::new(500).unwrap();
        const MIB: u64 = 1024 * 1024;
        const CALLS: NonZeroUsize = NonZeroUsize::new(500).unwrap();
        Self {
            host_name: "localhost".into(),
            http_proxy: None,
            starling_join: None,
            max_sessions: SESSIONS,
            max_log_ins: LOG_INS,
            max_plugin_calls: CALLS,
            min_free_memory: 64 * MIB,
            plugin_memory: None,
            keep_at_most: None,
            object_store: None,
            drain: Duration::from_secs(30),
            plugin_user_base: None,
            strict: false,
        }
    }
}

impl Policy {
    /// A larger document, or a larger file that it names, is refused unread.
    pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

    /// Reads and checks the document at `path`; relative paths in it start at its folder.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        // The document may hold secrets, so that its text is wiped like one.
        let text = Secret::new(read_text(path)?);
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(text.expose(), base, &path.display().to_string())
    }

    /// Checks a document that is already in memory.
    ///
    /// Relative paths in it start at `base`; `name` is what errors call the document.
    pub fn parse(text: &str, base: &Path, name: &str) -> Result<Self, PolicyError> {
        document::read(text, base, name, None)
    }

    /// Checks a document of the store for a node, which it does not have itself: [`ConfigurationPlace::Store`].
    ///
    /// [`ConfigurationPlace::Store`]: crate::ConfigurationPlace::Store
    pub fn parse_stored(
        text: &str,
        node: &NodeSettings,
        base: &Path,
        name: &str,
    ) -> Result<Self, PolicyError> {
        document::read(text, base, name, Some(node))
    }

    /// Whether a gateway can run with this policy: a document for `keyward plugin call` need not have
    /// connections.
    pub fn check_runnable(&self) -> Result<(), PolicyError> {
        if self.connections.iter().any(|connection| connection.active) {
            Ok(())
        } else {
            Err(PolicyError::NothingToRun)
        }
    }

    /// How long the recordings of the connection of this name are kept after their sessions; `None`: for ever,
    /// as those of a connection that the document does not have.
    pub fn keeps_for(&self, connection: &ConnectionName) -> Option<Duration> {
        let found = self.connections.iter().find(|found| found.name == *connection)?;
        found.audit.as_ref()?.keep_for
    }

    /// When recordings of the connection of this name are indexed; [`Indexing::Later`] for one that the document does not
    /// have.
    pub fn indexing_of(&self, connection: &ConnectionName) -> Indexing {
        let found = self.connections.iter().find(|found| found.name == *connection);
        found.and_then(|found| found.audit.as_ref()).map_or(Indexing::Later, |audit| audit.index)
    }

    /// Whether there are recordings that are not kept for ever.
    pub fn has_terms(&self) -> bool {
        self.connections.iter().any(|connection| self.keeps_for(&connection.name).is_some())
    }

    /// The first active connection, in the order of the document, that listens on `listener` and takes `client`.
    ///
    /// `listener` is the address as the document has it, not the one that a bind to port 0 chose.
    /// An IPv4 address inside an IPv6 one (`::ffff:10.0.0.1`) counts as the IPv4 address.
    pub fn connection_for(&self, listener: SocketAddr, client: IpAddr) -> Option<&Arc<Connection>> {
        let listener = canonical(listener);
        self.connections.iter().find(|connection| connection.takes(listener, client.to_canonical()))
    }
}

/// A text file of bounded size. Errors name the file.
pub(crate) fn read_text(path: &Path) -> Result<String, PolicyError> {
    String::from_utf8(read_bytes(path)?).map_err(|_| PolicyError::NotUtf8(path.to_owned()))
}

/// The same without its being text.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, PolicyError> {
    let failed = |source| PolicyError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(Policy::MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > Policy::MAX_BYTES {
        return Err(PolicyError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}
