//! What the ledger keeps of recordings: enough to tell later whether each one is there, and as it was when it was closed.

use keyward_model::{ConnectionName, SessionId, UnixMillis};
use serde::Serialize;

use crate::bounds::{SENTENCE, clip};
use crate::database::Row;
use crate::deletion::deletion;
use crate::object::object;
use crate::{Deletion, KeptBecause, Store, StoreError, StoredObject, row, sql};

/// Selects what [`record`] reads, of the sessions `s` for which the rest of the statement holds.
macro_rules! select_trails {
    ($rest:literal) => {
        concat!(
            "SELECT s.*, d.decided AS deletion_decided, d.cause AS deletion_cause, d.reason AS deletion_reason,
                d.who AS deletion_who, d.as_closed AS deletion_as_closed, d.done AS deletion_done,
                o.store AS object_store, o.key AS object_key, o.version AS object_version, o.etag AS object_etag,
                o.length AS object_length, o.sha256 AS object_sha256, o.stored AS object_stored, o.file AS object_file,
                EXISTS (SELECT 1 FROM trail_holds h WHERE h.session = s.id AND h.released IS NULL) AS held,
                EXISTS (SELECT 1 FROM session_plugins p WHERE p.session = s.id AND p.state <> 'ended') AS owed
             FROM sessions s LEFT JOIN trail_deletions d ON d.session = s.id
                LEFT JOIN trail_objects o ON o.session = s.id WHERE ",
            $rest
        )
    };
}
pub(crate) use select_trails;

/// How many [`Store::trails`] returns at once.
const PAGE: i64 = 1000;

/// A recording as it was closed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ClosedTrail {
    /// Verdict and reason as the recording has them, or why it has no end.
    pub end: String,
    /// `None` where that is not known.
    pub last: Option<LastLink>,
}

impl ClosedTrail {
    /// What [`end`](Self::end) begins with where no file was ever made.
    pub const NOT_BEGUN: &str = "not begun";
}

/// How far a closed recording reaches.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LastLink {
    /// The link of its last block, in hexadecimal digits.
    pub link: String,
    /// Bytes.
    pub length: u64,
}

/// The recording of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrailRecord {
    pub session: SessionId,
    /// Relative to the place of recordings.
    pub trail: String,
    /// The public key that signs it; `None` for one of an earlier version.
    pub signer: Option<String>,
    /// `None`: the session is open, the gateway has died and not started since, or it was of an earlier version.
    pub closed: Option<ClosedTrail>,
    pub is_open: bool,
    pub connection: ConnectionName,
    /// `None` while its session is open.
    pub ended: Option<UnixMillis>,
    /// Whether a plugin is still owed its `session_ended`.
    pub is_owed: bool,
    /// Whether a legal hold keeps it.
    pub is_held: bool,
    /// `None`: nobody has deleted it.
    pub deletion: Option<Deletion>,
    /// `None`: no object store has it.
    pub object: Option<StoredObject>,
}

impl TrailRecord {
    /// What keeps it from being deleted whoever asks; `None`: nothing that the ledger knows of.
    pub fn kept_because(&self) -> Option<KeptBecause> {
        let reasons = [
            (self.deletion.is_some(), KeptBecause::Deleted),
            (self.is_open, KeptBecause::Open),
            (self.is_held, KeptBecause::Held),
            (self.is_owed, KeptBecause::Owed),
            (self.closed.is_none(), KeptBecause::NotClosed),
        ];
        reasons.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why)
    }
}

