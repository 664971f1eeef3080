//! Hook calls: written before the plugin is called, and after.

use std::fmt;
use std::time::Duration;

use keyward_model::{InstanceName, SessionId, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::bounds::{PAGE, WORD, clip, clip_some, count};
use crate::database::{Change, Row};
use crate::sealing::{Sealing, Spot};
use crate::{Store, StoreError, row, sql};

const MAX_LOG_LINES: usize = 1000;
const MAX_LOG_BYTES: usize = 256 * 1024;
/// Of each cookie, as JSON (contract section 3).
const MAX_COOKIE: usize = 1024 * 1024;
/// A cookie that says nothing, as JSON.
const EMPTY: &str = "{}";

/// A call in the ledger.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct CallId(pub(crate) i64);

/// A hook that is about to be called.
#[derive(Clone, Debug)]
pub struct NewCall {
    pub session: SessionId,
    pub instance: InstanceName,
    pub hook: String,
    /// Counts the calls of one hook that asks questions, from 1.
    pub round: u32,
    pub started: UnixMillis,
}

/// How a call went.
#[derive(Clone, Debug, Default)]
pub struct CallRecord {
    pub duration: Duration,
    /// The `verdict` that the plugin returned, where it returned one.
    pub verdict: Option<String>,
    /// "ok" or the kind of error.
    pub outcome: String,
    /// How the plugin's process ended; `None` where no process got the call.
    pub exit: Option<String>,
    /// SHA-256 of the bundle that the call ran on, where it is not the one that the session began with.
    pub checksum: Option<String>,
    pub error: Option<String>,
    pub traceback: Option<String>,
    /// What the plugin printed. The first 1,000 lines and 256 KiB are kept; the record says how many were left out.
    pub log: Vec<LogLine>,
    /// Lines that were left out before, and are counted with those that are left out here.
    pub log_left_out: u64,
}

/// A line that a plugin printed, exactly as it came: it may hold terminal escapes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LogLine {
    pub stream: String,
    pub line: String,
}

/// The cookies after a call (contract section 3).
#[derive(Clone)]
pub struct Cookies {
    /// Of the plugin instance in this session.
    pub cookie: Value,
    /// Of the session, for all its plugins.
    pub session_cookie: Value,
}

impl Store {
    /// Enters a call, before it is made.
    ///
    /// # Errors
    /// [`StoreError::MayNotCall`] when the plugin is not engaged, or the session has ended: `session_ended` is begun
    /// with [`Store::begin_session_ended`].
    pub async fn begin_call(&self, new: &NewCall) -> Result<CallId, StoreError> {
        // Read to the end: an error of the implicit commit comes after the row.
        let ids: Vec<i64> = sql::scalar(
            "INSERT INTO hook_calls (session, instance, hook, round, started)
             SELECT p.session, p.instance, $3, $4, $5
             FROM session_plugins p JOIN sessions s ON s.id = p.session
             WHERE p.session = $1 AND p.instance = $2 AND p.state = 'called' AND s.ended IS NULL
             RETURNING id",
        )
        .bind(new.session.as_str())
        .bind(new.instance.as_str())
        .bind(clip(&new.hook, WORD))
        .bind(i64::from(new.round))
        .bind(new.started.0)
        .fetch_all(self.writer())
        .await?;
        let refused =
            || StoreError::MayNotCall { session: new.session.clone(), instance: new.instance.clone() };
        ids.first().copied().map(CallId).ok_or_else(refused)
    }

    /// Writes how a call went, and with it the cookies where the call gave any: they replace those of the plugin
    /// instance and of the session. `false` when the call was finished before; then nothing changes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] and [`StoreError::CookieTooDeep`] for cookies that could not be handed out again.
    pub async fn finish_call(
        &self,
        call: CallId,
        record: &CallRecord,
        cookies: Option<&Cookies>,
    ) -> Result<bool, StoreError> {
        let cookies = cookies.map(StoredCookies::check).transpose()?;
        let mut change = self.write().await?;
        let Some(caller) = write_record(&mut change, call, record).await? else {
            return known(&mut change, call).await.map(|()| false);
        };
        if let Some(cookies) = cookies {
            cookies.write(&mut change, &caller, self.sealing()).await?;
        }
        change.commit().await?;
        Ok(true)
    }

    /// Writes that a call reached no process of the plugin. A plugin that no call of a session reached is owed no
    /// `session_ended`. `false` when the call was finished before; then nothing changes.
    pub async fn refuse_call(&self, call: CallId, record: &CallRecord) -> Result<bool, StoreError> {
        let mut change = self.write().await?;
        if write_record(&mut change, call, record).await?.is_none() {
            return known(&mut change, call).await.map(|()| false);
        }
        sql::query("UPDATE hook_calls SET reached = FALSE WHERE id = $1")
            .bind(call.0)
            .execute(&mut change)
            .await?;
        change.commit().await?;
        Ok(true)
    }
}

/// Closes the calls of a session that is over: nobody waits for them any more.
pub(crate) async fn cancel_open_calls(change: &mut Change, session: &SessionId) -> Result<(), StoreError> {
    sql::query(
        "UPDATE hook_calls SET outcome = 'cancelled', error = 'the session ended during the call'
         WHERE session = $1 AND outcome IS NULL",
    )
    .bind(session.as_str())
    .execute(&mut *change)
    .await?;
    Ok(())
}

/// Which plugin instance of which session was called.
pub(crate) struct Caller {
    session: String,
    instance: String,
}

