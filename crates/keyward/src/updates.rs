//! What changes while the gateway runs: bundles and revisions of the configuration in the store, seen within a second,
//! and the policy document where that is a file.
//!
//! What is new is loaded beside what is there, and takes its place only when all of it is well: no call waits for it,
//! and what is broken changes nothing. Sessions keep what they began with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use keyward_model::{InstanceName, PluginName};
use keyward_policy::{PluginInstance, Policy};
use keyward_proxy_ssh::SshProxy;
use keyward_session::{Gateway, PluginVersion};
use keyward_store::{PluginStatus, RefusedBundle};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use crate::command;
use crate::configuration::{Configuration, Next};
use crate::gateway::make_ready;
use crate::listen::Listeners;
use crate::plugins::{Earlier, Loader, NotLoaded};
use crate::retention::Retention;
use crate::shards::Shards;

/// Between two looks at the store for bundles.
const PERIOD: Duration = Duration::from_secs(1);

/// Between two looks at the store for a revision of the configuration, which takes effect within a second.
const CONFIGURATION_PERIOD: Duration = Duration::from_millis(250);

/// Until an instance that nothing serves is tried again with the same bundle: its environment may have been mended.
const RETRY: Duration = Duration::from_secs(60);

/// The task that follows changes. It ends when the gateway stops.
#[derive(Debug)]
pub(crate) struct Updates {
    /// How often somebody asked to have the policy document read again.
    reread: watch::Sender<u64>,
}

/// What an update replaces.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) to: (Gateway, Arc<Shards>),
    pub(crate) ssh: Arc<SshProxy>,
    pub(crate) loader: Loader,
    pub(crate) earlier: Arc<Earlier>,
    pub(crate) listeners: Listeners,
    pub(crate) retention: Retention,
}

impl Updates {
    /// `failed` are the instances that could not be loaded at the start.
    pub(crate) async fn follow(site: Site, configuration: Configuration, failed: Vec<NotLoaded>) -> Self {
        let (reread, asked) = watch::channel(0);
        let mut follower = Follower { site, configuration, refused: HashMap::new(), is_readable: true };
        let current = follower.current().await.unwrap_or_default();
        for NotLoaded { instance, error } in failed {
            let checksum = current.get(&instance.bundle).cloned().unwrap_or_default();
            follower.refuse(instance.name, checksum, &error);
        }
        follower.tell().await;
        // What was changed while no gateway ran.
        follower.look_for_configuration().await;
        tokio::spawn(follower.run(asked));
        Self { reread }
    }

    /// Has the policy document read again. Asked twice before it was done, it is done once.
    pub(crate) fn reread(&self) {
        self.reread.send_modify(|times| *times += 1);
    }
}

#[derive(Debug)]
struct Follower {
    site: Site,
    configuration: Configuration,
    /// Bundles that could not be loaded, which are not tried again and again.
    refused: HashMap<InstanceName, Refused>,
    /// Whether the store could be read the last time.
    is_readable: bool,
}

#[derive(Debug)]
struct Refused {
    /// Empty: the store has none.
    checksum: String,
    reason: String,
    at: Instant,
}

impl Follower {
    async fn run(mut self, mut asked: watch::Receiver<u64>) {
        let stopping = self.site.to.0.stopping().clone();
        let (mut bundles, mut revisions) = (interval(PERIOD), interval(CONFIGURATION_PERIOD));
        let follow = async {
            loop {
                tokio::select! {
                    changed = asked.changed() => match changed {
                        Ok(()) => self.reread().await,
                        Err(_) => return,
                    },
                    _ = revisions.tick() => self.look_for_configuration().await,
                    _ = bundles.tick() => self.look().await,
                }
            }
        };
        // Dropped in the middle of an import, it kills what it has started.
        tokio::select! {
            () = stopping.cancelled() => {}
            () = follow => {}
        }
    }

    async fn reread(&mut self) {
        match self.configuration.read().await {
            Ok(Some(next)) => self.take(next).await,
            Ok(None) => tracing::info!("the store has no configuration to be read again"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the configuration cannot be read again")
            }
        }
    }

