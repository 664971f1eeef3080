//! Revisions of plugin instances: which bundle, with which configuration. A session keeps the one that it began with,
//! also after a restart of the gateway, so what an open session or a debt refers to is kept.

use std::fmt;

use keyward_model::{InstanceName, PluginName, Secret, UnixMillis};
use serde::Serialize;

use crate::database::{Change, Row};
use crate::sealing::{Sealing, Spot};
use crate::{Store, StoreError, row, sql};

/// Above what a policy document may hold, so that this is not the limit people meet.
const MAX_CONFIGURATION: usize = 32 * 1024 * 1024;

/// The number of a revision, unlike that of any other of this store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct RevisionId(pub(crate) i64);

/// What makes two versions of an instance different for the sessions that use it.
#[derive(Clone, Debug)]
pub struct PluginRevision {
    pub instance: InstanceName,
    pub bundle: PluginName,
    /// SHA-256 of the bundle's archive.
    pub checksum: String,
    /// The name of the environment.
    pub environment: String,
    /// What the constructor gets.
    pub configuration: Secret,
}

impl Store {
    /// The number of a revision; an instance that comes back to an earlier one gets the number of that.
    pub async fn put_revision(
        &self,
        revision: &PluginRevision,
        now: UnixMillis,
    ) -> Result<RevisionId, StoreError> {
        let bytes = revision.configuration.expose().len();
        if bytes > MAX_CONFIGURATION {
            return Err(StoreError::TooLarge { what: "the configuration", bytes, limit: MAX_CONFIGURATION });
        }
        let hash = self.sealing().hash(&revision.configuration);
        let mut change = self.write().await?;
        if let Some(known) = find(&mut change, revision, &hash).await? {
            return Ok(known);
        }
        let id: i64 = sql::scalar(
            "INSERT INTO plugin_revisions (instance, bundle, checksum, environment, configuration,
                configuration_hash, made)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        )
        .bind(revision.instance.as_str())
        .bind(revision.bundle.as_str())
        .bind(&revision.checksum)
        .bind(&revision.environment)
        .bind(self.sealing().seal(revision.configuration.expose(), spot(revision, &hash))?)
        .bind(&hash)
        .bind(now.0)
        .fetch_one(&mut change)
        .await?;
        change.commit().await?;
        Ok(RevisionId(id))
    }

    pub async fn revision(&self, id: RevisionId) -> Result<Option<PluginRevision>, StoreError> {
        let found = sql::query("SELECT * FROM plugin_revisions WHERE id = $1")
            .bind(id.0)
            .fetch_optional(self.readers())
            .await?;
        found.as_ref().map(|found| revision(found, self.sealing())).transpose()
    }

    /// At a start, once [`Store::put_revision`] has named those of today: forgets every other one that nothing is
    /// owed to. How many went.
    ///
    /// INVARIANT: never while sessions run: one that was accepted is not in the ledger before its first call.
    pub async fn forget_revisions(&self, today: &[RevisionId]) -> Result<u64, StoreError> {
        let mut change = self.write().await?;
        let free: Vec<i64> = sql::scalar(
            "SELECT id FROM plugin_revisions WHERE id NOT IN
                (SELECT revision FROM session_plugins WHERE state <> 'ended' AND revision IS NOT NULL)",
        )
        .fetch_all(&mut change)
        .await?;
        let mut forgotten = 0;
        for id in free.into_iter().filter(|id| !today.contains(&RevisionId(*id))) {
            sql::query("DELETE FROM plugin_revisions WHERE id = $1").bind(id).execute(&mut change).await?;
            forgotten += 1;
        }
        change.commit().await?;
        Ok(forgotten)
    }
}

async fn find(
    change: &mut Change,
    revision: &PluginRevision,
    hash: &str,
) -> Result<Option<RevisionId>, StoreError> {
    let found: Option<i64> = sql::scalar(
        "SELECT id FROM plugin_revisions
         WHERE instance = $1 AND bundle = $2 AND checksum = $3 AND environment = $4
            AND configuration_hash = $5",
    )
    .bind(revision.instance.as_str())
    .bind(revision.bundle.as_str())
    .bind(&revision.checksum)
    .bind(&revision.environment)
    .bind(hash)
    .fetch_optional(&mut *change)
    .await?;
    Ok(found.map(RevisionId))
}

fn revision(found: &Row, sealing: &Sealing) -> Result<PluginRevision, StoreError> {
    let mut revision = PluginRevision {
        instance: row::name(found, "instance")?,
        bundle: row::name(found, "bundle")?,
        checksum: row::text(found, "checksum")?,
        environment: row::text(found, "environment")?,
        configuration: Secret::new(String::new()),
    };
    let sealed: Vec<u8> = found.try_get("configuration")?;
    let hash = row::text(found, "configuration_hash")?;
    revision.configuration = sealing.unseal(&sealed, spot(&revision, &hash))?;
    Ok(revision)
}

/// Where the configuration lies that has this hash.
fn spot<'r>(revision: &'r PluginRevision, hash: &'r str) -> Spot<'r> {
    Spot::Plugin {
        instance: revision.instance.as_str(),
        bundle: revision.bundle.as_str(),
        checksum: &revision.checksum,
        environment: &revision.environment,
        hash,
    }
}

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
