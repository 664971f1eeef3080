//! The database behind the store: its connections, its transactions and its rows.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Either, Executor, Row as _, SqlitePool, Transaction};

use crate::StoreError;
use crate::directory::Directory;
use crate::sql::{Answer, Field, Query};

/// How long a statement waits for another process, and a task for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
const READERS: u32 = 3;

/// Connections to a database.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite {
        // One writer: tasks of this process queue here in order and never see SQLITE_BUSY from each other.
        writer: SqlitePool,
        readers: SqlitePool,
    },
}

/// A transaction; rolled back when dropped.
pub(crate) enum Change {
    Sqlite(Transaction<'static, Sqlite>),
}

/// Where a statement runs: by itself on a connection that reads or one that writes, or in a transaction.
pub(crate) enum On<'c> {
    Readers(&'c Database),
    Writer(&'c Database),
    Change(&'c mut Change),
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
}

impl Database {
    /// A transaction that has the right to write from its first statement.
    pub(crate) async fn write(&self) -> Result<Change, sqlx::Error> {
        match self {
            Self::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Change::Sqlite),
        }
    }

    /// A transaction in which all reads see the same moment.
    pub(crate) async fn read(&self) -> Result<Change, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => readers.begin().await.map(Change::Sqlite),
        }
    }

    /// Closes the connections once they are idle.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

impl Change {
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(change) => change.commit().await,
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(change) => change.rollback().await,
        }
    }
}

impl<'c> From<&'c mut Change> for On<'c> {
    fn from(change: &'c mut Change) -> Self {
        Self::Change(change)
    }
}

impl On<'_> {
    pub(crate) async fn run(self, query: Query<'_>) -> Result<Answer, sqlx::Error> {
        match self {
            On::Readers(Database::Sqlite { readers: pool, .. })
            | On::Writer(Database::Sqlite { writer: pool, .. }) => on_sqlite(query, pool).await,
            On::Change(Change::Sqlite(change)) => on_sqlite(query, &mut **change).await,
        }
    }
}

async fn on_sqlite<'c>(
    query: Query<'_>,
    executor: impl Executor<'c, Database = Sqlite>,
) -> Result<Answer, sqlx::Error> {
    let query = query.for_sqlite()?;
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

impl Row {
    pub(crate) fn try_get<T: Field>(&self, column: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
        }
    }

    /// The first column.
    pub(crate) fn first<T: Field>(&self) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(0),
        }
    }
}

/// The connection that writes. It makes the database file where there is none.
pub(crate) async fn connect_writer(directory: &Directory) -> Result<SqlitePool, StoreError> {
    directory.prepare_database()?;
    let options = options(directory)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true);
    connect(directory, options, 1).await
}

/// The connections that read; the database is there.
pub(crate) async fn connect_readers(directory: &Directory) -> Result<SqlitePool, StoreError> {
    connect(directory, options(directory).read_only(true), READERS).await
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
        .map_err(|source| StoreError::Open { path: directory.database(), source })
}
