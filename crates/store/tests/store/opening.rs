use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyward_store::{Holder, Store, StoreError};
use sqlx::{Connection, SqliteConnection};

use crate::{Fixture, new_session};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_owner_may_read_what_is_kept() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/data");
    let store = Store::open(&dir).await.unwrap();
    store.begin_session(&new_session(1)).await.unwrap();
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.iter().any(|file| file.ends_with("keyward.db-wal")), "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_database_that_others_could_read_is_closed_to_them() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    let database = fixture.dir.path().join("keyward.db");
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    let _fixture = fixture.restart().await;
    assert_eq!(mode(&database), 0o600);
}

#[tokio::test]
async fn a_directory_that_others_can_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o770)).unwrap();
    let error = Store::open(dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("mode 770") && error.contains("chmod go-w"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_second_gateway_is_told_who_holds_the_directory() {
    let fixture = Fixture::new().await;
    let error = Store::open(fixture.dir.path()).await.unwrap_err();
    let me = std::process::id();
    assert!(matches!(error, StoreError::InUse { holder: Holder::Process(id), .. } if id == me), "{error}");
    assert!(error.to_string().contains(&format!("(process {me})")), "{error}");
}

#[tokio::test]
async fn the_directory_is_free_once_the_last_clone_is_gone() {
    let fixture = Fixture::new().await;
    let clone = fixture.store.clone();
    drop(fixture.store);
    assert!(matches!(Store::open(fixture.dir.path()).await, Err(StoreError::InUse { .. })));
    drop(clone);
    Store::open(fixture.dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_command_reads_and_writes_beside_the_gateway() {
    let fixture = Fixture::new().await;
    fixture.store.begin_session(&new_session(1)).await.unwrap();
    let beside = Store::open_beside(fixture.dir.path()).await.unwrap();
    beside.begin_session(&new_session(2)).await.unwrap();
    assert_eq!(beside.open_sessions().await.unwrap().len(), 2);
    assert_eq!(fixture.store.open_sessions().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_command_may_come_before_the_first_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let beside = Store::open_beside(dir.path()).await.unwrap();
    beside.begin_session(&new_session(1)).await.unwrap();
    let gateway = Store::open(dir.path()).await.unwrap();
    assert_eq!(gateway.open_sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn many_may_open_an_empty_directory_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let (gateway, a, b, c) = tokio::join!(
        Store::open(path),
        Store::open_beside(path),
        Store::open_beside(path),
        Store::open_beside(path)
    );
    for store in [gateway, a, b, c] {
        store.unwrap().sessions(1, None).await.unwrap();
    }
}

async fn run_sql(dir: &Path, sql: &'static str) {
    let path = dir.join("keyward.db");
    let mut raw = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let fixture = Fixture::new().await;
    fixture.store.begin_session(&new_session(1)).await.unwrap();
    fixture.store.close().await;
    let dir = fixture.dir;
    drop(fixture.store);
    run_sql(
        dir.path(),
        "INSERT INTO _sqlx_migrations SELECT 99, '', installed_on, success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    )
    .await;
    for opened in [Store::open(dir.path()).await, Store::open_beside(dir.path()).await] {
        let error = opened.unwrap_err().to_string();
        assert!(error.contains("has schema 99") && error.contains("none above 13"), "{error}");
    }
    run_sql(dir.path(), "DELETE FROM _sqlx_migrations WHERE version = 99").await;
    assert_eq!(Store::open(dir.path()).await.unwrap().open_sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_command_never_changes_the_tables_under_a_running_gateway() {
    let fixture = Fixture::new().await;
    // What a gateway of an older version would have made.
    run_sql(fixture.dir.path(), "DELETE FROM _sqlx_migrations").await;
    let error = Store::open_beside(fixture.dir.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::OlderSchema { found: 0, known: 13, .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("keyward.db"), "certainly not a database, however long it may be").unwrap();
    let error = Store::open(dir.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(error.to_string().contains("keyward.db"), "{error}");
}

#[tokio::test]
async fn what_was_returned_outlasts_a_killed_gateway() {
    let fixture = Fixture::new().await;
    fixture.store.begin_session(&new_session(1)).await.unwrap();
    // What a kill leaves: the files as they are now, nothing closed or written back.
    let after = tempfile::tempdir().unwrap();
    for name in ["keyward.db", "keyward.db-wal", "sealing.key"] {
        fs::copy(fixture.dir.path().join(name), after.path().join(name)).unwrap();
    }
    let store = Store::open(after.path()).await.unwrap();
    assert_eq!(store.open_sessions().await.unwrap(), [new_session(1).id]);
}
