//! The database behind the store: its connections, its transactions and its rows.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Row as _, SqlitePool, Transaction};

use crate::postgres::{self, bounded};
use crate::sql::{Answer, Field, Query};
use crate::{StoreError, sqlite};

/// How long a statement waits for another process, and a task for a connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const READERS: u32 = 3;

/// Connections to a database.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite {
        // One writer: tasks of this process queue here in order and never see SQLITE_BUSY from each other.
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres {
        // One writer here as well: it has the gateway's lock, without which nothing may be written.
        writer: PgPool,
        readers: PgPool,
    },
}

/// A transaction; rolled back when dropped.
pub(crate) enum Change {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
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
    Postgres(PgRow),
}

impl Database {
    /// A transaction that has the right to write from its first statement, and nobody else has it meanwhile.
    pub(crate) async fn write(&self) -> Result<Change, sqlx::Error> {
        match self {
            Self::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Change::Sqlite),
            Self::Postgres { writer, .. } => postgres::begin_write(writer).await.map(Change::Postgres),
        }
    }

    /// A transaction in which all reads see the same moment.
    pub(crate) async fn read(&self) -> Result<Change, sqlx::Error> {
        match self {
            Self::Sqlite { readers, .. } => readers.begin().await.map(Change::Sqlite),
            Self::Postgres { readers, .. } => postgres::begin_read(readers).await.map(Change::Postgres),
        }
    }

    /// Has the disk take all that was changed so far. `folder` has the file of a SQLite.
    pub(crate) async fn sync(&self, folder: &Path) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { .. } => sqlite::sync(folder).await,
            // It has answered each change once its disk had it.
            Self::Postgres { .. } => Ok(()),
        }
    }

    /// Closes the connections once they are idle.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { writer, readers } => {
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
            Self::Postgres(change) => bounded(change.commit()).await,
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(change) => change.rollback().await,
            Self::Postgres(change) => bounded(change.rollback()).await,
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
            | On::Writer(Database::Sqlite { writer: pool, .. }) => sqlite::run(query, pool).await,
            On::Change(Change::Sqlite(change)) => sqlite::run(query, &mut **change).await,
            On::Readers(Database::Postgres { readers, .. }) => postgres::run(query, readers).await,
            On::Change(Change::Postgres(change)) => postgres::run(query, &mut **change).await,
            On::Writer(Database::Postgres { writer, .. }) => {
                let mut change = postgres::begin_write(writer).await?;
                let answer = postgres::run(query, &mut *change).await?;
                bounded(change.commit()).await?;
                Ok(answer)
            }
        }
    }
}

impl Row {
    pub(crate) fn try_get<T: Field>(&self, column: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// The first column.
    pub(crate) fn first<T: Field>(&self) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(0),
            Self::Postgres(row) => row.try_get(0),
        }
    }
}
