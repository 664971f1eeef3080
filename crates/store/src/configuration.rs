//! Revisions of the configuration: policy documents that are kept in the store, where no file is the truth. None of them
//! changes; a change is another revision.

use keyward_model::{Secret, UnixMillis};
use serde::Serialize;

use crate::bounds::{PAGE, SENTENCE, WORD, clip, clip_some};
use crate::database::{Change, Row};
use crate::sealing::Spot;
use crate::{Store, StoreError, row, sql};

/// Above what a policy document may be, so that this is not the limit people meet.
const MAX_DOCUMENT: usize = 32 * 1024 * 1024;
/// The most that [`Store::configurations`] returns.
const MOST: i64 = 1000;

/// What is known of a revision, its document aside.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConfigurationRevision {
    /// 1 for the first, and one more for each that follows.
    pub number: u32,
    pub made: UnixMillis,
    pub author: String,
    pub comment: Option<String>,
    /// When the gateway took it; `None`: it has not. Of those that it took, the one with the highest number is in force.
    pub in_force_since: Option<UnixMillis>,
    /// Why the gateway did not take it. A later try may.
    pub refused: Option<String>,
}

/// A document on its way to be a revision. It was checked before.
#[derive(Clone, Copy, Debug)]
pub struct NewConfiguration<'n> {
    pub document: &'n Secret,
    pub made: UnixMillis,
    pub author: &'n str,
    pub comment: Option<&'n str>,
}

/// What became of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PutConfiguration {
    /// It is the revision of this number now.
    Made(u32),
    /// The newest revision, which has this number, is the same.
    Same(u32),
    /// Nothing was changed: the newest revision is this one, and not the one that the document was made from.
    Outdated(u32),
}

impl Store {
    /// Makes a revision of a document, which was made from revision `base`: 0 for none, `None` where it replaces whatever
    /// there is.
    pub async fn put_configuration(
        &self,
        new: &NewConfiguration<'_>,
        base: Option<u32>,
    ) -> Result<PutConfiguration, StoreError> {
        let bytes = new.document.expose().len();
        if bytes > MAX_DOCUMENT {
            return Err(StoreError::TooLarge { what: "the policy document", bytes, limit: MAX_DOCUMENT });
        }
        let mut change = self.write().await?;
        let newest = newest(&mut change).await?;
        if base.is_some_and(|base| base != newest) {
            return Ok(PutConfiguration::Outdated(newest));
        }
        if self
            .document_of(&mut change, newest)
            .await?
            .is_some_and(|same| same.expose() == new.document.expose())
        {
            return Ok(PutConfiguration::Same(newest));
        }
        let number = newest.saturating_add(1);
        sql::query(
            "INSERT INTO configurations (number, made, author, comment, document) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(number)
        .bind(new.made.0)
        .bind(clip(new.author, WORD))
        .bind(clip_some(new.comment, SENTENCE))
        .bind(self.sealing().seal(new.document.expose(), Spot::Document { number })?)
        .execute(&mut change)
        .await?;
        change.commit().await?;
        Ok(PutConfiguration::Made(number))
    }

    /// A revision with its document, or `None` where there is none of this number.
    pub async fn configuration(
        &self,
        number: u32,
    ) -> Result<Option<(ConfigurationRevision, Secret)>, StoreError> {
        let found = sql::query("SELECT * FROM configurations WHERE number = $1");
        let found = found.bind(number).fetch_optional(self.readers()).await?;
        found.as_ref().map(|found| Ok((revision(found)?, self.document(found)?))).transpose()
    }

    /// The number of the newest revision; 0: there is none.
    pub async fn newest_configuration(&self) -> Result<u32, StoreError> {
        let found = sql::query(NEWEST).fetch_all(self.readers()).await?;
        number(&found)
    }

    /// The number of the revision that is in force, or was when the gateway ended; 0: none is.
    pub async fn configuration_in_force(&self) -> Result<u32, StoreError> {
        let found = sql::query(
            "SELECT COALESCE(MAX(number), 0) AS number FROM configurations WHERE in_force_since IS NOT NULL",
        );
        number(&found.fetch_all(self.readers()).await?)
    }

    /// The newest revisions, the newest first: 1,000 at most.
    pub async fn configurations(&self) -> Result<Vec<ConfigurationRevision>, StoreError> {
        let rows = sql::query(
            "SELECT number, made, author, comment, in_force_since, refused FROM configurations
             ORDER BY number DESC LIMIT $1",
        );
        rows.bind(MOST).fetch_all(self.readers()).await?.iter().map(revision).collect()
    }

    /// Writes down that the gateway has taken a revision. One that was in force before keeps its time.
    pub async fn take_configuration(&self, number: u32, at: UnixMillis) -> Result<(), StoreError> {
        let taken = sql::query(
            "UPDATE configurations SET in_force_since = COALESCE(in_force_since, $2), refused = NULL WHERE number = $1",
        );
        taken.bind(number).bind(at.0).execute(self.writer()).await?;
        Ok(())
    }

    /// Writes down why the gateway has not taken a revision.
    pub async fn refuse_configuration(&self, number: u32, reason: &str) -> Result<(), StoreError> {
        let refused = sql::query("UPDATE configurations SET refused = $2 WHERE number = $1");
        refused.bind(number).bind(clip(reason, PAGE)).execute(self.writer()).await?;
        Ok(())
    }

    async fn document_of(&self, change: &mut Change, number: u32) -> Result<Option<Secret>, StoreError> {
        let found = sql::query("SELECT number, document FROM configurations WHERE number = $1");
        let found = found.bind(number).fetch_optional(change).await?;
        found.as_ref().map(|found| self.document(found)).transpose()
    }

    fn document(&self, found: &Row) -> Result<Secret, StoreError> {
        let sealed: Vec<u8> = found.try_get("document")?;
        self.sealing().unseal(&sealed, Spot::Document { number: row::number(found, "number")? })
    }
}

const NEWEST: &str = "SELECT COALESCE(MAX(number), 0) AS number FROM configurations";

async fn newest(change: &mut Change) -> Result<u32, StoreError> {
    number(&sql::query(NEWEST).fetch_all(change).await?)
}

fn number(found: &[Row]) -> Result<u32, StoreError> {
    found.first().map_or(Ok(0), |found| row::number(found, "number"))
}

fn revision(found: &Row) -> Result<ConfigurationRevision, StoreError> {
    Ok(ConfigurationRevision {
        number: row::number(found, "number")?,
        made: row::time(found, "made")?,
        author: row::text(found, "author")?,
        comment: row::optional(found, "comment")?,
        in_force_since: row::optional_time(found, "in_force_since")?,
        refused: row::optional(found, "refused")?,
    })
}