impl Store {
    /// Keeps how a session's recording was closed. Said again, it overwrites what was there.
    pub async fn close_trail(&self, id: &SessionId, closed: &ClosedTrail) -> Result<(), StoreError> {
        let length = closed.last.as_ref().map(|last| i64::try_from(last.length).unwrap_or(i64::MAX));
        let done = sql::query(
            "UPDATE sessions SET trail_end = $2, trail_link = $3, trail_length = $4 WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(clip(&closed.end, SENTENCE))
        .bind(closed.last.as_ref().map(|last| last.link.as_str()))
        .bind(length)
        .execute(self.writer())
        .await?;
        match done.rows_affected() {
            0 => Err(StoreError::UnknownSession(id.clone())),
            _ => Ok(()),
        }
    }

    /// Sessions that have ended and whose recording was never closed, as when the gateway died; none of earlier versions.
    pub async fn unclosed_trails(&self) -> Result<Vec<SessionId>, StoreError> {
        let all = sql::query(
            "SELECT id FROM sessions WHERE trail IS NOT NULL AND trail_signer IS NOT NULL AND trail_end IS NULL \
             AND ended IS NOT NULL ORDER BY started",
        );
        let rows = all.fetch_all(self.readers()).await?;
        rows.iter().map(|row| row::name(row, "id")).collect()
    }

    /// Recordings in the order of their names, after the one of this name: 1,000 at most.
    pub async fn trails(&self, after: &str) -> Result<Vec<TrailRecord>, StoreError> {
        let page = sql::query(select_trails!("trail > $1 ORDER BY trail LIMIT $2"));
        let rows = page.bind(after).bind(PAGE).fetch_all(self.readers()).await?;
        rows.iter().map(record).collect()
    }

    /// How many recordings there are of sessions that have ended, but for those that were deleted, and those of these
    /// connections.
    pub async fn count_trails(&self, except: &[&ConnectionName]) -> Result<u64, StoreError> {
        let count = sql::scalar::<i64>(
            "SELECT count(*) FROM sessions s WHERE trail IS NOT NULL AND ended IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM trail_deletions d WHERE d.session = s.id)
             AND connection NOT IN (SELECT value FROM json_each($1))",
        )
        .for_postgres(
            "SELECT count(*) FROM sessions s WHERE trail IS NOT NULL AND ended IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM trail_deletions d WHERE d.session = s.id)
             AND connection NOT IN (SELECT value FROM json_array_elements_text(CAST($1 AS JSON)))",
        );
        let except = except.iter().map(|name| name.as_str()).collect::<serde_json::Value>().to_string();
        Ok(count.bind(except).fetch_one(self.readers()).await?.try_into().unwrap_or_default())
    }

    /// The recording of this name.
    pub async fn trail_named(&self, name: &str) -> Result<Option<TrailRecord>, StoreError> {
        let one = sql::query(select_trails!("trail = $1"));
        let found = one.bind(name).fetch_optional(self.readers()).await?;
        found.as_ref().map(record).transpose()
    }

    /// The recording of a session; `None` where the session is not known, or has none.
    pub async fn trail_of(&self, id: &SessionId) -> Result<Option<TrailRecord>, StoreError> {
        let one = sql::query(select_trails!("id = $1 AND trail IS NOT NULL"));
        let found = one.bind(id.as_str()).fetch_optional(self.readers()).await?;
        found.as_ref().map(record).transpose()
    }
}

/// That of a row which [`select_trails`] has selected.
pub(crate) fn record(found: &Row) -> Result<TrailRecord, StoreError> {
    let ended = row::optional_time(found, "ended")?;
    Ok(TrailRecord {
        session: row::name(found, "id")?,
        trail: row::text(found, "trail")?,
        signer: row::optional(found, "trail_signer")?,
        closed: closed(found)?,
        is_open: ended.is_none(),
        connection: row::name(found, "connection")?,
        ended,
        is_owed: row::flag(found, "owed")?,
        is_held: row::flag(found, "held")?,
        deletion: deletion(found)?,
        object: object(found)?,
    })
}

pub(crate) fn closed(found: &Row) -> Result<Option<ClosedTrail>, StoreError> {
    let Some(end) = row::optional(found, "trail_end")? else { return Ok(None) };
    let link = row::optional(found, "trail_link")?;
    let length = row::optional_number(found, "trail_length")?;
    let last = link.zip(length).map(|(link, length)| LastLink { link, length });
    Ok(Some(ClosedTrail { end, last }))
}
