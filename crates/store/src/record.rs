//! Reading what the ledger has of a session.

use std::time::Duration;

use keyward_model::{
    ClientAddr, ConnectionName, InstanceName, PluginName, Protocol, SessionId, TargetAddr, UnixMillis,
    Verdict,
};
use serde::{Serialize, Serializer};

use crate::database::{Change, Row};
use crate::deletion::deletion;
use crate::session::MAX_NOTES;
use crate::{
    ClosedTrail, Deletion, Hold, LogLine, PluginState, RevisionId, Role, Store, StoreError, hold, row, sql,
    trail,
};

/// The most that [`Store::sessions`] returns at once.
const MAX_PAGE: u32 = 1000;

/// A session in a list.
#[derive(Clone, Debug, Serialize)]
pub struct SessionSummary {
    pub id: SessionId,
    pub protocol: Protocol,
    pub connection: ConnectionName,
    pub client: ClientAddr,
    /// The login string without the values of its pairs.
    pub login: Option<String>,
    /// The session of the jump host that it came through, if it did.
    pub jump_host: Option<SessionId>,
    pub started: UnixMillis,
    pub gateway_user: Option<String>,
    pub remote_user: Option<String>,
    pub target: Option<TargetAddr>,
    /// `None` while it runs; so is the verdict.
    pub ended: Option<UnixMillis>,
    pub verdict: Option<Verdict>,
    pub reason: Option<String>,
}

/// Everything about a session but its cookies.
#[derive(Clone, Debug, Serialize)]
pub struct SessionRecord {
    #[serde(flatten)]
    pub summary: SessionSummary,
    pub gateway_groups: Option<Vec<String>>,
    pub additional_metadata: Option<String>,
    /// The recording, relative to the place of recordings.
    pub trail: Option<String>,
    /// The public key that signs it.
    pub trail_signer: Option<String>,
    /// How it was closed; `None`: the session is open, or the gateway died.
    pub trail_closed: Option<ClosedTrail>,
    /// How it was deleted; `None`: it was not.
    pub trail_deletion: Option<Deletion>,
    /// The legal holds on it, released ones included.
    pub holds: Vec<Hold>,
    /// In the order of their first calls.
    pub plugins: Vec<PluginRecord>,
    pub calls: Vec<CallEntry>,
    pub notes: Vec<Note>,
    /// Notes above the limit, which were not kept.
    pub notes_left_out: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct PluginRecord {
    pub instance: InstanceName,
    pub role: Role,
    pub bundle: PluginName,
    /// Of the bundle that the session began with; `None` where the store does not have it.
    pub version: Option<String>,
    pub checksum: String,
    /// Which configuration of the instance the session began with.
    pub revision: Option<RevisionId>,
    pub follow_updates: bool,
    pub retry_interrupted: bool,
    pub state: PluginState,
    /// How `session_ended` went, or "not-called" where no call reached the plugin; `None` before.
    pub outcome: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CallEntry {
    pub instance: InstanceName,
    /// Of the bundle that the call ran on; `None` where the store does not have it.
    pub version: Option<String>,
    pub hook: String,
    pub round: u32,
    pub started: UnixMillis,
    #[serde(rename = "duration_ms", serialize_with = "as_milliseconds")]
    pub duration: Option<Duration>,
    pub verdict: Option<String>,
    /// "ok" or the kind of error, "cancelled" where the session ended before the call, "interrupted" where the
    /// gateway died during `session_ended`; `None` while the call runs.
    pub outcome: Option<String>,
    /// How the plugin's process ended; `None` where none got the call, or it runs.
    pub exit: Option<String>,
    pub error: Option<String>,
    pub traceback: Option<String>,
    pub log: Vec<LogLine>,
    /// Lines above the limit, which were not kept.
    pub log_left_out: u64,
}

/// A decision in the course of a session.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Note {
    pub at: UnixMillis,
    pub text: String,
}

impl Store {
    /// A session with its plugins, calls and notes, all as of one moment.
    pub async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let mut view = self.read().await?;
        let found =
            sql::query(trail::select_trails!("id = $1")).bind(id.as_str()).fetch_optional(&mut view).await?;
        let Some(found) = found else { return Ok(None) };
        Ok(Some(SessionRecord {
            summary: summary(&found)?,
            gateway_groups: row::optional_json(&found, "gateway_groups")?,
            additional_metadata: row::optional(&found, "additional_metadata")?,
            trail: row::optional(&found, "trail")?,
            trail_signer: row::optional(&found, "trail_signer")?,
            trail_closed: trail::closed(&found)?,
            trail_deletion: deletion(&found)?,
            holds: hold::holds(&mut view, id).await?,
            plugins: plugins(&mut view, id).await?,
            calls: calls(&mut view, id).await?,
            notes: notes(&mut view, id).await?,
            notes_left_out: row::number::<u64>(&found, "notes")?.saturating_sub(MAX_NOTES.unsigned_abs()),
        }))
    }

