//! What changes while the gateway runs: bundles in the store, seen within a second, and at SIGHUP the policy document.
//!
//! What is new is loaded beside what is there, and takes its place only when all of it is well: no call waits for it,
//! and what is broken changes nothing. Sessions keep what they began with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use keyward_model::{InstanceName, PluginName};
use keyward_policy::{PluginInstance, Policy};
use keyward_proxy_ssh::SshProxy;
use keyward_session::{Gateway, PluginVersion};
use keyward_store::{PluginStatus, RefusedBundle};
use tokio::sync::watch;

use crate::command;
use crate::gateway::{check_supported, make_ready};
use crate::listen::Listeners;
use crate::plugins::{Earlier, Loader, NotLoaded};
use crate::retention::Retention;
use crate::shards::Shards;

/// Between two looks at the store.
const PERIOD: Duration = Duration::from_secs(1);

/// Until an instance that nothing serves is tried again with the same bundle: its environment may have been mended.
const RETRY: Duration = Duration::from_secs(60);

/// The task that follows changes. It ends when the gateway stops.
#[derive(Debug)]
pub(crate) struct Updates {
    /// The document to be read again, and how often that was asked.
    reread: watch::Sender<(u64, PathBuf)>,
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
    pub(crate) async fn follow(site: Site, failed: Vec<NotLoaded>) -> Self {
        let (reread, asked) = watch::channel((0, PathBuf::new()));
        let mut follower = Follower { site, refused: HashMap::new(), is_readable: true };
        let current = follower.current().await.unwrap_or_default();
        for NotLoaded { instance, error } in failed {
            let checksum = current.get(&instance.bundle).cloned().unwrap_or_default();
            follower.refuse(instance.name, checksum, &error);
        }
        follower.tell().await;
        tokio::spawn(follower.run(asked));
        Self { reread }
    }

    /// Has the policy document read again. Asked twice before it was done, it is done once.
    pub(crate) fn reread(&self, path: &Path) {
        self.reread.send_modify(|(times, asked)| {
            *times += 1;
            path.clone_into(asked);
        });
    }
}

#[derive(Debug)]
struct Follower {
    site: Site,
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
    async fn run(mut self, mut asked: watch::Receiver<(u64, PathBuf)>) {
        let stopping = self.site.to.0.stopping().clone();
        let follow = async {
            loop {
                tokio::select! {
                    changed = asked.changed() => match changed {
                        Ok(()) => {
                            let path = asked.borrow_and_update().1.clone();
                            self.reread(&path).await;
                        }
                        Err(_) => return,
                    },
                    () = tokio::time::sleep(PERIOD) => self.look().await,
                }
            }
        };
        // Dropped in the middle of an import, it kills what it has started.
        tokio::select! {
            () = stopping.cancelled() => {}
            () = follow => {}
        }
    }

    async fn reread(&mut self, path: &Path) {
        match self.site.take(path).await {
            Ok(()) => {
                self.refused.clear();
                self.tell().await;
                self.site.retention.look_now();
                tracing::info!(path = %path.display(), "the policy document was read again");
            }
            Err(error) => {
                tracing::error!(path = %path.display(), "ALERT: the policy document is refused, and the one before stays in force");
                // One problem has several lines.
                for line in format!("{error:#}").lines() {
                    tracing::error!("  {}", command::shown(line));
                }
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

    /// Reads the document and takes it as a whole, or not at all.
    async fn take(&mut self, path: &Path) -> anyhow::Result<()> {
        let policy = Arc::new(command::load(path)?);
        check_supported(&policy)?;
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
