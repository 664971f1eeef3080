//! `keyward config`: revisions of a configuration that is kept in the store.

mod apply;
mod difference;
mod edit;
mod history;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use keyward_model::Secret;
use keyward_policy::{ConfigurationPlace, NodeSettings, Policy};
use keyward_store::Store;

use super::load_file;
use crate::args::Config;
use crate::configuration::StoredPlace;
use crate::place;

pub(crate) async fn config(command: Config) -> anyhow::Result<ExitCode> {
    match command {
        Config::Show { revision, policy } => show(&policy, revision).await?,
        Config::History { policy, limit, json } => history::history(&policy, limit, json).await?,
        Config::Diff { file: Some(file), policy, .. } => difference::with_file(&policy, &file).await?,
        Config::Diff { from, to, policy, file: None } => difference::of_revisions(&policy, from, to).await?,
        Config::Apply { file, change, base, dry_run } => {
            apply::apply(&change, &file, base, dry_run).await?;
        }
        Config::Edit { change } => edit::edit(&change).await?,
        Config::Rollback { revision, change } => apply::roll_back(&change, revision).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A configuration that is kept in the store.
struct Revisions {
    store: Store,
    node: NodeSettings,
    place: StoredPlace,
}

impl Revisions {
    /// To look at what is there.
    async fn look(policy: &Path) -> anyhow::Result<Self> {
        let file = in_store(policy)?;
        if !place::exists(&file.node) {
            bail!("{}", nothing_yet(policy));
        }
        let store = place::open_beside(&file.node).await?;
        Ok(Self::of(policy, file, store))
    }

    /// To change it; makes the store where there is none yet, so that a gateway starts with what was applied before.
    async fn change(policy: &Path) -> anyhow::Result<Self> {
        let file = in_store(policy)?;
        let store = place::open_beside(&file.node).await?;
        Ok(Self::of(policy, file, store))
    }

    fn of(policy: &Path, file: Policy, store: Store) -> Self {
        let place = StoredPlace::new(policy, &file.node);
        Self { store, node: file.node, place }
    }

    /// The newest document, and its number; 0 and an empty one where there is none.
    async fn newest(&self) -> anyhow::Result<(u32, Secret)> {
        match self.store.newest_configuration().await? {
            0 => Ok((0, Secret::new(String::new()))),
            number => Ok((number, self.document(number).await?)),
        }
    }

    async fn document(&self, number: u32) -> anyhow::Result<Secret> {
        let found = self.store.configuration(number).await?;
        let (_, document) = found.with_context(|| {
            format!("the configuration has no revision {number}: `keyward config history` lists those it has")
        })?;
        Ok(document)
    }
}

/// The file of a gateway whose configuration is in its store.
fn in_store(policy: &Path) -> anyhow::Result<Policy> {
    let file = load_file(policy)?;
    match file.node.configuration {
        ConfigurationPlace::Store => Ok(file),
        ConfigurationPlace::File => bail!(
            "{} is itself the policy document: edit it, and the gateway takes it within a second. Revisions are kept where its [node] says configuration = \"store\"",
            policy.display()
        ),
    }
}

fn nothing_yet(policy: &Path) -> String {
    let policy = policy.display();
    format!(
        "there is no configuration yet: `keyward config apply DOCUMENT --policy {policy}` makes the first revision"
    )
}

async fn show(policy: &Path, revision: Option<u32>) -> anyhow::Result<()> {
    let revisions = Revisions::look(policy).await?;
    let (number, document) = match revision {
        Some(number) => (number, revisions.document(number).await?),
        None => revisions.newest().await?,
    };
    if number == 0 {
        bail!("{}", nothing_yet(policy));
    }
    print!("{}", document.expose());
    Ok(())
}
