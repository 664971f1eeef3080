//! `session_ended`, which each plugin that was called in a session is owed once (contract sections 4 and 5).
//!
//! ```text
//!                  begin           finish
//! engage ──▶ called ────▶ ending ─────────▶ ended
//!              ▲  ▲          │ │
//!              │  └─ release ┘ │ the gateway died
//!              │               ▼
//!              └──────── interrupted
//!       repeat, or retry_interrupted
//! ```
//!
//! At the session's end a plugin that no call had reached goes from called to ended at once.
//!
//! INVARIANT: a plugin that is ending has a row of its `session_ended` in `hook_calls`, open for as long as it is
//! ending: both change in one transaction.

use keyward_model::{ConnectionName, InstanceName, PluginName, Protocol, SessionId, UnixMillis};

use crate::bounds::{WORD, clip};
use crate::call::{known, read_cookie, write_record};
use crate::database::{Change, Row};
use crate::sealing::{Sealing, Spot};
use crate::store::NODE;
use crate::{CallId, CallRecord, Cookies, RevisionId, Role, Store, StoreError, row, sql};

/// The most that [`Store::debts`] returns at once.
const MAX_DEBTS: i64 = 10_000;

/// The right to call `session_ended` of one plugin, which nobody else has: it is given back with
/// [`Store::finish_session_ended`] or [`Store::release_session_ended`].
#[derive(Debug)]
#[must_use]
pub struct EndCall {
    pub call: CallId,
    /// The last ones that the ledger knows.
    pub cookies: Cookies,
}

/// A `session_ended` that was running when the gateway died.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interrupted {
    pub session: SessionId,
    pub instance: InstanceName,
    pub role: Role,
    /// It is owed again, and among the [`Store::debts`]; otherwise it waits for a person.
    pub retry: bool,
}

/// A `session_ended` that is owed: the session has ended, and the plugin has not been told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Debt {
    pub session: SessionId,
    pub protocol: Protocol,
    pub connection: ConnectionName,
    pub instance: InstanceName,
    pub role: Role,
    pub bundle: PluginName,
    pub checksum: String,
    /// Which version is to be called; `None`: entered by a program that knew no revisions.
    pub revision: Option<RevisionId>,
    /// The version of today is to be called.
    pub follow_updates: bool,
}

impl Store {
    /// Takes the right to call `session_ended` of a plugin, and enters the call. `None`: another call has or had it,
    /// or nothing of the plugin ran in the session; then the hook must not be called.
    ///
    /// # Errors
    /// [`StoreError::NotEnded`] while the session is open: its end is written first.
    pub async fn begin_session_ended(
        &self,
        session: &SessionId,
        instance: &InstanceName,
        started: UnixMillis,
    ) -> Result<Option<EndCall>, StoreError> {
        let mut change = self.write().await?;
        let Some(cookies) = take_right(&mut change, self.sealing(), session, instance).await? else {
            change.rollback().await?;
            return match self.has_ended(session).await? {
                true => Ok(None),
                false => Err(StoreError::NotEnded(session.clone())),
            };
        };
        let call: i64 = sql::scalar(
            "INSERT INTO hook_calls (session, instance, hook, round, started)
             VALUES ($1, $2, 'session_ended', 1, $3) RETURNING id",
        )
        .bind(session.as_str())
        .bind(instance.as_str())
        .bind(started.0)
        .fetch_one(&mut change)
        .await?;
        change.commit().await?;
        Ok(Some(EndCall { call: CallId(call), cookies }))
    }