    /// Sessions that began before `before`, the newest first: `limit` of them, 1,000 at most.
    pub async fn sessions(
        &self,
        limit: u32,
        before: Option<UnixMillis>,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let rows =
            sql::query("SELECT * FROM sessions WHERE started < $1 ORDER BY started DESC, id DESC LIMIT $2")
                .bind(before.map_or(i64::MAX, |before| before.0))
                .bind(i64::from(limit.min(MAX_PAGE)))
                .fetch_all(self.readers())
                .await?;
        rows.iter().map(summary).collect()
    }
}

pub(crate) fn summary(found: &Row) -> Result<SessionSummary, StoreError> {
    Ok(SessionSummary {
        id: row::name(found, "id")?,
        protocol: row::word(found, "protocol")?,
        connection: row::name(found, "connection")?,
        client: row::client(found)?,
        login: row::optional(found, "login")?,
        jump_host: row::optional_name(found, "jump_host")?,
        started: row::time(found, "started")?,
        gateway_user: row::optional(found, "gateway_user")?,
        remote_user: row::optional(found, "remote_user")?,
        target: row::target(found)?,
        ended: row::optional_time(found, "ended")?,
        verdict: row::optional_word(found, "verdict")?,
        reason: row::optional(found, "reason")?,
    })
}

async fn plugins(view: &mut Change, id: &SessionId) -> Result<Vec<PluginRecord>, StoreError> {
    let rows = sql::query(
        "SELECT p.*, b.version FROM session_plugins p LEFT JOIN bundles b ON b.checksum = p.checksum
         WHERE p.session = $1 ORDER BY p.position",
    )
    .bind(id.as_str())
    .fetch_all(&mut *view)
    .await?;
    rows.iter().map(plugin).collect()
}

fn plugin(found: &Row) -> Result<PluginRecord, StoreError> {
    Ok(PluginRecord {
        instance: row::name(found, "instance")?,
        role: row::word(found, "role")?,
        bundle: row::name(found, "bundle")?,
        version: row::optional(found, "version")?,
        checksum: row::text(found, "checksum")?,
        revision: found.try_get::<Option<i64>>("revision")?.map(RevisionId),
        follow_updates: found.try_get("follow_updates")?,
        retry_interrupted: found.try_get("retry_interrupted")?,
        state: row::word(found, "state")?,
        outcome: row::optional(found, "outcome")?,
    })
}

async fn calls(view: &mut Change, id: &SessionId) -> Result<Vec<CallEntry>, StoreError> {
    let rows = sql::query(
        "SELECT c.*, b.version FROM hook_calls c
         JOIN session_plugins p ON p.session = c.session AND p.instance = c.instance
         LEFT JOIN bundles b ON b.checksum = COALESCE(c.checksum, p.checksum)
         WHERE c.session = $1 ORDER BY c.id",
    )
    .bind(id.as_str())
    .fetch_all(&mut *view)
    .await?;
    rows.iter().map(call).collect()
}

fn call(found: &Row) -> Result<CallEntry, StoreError> {
    Ok(CallEntry {
        instance: row::name(found, "instance")?,
        version: row::optional(found, "version")?,
        hook: row::text(found, "hook")?,
        round: row::number(found, "round")?,
        started: row::time(found, "started")?,
        duration: row::optional_micros(found, "duration_us")?,
        verdict: row::optional(found, "verdict")?,
        outcome: row::optional(found, "outcome")?,
        exit: row::optional(found, "exit")?,
        error: row::optional(found, "error")?,
        traceback: row::optional(found, "traceback")?,
        log: row::optional_json(found, "log")?.unwrap_or_default(),
        log_left_out: row::optional_number(found, "log_left_out")?.unwrap_or_default(),
    })
}

async fn notes(view: &mut Change, id: &SessionId) -> Result<Vec<Note>, StoreError> {
    let rows = sql::query("SELECT noted, text FROM session_notes WHERE session = $1 ORDER BY n")
        .bind(id.as_str())
        .fetch_all(&mut *view)
        .await?;
    rows.iter()
        .map(|found| Ok(Note { at: row::time(found, "noted")?, text: row::text(found, "text")? }))
        .collect()
}

fn as_milliseconds<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64() * 1000.0).serialize(to)
}
