//! SQLite: a file in the data directory.

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Either, Executor, SqlitePool};

use crate::StoreError;
use crate::database::{Database, PATIENCE, READERS, Row};
use crate::directory::Directory;
use crate::sql::{Answer, Query};

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
