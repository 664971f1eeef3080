//! From the policy's plugin instances to loaded ones.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context, bail};
use keyward_model::{InstanceName, Secret};
use keyward_plugin::{
    Bounds, Bundle, BundleError, Environment, HostConfig, Instance, InstanceConfig, Network, PluginError,
    PluginHost, PythonMajor, Reachable, ReachableHost, Start, UnpackedBundle,
};
use keyward_policy::{
    Connection, CredentialSource, HostPattern, PatternHost, PatternPort, PluginInstance, PluginStart, Policy,
};
use keyward_session::{Loading, NotLoadable, OldVersions, PluginVersion, service_data};
use keyward_store::{PluginRevision, RevisionId, Store, StoredBundle};

use crate::command::shown;
use crate::data_dir::DataDir;

pub(crate) fn start_host(policy: &Policy, data: &DataDir) -> anyhow::Result<PluginHost> {
    let runtime = data.0.join("worker");
    Ok(PluginHost::start(HostConfig {
        worker_dir: runtime,
        max_calls: policy.gateway.max_plugin_calls.get(),
        min_free_memory: policy.gateway.min_free_memory,
        memory: policy.gateway.plugin_memory,
        services: service_data(policy, data.trusted_ca()),
        own_user_base: policy.gateway.plugin_user_base,
        strict: policy.gateway.strict,
    })?)
}

/// Uploads of a bundle that are kept, the current one among them.
const KEPT_UPLOADS: u32 = 3;

/// A plugin instance whose current bundle could not be loaded.
#[derive(Debug)]
pub(crate) struct NotLoaded {
    pub(crate) instance: PluginInstance,
    pub(crate) error: anyhow::Error,
}

/// Loads the plugin instances of one policy.
#[derive(Clone, Debug)]
pub(crate) struct Loader {
    policy: Arc<Policy>,
    store: Store,
    /// With the services of the policy.
    host: PluginHost,
    data: Arc<DataDir>,
}

impl Loader {
    pub(crate) fn new(policy: Arc<Policy>, store: Store, host: PluginHost, data: DataDir) -> Self {
        Self { policy, store, host, data: Arc::new(data) }
    }

    /// The same for another policy.
    pub(crate) fn for_policy(&self, policy: Arc<Policy>) -> anyhow::Result<Self> {
        let host = self.host.with_services(service_data(&policy, self.data.trusted_ca()))?;
        Ok(Self { policy, host, store: self.store.clone(), data: Arc::clone(&self.data) })
    }

    pub(crate) fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Loads every instance that the policy names; one that fails says which, and none is there.
    pub(crate) async fn load_all(&self) -> anyhow::Result<HashMap<InstanceName, PluginVersion>> {
        let mut loaded = HashMap::new();
        for instance in self.policy.plugins.values() {
            loaded.insert(instance.name.clone(), self.load(instance).await?);
        }
        Ok(loaded)
    }

    /// Loads every instance that can be loaded, and tells whose current bundle cannot be, and why.
    pub(crate) async fn load_each(&self) -> (HashMap<InstanceName, PluginVersion>, Vec<NotLoaded>) {
        let (mut loaded, mut failed) = (HashMap::new(), Vec::new());
        for instance in self.policy.plugins.values() {
            let version = match self.load(instance).await {
                Ok(version) => Some(version),
                Err(error) => {
                    failed.push(NotLoaded { instance: instance.clone(), error });
                    self.load_last(instance).await
                }
            };
            loaded.extend(version.map(|version| (instance.name.clone(), version)));
        }
        (loaded, failed)
    }

    /// The bundle that served last, where it is not the one that is current: what was refused while the gateway ran is
    /// no better after a restart.
    async fn load_last(&self, instance: &PluginInstance) -> Option<PluginVersion> {
        let all = self.store.plugin_status().await.ok()?;
        let last = all.into_iter().find(|status| status.instance == instance.name)?.checksum?;
        let current = self.store.bundle(&instance.bundle).await.ok()??;
        let stored = self.store.bundle_by_checksum(&last).await.ok()??;
        if current.checksum == last || stored.name != instance.bundle {
            return None;
        }
        self.load_bundle(instance, stored).await.ok()
    }

    /// Forgets bundles that nothing needs any more, with the folders that they were unpacked to. Only at a start, once
    /// every instance was loaded that can be.
    pub(crate) async fn forget_old_bundles(&self) -> anyhow::Result<()> {
        let forgotten = self.store.forget_archives(KEPT_UPLOADS).await?;
        let kept: HashSet<String> =
            self.store.all_bundles().await?.into_iter().map(|bundle| bundle.checksum).collect();
        let folder = self.data.bundles();
        let removed = tokio::task::spawn_blocking(move || remove_others(&folder, &kept)).await??;
        if forgotten > 0 || removed > 0 {
            tracing::info!(forgotten, removed, "old bundles, and folders of such, were removed");
        }
        Ok(())
    }

