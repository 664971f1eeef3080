//! SQLite: a file in the data directory.

use std::fs::File;
use std::io;
use std::path::Path;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Either, Executor, SqlitePool};

use crate::database::{Database, PATIENCE, READERS, Row};
use crate::directory::Directory;
use crate::sql::{Answer, Query};
use crate::{Store, StoreError};

/// Opens the database, which is made where there is none.
pub(crate) async fn open(directory: &Directory) -> Result<Database, StoreError> {
    directory.prepare_database()?;
    let writing = options(directory)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true);
    let writer = connect(directory, writing, 1).await?;
    let readers = connect(directory, options(directory).read_only(true), READERS).await?;
    Ok(Database::Sqlite { writer, readers })
}

fn options(directory: &Directory) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(directory.database())
        .busy_timeout(PATIENCE)
        .disable_statement_logging()
}

async fn connect(
    directory: &Directory,
    options: SqliteConnectOptions,
    connections: u32,
) -> Result<SqlitePool, StoreError> {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        // A connection to a file does not go away by itself, and the test costs a round trip per statement.
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(|source| StoreError::Open { database: directory.database().display().to_string(), source })
}

pub(crate) async fn run<'c>(
    query: Query<'_>,
    executor: impl Executor<'c, Database = Sqlite>,
) -> Result<Answer, sqlx::Error> {
    let query = query.on_sqlite()?;
    let mut answer = Answer::default();
    let mut steps = executor.fetch_many(query);
    while let Some(step) = steps.try_next().await? {
        match step {
            Either::Left(done) => answer.affected += done.rows_affected(),
            Either::Right(row) => answer.rows.push(Row::Sqlite(row)),
        }
    }
    Ok(answer)
}

pub(crate) async fn sync(folder: &Path) -> Result<(), StoreError> {
    let path = folder.to_owned();
    let synced = tokio::task::spawn_blocking(move || sync_log(&path)).await;
    let failed = |source| StoreError::Directory {
        path: folder.to_owned(),
        doing: "its ledger cannot be synced",
        source,
    };
    synced.map_err(io::Error::other).flatten().map_err(failed)
}

/// Changes are in SQLite's log until they are in the database, which SQLite syncs by itself. The log may be opened and
/// closed here, as SQLite has its locks on the other files.
fn sync_log(folder: &Path) -> io::Result<()> {
    match File::open(folder.join(format!("{}-wal", Store::DATABASE))) {
        Ok(log) => log.sync_data()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    File::open(folder)?.sync_all()
}
