//! Sessions by what is known of them.

use keyward_model::{SessionId, UnixMillis};

use crate::record::summary;
use crate::{SessionSummary, Store, StoreError, row, sql};

/// How many [`Store::sessions_with`] returns at once.
const PAGE: i64 = 1000;

/// Sessions of some time, each with a text of what is known of it.
macro_rules! known {
    () => {
        "SELECT * FROM (SELECT *, lower('session of as to from by connection login reason metadata ' || protocol || ' '
                || connection || ' ' || client || ' ' || COALESCE(login, '') || ' ' || COALESCE(gateway_user, '')
                || ' ' || COALESCE(remote_user, '') || ' ' || COALESCE(target_address, '')
                || ' ' || COALESCE(target_hostname, '') || ' ' || COALESCE(additional_metadata, '')
                || ' ' || COALESCE(reason, '')) AS known
             FROM sessions WHERE started >= $2 AND started < $3 AND (started, id) < ($4, $5)) s WHERE "
    };
}

macro_rules! newest {
    () => {
        " ORDER BY started DESC, id DESC LIMIT $6"
    };
}

/// Which sessions count.
#[derive(Clone, Debug, Default)]
pub struct SessionsWith<'q> {
    /// Each of them is somewhere in what is known of a session, in upper or lower case; ASCII, in lower case.
    pub words: Vec<&'q str>,
    /// When they began: the first moment that counts, and the first that does not any more.
    pub from: Option<UnixMillis>,
    pub until: Option<UnixMillis>,
    /// The last one that was returned, and when it began.
    pub after: Option<(UnixMillis, SessionId)>,
}

impl Store {
    /// Sessions with the metadata of their plugins, the newest first: 1,000 at most. Some of the words may be those that
    /// say what the others are, as `login` and `reason`.
    pub async fn sessions_with(
        &self,
        wanted: &SessionsWith<'_>,
    ) -> Result<Vec<(SessionSummary, Option<String>)>, StoreError> {
        let SessionsWith { words, from, until, after } = wanted;
        let found = sql::query(concat!(
            known!(),
            "NOT EXISTS (SELECT 1 FROM json_each($1) w WHERE instr(known, w.value) = 0)",
            newest!()
        ))
        .for_postgres(concat!(
            known!(),
            "NOT EXISTS (SELECT 1 FROM json_array_elements_text(CAST($1 AS JSON)) w (value)
                WHERE strpos(known, w.value) = 0)",
            newest!()
        ));
        let (before, id) = match after {
            Some((started, id)) => (started.0, id.as_str()),
            None => (i64::MAX, ""),
        };
        let words = serde_json::Value::from(words.as_slice()).to_string();
        let rows = found
            .bind(words)
            .bind(from.map_or(i64::MIN, |from| from.0))
            .bind(until.map_or(i64::MAX, |until| until.0))
            .bind(before)
            .bind(id)
            .bind(PAGE)
            .fetch_all(self.readers())
            .await?;
        let each = |found| Ok((summary(found)?, row::optional(found, "additional_metadata")?));
        rows.iter().map(each).collect()
    }
}
