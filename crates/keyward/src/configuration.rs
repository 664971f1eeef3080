//! Where the policy document is, and which revision of it the gateway runs by.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use keyward_policy::{ConfigurationPlace, NodeSettings, Policy};
use keyward_store::Store;

use crate::command;
use crate::gateway::check_supported;
use crate::retention::now;

/// Of a gateway that runs.
#[derive(Debug)]
pub(crate) enum Configuration {
    /// The file is the truth.
    File(PathBuf),
    Store(Box<Stored>),
}

/// Revisions in the store.
#[derive(Debug)]
pub(crate) struct Stored {
    place: StoredPlace,
    /// Which has the node.
    file: PathBuf,
    store: Store,
    /// The newest that was tried, whatever came of it. 0: none was.
    tried: u32,
}

/// What reads a revision: the node that it is for.
#[derive(Clone, Debug)]
pub(crate) struct StoredPlace {
    node: NodeSettings,
    /// Where relative paths in documents start.
    base: PathBuf,
}

/// A document to be taken.
#[derive(Debug)]
pub(crate) struct Next {
    /// `None`: it is the file.
    pub(crate) revision: Option<u32>,
    /// What keeps it from being taken is an error already.
    pub(crate) policy: anyhow::Result<Policy>,
}

impl Configuration {
    /// With the policy to start with: that of `file`, or the revision that was in force last. A newer one is taken as a
    /// change. Where the store has none, the policy allows nothing.
    pub(crate) async fn start(path: &Path, file: Policy, store: &Store) -> anyhow::Result<(Self, Policy)> {
        match file.node.configuration {
            ConfigurationPlace::File => Ok((Self::File(path.to_owned()), file)),
            ConfigurationPlace::Store => {
                let place = StoredPlace::new(path, &file.node);
                let in_force = store.configuration_in_force().await?;
                let policy = match in_force {
                    0 => file,
                    number => place.read(store, number).await.with_context(|| {
                        format!("revision {number} of the configuration was in force, and cannot be any more")
                    })?,
                };
                match in_force {
                    0 => tracing::info!(
                        "no configuration is in force yet: put one in with `keyward config apply`"
                    ),
                    revision => tracing::info!(revision, "configuration in force"),
                }
                let mut stored =
                    Stored { place, file: path.to_owned(), store: store.clone(), tried: in_force };
                stored.skip_refused().await?;
                Ok((Self::Store(Box::new(stored)), policy))
            }
        }
    }

    /// The document as it is now, though it was tried before: files that it names may have changed.
    pub(crate) async fn read(&mut self) -> anyhow::Result<Option<Next>> {
        match self {
            Self::File(path) => Ok(Some(Next { revision: None, policy: read_file(path) })),
            Self::Store(stored) => {
                if command::load_file(&stored.file)?.node != stored.place.node {
                    tracing::warn!("[node] was changed: this takes effect at the next start of the gateway");
                }
                stored.tried = 0;
                stored.newer().await
            }
        }
    }

    /// A revision that was not tried yet.
    pub(crate) async fn newer(&mut self) -> anyhow::Result<Option<Next>> {
        match self {
            Self::File(_) => Ok(None),
            Self::Store(stored) => stored.newer().await,
        }
    }

    /// Writes down what became of a revision. Of a file, nothing is written down.
    pub(crate) async fn tell(&self, revision: Option<u32>, taken: &anyhow::Result<()>) {
        let (Self::Store(stored), Some(revision)) = (self, revision) else { return };
        let told = match taken {
            Ok(()) => stored.store.take_configuration(revision, now()).await,
            Err(error) => stored.store.refuse_configuration(revision, &format!("{error:#}")).await,
        };
        if let Err(error) = told {
            tracing::warn!(revision, %error, "what became of the configuration cannot be written down");
        }
    }
}

impl Stored {
    /// What was refused while the gateway ran is no better after a restart.
    async fn skip_refused(&mut self) -> anyhow::Result<()> {
        let newest = self.store.configurations().await?.into_iter().next();
        if let Some(refused) = newest.filter(|newest| newest.refused.is_some()) {
            self.tried = refused.number;
        }
        Ok(())
    }

    async fn newer(&mut self) -> anyhow::Result<Option<Next>> {
        let newest = self.store.newest_configuration().await?;
        if newest <= self.tried {
            return Ok(None);
        }
        self.tried = newest;
        Ok(Some(Next { revision: Some(newest), policy: self.place.read(&self.store, newest).await }))
    }
}

impl StoredPlace {
    /// `path` is the file that has the node.
    pub(crate) fn new(path: &Path, node: &NodeSettings) -> Self {
        Self { node: node.clone(), base: path.parent().unwrap_or(Path::new("")).to_owned() }
    }

    pub(crate) async fn read(&self, store: &Store, number: u32) -> anyhow::Result<Policy> {
        let found = store.configuration(number).await?;
        let (_, document) = found.with_context(|| format!("the configuration has no revision {number}"))?;
        self.parse(document.expose(), &format!("revision {number}"))
    }

    /// The policy of a document that is a revision, or is to be one. `name` is what errors call it.
    pub(crate) fn parse(&self, document: &str, name: &str) -> anyhow::Result<Policy> {
        let policy = Policy::parse_stored(document, &self.node, &self.base, name)?;
        check_supported(&policy)?;
        Ok(policy)
    }
}

fn read_file(path: &Path) -> anyhow::Result<Policy> {
    let policy = command::load_file(path)?;
    if policy.node.configuration == ConfigurationPlace::Store {
        bail!("its [node] says that the policy is in the store: this takes effect at the next start");
    }
    policy.check_runnable()?;
    check_supported(&policy)?;
    Ok(policy)
}
