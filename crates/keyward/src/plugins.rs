//! From the policy's plugin instances to loaded ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use keyward_model::InstanceName;
use keyward_plugin::{
    Bounds, Environment, HostConfig, Instance, InstanceConfig, Network, PluginHost, PythonMajor, Reachable,
    ReachableHost, Start, UnpackedBundle,
};
use keyward_policy::{HostPattern, PatternHost, PatternPort, PluginInstance, PluginStart, Policy};
use keyward_session::service_data;
use keyward_store::{Store, StoredBundle};

/// The folders of a gateway's data.
#[derive(Debug)]
pub(crate) struct DataDir(pub(crate) PathBuf);

impl DataDir {
    pub(crate) fn trails(&self) -> PathBuf {
        self.0.join("trails")
    }

    fn bundles(&self) -> PathBuf {
        self.0.join("bundles")
    }

    fn instance(&self, name: &InstanceName) -> PathBuf {
        self.0.join("plugins").join(name.as_str())
    }

    /// Where an environment is looked for that the policy does not name.
    fn environment(&self, name: &str) -> PathBuf {
        self.0.join("environments").join(name).join("bin/python")
    }
}

pub(crate) fn start_host(policy: &Policy, data: &DataDir) -> anyhow::Result<PluginHost> {
    let runtime = data.0.join("worker");
    Ok(PluginHost::start(HostConfig {
        worker_dir: runtime,
        max_calls: policy.gateway.max_plugin_calls.get(),
        services: service_data(policy, data.0.join("trusted-ca")),
        own_user_base: policy.gateway.plugin_user_base,
        strict: policy.gateway.strict,
    })?)
}

/// Loads every instance that the policy names; one that fails says which, and nothing starts.
pub(crate) async fn load_all(
    policy: &Policy,
    store: &Store,
    host: &PluginHost,
    data: &DataDir,
) -> anyhow::Result<HashMap<InstanceName, Instance>> {
    let mut loaded = HashMap::new();
    for instance in policy.plugins.values() {
        let name = &instance.name;
        let ready = load(policy, store, host, data, instance)
            .await
            .with_context(|| format!("plugin instance {name}"))?;
        tracing::info!(plugin = %name, bundle = %ready.manifest().name, version = ready.manifest().version, warm = ready.is_warm(), "plugin loaded");
        loaded.insert(name.clone(), ready);
    }
    Ok(loaded)
}

async fn load(
    policy: &Policy,
    store: &Store,
    host: &PluginHost,
    data: &DataDir,
    instance: &PluginInstance,
) -> anyhow::Result<Instance> {
    let Some(stored) = store.bundle(&instance.bundle).await? else {
        bail!(
            "no bundle {0} is in the store: `keyward plugin upload {0}.zip --policy ...` puts it there",
            instance.bundle
        );
    };
    let bundle = unpack(&stored, &data.bundles())?;
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
    let config = InstanceConfig {
        name: instance.name.clone(),
        bundle,
        configuration: instance.configuration.clone(),
        environment,
        start: match instance.start {
            PluginStart::Warm => Start::Warm,
            PluginStart::Cold => Start::Cold,
        },
        idle_workers: instance.idle_workers,
        memory_limit: instance.memory_limit,
        processes: instance.processes,
        state_dir: place.join("state"),
        ephemeral_dir: place.join("ephemeral"),
        temp: place.join("tmp"),
        bounds: bounds(instance),
    };
    Ok(host.load(config).await?)
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

/// The bundle below its checksum, unpacked at its first use.
fn unpack(stored: &StoredBundle, bundles: &Path) -> anyhow::Result<UnpackedBundle> {
    std::fs::create_dir_all(bundles).with_context(|| format!("{} cannot be made", bundles.display()))?;
    let root = bundles.join(&stored.checksum);
    if root.exists() {
        Ok(UnpackedBundle::open(&root)?)
    } else {
        Ok(keyward_plugin::Bundle::unpack(&stored.archive, &root)?)
    }
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
    let python = match policy.environments.get(name) {
        Some(environment) => environment.python.clone(),
        None => data.environment(name),
    };
    if !python.exists() {
        bail!(
            "no environment {name} is configured: `keyward environment create {name} {}` makes one{}",
            data.0.join("environments").join(name).display(),
            match major {
                PythonMajor::Three => "",
                PythonMajor::Two => " (Python 2 plugins are not supported yet)",
            }
        );
    }
    Ok(Environment::probe(name, &python).await?)
}
