//! Pieces of recordings that an object store has while it does not have the whole.

use keyward_model::{SessionId, UnixMillis};

use crate::bounds::{SENTENCE, clip_some};
use crate::database::Row;
use crate::store::NODE;
use crate::trail::{record, select_trails};
use crate::{Store, StoreError, TrailRecord, row, sql};

/// The most that one question for recordings returns.
const PAGE: i64 = 100;

/// A piece of a recording in an object store. It begins where the one of the number before ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrailPart {
    /// From 1.
    pub number: u32,
    /// Endpoint and bucket.
    pub store: String,
    pub key: String,
    /// `None`: the bucket has no versions, or the piece is on its way.
    pub version: Option<String>,
    /// Bytes.
    pub length: u64,
    /// In hexadecimal digits.
    pub sha256: String,
    /// `None`: it is on its way, or was when the gateway died; the store may have it or not.
    pub stored: Option<UnixMillis>,
}

impl Store {
    /// Recordings of this node that no object store has as a whole, of sessions that are open or ended at this moment or
    /// later, in the order of their ids after this one: 100 at most. None whose deletion was decided.
    pub async fn trails_to_spool(
        &self,
        ended_since: UnixMillis,
        after: &str,
    ) -> Result<Vec<TrailRecord>, StoreError> {
        let all = sql::query(select_trails!(
            "s.id IN (SELECT id FROM sessions WHERE node = $1 AND ended IS NULL
                UNION ALL SELECT id FROM sessions WHERE ended >= $2 AND trail IS NOT NULL AND trail_deleted IS NULL)
             AND s.trail IS NOT NULL AND s.trail_deleted IS NULL AND s.node = $1 AND o.session IS NULL AND s.id > $3
             ORDER BY s.id LIMIT $4"
        ));
        let rows = all.bind(NODE).bind(ended_since.0).bind(after).bind(PAGE);
        rows.fetch_all(self.readers()).await?.iter().map(record).collect()
    }

    /// Sessions of this node with pieces that are no longer needed, after this one: the store has the whole, or the
    /// recording was deleted. 100 at most.
    pub async fn sessions_with_parts_to_go(&self, after: &str) -> Result<Vec<SessionId>, StoreError> {
        let all = sql::query(
            "SELECT DISTINCT p.session FROM trail_parts p JOIN sessions s ON s.id = p.session
                LEFT JOIN trail_objects o ON o.session = p.session
             WHERE s.node = $1 AND (o.session IS NOT NULL OR s.trail_deleted IS NOT NULL) AND p.session > $2
             ORDER BY p.session LIMIT $3",
        );
        let rows = all.bind(NODE).bind(after).bind(PAGE).fetch_all(self.readers()).await?;
        rows.iter().map(|found| row::name(found, "session")).collect()
    }

    /// The pieces of a recording in their order.
    pub async fn trail_parts(&self, id: &SessionId) -> Result<Vec<TrailPart>, StoreError> {
        let all = sql::query("SELECT * FROM trail_parts WHERE session = $1 ORDER BY number");
        let rows = all.bind(id.as_str()).fetch_all(self.readers()).await?;
        rows.iter().map(part).collect()
    }

    /// Keeps that a piece is going to be sent, in the place of one of that number that was on its way. `false`: it is not
    /// wanted any more, since the store has the whole or the deletion of the recording was decided; nothing is kept.
    pub async fn begin_part(&self, id: &SessionId, part: &TrailPart) -> Result<bool, StoreError> {
        let done = sql::query(
            "INSERT INTO trail_parts (session, number, store, key, length, sha256)
             SELECT id, $2, $3, $4, $5, $6 FROM sessions WHERE id = $1 AND trail_deleted IS NULL
                AND NOT EXISTS (SELECT 1 FROM trail_objects o WHERE o.session = $1)
             ON CONFLICT (session, number) DO UPDATE SET store = $3, key = $4, length = $5, sha256 = $6
                WHERE trail_parts.stored IS NULL",
        )
        .bind(id.as_str())
        .bind(part.number)
        .bind(part.store.as_str())
        .bind(part.key.as_str())
        .bind(i64::try_from(part.length).unwrap_or(i64::MAX))
        .bind(part.sha256.as_str())
        .execute(self.writer())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps that the store has a piece. `false`: its recording was deleted meanwhile, and the piece must go.
    pub async fn note_part(
        &self,
        id: &SessionId,
        number: u32,
        version: Option<&str>,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let done = sql::query(
            "UPDATE trail_parts SET version = $3, stored = $4 WHERE session = $1 AND number = $2
             AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = $1 AND s.trail_deleted IS NULL)",
        )
        .bind(id.as_str())
        .bind(number)
        .bind(clip_some(version, SENTENCE))
        .bind(at.0)
        .execute(self.writer())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets a piece that the store has no more.
    pub async fn forget_part(&self, id: &SessionId, number: u32) -> Result<(), StoreError> {
        let one = sql::query("DELETE FROM trail_parts WHERE session = $1 AND number = $2");
        one.bind(id.as_str()).bind(number).execute(self.writer()).await?;
        Ok(())
    }
}

fn part(found: &Row) -> Result<TrailPart, StoreError> {
    Ok(TrailPart {
        number: row::number(found, "number")?,
        store: row::text(found, "store")?,
        key: row::text(found, "key")?,
        version: row::optional(found, "version")?,
        length: row::number(found, "length")?,
        sha256: row::text(found, "sha256")?,
        stored: row::optional_time(found, "stored")?,
    })
}
