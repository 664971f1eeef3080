//! Orders to end open sessions. Any process may give one; the gateway that has the session carries it out.

use keyward_model::{SessionId, UnixMillis};

use crate::bounds::{SENTENCE, WORD, clip, clip_some};
use crate::database::Row;
use crate::store::NODE;
use crate::{Store, StoreError, row, sql};

/// The most that [`Store::take_terminations`] returns at once.
const PAGE: i64 = 1000;

/// Why an open session is to end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Termination {
    /// The user of the system who wants it.
    pub by: String,
    /// What the person is told whose session it is.
    pub message: Option<String>,
}

impl Store {
    /// Orders the end of a session. Of several orders for one session the first counts.
    /// `false`: the session has ended before.
    pub async fn order_termination(
        &self,
        id: &SessionId,
        at: UnixMillis,
        order: &Termination,
    ) -> Result<bool, StoreError> {
        let mut change = self.write().await?;
        let ended: Option<bool> = sql::scalar("SELECT ended IS NOT NULL FROM sessions WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut change)
            .await?;
        if ended.ok_or_else(|| StoreError::UnknownSession(id.clone()))? {
            return Ok(false);
        }
        sql::query(
            "INSERT INTO terminations (session, ordered, who, message) VALUES ($1, $2, $3, $4)
             ON CONFLICT (session) DO NOTHING",
        )
        .bind(id.as_str())
        .bind(at.0)
        .bind(clip(&order.by, WORD))
        .bind(clip_some(order.message.as_deref(), SENTENCE))
        .execute(&mut change)
        .await?;
        change.commit().await?;
        Ok(true)
    }

    /// The orders for sessions of this node that were not taken yet, the first ordered first: 1,000 at most. What is
    /// returned is not returned again.
    pub async fn take_terminations(
        &self,
        at: UnixMillis,
    ) -> Result<Vec<(SessionId, Termination)>, StoreError> {
        let waiting = sql::query(
            "SELECT t.session, t.who, t.message FROM terminations t JOIN sessions s ON s.id = t.session
             WHERE t.taken IS NULL AND s.node = $1 ORDER BY t.ordered LIMIT $2",
        );
        let waiting = waiting.bind(NODE).bind(PAGE).fetch_all(self.readers()).await?;
        let orders: Vec<_> = waiting.iter().map(order).collect::<Result<_, _>>()?;
        if orders.is_empty() {
            return Ok(orders);
        }
        let mut change = self.write().await?;
        for (session, _) in &orders {
            sql::query("UPDATE terminations SET taken = $2 WHERE session = $1")
                .bind(session.as_str())
                .bind(at.0)
                .execute(&mut change)
                .await?;
        }
        change.commit().await?;
        Ok(orders)
    }
}

fn order(found: &Row) -> Result<(SessionId, Termination), StoreError> {
    let termination = Termination { by: row::text(found, "who")?, message: row::optional(found, "message")? };
    Ok((row::name(found, "session")?, termination))
}
