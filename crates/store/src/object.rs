//! Which recordings an object store has, and what became of their files.

use keyward_model::{SessionId, UnixMillis};
use serde::{Serialize, Serializer};

use crate::bounds::{SENTENCE, WORD, clip, clip_some};
use crate::database::Row;
use crate::store::NODE;
use crate::trail::{record, select_trails};
use crate::{Store, StoreError, TrailRecord, UnknownWord, row, sql};

/// The most that one question returns.
const PAGE: i64 = 100;

/// A recording as an object store has it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct StoredObject {
    /// Endpoint and bucket.
    pub store: String,
    pub key: String,
    /// `None`: the bucket has no versions.
    pub version: Option<String>,
    /// As the store says.
    pub etag: String,
    /// Bytes.
    pub length: u64,
    /// Of the file that was sent, in hexadecimal digits.
    pub sha256: String,
    #[serde(skip)]
    pub stored: UnixMillis,
    pub file: TheFile,
}

/// What became of the file of a recording that an object store has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TheFile {
    Kept,
    /// It is to be removed, or was just now.
    Going,
    Gone,
}

impl TheFile {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Going => "going",
            Self::Gone => "gone",
        }
    }
}

impl std::str::FromStr for TheFile {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Kept, Self::Going, Self::Gone]
            .into_iter()
            .find(|file| file.as_str() == text)
            .ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

impl Serialize for TheFile {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl Store {
    /// Finished recordings of this node that no object store has, those of the sessions that ended first, after the
    /// one that ended then: 100 at most. None of a session whose recording is deleted.
    pub async fn trails_to_store(
        &self,
        after: Option<(UnixMillis, &SessionId)>,
    ) -> Result<Vec<TrailRecord>, StoreError> {
        let (ended, id) = after.map_or((i64::MIN, ""), |(ended, id)| (ended.0, id.as_str()));
        let all = sql::query(select_trails!(
            "trail IS NOT NULL AND trail_link IS NOT NULL AND trail_deleted IS NULL AND s.ended IS NOT NULL AND node = $1
             AND o.session IS NULL AND (s.ended, s.id) > ($2, $3) ORDER BY s.ended, s.id LIMIT $4"
        ));
        let rows = all.bind(NODE).bind(ended).bind(id).bind(PAGE).fetch_all(self.readers()).await?;
        rows.iter().map(record).collect()
    }

    /// Keeps that an object store has a recording. `false`: its deletion was decided meanwhile, and nothing is kept.
    pub async fn note_stored(&self, id: &SessionId, object: &StoredObject) -> Result<bool, StoreError> {
        let done = sql::query(
            "INSERT INTO trail_objects (session, store, key, version, etag, length, sha256, stored, file)
             SELECT id, $2, $3, $4, $5, $6, $7, $8, $9 FROM sessions WHERE id = $1 AND trail_deleted IS NULL",
        )
        .bind(id.as_str())
        .bind(object.store.as_str())
        .bind(object.key.as_str())
        .bind(clip_some(object.version.as_deref(), SENTENCE))
        .bind(clip(&object.etag, WORD))
        .bind(i64::try_from(object.length).unwrap_or(i64::MAX))
        .bind(object.sha256.as_str())
        .bind(object.stored.0)
        .bind(object.file.as_str())
        .execute(self.writer())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Recordings that an object store has since before this moment, with a file that is to go, those stored first, after
    /// the one stored then: 100 at most. None that is on hold, whose file stays as well, and none whose deletion was decided.
    pub async fn files_to_go(
        &self,
        before: UnixMillis,
        after: Option<(UnixMillis, &SessionId)>,
    ) -> Result<Vec<TrailRecord>, StoreError> {
        let (stored, id) = after.map_or((i64::MIN, ""), |(stored, id)| (stored.0, id.as_str()));
        let all = sql::query(select_trails!(
            "o.file <> 'gone' AND o.stored <= $1 AND node = $2 AND trail_deleted IS NULL
             AND NOT EXISTS (SELECT 1 FROM trail_holds h WHERE h.session = s.id AND h.released IS NULL)
             AND (o.stored, s.id) > ($3, $4) ORDER BY o.stored, s.id LIMIT $5"
        ));
        let rows =
            all.bind(before.0).bind(NODE).bind(stored).bind(id).bind(PAGE).fetch_all(self.readers()).await?;
        rows.iter().map(record).collect()
    }

    /// Keeps what became, or is about to become, of the file of a recording that an object store has.
    pub async fn note_file(&self, id: &SessionId, file: TheFile) -> Result<(), StoreError> {
        sql::query("UPDATE trail_objects SET file = $2 WHERE session = $1")
            .bind(id.as_str())
            .bind(file.as_str())
            .execute(self.writer())
            .await?;
        Ok(())
    }
}

/// That of a row which [`select_trails`] has selected.
pub(crate) fn object(found: &Row) -> Result<Option<StoredObject>, StoreError> {
    let Some(store) = row::optional(found, "object_store")? else { return Ok(None) };
    Ok(Some(StoredObject {
        store,
        key: row::text(found, "object_key")?,
        version: row::optional(found, "object_version")?,
        etag: row::text(found, "object_etag")?,
        length: row::number(found, "object_length")?,
        sha256: row::text(found, "object_sha256")?,
        stored: row::time(found, "object_stored")?,
        file: row::word(found, "object_file")?,
    }))
}