    async fn look_for_configuration(&mut self) {
        // A store that cannot be read is told of by the look for bundles.
        if let Ok(Some(next)) = self.configuration.newer().await {
            self.take(next).await;
        }
    }

    async fn take(&mut self, next: Next) {
        let Next { revision, policy } = next;
        let taken = match policy {
            Ok(policy) => self.site.take(policy).await,
            Err(error) => Err(error),
        };
        self.configuration.tell(revision, &taken).await;
        match (&taken, revision) {
            (Ok(()), Some(revision)) => tracing::info!(revision, "configuration in force"),
            (Ok(()), None) => tracing::info!("the policy document was read again"),
            (Err(_), Some(revision)) => {
                tracing::error!(
                    revision,
                    "ALERT: a revision of the configuration is refused, and the one before stays in force"
                );
            }
            (Err(_), None) => {
                tracing::error!("ALERT: the policy document is refused, and the one before stays in force");
            }
        }
        match taken {
            Ok(()) => {
                self.refused.clear();
                self.tell().await;
                self.site.retention.look_now();
            }
            // One problem has several lines.
            Err(error) => {
                format!("{error:#}").lines().for_each(|line| tracing::error!("  {}", command::shown(line)))
            }
        }
    }

    /// Loads the bundles that are new in the store, and now and then tries those again without which nothing serves.
    async fn look(&mut self) {
        let Some(current) = self.current().await else { return };
        let outdated = self.site.outdated(&current);
        self.forget_refused(&outdated).await;
        for (instance, checksum) in outdated {
            if self
                .refused
                .get(&instance.name)
                .is_some_and(|refused| self.keeps(&instance, refused, &checksum))
            {
                continue;
            }
            match self.site.update(&instance).await {
                Ok(()) => {
                    self.refused.remove(&instance.name);
                }
                Err(error) => {
                    self.alert(&instance, &checksum, &error);
                    self.refuse(instance.name, checksum, &error);
                }
            }
            self.tell().await;
        }
    }

    fn alert(&self, instance: &PluginInstance, checksum: &str, error: &anyhow::Error) {
        let (plugin, error) = (&instance.name, format!("{error:#}"));
        if self.is_served(plugin) {
            tracing::error!(%plugin, checksum, error, "ALERT: the new version of a plugin is refused, and the one before stays in force");
        } else {
            tracing::error!(%plugin, checksum, error, "ALERT: a plugin still cannot be loaded: connections that use it refuse everybody");
        }
    }

    /// Forgets those that were replaced by what is served.
    async fn forget_refused(&mut self, outdated: &[(PluginInstance, String)]) {
        let before = self.refused.len();
        let is_outdated = |name: &InstanceName| outdated.iter().any(|(instance, _)| instance.name == *name);
        let gateway = &self.site.to.0;
        self.refused.retain(|name, _| is_outdated(name) || !gateway.plugins().contains_key(name));
        if self.refused.len() < before {
            self.tell().await;
        }
    }

    fn is_served(&self, instance: &InstanceName) -> bool {
        self.site.to.0.plugins().contains_key(instance)
    }

    /// Whether a bundle stays refused without another try.
    fn keeps(&self, instance: &PluginInstance, refused: &Refused, checksum: &str) -> bool {
        refused.checksum == checksum && (self.is_served(&instance.name) || refused.at.elapsed() < RETRY)
    }

    fn refuse(&mut self, instance: InstanceName, checksum: String, error: &anyhow::Error) {
        let refused = Refused { checksum, reason: format!("{error:#}"), at: Instant::now() };
        self.refused.insert(instance, refused);
    }

    /// The current bundles of the store by name, with their checksums; `None` where it cannot be read.
    async fn current(&mut self) -> Option<HashMap<PluginName, String>> {
        match self.site.to.0.store().bundles().await {
            Ok(bundles) => {
                self.is_readable = true;
                Some(bundles.into_iter().map(|bundle| (bundle.name, bundle.checksum)).collect())
            }
            Err(error) => {
                if std::mem::take(&mut self.is_readable) {
                    tracing::error!(%error, "the store cannot be read: new bundles are not seen");
                }
                None
            }
        }
    }

