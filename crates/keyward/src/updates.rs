//! What changes while the gateway runs: bundles in the store, seen within a second, and at SIGHUP the policy document.
//!
//! What is new is loaded beside what is there, and takes its place only when all of it is well: no call waits for it,
//! and what is broken changes nothing. Sessions keep what they began with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use keyward_model::{InstanceName, PluginName};
use keyward_policy::{PluginInstance, Policy};
use keyward_session::{Gateway, PluginVersion};
use tokio::sync::watch;

use crate::command;
use crate::gateway::check_supported;
use crate::listen::Listeners;
use crate::plugins::{Earlier, Loader};
use crate::shards::Shards;

/// Between two looks at the store.
const PERIOD: Duration = Duration::from_secs(1);

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
    pub(crate) loader: Loader,
    pub(crate) earlier: Arc<Earlier>,
    pub(crate) listeners: Listeners,
}

impl Updates {
    pub(crate) fn follow(site: Site) -> Self {
        let (reread, asked) = watch::channel((0, PathBuf::new()));
        let follower = Follower { site, refused: HashMap::new(), is_readable: true };
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
    refused: HashMap<InstanceName, String>,
    /// Whether the store could be read the last time.
    is_readable: bool,
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

    /// Loads the bundles that are new in the store.
    async fn look(&mut self) {
        let current = match self.site.to.0.store().bundles().await {
            Ok(bundles) => bundles.into_iter().map(|bundle| (bundle.name, bundle.checksum)).collect(),
            Err(error) => {
                if std::mem::take(&mut self.is_readable) {
                    tracing::error!(%error, "the store cannot be read: new bundles are not seen");
                }
                return;
            }
        };
        self.is_readable = true;
        for (instance, checksum) in self.site.outdated(&current) {
            if self.refused.get(&instance.name) == Some(&checksum) {
                continue;
            }
            if let Err(error) = self.site.update(&instance).await {
                tracing::error!(
                    plugin = %instance.name,
                    checksum,
                    error = format!("{error:#}"),
                    "ALERT: the new version of a plugin is refused, and the one before stays in force"
                );
                self.refused.insert(instance.name, checksum);
            }
        }
    }
}

impl Site {
    /// The instances whose bundle another one has taken the place of, with the checksum of that.
    fn outdated(&self, current: &HashMap<PluginName, String>) -> Vec<(PluginInstance, String)> {
        let loaded = self.to.0.plugins();
        let newer = |instance: &PluginInstance| {
            let checksum = current.get(&instance.bundle)?;
            let is_there = loaded.get(&instance.name)?.instance.checksum() == checksum;
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
    let (before, now) = (&before.gateway, &now.gateway);
    let settings = [
        ("data-dir", before.data_dir != now.data_dir),
        ("max-plugin-calls", before.max_plugin_calls != now.max_plugin_calls),
        ("plugin-user-base", before.plugin_user_base != now.plugin_user_base),
    ];
    for (setting, _) in settings.iter().filter(|(_, is_other)| *is_other) {
        tracing::warn!(setting, "this change takes effect at the next start of the gateway");
    }
}
