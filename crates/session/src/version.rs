//! What sessions are judged by at a time: a policy, and the versions of the plugin instances that it names.
//!
//! A session takes both at its door and keeps them to its end, so that no session is answered by a mixture of two
//! policies, or by two versions of a plugin.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use keyward_model::InstanceName;
use keyward_plugin::{Instance, PeopleDirectory};
use keyward_policy::{Backend, Connection, CredentialSource, Policy};
use keyward_store::RevisionId;

use crate::service::ldap_server;

/// A plugin instance of one version: a bundle with a configuration.
#[derive(Clone, Debug)]
pub struct PluginVersion {
    pub instance: Instance,
    /// By which the ledger knows the version; `None`: the ledger cannot tell it from others of the instance, so that
    /// debts are paid by whatever the instance is then.
    pub revision: Option<RevisionId>,
}

/// A version that could not be loaded.
#[derive(Debug)]
pub struct NotLoadable {
    /// For the log, with the causes.
    pub error: String,
}

/// What [`OldVersions::load`] returns.
pub type Loading = Pin<Box<dyn Future<Output = Result<Instance, NotLoadable>> + Send>>;

/// Loads versions which sessions of an earlier run of the gateway began with, and that are owed their ends.
pub trait OldVersions: fmt::Debug + Send + Sync {
    /// Cancel-safe.
    fn load(&self, instance: &InstanceName, revision: RevisionId) -> Loading;
}

/// For a gateway that has had no earlier run.
#[derive(Clone, Copy, Debug)]
pub struct NoOldVersions;

impl OldVersions for NoOldVersions {
    fn load(&self, instance: &InstanceName, revision: RevisionId) -> Loading {
        let error = format!("there was no earlier run with revision {revision} of {instance}");
        Box::pin(std::future::ready(Err(NotLoadable { error })))
    }
}

/// What holds for the sessions that begin now.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) policy: Arc<Policy>,
    pub(crate) plugins: HashMap<InstanceName, PluginVersion>,
    /// By name, those of which the policy says that they know the people.
    directories: HashMap<String, Arc<PeopleDirectory>>,
}

impl Current {
    pub(crate) fn new(policy: Arc<Policy>, plugins: HashMap<InstanceName, PluginVersion>) -> Self {
        let servers: HashSet<&String> =
            policy.connections.iter().filter_map(|connection| server_of(connection)).collect();
        let directory =
            |name: &String| match PeopleDirectory::new(&ldap_server(policy.ldap_servers.get(name)?)) {
                Ok(directory) => Some((name.clone(), Arc::new(directory))),
                Err(error) => {
                    tracing::error!(ldap_server = name, %error, "nobody can be authenticated by this server");
                    None
                }
            };
        let directories = servers.into_iter().filter_map(directory).collect();
        Self { policy, plugins, directories }
    }

    /// The directory that authenticates people on `connection`.
    pub(crate) fn directory_of(&self, connection: &Connection) -> Option<Arc<PeopleDirectory>> {
        self.directories.get(server_of(connection)?).cloned()
    }

    /// The versions that a session on `connection` may call.
    pub(crate) fn plugins_of(&self, connection: &Connection) -> HashMap<InstanceName, PluginVersion> {
        let store = match &connection.credential_store {
            CredentialSource::Plugin(instance) => Some(instance),
            CredentialSource::None | CredentialSource::Local(_) | CredentialSource::Authority(_) => None,
        };
        let named = connection.aa_plugin.iter().chain(store);
        named.filter_map(|name| Some((name.clone(), self.plugins.get(name)?.clone()))).collect()
    }
}

fn server_of(connection: &Connection) -> Option<&String> {
    match &connection.authentication.as_ref()?.backend {
        Backend::Local => None,
        Backend::Ldap { server, .. } => Some(server),
    }
}
