//! Migrations, forward only. A file that was once released is never changed: its checksum is in the database.

use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqlitePool};

use crate::StoreError;

const MIGRATIONS: [(i64, &str, &str); 11] = [
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
];

/// The schema that this program writes.
pub(crate) const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// The schema of the database, 0 for an empty one. One that is newer than [`KNOWN`] is refused.
pub(crate) async fn found(pool: &SqlitePool, path: &Path) -> Result<i64, StoreError> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    match applied(pool).await.map_err(open)? {
        found if found > KNOWN => Err(StoreError::NewerSchema { path: path.to_owned(), found, known: KNOWN }),
        found => Ok(found),
    }
}

/// Brings the database to [`KNOWN`], and checks that what was applied before is what this program knows.
pub(crate) async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.map(|(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into()).run(pool).await.map_err(|source| StoreError::Migration {
        path: path.to_owned(),
        known: KNOWN,
        source,
    })
}

async fn applied(pool: &SqlitePool) -> Result<i64, sqlx::Error> {
    let tables: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
            .fetch_one(pool)
            .await?;
    if tables == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations").fetch_one(pool).await
}
