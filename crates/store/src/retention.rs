//! Which recordings are there to be deleted, and when a node last looked.

use keyward_model::{ConnectionName, SessionId, UnixMillis};

use crate::store::NODE;
use crate::trail::{record, select_trails};
use crate::{Store, StoreError, TrailRecord, row, sql};

/// How many each function here returns at once.
const PAGE: i64 = 1000;

/// Where a page of recordings in the order of their ends has stopped.
#[derive(Clone, Debug)]
pub struct After {
    ended: UnixMillis,
    session: String,
}

impl After {
    /// Before the first.
    pub const NOTHING: Self = Self { ended: UnixMillis(i64::MIN), session: String::new() };

    /// Behind this one. One whose session is open is in no such page.
    pub fn this(record: &TrailRecord) -> Self {
        Self { ended: record.ended.unwrap_or(UnixMillis(i64::MAX)), session: record.session.to_string() }
    }
}

impl Store {
    /// The recordings of a connection that were not deleted, and whose session ended before that time: the oldest first,
    /// 1,000 at most.
    pub async fn kept_trails_of(
        &self,
        connection: &ConnectionName,
        before: UnixMillis,
        after: &After,
    ) -> Result<Vec<TrailRecord>, StoreError> {
        let page = sql::query(select_trails!(
            "trail IS NOT NULL AND trail_deleted IS NULL AND node = $1 AND connection = $2 AND ended < $3
             AND (ended, id) > ($4, $5) ORDER BY ended, id LIMIT $6"
        ));
        let page = page.bind(NODE).bind(connection.as_str()).bind(before.0);
        let rows = page.bind(after.ended.0).bind(&after.session).bind(PAGE).fetch_all(self.readers()).await?;
        rows.iter().map(record).collect()
    }

    /// Those of all connections, whenever they ended.
    pub async fn kept_trails(&self, after: &After) -> Result<Vec<TrailRecord>, StoreError> {
        let page = sql::query(select_trails!(
            "trail IS NOT NULL AND trail_deleted IS NULL AND node = $1 AND ended IS NOT NULL
             AND (ended, id) > ($2, $3) ORDER BY ended, id LIMIT $4"
        ));
        let page = page.bind(NODE).bind(after.ended.0).bind(&after.session).bind(PAGE);
        page.fetch_all(self.readers()).await?.iter().map(record).collect()
    }

    /// The bytes of all recordings that were not deleted, as far as they were closed.
    pub async fn kept_bytes(&self) -> Result<u64, StoreError> {
        let sum: i64 = sql::scalar(
            "SELECT CAST(COALESCE(SUM(trail_length), 0) AS BIGINT) FROM sessions
             WHERE trail IS NOT NULL AND trail_deleted IS NULL AND node = $1",
        )
        .bind(NODE)
        .fetch_one(self.readers())
        .await?;
        Ok(u64::try_from(sum).unwrap_or_default())
    }

    /// The names of those whose length is not known, in order, after this name: 1,000 at most.
    pub async fn unmeasured_trails(&self, after: &str) -> Result<Vec<String>, StoreError> {
        let page = sql::query(
            "SELECT trail FROM sessions WHERE trail IS NOT NULL AND trail_deleted IS NULL AND trail_length IS NULL
             AND node = $1 AND trail > $2 ORDER BY trail LIMIT $3",
        );
        let rows = page.bind(NODE).bind(after).bind(PAGE).fetch_all(self.readers()).await?;
        rows.iter().map(|found| row::text(found, "trail")).collect()
    }

    /// What the ledger knows of the time: when this node last looked for recordings to delete, else when its newest session
    /// began; `None` in an empty ledger.
    pub async fn last_known_time(&self) -> Result<Option<UnixMillis>, StoreError> {
        let looked: Option<i64> = sql::scalar(
            "SELECT COALESCE((SELECT looked FROM retention_looks WHERE node = $1), (SELECT MAX(started) FROM sessions))",
        )
        .bind(NODE)
        .fetch_one(self.readers())
        .await?;
        Ok(looked.map(UnixMillis))
    }

    /// Keeps what time it is at least, as this node has it when it looks.
    pub async fn note_look(&self, at: UnixMillis) -> Result<(), StoreError> {
        sql::query(
            "INSERT INTO retention_looks (node, looked) VALUES ($1, $2) ON CONFLICT (node) DO UPDATE SET looked = $2",
        )
        .bind(NODE)
        .bind(at.0)
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// The session with this unique part of an id, as file names have it.
    pub async fn session_of(&self, unique: &str) -> Result<Option<SessionId>, StoreError> {
        // '0' is the character behind '/'.
        let one = sql::query("SELECT id FROM sessions WHERE id > $1 AND id < $2 LIMIT 1");
        let one = one.bind(format!("svc/{unique}/")).bind(format!("svc/{unique}0"));
        let found = one.fetch_optional(self.readers()).await?;
        found.map(|found| row::name(&found, "id")).transpose()
    }
}