    /// Writes down what serves and what was refused, for the commands that ask.
    async fn tell(&self) {
        let gateway = &self.site.to.0;
        let loaded = gateway.plugins();
        let status = |instance: &PluginInstance| PluginStatus {
            instance: instance.name.clone(),
            bundle: instance.bundle.clone(),
            checksum: loaded.get(&instance.name).map(|version| version.instance.checksum().to_owned()),
            refused: self.refused.get(&instance.name).map(|refused| RefusedBundle {
                checksum: refused.checksum.clone(),
                reason: refused.reason.clone(),
            }),
        };
        let all: Vec<PluginStatus> = self.site.loader.policy().plugins.values().map(status).collect();
        if let Err(error) = gateway.store().put_plugin_status(&all).await {
            tracing::warn!(%error, "what serves cannot be written down for `keyward plugin list`");
        }
    }
}

impl Site {
    /// The instances whose bundle another one has taken the place of, and those that have none, with the checksum of
    /// what is current.
    fn outdated(&self, current: &HashMap<PluginName, String>) -> Vec<(PluginInstance, String)> {
        let loaded = self.to.0.plugins();
        let newer = |instance: &PluginInstance| {
            let checksum = current.get(&instance.bundle)?;
            let is_there =
                loaded.get(&instance.name).is_some_and(|version| version.instance.checksum() == checksum);
            (!is_there).then(|| (instance.clone(), checksum.clone()))
        };
        self.loader.policy().plugins.values().filter_map(newer).collect()
    }

    /// Loads an instance anew, for the sessions to come.
    async fn update(&self, instance: &PluginInstance) -> anyhow::Result<()> {
        let version = self.loader.load(instance).await?;
        let gateway = &self.to.0;
        let mut plugins = gateway.plugins();
        check_type(plugins.get(&instance.name), &version)?;
        let text = version.instance.manifest().version.clone();
        let before = plugins.insert(instance.name.clone(), version);
        gateway.replace(Arc::clone(self.loader.policy()), plugins);
        let before = before.map(|version| version.instance.manifest().version.clone()).unwrap_or_default();
        tracing::info!(plugin = %instance.name, version = text, before, "plugin updated");
        Ok(())
    }

    /// Takes a policy as a whole, or not at all.
    async fn take(&mut self, policy: Policy) -> anyhow::Result<()> {
        let policy = Arc::new(policy);
        let gateway = &self.to.0;
        let bound = self.listeners.bind(&policy).await?;
        let loader = self.loader.for_policy(Arc::clone(&policy))?;
        let plugins = loader.load_all().await?;
        make_ready(&self.ssh, &policy, gateway.store()).await?;
        name_what_waits(self.loader.policy(), &policy);
        gateway.replace(Arc::clone(&policy), plugins);
        self.earlier.replace(loader.clone());
        self.loader = loader;
        self.listeners.serve(&policy, bound, &self.to);
        Ok(())
    }
}

/// Ticks with this long between the end of one look and the next.
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// An update that is another kind of plugin would fail every session.
fn check_type(before: Option<&PluginVersion>, now: &PluginVersion) -> anyhow::Result<()> {
    let kind = |version: &PluginVersion| version.instance.manifest().kind;
    match before {
        Some(before) if kind(before) != kind(now) => {
            let (before, now) = (kind(before).as_str(), kind(now).as_str());
            bail!("it is of type {now}, and the one before was of type {before}: give it a name of its own")
        }
        Some(_) | None => Ok(()),
    }
}

/// Says which settings of the new document take effect at the next start only.
fn name_what_waits(before: &Policy, now: &Policy) {
    let is_other_node = before.node != now.node;
    let (before, now) = (&before.gateway, &now.gateway);
    let settings = [
        ("[node]", is_other_node),
        ("max-plugin-calls", before.max_plugin_calls != now.max_plugin_calls),
        ("min-free-memory", before.min_free_memory != now.min_free_memory),
        ("plugin-memory", before.plugin_memory != now.plugin_memory),
        ("plugin-user-base", before.plugin_user_base != now.plugin_user_base),
    ];
    for (setting, _) in settings.iter().filter(|(_, is_other)| *is_other) {
        tracing::warn!(setting, "this change takes effect at the next start of the gateway");
    }
}
