//! The life of the gateway: configure, build, run, drain.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_model::{InstanceName, Protocol, Secret};
use keyward_plugin::PluginHost;
use keyward_policy::{ConfigurationPlace, Policy};
use keyward_proxy_ssh::{HostKeys, SshError, SshProxy, authority_fault};
use keyward_session::{Gateway, GatewayParts, LineSink, OldVersions, PluginVersion};
use keyward_store::{RevisionId, Store};
use keyward_trail::SigningKey;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command;
use crate::configuration::Configuration;
use crate::data_dir::DataDir;
use crate::document::Watched;
use crate::listen::Listeners;
use crate::object_store::{start_spooling, start_uploads};
use crate::place;
use crate::plugins::{self, Earlier, Loader, NotLoaded, serves_somebody};
use crate::retention::{Recordings, Retention};
use crate::search_index::LiveIndex;
use crate::shards::Shards;
use crate::updates::{Site, Updates};

/// `keyward run`: serves until SIGTERM or SIGINT, then drains. A change of the file, and SIGHUP, has it read the policy
/// document again, wherever that is. A second SIGTERM or SIGINT ends the draining.
pub(crate) async fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let mut document = Watched::new(path);
    let file = command::load_file(path)?;
    let running = Running::start(path, file).await?;
    // Before anyone is told that it is ready: a signal that comes at once must drain, not kill.
    let mut ends =
        Ends { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let mut hangup = signal(SignalKind::hangup())?;
    tracing::info!("ready");
    loop {
        tokio::select! {
            () = ends.next() => break,
            _ = hangup.recv() => {
                document.is_read().await;
                running.updates.reread();
            }
            () = document.changed() => running.updates.reread(),
        }
    }
    running.stop(ends.next()).await;
    Ok(ExitCode::SUCCESS)
}

/// The signals that ask the gateway to end.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    /// Cancel-safe.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A gateway that accepts connections.
#[derive(Debug)]
pub(crate) struct Running {
    gateway: Gateway,
    host: PluginHost,
    updates: Updates,
    index: Arc<LiveIndex>,
}

impl Running {
    /// `file` is what was read at `path`.
    pub(crate) async fn start(path: &Path, file: Policy) -> anyhow::Result<Self> {
        if file.node.configuration == ConfigurationPlace::File {
            file.check_runnable()?;
            check_supported(&file)?;
        }
        let data = DataDir(file.node.data_dir.clone());
        let store = place::open(&file.node).await?;
        let (configuration, policy) = Configuration::start(path, file, &store).await?;
        let ssh = Arc::new(SshProxy::new(host_keys(&store).await?));
        make_ready(&ssh, &policy, &store).await?;
        let mut listeners = Listeners::default();
        let bound = listeners.bind(&policy).await?;
        let host = plugins::start_host(&policy, &data)?;
        let trails = data.trails();
        let signer = Arc::new(signing_key(&data)?);
        let loader = Loader::new(Arc::new(policy.clone()), store.clone(), host.clone(), data);
        let (plugins, failed) = load_plugins(&loader).await?;
        let today: Vec<RevisionId> = plugins.values().filter_map(|version| version.revision).collect();
        store.forget_revisions(&today).await?;
        if let Err(error) = loader.forget_old_bundles().await {
            tracing::warn!(error = format!("{error:#}"), "old bundles cannot be removed");
        }
        let earlier = Arc::new(Earlier::new(loader.clone()));
        let old_versions = Arc::clone(&earlier) as Arc<dyn OldVersions>;
        let recordings = Recordings {
            store: store.clone(),
            trails: trails.clone(),
            objects: policy.gateway.object_store.clone(),
        };
        let index = LiveIndex::new(recordings.store.clone(), &policy.node.data_dir);
        let lines = Some(Arc::clone(&index) as Arc<dyn LineSink>);
        let parts = GatewayParts { policy, store, plugins, old_versions, trails, signer, lines };
        let gateway = Gateway::start(parts).await?;
        index.start();
        let to = (gateway.clone(), Arc::new(Shards::start(&ssh)?));
        listeners.serve(loader.policy(), bound, &to);
        start_uploads(gateway.clone(), recordings.clone());
        start_spooling(gateway.clone(), recordings.clone());
        let retention = Retention::start(gateway.clone(), recordings);
        let site = Site { to, ssh, loader, earlier, listeners, retention };
        let updates = Updates::follow(site, configuration, failed).await;
        Ok(Self { gateway, host, updates, index })
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Stops accepting, tells the sessions, waits for them until the deadline or until `enough`, and ends the workers.
    pub(crate) async fn stop(self, enough: impl Future<Output = ()>) {
        tracing::info!("stopping");
        let drain = self.gateway.policy().gateway.drain;
        let drained = async {
            self.gateway.stop(drain).await;
            self.index.settle().await;
            self.host.shutdown().await;
        };
        tokio::select! {
            () = drained => tracing::info!("stopped"),
            () = enough => {
                self.gateway.stop(Duration::ZERO).await;
                tracing::warn!("told again to stop: nothing is waited for; what is owed is paid at the next start");
            }
        }
    }
}

/// What cannot be loaded is missed by its own connections alone: they refuse everybody, since each of their sessions
/// has to call it. A gateway that could serve nobody does not start.
async fn load_plugins(
    loader: &Loader,
) -> anyhow::Result<(HashMap<InstanceName, PluginVersion>, Vec<NotLoaded>)> {
    let (loaded, mut failed) = loader.load_each().await;
    if !failed.is_empty() && !serves_somebody(loader.policy(), &loaded) {
        return Err(failed.swap_remove(0).error);
    }
    for NotLoaded { instance, error } in &failed {
        let (plugin, error) = (&instance.name, format!("{error:#}"));
        if loaded.contains_key(plugin) {
            tracing::error!(%plugin, error, "ALERT: the newest version of a plugin cannot be loaded: the one that served last does");
        } else {
            tracing::error!(%plugin, error, "ALERT: a plugin cannot be loaded: connections that use it refuse everybody until it can be");
        }
    }
    Ok((loaded, failed))
}

/// What this node signs its recordings with: made at the first start, and kept.
///
/// # Errors
/// Where it is gone and there are recordings: what a new key signs, those who know the old one cannot tell from a
/// forgery, so it takes a person to decide for one.
fn signing_key(data: &DataDir) -> anyhow::Result<SigningKey> {
    let path = data.signing_key();
    let key = match SigningKey::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if data.has_trails()? {
                bail!(
                    "the key that signed the recordings in {} is gone: put {} back from a backup, or, if it is lost, \
                     make another with `keyward trail signer --replace-lost --policy FILE` and give its public key \
                     to everybody who verifies recordings",
                    data.trails().display(),
                    path.display()
                );
            }
            SigningKey::make(&path)
        }
        found => found,
    };
    let key = key.with_context(|| {
        format!("the key that signs recordings, {}, can neither be read nor made", path.display())
    })?;
    tracing::info!(signer = %key.verifying_key(), "recordings are signed");
    Ok(key)
}