    /// Loads the bundle that is current in the store, and has the ledger know the version. Cancel-safe.
    pub(crate) async fn load(&self, instance: &PluginInstance) -> anyhow::Result<PluginVersion> {
        let loaded = self.load_current(instance).await;
        loaded.inspect_err(log_traceback).map_err(|error| named(&instance.name, error))
    }

    async fn load_current(&self, instance: &PluginInstance) -> anyhow::Result<PluginVersion> {
        let Some(stored) = self.store.bundle(&instance.bundle).await? else {
            bail!(
                "no bundle {0} is in the store: `keyward plugin upload {0}.zip --policy ...` puts it there",
                instance.bundle
            );
        };
        self.load_bundle(instance, stored).await
    }

    async fn load_bundle(
        &self,
        instance: &PluginInstance,
        stored: StoredBundle,
    ) -> anyhow::Result<PluginVersion> {
        let (bundle, checksum) = (stored.name.clone(), stored.checksum.clone());
        let (ready, environment) =
            self.import(instance, stored, instance.configuration.clone(), instance.idle_workers).await?;
        let revision = PluginRevision {
            instance: instance.name.clone(),
            bundle,
            checksum,
            environment,
            configuration: Secret::new(instance.configuration.clone()),
        };
        let revision = self.store.put_revision(&revision, SystemTime::now().into()).await?;
        let manifest = ready.manifest();
        tracing::info!(plugin = %instance.name, bundle = %manifest.name, version = manifest.version, warm = ready.is_warm(), "plugin loaded");
        Ok(PluginVersion { instance: ready, revision: Some(revision) })
    }

    /// Loads the version that a session of an earlier run began with, for its end. Limits are those of today.
    async fn load_earlier(&self, name: &InstanceName, id: RevisionId) -> anyhow::Result<Instance> {
        let instance =
            self.policy.plugins.get(name).with_context(|| {
                format!("the policy document has no [[plugin]] {name} any more: put it back")
            })?;
        let gone = || format!("revision {id} of {name} is not in the store any more");
        let revision = self.store.revision(id).await?.with_context(gone)?;
        let stored = self.store.bundle_by_checksum(&revision.checksum).await?;
        let stored = stored.with_context(|| {
            format!(
                "bundle {} with the checksum {} is not in the store any more",
                revision.bundle, revision.checksum
            )
        })?;
        let instance = PluginInstance { environment: Some(revision.environment), ..instance.clone() };
        // For a call or two, none of which anybody waits for.
        let configuration = revision.configuration.expose().to_owned();
        self.import(&instance, stored, configuration, 0).await.map(|(ready, _)| ready)
    }

    /// The instance, and the name of the environment that it runs in.
    async fn import(
        &self,
        instance: &PluginInstance,
        stored: StoredBundle,
        configuration: String,
        idle_workers: usize,
    ) -> anyhow::Result<(Instance, String)> {
        let Self { policy, data, .. } = self;
        let bundle = unpack(stored, data.bundles()).await?;
        let environment = environment_for(policy, data, instance, bundle.bundle.python).await?;
        if !environment.api.accepts(bundle.bundle.manifest.api) {
            bail!(
                "{} wants API {}, and environment {} offers {}",
                instance.bundle,
                bundle.bundle.manifest.api,
                environment.name,
                environment.api
            );
        }
        let place = data.instance(&instance.name);
        let name = environment.name.clone();
        let config = InstanceConfig {
            name: instance.name.clone(),
            bundle,
            configuration,
            environment,
            start: match instance.start {
                PluginStart::Warm => Start::Warm,
                PluginStart::Cold => Start::Cold,
            },
            idle_workers,
            memory_limit: instance.memory_limit,
            processes: instance.processes,
            state_dir: place.join("state"),
            ephemeral_dir: place.join("ephemeral"),
            temp: place.join("tmp"),
            bounds: bounds(instance),
        };
        Ok((self.host.load(config).await?, name))
    }
}

