//! Legal holds: recordings that nothing deletes, whatever their age, until somebody says that they may go.

use keyward_model::{SessionId, UnixMillis};
use serde::Serialize;

use crate::bounds::{SENTENCE, WORD, clip};
use crate::database::{On, Row};
use crate::record::summary;
use crate::{SessionSummary, Store, StoreError, row, sql};

/// The most that [`Store::held_sessions`] returns at once.
const MAX_PAGE: u32 = 1000;
/// The most holds that a session may ever have had.
const MAX_HOLDS: i64 = 1000;

/// A hold on the recording of a session. It stays in the record after its release.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Hold {
    /// Counts those of the session, from 1.
    pub number: u32,
    pub placed: UnixMillis,
    pub reason: String,
    /// The user of the system who placed it.
    pub by: String,
    /// `None`: it holds.
    pub released: Option<Release>,
}

/// Why a hold is no more.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Release {
    pub at: UnixMillis,
    pub reason: String,
    pub by: String,
}

/// What somebody says who places or releases a hold.
#[derive(Clone, Debug)]
pub struct Said<'a> {
    pub at: UnixMillis,
    pub reason: &'a str,
    /// The user of the system.
    pub by: &'a str,
}

impl Store {
    /// Places a hold and gives its number. It outlasts a power cut. A session may have several, one for each matter, open sessions too.
    ///
    /// # Errors
    /// [`StoreError::TrailDeleted`] where there is nothing left to hold.
    pub async fn hold(&self, id: &SessionId, said: &Said<'_>) -> Result<u32, StoreError> {
        let mut change = self.write().await?;
        let deleted: Option<Option<i64>> = sql::scalar("SELECT trail_deleted FROM sessions WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut change)
            .await?;
        match deleted {
            None => return Err(StoreError::UnknownSession(id.clone())),
            Some(Some(_)) => return Err(StoreError::TrailDeleted(id.clone())),
            Some(None) => {}
        }
        let number: i64 = sql::scalar("SELECT COALESCE(MAX(n), 0) + 1 FROM trail_holds WHERE session = $1")
            .bind(id.as_str())
            .fetch_one(&mut change)
            .await?;
        if number > MAX_HOLDS {
            return Err(StoreError::TooManyHolds(id.clone()));
        }
        sql::query("INSERT INTO trail_holds (session, n, placed, reason, who) VALUES ($1, $2, $3, $4, $5)")
            .bind(id.as_str())
            .bind(number)
            .bind(said.at.0)
            .bind(clip(said.reason, SENTENCE))
            .bind(clip(said.by, WORD))
            .execute(&mut change)
            .await?;
        change.commit().await?;
        self.sync().await?;
        // Within MAX_HOLDS.
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Releases a hold. `false`: the session has none of this number that holds.
    pub async fn release(&self, id: &SessionId, number: u32, said: &Said<'_>) -> Result<bool, StoreError> {
        let done = sql::query(
            "UPDATE trail_holds SET released = $3, release_reason = $4, released_by = $5
             WHERE session = $1 AND n = $2 AND released IS NULL",
        )
        .bind(id.as_str())
        .bind(i64::from(number))
        .bind(said.at.0)
        .bind(clip(said.reason, SENTENCE))
        .bind(clip(said.by, WORD))
        .execute(self.writer())
        .await?;
        self.sync().await?;
        Ok(done.rows_affected() > 0)
    }

    /// All holds that a session has had, in their order.
    pub async fn holds(&self, id: &SessionId) -> Result<Vec<Hold>, StoreError> {
        holds(self.readers(), id).await
    }

    /// The sessions whose recordings are on hold, the newest first: `limit` of them, 1,000 at most.
    pub async fn held_sessions(&self, limit: u32) -> Result<Vec<SessionSummary>, StoreError> {
        let held = sql::query(
            "SELECT * FROM sessions WHERE id IN (SELECT session FROM trail_holds WHERE released IS NULL)
             ORDER BY started DESC, id DESC LIMIT $1",
        );
        let rows = held.bind(i64::from(limit.min(MAX_PAGE))).fetch_all(self.readers()).await?;
        rows.iter().map(summary).collect()
    }
}

pub(crate) async fn holds<'c>(from: impl Into<On<'c>>, id: &SessionId) -> Result<Vec<Hold>, StoreError> {
    let all = sql::query("SELECT * FROM trail_holds WHERE session = $1 ORDER BY n");
    all.bind(id.as_str()).fetch_all(from).await?.iter().map(hold).collect()
}

fn hold(found: &Row) -> Result<Hold, StoreError> {
    let released = match (row::optional_time(found, "released")?, row::optional(found, "released_by")?) {
        (Some(at), Some(by)) => {
            Some(Release { at, reason: row::optional(found, "release_reason")?.unwrap_or_default(), by })
        }
        _ => None,
    };
    Ok(Hold {
        number: row::number(found, "n")?,
        placed: row::time(found, "placed")?,
        reason: row::text(found, "reason")?,
        by: row::text(found, "who")?,
        released,
    })
}
