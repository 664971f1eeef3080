//! The plugins of a session, entered before their first call. What each is owed at the end is in `session_ended`.

use std::str::FromStr;

use keyward_model::{InstanceName, PluginName, SessionId};
use serde::{Deserialize, Serialize};

use crate::bounds::{WORD, clip};
use crate::database::Change;
use crate::{RevisionId, Store, StoreError, sql};

/// What a plugin is to a session.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Aa,
    CredentialStore,
}

/// How far a plugin is towards its `session_ended`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// A hook was called, or is about to be: `session_ended` is owed once the session ends.
    Called,
    /// `session_ended` is running.
    Ending,
    /// Nothing is owed: `session_ended` was called, or no call of the session reached the plugin.
    Ended,
    /// The gateway died while `session_ended` ran: whether the plugin did its work is not known.
    Interrupted,
}

/// A plugin that is about to be called for the first time in a session.
#[derive(Clone, Debug)]
pub struct EngagedPlugin {
    pub instance: InstanceName,
    pub role: Role,
    pub bundle: PluginName,
    /// Of the bundle.
    pub checksum: String,
    /// The version that the session keeps; `None` where nobody can tell it from others of the instance.
    pub revision: Option<RevisionId>,
    /// Whether the session takes newer versions as they come, in place of keeping this one.
    pub follow_updates: bool,
    /// Whether a `session_ended` that the gateway's death cut off is called again.
    pub retry_interrupted: bool,
}

impl Store {
    /// Enters a plugin into a session, before its first hook is called. Again with the same values: nothing changes.
    ///
    /// # Errors
    /// [`StoreError::NotOpen`] after the session's end: nothing would be owed to a plugin that came later.
    pub async fn engage(&self, session: &SessionId, plugin: &EngagedPlugin) -> Result<(), StoreError> {
        let mut change = self.write().await?;
        if insert_engaged(&mut change, session, plugin).await? {
            return Ok(change.commit().await?);
        }
        let same: Option<bool> = sql::scalar(
            "SELECT role = $3 AND checksum = $4 AND state = 'called'
             FROM session_plugins WHERE session = $1 AND instance = $2",
        )
        .bind(session.as_str())
        .bind(plugin.instance.as_str())
        .bind(plugin.role.as_str())
        .bind(&plugin.checksum)
        .fetch_optional(&mut change)
        .await?;
        match same {
            Some(true) => Ok(()),
            Some(false) => Err(StoreError::EngagedOtherwise {
                session: session.clone(),
                instance: plugin.instance.clone(),
            }),
            None => Err(StoreError::NotOpen(session.clone())),
        }
    }
}

/// `false` when the plugin is there already, or the session is not open.
async fn insert_engaged(
    change: &mut Change,
    session: &SessionId,
    plugin: &EngagedPlugin,
) -> Result<bool, StoreError> {
    let done = sql::query(
        "INSERT INTO session_plugins
            (session, instance, position, role, bundle, checksum, retry_interrupted, revision, follow_updates, state)
         SELECT $1, $2, (SELECT COUNT(*) FROM session_plugins WHERE session = $1), $3, $4, $5, $6, $7, $8,
            'called'
         FROM sessions WHERE id = $1 AND ended IS NULL
         ON CONFLICT (session, instance) DO NOTHING",
    )
    .bind(session.as_str())
    .bind(plugin.instance.as_str())
    .bind(plugin.role.as_str())
    .bind(plugin.bundle.as_str())
    .bind(clip(&plugin.checksum, WORD))
    .bind(plugin.retry_interrupted)
    .bind(plugin.revision.map(|revision| revision.0))
    .bind(plugin.follow_updates)
    .execute(&mut *change)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// A word in the database that this program does not know.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not known")]
pub struct UnknownWord(pub(crate) String);

impl Role {
    /// The MANIFEST's word for it (contract section 1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aa => "aa",
            Self::CredentialStore => "credentialstore",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "aa" => Ok(Self::Aa),
            "credentialstore" => Ok(Self::CredentialStore),
            other => Err(UnknownWord(other.to_owned())),
        }
    }
}

impl PluginState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Called => "called",
            Self::Ending => "ending",
            Self::Ended => "ended",
            Self::Interrupted => "interrupted",
        }
    }
}

impl FromStr for PluginState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Called, Self::Ending, Self::Ended, Self::Interrupted]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownWord(text.to_owned()))
    }
}
