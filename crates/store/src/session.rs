//! A session's row: made when the session is accepted, closed once.

use keyward_model::{ClientAddr, ConnectionName, Protocol, SessionId, TargetAddr, UnixMillis, Verdict};

use crate::bounds::{PAGE, SENTENCE, WORD, clip, clip_some};
use crate::call::cancel_open_calls;
use crate::session_ended::forgive_uncalled;
use crate::store::NODE;
use crate::{Store, StoreError, row, sql};

/// How many notes a session's record keeps; it counts the others.
pub(crate) const MAX_NOTES: i64 = 1000;
/// The groups of one person, as JSON.
const MAX_GROUPS: usize = 256 * 1024;

/// A session as it begins.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub id: SessionId,
    pub protocol: Protocol,
    pub connection: ConnectionName,
    pub client: ClientAddr,
    /// The login string without the values of its pairs: these may be passwords.
    pub login: Option<String>,
    /// The session of the jump host that it came through, if it did.
    pub jump_host: Option<SessionId>,
    pub started: UnixMillis,
}

/// What becomes known of a session on its way. `None` leaves what is there.
#[derive(Clone, Debug, Default)]
pub struct SessionFacts {
    pub gateway_user: Option<String>,
    pub gateway_groups: Option<Vec<String>>,
    pub remote_user: Option<String>,
    pub target: Option<TargetAddr>,
    pub additional_metadata: Option<String>,
    /// The recording, relative to the place of recordings.
    pub trail: Option<String>,
    /// The public key that signs it.
    pub trail_signer: Option<String>,
}

impl Store {
    /// Enters a session. An id that is already there is a database error.
    pub async fn begin_session(&self, new: &NewSession) -> Result<(), StoreError> {
        sql::query(
            "INSERT INTO sessions (id, node, protocol, connection, client, login, jump_host, started, notes)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)",
        )
        .bind(new.id.as_str())
        .bind(NODE)
        .bind(new.protocol.as_str())
        .bind(new.connection.as_str())
        .bind(new.client.to_string())
        .bind(clip_some(new.login.as_deref(), SENTENCE))
        .bind(new.jump_host.as_ref().map(SessionId::as_str))
        .bind(new.started.0)
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// Overwrites the facts that `facts` has. Also after the end: a recording may be finished later.
    pub async fn update_session(&self, id: &SessionId, facts: &SessionFacts) -> Result<(), StoreError> {
        let done = sql::query(
            "UPDATE sessions SET
                gateway_user = COALESCE($2, gateway_user),
                gateway_groups = COALESCE($3, gateway_groups),
                remote_user = COALESCE($4, remote_user),
                target_hostname = CASE WHEN $5 IS NULL THEN target_hostname ELSE $6 END,
                target_address = COALESCE($5, target_address),
                additional_metadata = COALESCE($7, additional_metadata),
                trail = COALESCE($8, trail),
                trail_signer = COALESCE($9, trail_signer)
             WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(clip_some(facts.gateway_user.as_deref(), SENTENCE))
        .bind(facts.gateway_groups.as_deref().map(groups_as_json).transpose()?)
        .bind(clip_some(facts.remote_user.as_deref(), SENTENCE))
        .bind(facts.target.as_ref().map(|target| target.addr.to_string()))
        .bind(facts.target.as_ref().and_then(|target| clip_some(target.hostname.as_deref(), WORD)))
        .bind(clip_some(facts.additional_metadata.as_deref(), PAGE))
        .bind(clip_some(facts.trail.as_deref(), SENTENCE))
        .bind(clip_some(facts.trail_signer.as_deref(), WORD))
        .execute(self.writer())
        .await?;
        changed_one(done.rows_affected(), id)
    }

    /// Keeps a decision in the session's record: 4 KiB of it, and at most 1,000 per session. More are only counted.
    pub async fn add_note(&self, id: &SessionId, at: UnixMillis, text: &str) -> Result<(), StoreError> {
        let mut change = self.write().await?;
        let n: Option<i64> =
            sql::scalar("UPDATE sessions SET notes = notes + 1 WHERE id = $1 RETURNING notes")
                .bind(id.as_str())
                .fetch_optional(&mut change)
                .await?;
        let n = n.ok_or_else(|| StoreError::UnknownSession(id.clone()))?;
        if n <= MAX_NOTES {
            sql::query("INSERT INTO session_notes (session, n, noted, text) VALUES ($1, $2, $3, $4)")
                .bind(id.as_str())
                .bind(n)
                .bind(at.0)
                .bind(clip(text, SENTENCE))
                .execute(&mut change)
                .await?;
        }
        Ok(change.commit().await?)
    }

    /// Ends a session, and with it the calls that still run: they become "cancelled". From then on each plugin that a
    /// call reached is owed its `session_ended`; the others are owed nothing.
    /// `false` when it had ended before; then nothing changes: the first verdict stays.
    pub async fn end_session(
        &self,
        id: &SessionId,
        ended: UnixMillis,
        verdict: Verdict,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let mut change = self.write().await?;
        let done = sql::query(
            "UPDATE sessions SET ended = $2, verdict = $3, reason = $4 WHERE id = $1 AND ended IS NULL",
        )
        .bind(id.as_str())
        .bind(ended.0)
        .bind(verdict.as_str())
        .bind(clip(reason, SENTENCE))
        .execute(&mut change)
        .await?;
        if done.rows_affected() == 0 {
            change.rollback().await?;
            // Tells an unknown session from one that has its end.
            return self.has_ended(id).await.map(|_| false);
        }
        cancel_open_calls(&mut change, id).await?;
        forgive_uncalled(&mut change, id).await?;
        change.commit().await?;
        Ok(true)
    }

    /// The sessions of this node that have no end. At a start these are the ones that died with the last run.
    pub async fn open_sessions(&self) -> Result<Vec<SessionId>, StoreError> {
        let rows = sql::query("SELECT id FROM sessions WHERE node = $1 AND ended IS NULL ORDER BY started")
            .bind(NODE)
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(|found| row::name(found, "id")).collect()
    }

    /// Whether the session has ended, as the writer sees it.
    pub(crate) async fn has_ended(&self, id: &SessionId) -> Result<bool, StoreError> {
        sql::scalar("SELECT ended IS NOT NULL FROM sessions WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(self.writer())
            .await?
            .ok_or_else(|| StoreError::UnknownSession(id.clone()))
    }
}

fn groups_as_json(groups: &[String]) -> Result<String, StoreError> {
    // A list of texts always serializes.
    let json = serde_json::Value::from(groups).to_string();
    match json.len() {
        bytes if bytes > MAX_GROUPS => {
            Err(StoreError::TooLarge { what: "the list of groups", bytes, limit: MAX_GROUPS })
        }
        _ => Ok(json),
    }
}

fn changed_one(rows: u64, id: &SessionId) -> Result<(), StoreError> {
    match rows {
        0 => Err(StoreError::UnknownSession(id.clone())),
        _ => Ok(()),
    }
}