/// Whether this program can do what the policy asks for.
pub(crate) fn check_supported(policy: &Policy) -> anyhow::Result<()> {
    for (name, authority) in &policy.certificate_authorities {
        if let Some(fault) = authority_fault(&authority.key) {
            bail!(
                "certificate authority \"{name}\": its key cannot be used: {fault} \
                 (write an Ed25519, ECDSA or RSA key; `ssh-keygen -p -f FILE` takes the passphrase off)"
            );
        }
    }
    match policy.connections.iter().find(|c| c.active && c.protocol != Protocol::Ssh) {
        Some(other) => {
            bail!("connection {}: protocol {} is not supported yet, only ssh is", other.name, other.protocol)
        }
        None => Ok(()),
    }
}

/// The gateway's own host keys: made at the first start, and kept.
async fn host_keys(store: &Store) -> anyhow::Result<HostKeys> {
    kept_host_keys(store, "ssh-host-keys", HostKeys::generate).await
}

/// Makes the host key for old clients where a connection takes such: at the first time that one does, and kept.
pub(crate) async fn make_ready(ssh: &SshProxy, policy: &Policy, store: &Store) -> anyhow::Result<()> {
    if policy.connections.iter().all(|connection| ssh.can_serve(connection)) {
        return Ok(());
    }
    let key = kept_host_keys(store, "ssh-legacy-host-key", HostKeys::generate_legacy).await?;
    ssh.serve_legacy_clients(key);
    Ok(())
}

async fn kept_host_keys(
    store: &Store,
    name: &str,
    make: fn() -> Result<HostKeys, SshError>,
) -> anyhow::Result<HostKeys> {
    let kept = match store.secret(name).await? {
        Some(kept) => kept,
        None => {
            // An RSA key takes a second.
            let made = tokio::task::spawn_blocking(make).await??;
            let made: Vec<String> = made.to_openssh()?.iter().map(|key| key.expose().to_owned()).collect();
            store.put_secret_if_absent(name, &Secret::new(made.join(SEPARATOR))).await?
        }
    };
    let keys: Vec<Secret> = kept.expose().split(SEPARATOR).map(|key| Secret::new(key.to_owned())).collect();
    let keys = HostKeys::from_openssh(&keys).context("the gateway's own host keys cannot be read")?;
    for fingerprint in keys.fingerprints() {
        tracing::info!(fingerprint, "host key");
    }
    Ok(keys)
}

/// Between the keys as they are kept: no PEM text has an empty line.
const SEPARATOR: &str = "\n\n";
