//! Four eyes: sessions that wait until somebody else lets them go on. Any process may decide; the gateway that has the
//! session looks for the decision.

use keyward_model::{SessionId, UnixMillis};
use serde::Serialize;

use crate::bounds::{SENTENCE, WORD, clip, clip_some};
use crate::database::Row;
use crate::record::summary;
use crate::{SessionSummary, Store, StoreError, row, sql};

/// The most that [`Store::waiting_approvals`] returns.
const PAGE: i64 = 1000;

/// What became of a session's wait.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Approval {
    pub asked: UnixMillis,
    /// When the gateway stops waiting.
    pub until: UnixMillis,
    /// `None`: nobody has decided.
    pub decision: Option<ApprovalDecision>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ApprovalDecision {
    pub at: UnixMillis,
    pub approved: bool,
    /// `None`: nobody decided in time, so it was not approved.
    pub by: Option<String>,
    /// For the record, and for the person.
    pub comment: Option<String>,
}

/// A session that waits, with what there is to decide by.
#[derive(Clone, Debug, Serialize)]
pub struct WaitingSession {
    #[serde(flatten)]
    pub summary: SessionSummary,
    pub gateway_groups: Option<Vec<String>>,
    /// What the AA plugin wants to be known of it, such as a ticket.
    pub additional_metadata: Option<String>,
    pub approval: Approval,
}

/// What has become of a decision.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Decided {
    /// It counts.
    Now,
    /// Another one was made before, which counts.
    Before(ApprovalDecision),
    /// The session has ended meanwhile.
    Over,
    /// The session does not wait for anybody.
    NotAsked,
}

impl Store {
    /// The session waits from now on.
    pub async fn ask_approval(
        &self,
        id: &SessionId,
        asked: UnixMillis,
        until: UnixMillis,
    ) -> Result<(), StoreError> {
        sql::query("INSERT INTO approvals (session, asked, until) VALUES ($1, $2, $3)")
            .bind(id.as_str())
            .bind(asked.0)
            .bind(until.0)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// The open sessions that wait, who has waited longest first: 1,000 at most.
    pub async fn waiting_approvals(&self) -> Result<Vec<WaitingSession>, StoreError> {
        let rows = sql::query(
            "SELECT s.*, a.asked, a.until, a.decided, a.approved, a.who, a.comment
             FROM approvals a JOIN sessions s ON s.id = a.session
             WHERE a.decided IS NULL AND s.ended IS NULL ORDER BY a.asked, a.session LIMIT $1",
        );
        rows.bind(PAGE).fetch_all(self.readers()).await?.iter().map(waiting).collect()
    }

    /// Decides, unless somebody has before, the gateway has stopped waiting, or the session has ended.
    pub async fn decide_approval(
        &self,
        id: &SessionId,
        decision: &ApprovalDecision,
    ) -> Result<Decided, StoreError> {
        let mut change = self.write().await?;
        let found = sql::query(
            "SELECT a.*, s.ended FROM sessions s LEFT JOIN approvals a ON a.session = s.id WHERE s.id = $1",
        );
        let found = found.bind(id.as_str()).fetch_optional(&mut change).await?;
        let found = found.ok_or_else(|| StoreError::UnknownSession(id.clone()))?;
        if row::optional(&found, "session")?.is_none() {
            return Ok(Decided::NotAsked);
        }
        if let Some(before) = approval(&found)?.decision {
            return Ok(Decided::Before(before));
        }
        if row::optional_time(&found, "ended")?.is_some() {
            return Ok(Decided::Over);
        }
        let ApprovalDecision { at, approved, by, comment } = decision;
        sql::query(
            "UPDATE approvals SET decided = $2, approved = $3, who = $4, comment = $5 WHERE session = $1",
        )
        .bind(id.as_str())
        .bind(at.0)
        .bind(*approved)
        .bind(by.as_deref().map(|by| clip(by, WORD)))
        .bind(clip_some(comment.as_deref(), SENTENCE))
        .execute(&mut change)
        .await?;
        change.commit().await?;
        Ok(Decided::Now)
    }

    /// What became of a session's wait; `None`: it did not have to wait.
    pub async fn approval(&self, id: &SessionId) -> Result<Option<Approval>, StoreError> {
        let found = sql::query("SELECT * FROM approvals WHERE session = $1");
        let found = found.bind(id.as_str()).fetch_optional(self.readers()).await?;
        found.as_ref().map(approval).transpose()
    }
}

fn waiting(found: &Row) -> Result<WaitingSession, StoreError> {
    Ok(WaitingSession {
        summary: summary(found)?,
        gateway_groups: row::optional_json(found, "gateway_groups")?,
        additional_metadata: row::optional(found, "additional_metadata")?,
        approval: approval(found)?,
    })
}

fn approval(found: &Row) -> Result<Approval, StoreError> {
    let decision = match row::optional_time(found, "decided")? {
        Some(at) => Some(ApprovalDecision {
            at,
            approved: row::flag(found, "approved")?,
            by: row::optional(found, "who")?,
            comment: row::optional(found, "comment")?,
        }),
        None => None,
    };
    Ok(Approval { asked: row::time(found, "asked")?, until: row::time(found, "until")?, decision })
}
