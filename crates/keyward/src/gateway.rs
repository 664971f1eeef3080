//! The life of the gateway: configure, build, run, drain.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_model::{Protocol, Secret};
use keyward_plugin::PluginHost;
use keyward_policy::Policy;
use keyward_proxy_ssh::{HostKeys, SshProxy};
use keyward_session::{Gateway, GatewayParts};
use keyward_store::Store;
use tokio::signal::unix::{SignalKind, signal};

use crate::command;
use crate::listen::{self, Listener};
use crate::plugins::{self, DataDir};
use crate::shards::Shards;

/// `keyward run`: serves until SIGTERM or SIGINT, then drains.
pub(crate) async fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let policy = command::load(path)?;
    let running = Running::start(policy).await?;
    // Before anyone is told that it is ready: a signal that comes at once must drain, not kill.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tracing::info!("ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// A gateway that accepts connections.
#[derive(Debug)]
pub(crate) struct Running {
    gateway: Gateway,
    host: PluginHost,
    drain: Duration,
}

impl Running {
    pub(crate) async fn start(policy: Policy) -> anyhow::Result<Self> {
        policy.check_runnable()?;
        if let Some(other) = policy.connections.iter().find(|c| c.active && c.protocol != Protocol::Ssh) {
            bail!("connection {}: protocol {} is not supported yet, only ssh is", other.name, other.protocol);
        }
        let data = DataDir(policy.gateway.data_dir.clone());
        let store = Store::open(&data.0).await?;
        let ssh = Arc::new(SshProxy::new(host_keys(&store).await?));
        let listeners = listen::bind_all(&policy).await?;
        let host = plugins::start_host(&policy, &data)?;
        let plugins = plugins::load_all(&policy, &store, &host, &data).await?;
        let drain = policy.gateway.drain;
        let gateway = Gateway::start(GatewayParts { policy, store, plugins, trails: data.trails() }).await?;
        accept(listeners, &gateway, &Arc::new(Shards::start(&ssh)?));
        Ok(Self { gateway, host, drain })
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Stops accepting, tells the sessions, waits for them until the deadline, and ends the workers.
    pub(crate) async fn stop(self) {
        tracing::info!("stopping");
        self.gateway.stop(self.drain).await;
        self.host.shutdown().await;
        tracing::info!("stopped");
    }
}

fn accept(listeners: Vec<Listener>, gateway: &Gateway, shards: &Arc<Shards>) {
    for connection in gateway.policy().connections.iter().filter(|connection| connection.active) {
        for address in &connection.listen {
            tracing::info!(connection = %connection.name, %address, "listening");
        }
    }
    for listener in listeners {
        tokio::spawn(listener.accept(gateway.clone(), Arc::clone(shards)));
    }
}

/// The gateway's own host keys: made at the first start, and kept.
async fn host_keys(store: &Store) -> anyhow::Result<HostKeys> {
    const NAME: &str = "ssh-host-keys";
    let kept = match store.secret(NAME).await? {
        Some(kept) => kept,
        None => {
            let made: Vec<String> =
                HostKeys::generate()?.to_openssh()?.iter().map(|key| key.expose().to_owned()).collect();
            store.put_secret_if_absent(NAME, &Secret::new(made.join(SEPARATOR))).await?
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