/// Removes the unpacked bundles that are not in the store any more, and what a killed gateway left half unpacked.
fn remove_others(bundles: &Path, kept: &HashSet<String>) -> anyhow::Result<usize> {
    let entries = match std::fs::read_dir(bundles) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", bundles.display())),
    };
    let is_checksum = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_ours = |name: &str| is_checksum(name) || name.starts_with(".unpacking-");
    let mut removed = 0;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if is_ours(name) && !kept.contains(name) {
            std::fs::remove_dir_all(&path)
                .with_context(|| format!("{} cannot be removed", path.display()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether there is a connection that has all of its plugins.
pub(crate) fn serves_somebody(policy: &Policy, loaded: &HashMap<InstanceName, PluginVersion>) -> bool {
    let has_all = |connection: &Connection| {
        let store = match &connection.credential_store {
            CredentialSource::Plugin(instance) => Some(instance),
            CredentialSource::None | CredentialSource::Local(_) | CredentialSource::Authority(_) => None,
        };
        connection.aa_plugin.iter().chain(store).all(|name| loaded.contains_key(name))
    };
    policy.connections.iter().any(|connection| connection.active && has_all(connection))
}

/// Loads what sessions of earlier runs are owed their ends by, with the policy of the moment.
#[derive(Debug)]
pub(crate) struct Earlier(RwLock<Loader>);

impl Earlier {
    pub(crate) fn new(loader: Loader) -> Self {
        Self(RwLock::new(loader))
    }

    pub(crate) fn replace(&self, loader: Loader) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = loader;
    }
}

impl OldVersions for Earlier {
    fn load(&self, instance: &InstanceName, revision: RevisionId) -> Loading {
        let loader = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let instance = instance.clone();
        Box::pin(async move {
            let loaded = loader.load_earlier(&instance, revision).await;
            loaded.map_err(|error| NotLoadable { error: format!("{error:#}") })
        })
    }
}

/// Where a plugin's import failed is for the log; the message says only why.
fn log_traceback(error: &anyhow::Error) {
    if let Some(PluginError::Import { instance, traceback, .. }) = error.downcast_ref() {
        for line in traceback.lines() {
            tracing::error!(plugin = %instance, "  {}", shown(line));
        }
    }
}

/// Says which instance it is about, where the error does not.
fn named(name: &InstanceName, error: anyhow::Error) -> anyhow::Error {
    let prefix = format!("plugin instance {name}");
    match error.to_string().starts_with(&format!("{prefix} ")) {
        true => error,
        false => error.context(prefix),
    }
}

fn bounds(instance: &PluginInstance) -> Bounds {
    let network = match &instance.network {
        None => Network::Open,
        Some(patterns) => Network::Only(patterns.iter().map(reachable).collect()),
    };
    Bounds { cpu_seconds: instance.cpu_seconds, disk: instance.disk_limit, network, ..Bounds::default() }
}

fn reachable(pattern: &HostPattern) -> Reachable {
    let host = match &pattern.host {
        PatternHost::Name(name) => ReachableHost::Name(name.clone()),
        PatternHost::Below(domain) => ReachableHost::Below(domain.clone()),
        PatternHost::Address(address) => ReachableHost::Addresses((*address).into()),
        PatternHost::Network(network) => ReachableHost::Addresses(*network),
    };
    let port = match pattern.port {
        PatternPort::Any => None,
        PatternPort::Only(port) => Some(port),
    };
    Reachable { host, port }
}

/// The bundle below its checksum, unpacked at its first use, and compared with what is stored at each.
async fn unpack(stored: StoredBundle, bundles: PathBuf) -> anyhow::Result<UnpackedBundle> {
    std::fs::create_dir_all(&bundles).with_context(|| format!("{} cannot be made", bundles.display()))?;
    let (name, checksum) = (stored.name.clone(), stored.checksum.clone());
    let unpacked = tokio::task::spawn_blocking(move || unpack_now(&stored, &bundles)).await?;
    if let Err(error @ (BundleError::Changed { .. } | BundleError::WrongArchive { .. })) = &unpacked {
        tracing::error!(bundle = %name, checksum, %error, "ALERT: a plugin is not what was uploaded: it is refused");
    }
    Ok(unpacked?)
}

fn unpack_now(stored: &StoredBundle, bundles: &Path) -> Result<UnpackedBundle, BundleError> {
    let root = bundles.join(&stored.checksum);
    if root.exists() {
        return UnpackedBundle::open_verified(&root, &stored.archive, &stored.checksum);
    }
    Bundle::check_archive(&stored.archive, &stored.checksum)?;
    Bundle::unpack(&stored.archive, &root)
}

async fn environment_for(
    policy: &Policy,
    data: &DataDir,
    instance: &PluginInstance,
    major: PythonMajor,
) -> anyhow::Result<Environment> {
    let chosen = match major {
        PythonMajor::Three => "python3",
        PythonMajor::Two => "python2",
    };
    let name = instance.environment.as_deref().unwrap_or(chosen);
    let (python, what) = match policy.environments.get(name) {
        Some(environment) => {
            let python = environment.python.clone();
            let what =
                format!("environment {name} has the interpreter {}, which is not there", python.display());
            (python, what)
        }
        None => (data.environment(name), format!("no environment {name} is configured")),
    };
    if !python.exists() {
        // The folder of an environment has its interpreter as bin/python.
        let own = python.parent().filter(|bin| bin.ends_with("bin")).and_then(Path::parent);
        let folder = own.map_or_else(|| data.0.join("environments").join(name), Path::to_owned);
        let more = match major {
            PythonMajor::Three => "",
            PythonMajor::Two => " --python /path/to/python2.7",
        };
        bail!("{what}: `keyward environment create {name} {}{more}` makes one", folder.display());
    }
    Ok(Environment::probe(name, &python).await?)
}
