//! A store of schema 12, where some secrets lay in the clear.

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use keyward_model::InstanceName;
use keyward_store::Store;
use serde_json::json;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, SqlSafeStr, SqliteConnection};

use crate::{END, new_session};

const STEPS: [(&str, &str); 12] = [
    ("ledger", include_str!("../../migrations/0001_ledger.sql")),
    ("reached", include_str!("../../migrations/0002_reached.sql")),
    ("revisions", include_str!("../../migrations/0003_revisions.sql")),
    ("plugin status", include_str!("../../migrations/0004_plugin_status.sql")),
    ("jump host", include_str!("../../migrations/0005_jump_host.sql")),
    ("trail end", include_str!("../../migrations/0006_trail_end.sql")),
    ("retention", include_str!("../../migrations/0007_retention.sql")),
    ("terminations", include_str!("../../migrations/0008_terminations.sql")),
    ("trail objects", include_str!("../../migrations/0009_trail_objects.sql")),
    ("trail parts", include_str!("../../migrations/0010_trail_parts.sql")),
    ("approvals", include_str!("../../migrations/0011_approvals.sql")),
    ("configurations", include_str!("../../migrations/0012_configurations.sql")),
];
const KEY_FILE: [u8; 64] = [9; 64];

async fn connect(dir: &tempfile::TempDir) -> SqliteConnection {
    let file = format!("sqlite://{}?mode=rwc", dir.path().join("keyward.db").display());
    SqliteConnection::connect(&file).await.unwrap()
}

/// What the program before sealed.
fn sealed(text: &str, about: &str) -> Vec<u8> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, &KEY_FILE[..32]).unwrap();
    let mut bytes = text.as_bytes().to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(about), &mut bytes).unwrap();
    [&nonce.as_ref()[..], &bytes].concat()
}

async fn store_of_before() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sealing.key"), KEY_FILE).unwrap();
    let mut raw = connect(&dir).await;
    let steps = STEPS.iter().zip(1..).map(|(&(name, sql), version)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect()).run(&mut raw).await.unwrap();
    let rows = "
        INSERT INTO sessions (id, node, protocol, connection, client, started, ended, verdict, session_cookie, notes)
            VALUES ('$ID', 'local', 'ssh', 'db', '192.0.2.1:22', 1, 2, 'accept', '{\"b\":\"sess10n-w0rd\"}', 0);
        INSERT INTO session_plugins (session, instance, position, role, bundle, checksum, retry_interrupted, state, cookie,
                follow_updates)
            VALUES ('$ID', 'otp', 0, 'aa', 'Example', '1', FALSE, 'called', '{\"a\":\"c00kie-w0rd\"}', FALSE);
        INSERT INTO hook_calls (session, instance, hook, round, started, outcome)
            VALUES ('$ID', 'otp', 'authenticate', 1, 1, 'ok');
        INSERT INTO gateway_secrets (name, value) VALUES ('host key', 'gateway-w0rd');";
    let rows = rows.replace("$ID", new_session(1).id.as_str());
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&mut raw).await.unwrap();
    sqlx::query("INSERT INTO configurations (number, made, author, document) VALUES (1, 1, 'root', $1)")
        .bind(sealed("document-w0rd", "configuration 1"))
        .execute(&mut raw)
        .await
        .unwrap();
    raw.close().await.unwrap();
    dir
}

#[tokio::test]
async fn a_store_of_before_has_its_secrets_sealed_and_none_left_in_its_file() {
    let dir = store_of_before().await;
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.secret("host key").await.unwrap().unwrap().expose(), "gateway-w0rd");
    assert_eq!(store.configuration(1).await.unwrap().unwrap().1.expose(), "document-w0rd");
    let instance = InstanceName::try_from("otp").unwrap();
    let end = store.begin_session_ended(&new_session(1).id, &instance, END).await.unwrap().unwrap();
    assert_eq!(end.cookies.cookie, json!({"a": "c00kie-w0rd"}));
    assert_eq!(end.cookies.session_cookie, json!({"b": "sess10n-w0rd"}));
    for name in ["keyward.db", "keyward.db-wal"] {
        let bytes = std::fs::read(dir.path().join(name)).unwrap();
        assert!(!bytes.windows(5).any(|part| part == b"-w0rd"), "{name}");
    }
}

#[tokio::test]
async fn a_store_of_before_is_sealed_as_a_whole_or_not_at_all() {
    for steps in (0..400).step_by(7) {
        let dir = store_of_before().await;
        let _ = crate::polled(Store::open(dir.path()), steps).await;
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(store.secret("host key").await.unwrap().unwrap().expose(), "gateway-w0rd");
        assert_eq!(store.configuration(1).await.unwrap().unwrap().1.expose(), "document-w0rd");
    }
}

#[tokio::test]
async fn a_store_of_before_whose_key_file_is_lost_is_refused() {
    let dir = store_of_before().await;
    std::fs::remove_file(dir.path().join("sealing.key")).unwrap();
    Store::open(dir.path()).await.unwrap_err();
    std::fs::write(dir.path().join("sealing.key"), KEY_FILE).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(store.secret("host key").await.unwrap().unwrap().expose(), "gateway-w0rd");
}
