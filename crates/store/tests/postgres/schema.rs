//! That both databases have the same tables.

use std::collections::BTreeSet;

use keyward_store::Store;
use sqlx::{Connection, Row, SqliteConnection};

use crate::Fixture;
use crate::peers::postgres::Postgres;

#[tokio::test]
async fn a_postgresql_has_the_tables_columns_and_indexes_that_a_sqlite_has() {
    let fixture = Fixture::new().await;
    let columns = "SELECT table_name || '.' || column_name || ' ' || (is_nullable = 'NO') FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'
         UNION ALL SELECT indexname || ' index' FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE 'CREATE INDEX%'";
    let here = fixture.database.peer.sql(Postgres::DATABASE, columns);
    let here: BTreeSet<String> = here.lines().map(str::to_owned).collect();

    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).await.unwrap());
    let file = format!("sqlite://{}", dir.path().join("keyward.db").display());
    let mut sqlite = SqliteConnection::connect(&file).await.unwrap();
    let columns = "SELECT m.name || '.' || c.name || CASE WHEN c.\"notnull\" OR c.pk THEN ' true' ELSE ' false' END AS line
         FROM sqlite_master m JOIN pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations'
         UNION ALL SELECT name || ' index' FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'";
    let there = sqlx::query(columns).fetch_all(&mut sqlite).await.unwrap();
    let there: BTreeSet<String> = there.iter().map(|row| row.get("line")).collect();
    assert_eq!(here, there);
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let fixture = Fixture::new().await;
    fixture
        .run(
            "INSERT INTO _sqlx_migrations SELECT 99, '', installed_on, success, checksum, 0 FROM _sqlx_migrations LIMIT 1",
        )
        .await;
    let Fixture { store, dir, database } = fixture;
    drop(store);
    let place = database.place(dir.path());
    for opened in [Store::open(place).await, Store::open_beside(place).await] {
        let error = opened.unwrap_err().to_string();
        assert!(error.contains("has schema 99") && error.contains("none above 13"), "{error}");
    }
    database.run("DELETE FROM _sqlx_migrations WHERE version = 99").await;
    Store::open(place).await.unwrap();
}
