//! `keyward config apply` and `rollback`.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use keyward_model::Secret;
use keyward_policy::Policy;
use keyward_store::{NewConfiguration, PutConfiguration, Store};

use super::{Revisions, difference};
use crate::args::Change;
use crate::command::session::time;
use crate::command::{shown, who};
use crate::progress::Progress;
use crate::retention::now;

/// Plugins are imported anew, one after the other.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

pub(super) async fn apply(
    change: &Change,
    file: &Path,
    base: Option<u32>,
    dry_run: bool,
) -> anyhow::Result<()> {
    let document = read_document(file)?;
    let revisions = match dry_run {
        true => Revisions::look(&change.policy).await?,
        false => Revisions::change(&change.policy).await?,
    };
    let name = file.display().to_string();
    revisions.place.parse(document.expose(), &name)?;
    let (newest, before) = revisions.newest().await?;
    difference::print(&before, &document, &difference::revision(newest), &name);
    if dry_run {
        println!("{name} is sound. Nothing is changed.");
        return Ok(());
    }
    match revisions.put(&document, change, base).await? {
        PutConfiguration::Made(number) => revisions.wait(number).await,
        // Said above.
        PutConfiguration::Same(_) => Ok(()),
        PutConfiguration::Outdated(newest) => {
            let base = base.unwrap_or_default();
            let newer = revisions.told_of(newest).await?;
            bail!(
                "nothing is changed: {newer} has come after {}. See `keyward config diff {base} {newest}`, take over what you need, and apply with --base {newest}",
                difference::revision(base)
            )
        }
    }
}

pub(super) async fn roll_back(change: &Change, number: u32) -> anyhow::Result<()> {
    let revisions = Revisions::change(&change.policy).await?;
    let document = revisions.document(number).await?;
    let name = difference::revision(number);
    // What was sound then need not be: it may name files, and this program may be another one.
    revisions.place.parse(document.expose(), &name)?;
    let (newest, before) = revisions.newest().await?;
    difference::print(&before, &document, &difference::revision(newest), &name);
    let comment = change.comment.clone().unwrap_or_else(|| format!("back to revision {number}"));
    let change = Change { comment: Some(comment), policy: change.policy.clone() };
    match revisions.put(&document, &change, Some(newest)).await? {
        PutConfiguration::Made(number) => revisions.wait(number).await,
        PutConfiguration::Same(_) => Ok(()),
        PutConfiguration::Outdated(newest) => {
            bail!("nothing is changed: {} has come meanwhile", revisions.told_of(newest).await?)
        }
    }
}

/// A document in a file, or on standard input (`-`), of the size that a policy document may have.
pub(super) fn read_document(file: &Path) -> anyhow::Result<Secret> {
    let failed = || format!("{} cannot be read", file.display());
    let input: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        Some(_) | None => Box::new(File::open(file).with_context(failed)?),
    };
    let mut text = String::new();
    input.take(Policy::MAX_BYTES + 1).read_to_string(&mut text).with_context(failed)?;
    if text.len() as u64 > Policy::MAX_BYTES {
        bail!("{} is larger than {} MiB", file.display(), Policy::MAX_BYTES >> 20);
    }
    Ok(Secret::new(text))
}

impl Revisions {
    pub(super) async fn put(
        &self,
        document: &Secret,
        change: &Change,
        base: Option<u32>,
    ) -> anyhow::Result<PutConfiguration> {
        let author = who::asks();
        let new =
            NewConfiguration { document, made: now(), author: &author, comment: change.comment.as_deref() };
        Ok(self.store.put_configuration(&new, base).await?)
    }

    /// Who made a revision, and when.
    pub(super) async fn told_of(&self, number: u32) -> anyhow::Result<String> {
        let (revision, _) = self.store.configuration(number).await?.context("the revision is gone")?;
        Ok(format!("revision {number} of {}, made at {},", shown(&revision.author), time(revision.made)))
    }

    /// Waits until the gateway has taken a revision, or says why it has not.
    pub(super) async fn wait(&self, number: u32) -> anyhow::Result<()> {
        println!("Revision {number} is made.");
        let (start, mut progress) = (Instant::now(), Progress::begin());
        loop {
            let found = self.store.configuration(number).await?;
            let (revision, _) = found.context("the revision is gone")?;
            if let Some(reason) = revision.refused {
                bail!(
                    "the gateway has not taken revision {number}, and runs by the one before: {}",
                    reason.lines().map(shown).collect::<Vec<_>>().join("\n")
                );
            }
            if revision.in_force_since.is_some() {
                drop(progress);
                println!("It is in force.");
                return Ok(());
            }
            if self.store.configuration_in_force().await? > number {
                bail!("another revision has come right after it, and is in force: `keyward config history`");
            }
            if !Store::is_served(&self.node.data_dir).await? {
                println!("No gateway runs on {}: the next one takes it.", self.node.data_dir.display());
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!(
                    "the gateway has not taken it within {} s: see its log, and later `keyward config history`",
                    PATIENCE.as_secs()
                );
            }
            progress.tell("The gateway loads its plugins.");
            tokio::time::sleep(POLL).await;
        }
    }
}
