//! How the store can fail, by whose fault it is.

use std::io;
use std::path::PathBuf;

use keyward_model::{InstanceName, SessionId};

use crate::{CallId, Holder};

/// Why the store did not do what it was asked to. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    // The environment's.
    #[error("data directory {} cannot be used: {doing}", path.display())]
    Directory { path: PathBuf, doing: &'static str, source: io::Error },
    #[error(
        "data directory {} can be written by others (mode {mode:03o}): run chmod go-w on it, or name another one",
        path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "data directory {} is in use by another gateway ({holder}): stop that one, or give this one a directory of its own",
        path.display()
    )]
    InUse { path: PathBuf, holder: Holder },
    #[error(
        "data directory {} is being opened by another process for more than {seconds} s: find out why that one hangs",
        path.display()
    )]
    OpenedElsewhere { path: PathBuf, seconds: u64 },
    #[error(
        "database {database} is in use by a gateway with another data directory: stop that one, or give this one a \
         database of its own"
    )]
    ServedElsewhere { database: String },
    #[error("database {database} cannot be opened")]
    Open { database: String, source: sqlx::Error },
    #[error(
        "database {database} has schema {found}, and this program knows none above {known}: use the newer program that made it"
    )]
    NewerSchema { database: String, found: i64, known: i64 },
    #[error(
        "database {database} has schema {found}, this program needs {known}, and a gateway ({holder}) is using it: \
         use the program of that gateway, or stop it first"
    )]
    OlderSchema { database: String, found: i64, known: i64, holder: Holder },
    #[error("database {database} could not be brought to schema {known}")]
    Migration { database: String, known: i64, source: sqlx::migrate::MigrateError },
    #[error(
        "database {database} is sealed with the master key {needed}, and the one that is given is {given}: name the right one \
         with `master-key` of [node]. To have the given one take its place, use `keyward store rotate-master-key`"
    )]
    WrongMasterKey { database: String, needed: String, given: String },
    #[error(
        "database {database} is sealed with the master key {needed}, and there is no {}: restore that file, or name the \
         right key with `master-key` of [node]",
        path.display()
    )]
    NoKeyFile { database: String, path: PathBuf, needed: String },
    #[error(
        "a sealed secret cannot be opened: it was sealed with another key or for another row, or was changed; restore the \
         database, and the keys that belong to it"
    )]
    Sealing,
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("the database holds a {what} that cannot be read")]
    Unreadable { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },

    // The caller's.
    #[error("session {0} is not in the ledger")]
    UnknownSession(SessionId),
    #[error("session {0} is not in the ledger, or it has ended")]
    NotOpen(SessionId),
    #[error("session {0} has not ended, so that session_ended is not due")]
    NotEnded(SessionId),
    #[error(
        "plugin {instance} is engaged in session {session} with another role or bundle, or has had its session_ended"
    )]
    EngagedOtherwise { session: SessionId, instance: InstanceName },
    #[error(
        "plugin {instance} may not be called in session {session}: it is not engaged there, or the session has ended"
    )]
    MayNotCall { session: SessionId, instance: InstanceName },
    #[error("hook call {0} is no session_ended that is running")]
    NotEnding(CallId),
    #[error("hook call {0} is not in the ledger")]
    UnknownCall(CallId),
    #[error("the recording of session {0} is deleted: there is nothing left to hold")]
    TrailDeleted(SessionId),
    #[error("session {0} has had so many holds that it gets no more")]
    TooManyHolds(SessionId),
    #[error("{what} has {bytes} bytes, {limit} at most are kept")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
    #[error("a cookie is nested too deeply to be read again")]
    CookieTooDeep(#[source] serde_json::Error),
    #[error("{0:?} is not a host key: write the type, a space, and the key in base64")]
    BadHostKey(String),
    #[error("{0:?} is not a checksum: SHA-256 in 64 lower-case hexadecimal digits is")]
    BadChecksum(String),
}

impl StoreError {
    /// Whether the same call may well succeed later: the database failed, and not the caller.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}