/// `None` when the call is not running.
pub(crate) async fn write_record(
    change: &mut Change,
    call: CallId,
    record: &CallRecord,
) -> Result<Option<Caller>, StoreError> {
    let log = kept(&record.log);
    let found = sql::query(
        "UPDATE hook_calls SET duration_us = $2, verdict = $3, outcome = $4, error = $5, traceback = $6, log = $7,
            log_left_out = $8, exit = $9, checksum = $10
         WHERE id = $1 AND outcome IS NULL RETURNING session, instance",
    )
    .bind(call.0)
    .bind(i64::try_from(record.duration.as_micros()).unwrap_or(i64::MAX))
    .bind(clip_some(record.verdict.as_deref(), WORD))
    .bind(clip(&record.outcome, WORD))
    .bind(clip_some(record.error.as_deref(), PAGE))
    .bind(clip_some(record.traceback.as_deref(), PAGE))
    .bind(serde_json::json!(log).to_string())
    .bind(count(record.log.len() - log.len()).saturating_add_unsigned(record.log_left_out))
    .bind(clip_some(record.exit.as_deref(), WORD))
    .bind(clip_some(record.checksum.as_deref(), WORD))
    .fetch_optional(&mut *change)
    .await?;
    let caller =
        |found| Ok(Caller { session: row::text(found, "session")?, instance: row::text(found, "instance")? });
    found.as_ref().map(caller).transpose()
}

pub(crate) async fn known(change: &mut Change, call: CallId) -> Result<(), StoreError> {
    let found: Option<i64> = sql::scalar("SELECT id FROM hook_calls WHERE id = $1")
        .bind(call.0)
        .fetch_optional(&mut *change)
        .await?;
    found.map(|_| ()).ok_or(StoreError::UnknownCall(call))
}

/// The first lines that fit into the budget.
fn kept(log: &[LogLine]) -> &[LogLine] {
    let mut bytes = 0_usize;
    let fit = log.iter().take(MAX_LOG_LINES).take_while(|line| {
        bytes = bytes.saturating_add(line.stream.len()).saturating_add(line.line.len());
        bytes <= MAX_LOG_BYTES
    });
    let lines = fit.count();
    log.get(..lines).unwrap_or_default()
}

/// Cookies as the texts that are kept.
struct StoredCookies {
    cookie: Zeroizing<String>,
    session_cookie: Zeroizing<String>,
}

impl StoredCookies {
    fn check(cookies: &Cookies) -> Result<Self, StoreError> {
        Ok(Self {
            cookie: cookie_text("the cookie", &cookies.cookie)?,
            session_cookie: cookie_text("the session cookie", &cookies.session_cookie)?,
        })
    }

    async fn write(self, change: &mut Change, caller: &Caller, sealing: &Sealing) -> Result<(), StoreError> {
        let Caller { session, instance } = caller;
        sql::query("UPDATE session_plugins SET cookie = $3 WHERE session = $1 AND instance = $2")
            .bind(session)
            .bind(instance)
            .bind(sealed(sealing, &self.cookie, Spot::Cookie { session, instance })?)
            .execute(&mut *change)
            .await?;
        sql::query("UPDATE sessions SET session_cookie = $2 WHERE id = $1")
            .bind(session)
            .bind(sealed(sealing, &self.session_cookie, Spot::SessionCookie { session })?)
            .execute(&mut *change)
            .await?;
        Ok(())
    }
}

/// A cookie as it lies in the database: an empty one has nothing to hide, and most are.
fn sealed(sealing: &Sealing, cookie: &str, spot: Spot<'_>) -> Result<Vec<u8>, StoreError> {
    if cookie == EMPTY { Ok(Vec::new()) } else { sealing.seal(cookie, spot) }
}

/// The cookie of a row.
pub(crate) fn read_cookie(
    sealing: &Sealing,
    found: &Row,
    column: &'static str,
    spot: Spot<'_>,
) -> Result<Value, StoreError> {
    let sealed: Vec<u8> = found.try_get(column)?;
    if sealed.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let text = sealing.unseal(&sealed, spot)?;
    serde_json::from_str(text.expose())
        .map_err(|error| StoreError::Unreadable { what: column, source: Box::new(error) })
}

fn cookie_text(what: &'static str, cookie: &Value) -> Result<Zeroizing<String>, StoreError> {
    let text = Zeroizing::new(cookie.to_string());
    if text.len() > MAX_COOKIE {
        return Err(StoreError::TooLarge { what, bytes: text.len(), limit: MAX_COOKIE });
    }
    // What cannot be read again would stand in the way of every debt at the next start.
    serde_json::from_str::<Value>(&text).map_err(StoreError::CookieTooDeep)?;
    Ok(text)
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Cookies may hold credentials, so they are not shown.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(n: usize, bytes: usize) -> Vec<LogLine> {
        vec![LogLine { stream: String::new(), line: "x".repeat(bytes) }; n]
    }

    #[test]
    fn a_log_is_kept_up_to_its_lines_and_its_bytes() {
        assert_eq!(kept(&lines(MAX_LOG_LINES, 1)).len(), MAX_LOG_LINES);
        assert_eq!(kept(&lines(MAX_LOG_LINES + 1, 1)).len(), MAX_LOG_LINES);
        assert_eq!(kept(&lines(4, MAX_LOG_BYTES / 4)).len(), 4);
        assert_eq!(kept(&lines(4, MAX_LOG_BYTES / 4 + 1)).len(), 3);
        assert_eq!(kept(&lines(1, MAX_LOG_BYTES + 1)).len(), 0);
    }
}
