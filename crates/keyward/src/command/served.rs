//! What the running gateway makes of the bundles in its store, as it has written down itself.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use keyward_model::PluginName;
use keyward_store::{PluginStatus, Store};
use serde_json::{Value, json};

use super::shown;

/// The gateway looks every second; an import may take a while.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// The plugin instances of a gateway that runs.
#[derive(Debug)]
pub(crate) struct Served {
    instances: Vec<PluginStatus>,
    /// By checksum.
    versions: HashMap<String, String>,
}

impl Served {
    /// `None`: no gateway runs on the directory.
    pub(crate) async fn look(store: &Store, data_dir: &Path) -> anyhow::Result<Option<Self>> {
        if !Store::is_served(data_dir).await? {
            return Ok(None);
        }
        let instances = store.plugin_status().await?;
        let bundles = store.all_bundles().await?;
        let versions = bundles.into_iter().map(|bundle| (bundle.checksum, bundle.version)).collect();
        Ok(Some(Self { instances, versions }))
    }

    /// Waits until every instance of the bundle has taken this upload or refused it; `None` where the gateway stops, or
    /// takes too long.
    pub(crate) async fn wait(
        store: &Store,
        data_dir: &Path,
        bundle: &PluginName,
        checksum: &str,
    ) -> anyhow::Result<Option<Self>> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let Some(served) = Self::look(store, data_dir).await? else { return Ok(None) };
            if served.of(bundle).all(|status| has_judged(status, checksum)) {
                return Ok(Some(served));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(None)
    }

    /// Whether an instance has refused the upload.
    pub(crate) fn has_refused(&self, bundle: &PluginName, checksum: &str) -> bool {
        self.of(bundle)
            .any(|status| status.refused.as_ref().is_some_and(|refused| refused.checksum == checksum))
    }

    /// A line for each instance of the bundle.
    pub(crate) fn lines(&self, bundle: &PluginName) -> Vec<String> {
        self.of(bundle).map(|status| self.line(status)).collect()
    }

    fn line(&self, status: &PluginStatus) -> String {
        let runs = match &status.checksum {
            Some(checksum) => format!("runs {}", self.version(checksum)),
            None => "is not loaded, and its connections refuse everybody".to_owned(),
        };
        match &status.refused {
            None => format!("{} {runs}", status.instance),
            Some(refused) => {
                let (version, reason) = (self.version(&refused.checksum), shown(&refused.reason));
                format!("{} {runs}; {version} was refused: {reason}", status.instance)
            }
        }
    }

    pub(crate) fn as_json(&self, bundle: &PluginName) -> Vec<Value> {
        let one = |status: &PluginStatus| {
            let refused = status.refused.as_ref().map(|refused| {
                json!({"version": self.version(&refused.checksum), "sha256": refused.checksum, "reason": refused.reason})
            });
            let version = status.checksum.as_ref().map(|checksum| self.version(checksum));
            json!({"name": status.instance, "version": version, "sha256": status.checksum, "refused": refused})
        };
        self.of(bundle).map(one).collect()
    }

    fn of(&self, bundle: &PluginName) -> impl Iterator<Item = &PluginStatus> {
        self.instances.iter().filter(move |status| status.bundle == *bundle)
    }

    fn version(&self, checksum: &str) -> String {
        self.versions.get(checksum).map_or_else(|| checksum.to_owned(), |version| shown(version))
    }
}

fn has_judged(status: &PluginStatus, checksum: &str) -> bool {
    let refused = status.refused.as_ref().map(|refused| refused.checksum.as_str());
    status.checksum.as_deref() == Some(checksum) || refused == Some(checksum)
}
