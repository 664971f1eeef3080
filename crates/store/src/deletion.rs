//! Deletions of recordings: recorded first, then done, so that a crash between leaves something to finish.

use keyward_model::{SessionId, UnixMillis};
use serde::{Serialize, Serializer};

use crate::bounds::{SENTENCE, WORD, clip, clip_some};
use crate::database::Row;
use crate::store::NODE;
use crate::trail::{record, select_trails};
use crate::{LastLink, Store, StoreError, TrailRecord, UnknownWord, row, sql};

/// The most that [`Store::unfinished_deletions`] returns at once.
const PAGE: i64 = 1000;

/// What a recording is deleted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeletionCause {
    /// It was kept for as long as the policy says.
    Age,
    /// All recordings together took more room than the policy gives them.
    Size,
    /// Somebody asked for it.
    Hand,
}

impl DeletionCause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Hand => "hand",
        }
    }
}

impl std::str::FromStr for DeletionCause {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Age, Self::Size, Self::Hand]
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

impl Serialize for DeletionCause {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// The deletion of a recording, as the ledger has it. What the recording was stays there as well.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Deletion {
    pub decided: UnixMillis,
    pub cause: DeletionCause,
    pub reason: String,
    /// The user of the system; `None`: the gateway by itself.
    pub by: Option<String>,
    /// Whether the file was as the ledger has it.
    pub as_closed: bool,
    /// When the file was gone; `None`: that is still to be done.
    pub done: Option<UnixMillis>,
}

/// A deletion that is to be.
#[derive(Clone, Debug)]
pub struct NewDeletion<'a> {
    pub at: UnixMillis,
    pub cause: DeletionCause,
    pub reason: &'a str,
    /// The user of the system; `None`: the gateway by itself.
    pub by: Option<&'a str>,
    /// What the file was found to be; `None`: not as it was closed, which only somebody's own word deletes.
    pub found: Option<&'a LastLink>,
}

/// Why a recording may not be deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeptBecause {
    NoRecording,
    Deleted,
    /// Its session is.
    Open,
    /// A plugin is still owed its `session_ended`, or a person has to settle one that was interrupted.
    Owed,
    Held,
    /// The gateway has not closed it yet, or could not.
    NotClosed,
    /// The ledger has another length or link than the file was found with.
    OtherEnd,
}

impl KeptBecause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRecording => "the session has no recording",
            Self::Deleted => "the recording is deleted",
            Self::Open => "the session is open",
            Self::Owed => "session_ended of a plugin is not settled",
            Self::Held => "the recording is on hold",
            Self::NotClosed => "the recording was not closed as a whole",
            Self::OtherEnd => "the recording is not as it was closed",
        }
    }
}

impl Store {
    /// Writes down that a recording is going to be deleted, unless something keeps it: that is looked at once more in
    /// the same transaction, since a hold may have come in between. Afterwards the file is to go, and then
    /// [`Store::finish_deletion`] says so.
    pub async fn decide_deletion(
        &self,
        id: &SessionId,
        new: &NewDeletion<'_>,
    ) -> Result<Result<(), KeptBecause>, StoreError> {
        let mut change = self.write().await?;
        let one = sql::query(select_trails!("s.id = $1")).bind(id.as_str());
        let found = one.fetch_optional(&mut change).await?;
        let Some(found) = found else { return Err(StoreError::UnknownSession(id.clone())) };
        if row::optional(&found, "trail")?.is_none() {
            return Ok(Err(KeptBecause::NoRecording));
        }
        let record = record(&found)?;
        if let Some(why) = record.kept_because() {
            return Ok(Err(why));
        }
        match (record.closed.and_then(|closed| closed.last), new.found, new.cause) {
            (_, None, DeletionCause::Hand) => {}
            (Some(last), Some(found), _) if last == *found => {}
            (None, _, _) => return Ok(Err(KeptBecause::NotClosed)),
            (Some(_), _, _) => return Ok(Err(KeptBecause::OtherEnd)),
        }
        sql::query(
            "INSERT INTO trail_deletions (session, decided, cause, reason, who, as_closed) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id.as_str())
        .bind(new.at.0)
        .bind(new.cause.as_str())
        .bind(clip(new.reason, SENTENCE))
        .bind(clip_some(new.by, WORD))
        .bind(new.found.is_some())
        .execute(&mut change)
        .await?;
        sql::query("UPDATE sessions SET trail_deleted = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(new.at.0)
            .execute(&mut change)
            .await?;
        change.commit().await?;
        Ok(Ok(()))
    }

    /// Writes down that the file is gone. Said again, the first time counts.
    pub async fn finish_deletion(&self, id: &SessionId, at: UnixMillis) -> Result<(), StoreError> {
        sql::query("UPDATE trail_deletions SET done = $2 WHERE session = $1 AND done IS NULL")
            .bind(id.as_str())
            .bind(at.0)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The recordings of this node whose deletion was decided and not finished, the first decided first: 1,000 at most.
    pub async fn unfinished_deletions(&self) -> Result<Vec<TrailRecord>, StoreError> {
        let all = sql::query(select_trails!(
            "s.id IN (SELECT session FROM trail_deletions WHERE done IS NULL) AND node = $1 ORDER BY d.decided LIMIT $2"
        ));
        all.bind(NODE).bind(PAGE).fetch_all(self.readers()).await?.iter().map(record).collect()
    }
}

/// That of a row which [`select_trails`] has selected.
pub(crate) fn deletion(found: &Row) -> Result<Option<Deletion>, StoreError> {
    let Some(decided) = row::optional_time(found, "deletion_decided")? else { return Ok(None) };
    Ok(Some(Deletion {
        decided,
        cause: row::word(found, "deletion_cause")?,
        reason: row::text(found, "deletion_reason")?,
        by: row::optional(found, "deletion_who")?,
        as_closed: row::flag(found, "deletion_as_closed")?,
        done: row::optional_time(found, "deletion_done")?,
    }))
}