    /// Writes how `session_ended` went, and forgets the plugin's cookie; the session's goes with the last plugin.
    /// Cookies may hold credentials and are of no more use. `false` when it was finished before.
    ///
    /// # Errors
    /// [`StoreError::NotEnding`] for a call of another hook.
    pub async fn finish_session_ended(&self, call: CallId, record: &CallRecord) -> Result<bool, StoreError> {
        let mut change = self.write().await?;
        if write_record(&mut change, call, record).await?.is_none() {
            return known(&mut change, call).await.map(|()| false);
        }
        let session: Option<String> = sql::scalar(
            "UPDATE session_plugins SET state = 'ended', outcome = $2, cookie = ''
             WHERE state = 'ending' AND (session, instance) IN
                (SELECT session, instance FROM hook_calls WHERE id = $1 AND hook = 'session_ended')
             RETURNING session",
        )
        .bind(call.0)
        .bind(clip(&record.outcome, WORD))
        .fetch_optional(&mut change)
        .await?;
        let session = session.ok_or(StoreError::NotEnding(call))?;
        forget_session_cookie(&mut change, &session).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Gives the right back where `session_ended` reached no process of the plugin: it is owed as before, and the
    /// call is forgotten. `false` when there is nothing to give back.
    pub async fn release_session_ended(&self, call: CallId) -> Result<bool, StoreError> {
        let mut change = self.write().await?;
        let done = sql::query(
            "UPDATE session_plugins SET state = 'called'
             WHERE state = 'ending' AND (session, instance) IN
                (SELECT session, instance FROM hook_calls
                 WHERE id = $1 AND hook = 'session_ended' AND outcome IS NULL)",
        )
        .bind(call.0)
        .execute(&mut change)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sql::query("DELETE FROM hook_calls WHERE id = $1").bind(call.0).execute(&mut change).await?;
        change.commit().await?;
        Ok(true)
    }

    /// At a start, before anything else is called: every `session_ended` of this node that was running becomes
    /// interrupted, or is owed again where its plugin says `retry_interrupted`.
    ///
    /// Whether it was running is told by its row among the calls: without one it had not begun, and one with an
    /// outcome was over.
    pub async fn mark_interrupted(&self) -> Result<Vec<Interrupted>, StoreError> {
        let mut change = self.write().await?;
        owe_what_had_not_begun(&mut change).await?;
        end_what_was_over(&mut change).await?;
        let rows = sql::query(
            "UPDATE session_plugins SET state = CASE WHEN retry_interrupted THEN 'called' ELSE 'interrupted' END
             WHERE state = 'ending' AND session IN (SELECT id FROM sessions WHERE node = $1)
             RETURNING session, instance, role, retry_interrupted",
        )
        .bind(NODE)
        .fetch_all(&mut change)
        .await?;
        let all: Vec<Interrupted> = rows.iter().map(interrupted).collect::<Result<_, _>>()?;
        for one in &all {
            close_interrupted_call(&mut change, one).await?;
        }
        change.commit().await?;
        Ok(all)
    }

    /// Makes an interrupted `session_ended` owed again, by a person's decision. `false` when it is not interrupted.
    pub async fn repeat_interrupted(
        &self,
        session: &SessionId,
        instance: &InstanceName,
    ) -> Result<bool, StoreError> {
        let done = sql::query(
            "UPDATE session_plugins SET state = 'called'
             WHERE session = $1 AND instance = $2 AND state = 'interrupted'",
        )
        .bind(session.as_str())
        .bind(instance.as_str())
        .execute(self.writer())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// What this node owes: the oldest 10,000, by session, in the order of the first calls.
    pub async fn debts(&self) -> Result<Vec<Debt>, StoreError> {
        let rows = sql::query(
            "SELECT p.session, s.protocol, s.connection, p.instance, p.role, p.bundle, p.checksum,
                p.revision, p.follow_updates
             FROM session_plugins p JOIN sessions s ON s.id = p.session
             WHERE p.state = 'called' AND s.ended IS NOT NULL AND s.node = $1
                AND EXISTS (SELECT 1 FROM hook_calls c
                    WHERE c.session = p.session AND c.instance = p.instance AND c.reached)
             ORDER BY s.started, s.id, p.position LIMIT $2",
        )
        .bind(NODE)
        .bind(MAX_DEBTS)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(debt).collect()
    }
}

/// The cookies of a plugin that is owed its `session_ended`, and from now on is being told.
async fn take_right(
    change: &mut Change,
    sealing: &Sealing,
    session: &SessionId,
    instance: &InstanceName,
) -> Result<Option<Cookies>, StoreError> {
    let found = sql::query(
        "UPDATE session_plugins SET state = 'ending'
         WHERE session = $1 AND instance = $2 AND state = 'called'
            AND EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND ended IS NOT NULL)
            AND EXISTS (SELECT 1 FROM hook_calls WHERE session = $1 AND instance = $2 AND reached)
         RETURNING cookie, (SELECT session_cookie FROM sessions WHERE id = $1) AS session_cookie",
    )
    .bind(session.as_str())
    .bind(instance.as_str())
    .fetch_optional(&mut *change)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let session = session.as_str();
    Ok(Some(Cookies {
        cookie: read_cookie(
            sealing,
            &found,
            "cookie",
            Spot::Cookie { session, instance: instance.as_str() },
        )?,
        session_cookie: read_cookie(sealing, &found, "session_cookie", Spot::SessionCookie { session })?,
    }))
}

/// At the end of a session: a plugin that was never called is no part of it, and one that no call reached is owed
/// nothing.
pub(crate) async fn forgive_uncalled(change: &mut Change, session: &SessionId) -> Result<(), StoreError> {
    sql::query(
        "DELETE FROM session_plugins WHERE session = $1 AND NOT EXISTS
            (SELECT 1 FROM hook_calls c WHERE c.session = $1 AND c.instance = session_plugins.instance)",
    )
    .bind(session.as_str())
    .execute(&mut *change)
    .await?;
    sql::query(
        "UPDATE session_plugins SET state = 'ended', outcome = 'not-called', cookie = ''
         WHERE session = $1 AND state = 'called' AND NOT EXISTS
            (SELECT 1 FROM hook_calls c
             WHERE c.session = $1 AND c.instance = session_plugins.instance AND c.reached)",
    )
    .bind(session.as_str())
    .execute(&mut *change)
    .await?;
    forget_session_cookie(change, session.as_str()).await
}

async fn forget_session_cookie(change: &mut Change, session: &str) -> Result<(), StoreError> {
    sql::query(
        "UPDATE sessions SET session_cookie = '' WHERE id = $1
            AND NOT EXISTS (SELECT 1 FROM session_plugins WHERE session = $1 AND state <> 'ended')",
    )
    .bind(session)
    .execute(&mut *change)
    .await?;
    Ok(())
}

async fn owe_what_had_not_begun(change: &mut Change) -> Result<(), StoreError> {
    sql::query(
        "UPDATE session_plugins SET state = 'called'
         WHERE state = 'ending' AND session IN (SELECT id FROM sessions WHERE node = $1)
            AND NOT EXISTS (SELECT 1 FROM hook_calls c WHERE c.session = session_plugins.session
                AND c.instance = session_plugins.instance AND c.hook = 'session_ended')",
    )
    .bind(NODE)
    .execute(&mut *change)
    .await?;
    Ok(())
}

/// The last row counts: an interrupted call that was repeated has one of its own.
async fn end_what_was_over(change: &mut Change) -> Result<(), StoreError> {
    let sessions: Vec<String> = sql::scalar(
        "UPDATE session_plugins SET state = 'ended', cookie = '', outcome =
            (SELECT c.outcome FROM hook_calls c WHERE c.session = session_plugins.session
                AND c.instance = session_plugins.instance AND c.hook = 'session_ended' ORDER BY c.id DESC LIMIT 1)
         WHERE state = 'ending' AND session IN (SELECT id FROM sessions WHERE node = $1)
            AND (SELECT c.outcome FROM hook_calls c WHERE c.session = session_plugins.session
                AND c.instance = session_plugins.instance AND c.hook = 'session_ended' ORDER BY c.id DESC LIMIT 1)
                IS NOT NULL
         RETURNING session",
    )
    .bind(NODE)
    .fetch_all(&mut *change)
    .await?;
    for session in &sessions {
        forget_session_cookie(change, session).await?;
    }
    Ok(())
}

async fn close_interrupted_call(change: &mut Change, interrupted: &Interrupted) -> Result<(), StoreError> {
    sql::query(
        "UPDATE hook_calls SET outcome = 'interrupted', error = 'the gateway died during the call'
         WHERE session = $1 AND instance = $2 AND hook = 'session_ended' AND outcome IS NULL",
    )
    .bind(interrupted.session.as_str())
    .bind(interrupted.instance.as_str())
    .execute(&mut *change)
    .await?;
    Ok(())
}

fn interrupted(found: &Row) -> Result<Interrupted, StoreError> {
    Ok(Interrupted {
        session: row::name(found, "session")?,
        instance: row::name(found, "instance")?,
        role: row::word(found, "role")?,
        retry: found.try_get("retry_interrupted")?,
    })
}

fn debt(found: &Row) -> Result<Debt, StoreError> {
    Ok(Debt {
        session: row::name(found, "session")?,
        protocol: row::word(found, "protocol")?,
        connection: row::name(found, "connection")?,
        instance: row::name(found, "instance")?,
        role: row::word(found, "role")?,
        bundle: row::name(found, "bundle")?,
        checksum: row::text(found, "checksum")?,
        revision: found.try_get::<Option<i64>>("revision")?.map(RevisionId),
        follow_updates: found.try_get("follow_updates")?,
    })
}
