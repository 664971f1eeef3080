//! Plugin bundles. Old versions stay for as long as a session may need the one that it began with. After that their
//! archives go, and their rows stay, which the records of sessions tell the version by.

use std::fmt;

use keyward_model::{PluginName, UnixMillis};
use serde::Serialize;

use crate::bounds::{WORD, clip, count};
use crate::database::{Change, Row};
use crate::{Store, StoreError, row, sql};

/// Above what the checks of a bundle let through, so that this is not the limit people meet.
const MAX_ARCHIVE: usize = 64 * 1024 * 1024;

/// A bundle that was checked before.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredBundle {
    pub name: PluginName,
    pub version: String,
    pub api: String,
    /// The MANIFEST's `type`.
    pub kind: String,
    /// SHA-256 of the archive, lower-case hexadecimal. The caller has computed it.
    pub checksum: String,
    pub archive: Vec<u8>,
    pub uploaded: UnixMillis,
}

/// A bundle without its archive.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct BundleSummary {
    pub name: PluginName,
    pub version: String,
    pub api: String,
    pub kind: String,
    pub checksum: String,
    /// Of the archive, in bytes.
    pub size: u64,
    pub uploaded: UnixMillis,
}

/// What an upload did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PutBundle {
    /// No bundle of this name was there.
    New,
    /// Another one was current before.
    Updated,
    /// This one is current already; nothing changes.
    Same,
}

impl Store {
    /// Makes a bundle the current one of its name. Uploading an older one again makes it current again.
    pub async fn put_bundle(&self, bundle: &StoredBundle) -> Result<PutBundle, StoreError> {
        check(bundle)?;
        let mut change = self.write().await?;
        let current = current(&mut change, &bundle.name).await?;
        let (put, generation) = match &current {
            Some((checksum, _)) if *checksum == bundle.checksum => return Ok(PutBundle::Same),
            Some((_, generation)) => (PutBundle::Updated, generation + 1),
            None => (PutBundle::New, 1),
        };
        insert(&mut change, bundle, generation).await?;
        change.commit().await?;
        Ok(put)
    }

    /// The current bundle of a name.
    pub async fn bundle(&self, name: &PluginName) -> Result<Option<StoredBundle>, StoreError> {
        let found = sql::query("SELECT * FROM bundles WHERE name = $1 ORDER BY generation DESC LIMIT 1")
            .bind(name.as_str())
            .fetch_optional(self.readers())
            .await?;
        found.as_ref().map(stored).transpose()
    }

    /// A bundle of any age, by the SHA-256 of its archive.
    pub async fn bundle_by_checksum(&self, checksum: &str) -> Result<Option<StoredBundle>, StoreError> {
        let found = sql::query("SELECT * FROM bundles WHERE checksum = $1 AND size > 0")
            .bind(checksum)
            .fetch_optional(self.readers())
            .await?;
        found.as_ref().map(stored).transpose()
    }

    /// The current bundle of every name, by name.
    pub async fn bundles(&self) -> Result<Vec<BundleSummary>, StoreError> {
        let rows = sql::query(
            "SELECT b.name, b.version, b.api, b.kind, b.checksum, b.size, b.uploaded FROM bundles b
             WHERE b.generation = (SELECT MAX(generation) FROM bundles WHERE name = b.name) ORDER BY b.name",
        )
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(summary).collect()
    }

    /// Every bundle whose archive is there, by name, the current one of a name first.
    pub async fn all_bundles(&self) -> Result<Vec<BundleSummary>, StoreError> {
        let rows = sql::query(
            "SELECT name, version, api, kind, checksum, size, uploaded FROM bundles WHERE size > 0
             ORDER BY name, generation DESC",
        )
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(summary).collect()
    }

    /// Forgets the archives that nothing needs any more: no revision has them, no session is owed its end by them, and
    /// they are not among the last `keep` uploads of their name. How many went.
    pub async fn forget_archives(&self, keep: u32) -> Result<u64, StoreError> {
        let mut change = self.write().await?;
        let done = sql::query(
            "UPDATE bundles SET archive = $2, size = 0 WHERE size > 0
                AND (SELECT COUNT(*) FROM bundles newer
                     WHERE newer.name = bundles.name AND newer.generation > bundles.generation) >= $1
                AND checksum NOT IN (SELECT checksum FROM plugin_revisions)
                AND checksum NOT IN (SELECT checksum FROM session_plugins WHERE state <> 'ended')",
        )
        .bind(i64::from(keep))
        .bind(Vec::new())
        .execute(&mut change)
        .await?;
        change.commit().await?;
        Ok(done.rows_affected())
    }
}

fn check(bundle: &StoredBundle) -> Result<(), StoreError> {
    let bytes = bundle.archive.len();
    if bytes > MAX_ARCHIVE {
        return Err(StoreError::TooLarge { what: "the bundle", bytes, limit: MAX_ARCHIVE });
    }
    let digits = bundle.checksum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if bundle.checksum.len() != 64 || !digits {
        return Err(StoreError::BadChecksum(clip(&bundle.checksum, WORD)));
    }
    Ok(())
}

/// Checksum and generation of the current bundle.
async fn current(change: &mut Change, name: &PluginName) -> Result<Option<(String, i64)>, StoreError> {
    let found = sql::query(
        "SELECT checksum, generation FROM bundles WHERE name = $1 ORDER BY generation DESC LIMIT 1",
    )
    .bind(name.as_str())
    .fetch_optional(&mut *change)
    .await?;
    found.map(|found| Ok((row::text(&found, "checksum")?, found.try_get("generation")?))).transpose()
}

async fn insert(change: &mut Change, bundle: &StoredBundle, generation: i64) -> Result<(), StoreError> {
    // The same checksum is the same archive, and so the same MANIFEST: its turn has changed, and it may have been forgotten.
    sql::query(
        "INSERT INTO bundles (checksum, name, generation, version, api, kind, uploaded, size, archive)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (checksum) DO UPDATE SET generation = excluded.generation, uploaded = excluded.uploaded,
            size = excluded.size, archive = excluded.archive",
    )
    .bind(&bundle.checksum)
    .bind(bundle.name.as_str())
    .bind(generation)
    .bind(clip(&bundle.version, WORD))
    .bind(clip(&bundle.api, WORD))
    .bind(clip(&bundle.kind, WORD))
    .bind(bundle.uploaded.0)
    .bind(count(bundle.archive.len()))
    .bind(&bundle.archive)
    .execute(&mut *change)
    .await?;
    Ok(())
}

fn stored(found: &Row) -> Result<StoredBundle, StoreError> {
    Ok(StoredBundle {
        name: row::name(found, "name")?,
        version: row::text(found, "version")?,
        api: row::text(found, "api")?,
        kind: row::text(found, "kind")?,
        checksum: row::text(found, "checksum")?,
        archive: found.try_get("archive")?,
        uploaded: row::time(found, "uploaded")?,
    })
}

fn summary(found: &Row) -> Result<BundleSummary, StoreError> {
    Ok(BundleSummary {
        name: row::name(found, "name")?,
        version: row::text(found, "version")?,
        api: row::text(found, "api")?,
        kind: row::text(found, "kind")?,
        checksum: row::text(found, "checksum")?,
        size: row::number(found, "size")?,
        uploaded: row::time(found, "uploaded")?,
    })
}

/// Without the archive, which is no reading.
impl fmt::Debug for StoredBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredBundle")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("checksum", &self.checksum)
            .finish_non_exhaustive()
    }
}
