//! Migrations, forward only. A file that was once released is never changed: its checksum is in the database.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::database::{Database, On};
use crate::{StoreError, sql};

const SQLITE: [(i64, &str, &str); 13] = [
    (1, "ledger", include_str!("../migrations/0001_ledger.sql")),
    (2, "reached", include_str!("../migrations/0002_reached.sql")),
    (3, "revisions", include_str!("../migrations/0003_revisions.sql")),
    (4, "plugin status", include_str!("../migrations/0004_plugin_status.sql")),
    (5, "jump host", include_str!("../migrations/0005_jump_host.sql")),
    (6, "trail end", include_str!("../migrations/0006_trail_end.sql")),
    (7, "retention", include_str!("../migrations/0007_retention.sql")),
    (8, "terminations", include_str!("../migrations/0008_terminations.sql")),
    (9, "trail objects", include_str!("../migrations/0009_trail_objects.sql")),
    (10, "trail parts", include_str!("../migrations/0010_trail_parts.sql")),
    (11, "approvals", include_str!("../migrations/0011_approvals.sql")),
    (12, "configurations", include_str!("../migrations/0012_configurations.sql")),
    (13, "sealed", include_str!("../migrations/0013_sealed.sql")),
];

/// PostgreSQL came with schema 10, so that its first step makes all of that. Later steps have the numbers of SQLite's.
const POSTGRES: [(i64, &str, &str); 4] = [
    (10, "ledger", include_str!("../migrations/postgres/0010_ledger.sql")),
    (11, "approvals", include_str!("../migrations/postgres/0011_approvals.sql")),
    (12, "configurations", include_str!("../migrations/postgres/0012_configurations.sql")),
    (13, "sealed", include_str!("../migrations/postgres/0013_sealed.sql")),
];

/// The schema that this program writes.
pub(crate) const KNOWN: i64 = SQLITE[SQLITE.len() - 1].0;
const _: () = assert!(POSTGRES[POSTGRES.len() - 1].0 == KNOWN);

/// The schema of the database, 0 for an empty one. One that is newer than [`KNOWN`] is refused. `name` is for errors.
pub(crate) async fn found(database: &Database, name: &str) -> Result<i64, StoreError> {
    let open = |source| StoreError::Open { database: name.to_owned(), source };
    match applied(database).await.map_err(open)? {
        found if found > KNOWN => {
            Err(StoreError::NewerSchema { database: name.to_owned(), found, known: KNOWN })
        }
        found => Ok(found),
    }
}

/// Brings the database to [`KNOWN`], and checks that what was applied before is what this program knows.
pub(crate) async fn migrate(database: &Database, name: &str) -> Result<(), StoreError> {
    let migrated = match database {
        Database::Sqlite { writer, .. } => migrator(&SQLITE).run(writer).await,
        Database::Postgres { writer, .. } => migrator(&POSTGRES).run(writer).await,
    };
    migrated.map_err(|source| StoreError::Migration { database: name.to_owned(), known: KNOWN, source })
}

fn migrator(steps: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = steps.iter().map(|&(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

async fn applied(database: &Database) -> Result<i64, sqlx::Error> {
    let tables: i64 = sql::scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
        .for_postgres("SELECT COUNT(to_regclass('_sqlx_migrations'))")
        .fetch_one(On::Writer(database))
        .await?;
    if tables == 0 {
        return Ok(0);
    }
    sql::scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
        .fetch_one(On::Writer(database))
        .await
}
