use keyward_model::{InstanceName, PluginName, Secret, UnixMillis};
use keyward_store::{
    Cookies, MasterKey, NewConfiguration, Place, PluginRevision, PutConfiguration, Rotation, Store,
    StoreError, StoredBundle,
};
use serde_json::json;

use crate::{END, Fixture, call, new_session, otp, outcome, polled};

/// What each secret of the store has in it.
const SECRETS: [&str; 5] = ["c00kie-w0rd", "sess10n-w0rd", "gateway-w0rd", "plugin-w0rd", "document-w0rd"];

fn key(byte: &str) -> MasterKey {
    MasterKey::parse(byte.repeat(32).as_bytes()).unwrap()
}

fn secret(n: usize) -> Secret {
    Secret::new(SECRETS[n].to_owned())
}

/// A session with cookies, and one secret of each other kind.
async fn fill(fixture: &Fixture) -> PluginRevision {
    let store = &fixture.store;
    let session = fixture.session_with(1, &otp()).await;
    let begun = store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    let cookies = Cookies { cookie: json!({"a": SECRETS[0]}), session_cookie: json!({"b": SECRETS[1]}) };
    assert!(store.finish_call(begun, &outcome("ok"), Some(&cookies)).await.unwrap());
    store.put_secret_if_absent("host key", &secret(2)).await.unwrap();
    let revision = PluginRevision {
        instance: InstanceName::try_from("otp").unwrap(),
        bundle: PluginName::try_from("Example").unwrap(),
        checksum: "1".repeat(64),
        environment: "python3".into(),
        configuration: secret(3),
    };
    store.put_revision(&revision, END).await.unwrap();
    let new = NewConfiguration { document: &secret(4), made: END, author: "root", comment: None };
    assert_eq!(store.put_configuration(&new, None).await.unwrap(), PutConfiguration::Made(1));
    // What lies in the clear and may.
    let bundle = StoredBundle {
        name: revision.bundle.clone(),
        version: "1.0".into(),
        api: "1.0".into(),
        kind: "aa".into(),
        checksum: "1".repeat(64),
        archive: b"open-w0rd".to_vec(),
        uploaded: UnixMillis(7),
    };
    store.put_bundle(&bundle).await.unwrap();
    revision
}

/// That a store has the secrets of [`fill`], cookies aside.
async fn has_all(store: &Store, revision: &PluginRevision) {
    assert_eq!(store.secret("host key").await.unwrap().unwrap().expose(), SECRETS[2]);
    let id = store.put_revision(revision, END).await.unwrap();
    assert_eq!(store.revision(id).await.unwrap().unwrap().configuration.expose(), SECRETS[3]);
    assert_eq!(store.configuration(1).await.unwrap().unwrap().1.expose(), SECRETS[4]);
}

async fn has_cookies(fixture: &Fixture) {
    let session = new_session(1).id;
    fixture.store.end_session(&session, END, keyward_model::Verdict::Accept, "").await.unwrap();
    let end = fixture.begin_end(&session, &otp()).await.map(|_| ());
    assert!(end.is_some());
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn no_secret_is_in_the_bytes_of_the_database() {
    let fixture = Fixture::new().await;
    let revision = fill(&fixture).await;
    let bytes = fixture.database.bytes().await;
    assert!(holds(&bytes, "open-w0rd"), "what lies in the clear can be found");
    for word in SECRETS {
        assert!(!holds(&bytes, word), "{word}");
    }
    let fixture = fixture.restart().await;
    has_all(&fixture.store, &revision).await;
    has_cookies(&fixture).await;
}

#[tokio::test]
async fn a_secret_in_the_row_of_another_one_is_refused() {
    let fixture = Fixture::new().await;
    for name in ["a", "b"] {
        fixture.store.put_secret_if_absent(name, &secret(2)).await.unwrap();
    }
    fixture
        .run("UPDATE gateway_secrets SET value = (SELECT value FROM gateway_secrets WHERE name = 'a')")
        .await;
    assert_eq!(fixture.store.secret("a").await.unwrap().unwrap().expose(), SECRETS[2]);
    assert!(matches!(fixture.store.secret("b").await, Err(StoreError::Sealing)));

    let session = fixture.session_with(1, &otp()).await;
    let other = fixture.session_with(2, &otp()).await;
    for session in [&session, &other] {
        let begun = fixture.store.begin_call(&call(session, &otp(), "authenticate")).await.unwrap();
        let cookies = Cookies { cookie: json!({"of": session.as_str()}), session_cookie: json!({}) };
        assert!(fixture.store.finish_call(begun, &outcome("ok"), Some(&cookies)).await.unwrap());
        fixture.store.end_session(session, END, keyward_model::Verdict::Accept, "").await.unwrap();
    }
    fixture.run("UPDATE session_plugins SET cookie = (SELECT cookie FROM session_plugins ORDER BY cookie DESC LIMIT 1)").await;
    let instance = otp().instance;
    let mut refused = 0;
    for session in [&session, &other] {
        match fixture.store.begin_session_ended(session, &instance, END).await {
            Ok(end) => assert_eq!(end.unwrap().cookies.cookie, json!({"of": session.as_str()})),
            Err(error) => {
                assert!(matches!(error, StoreError::Sealing), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn a_wrong_master_key_is_told_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let revision = fill(&fixture).await;
    let Fixture { store, dir, database } = fixture;
    drop(store);
    let wrong = key("77");
    let place = Place { master_key: Some(&wrong), ..database.place(dir.path()) };
    for opened in [Store::open(place).await, Store::open_beside(place).await] {
        let error = opened.unwrap_err();
        assert!(matches!(error, StoreError::WrongMasterKey { .. }), "{error}");
        assert!(
            error.to_string().contains("rotate-master-key") && !error.to_string().contains("7777"),
            "{error}"
        );
    }
    let rotated = Store::rotate_master_key(place, Some(&key("78"))).await;
    assert!(matches!(rotated, Err(StoreError::WrongMasterKey { .. })));
    has_all(&Store::open(database.place(dir.path())).await.unwrap(), &revision).await;
}

#[tokio::test]
async fn a_master_key_takes_the_place_of_another_one_wherever_it_was_cut_off() {
    let fixture = Fixture::new().await;
    let revision = fill(&fixture).await;
    let Fixture { store, dir, database } = fixture;
    store.close().await;
    drop(store);
    let first = database.place(dir.path());
    let keys = [key("01"), key("02")];
    let place = |n: usize| Place { master_key: Some(&keys[n % 2]), ..first };
    let first_key = first.master_key.cloned();
    assert_eq!(Store::rotate_master_key(place(0), first_key.as_ref()).await.unwrap(), Rotation::Rotated);
    assert_eq!(Store::rotate_master_key(place(0), None).await.unwrap(), Rotation::Same);
    Store::open_beside(first).await.unwrap_err();
    let mut now = 0;
    let mut rotated = 0;
    let mut steps = 0;
    while rotated < 2 {
        let change = Store::rotate_master_key(place(now + 1), Some(&keys[now % 2]));
        let _ = polled(change, steps).await;
        steps += 1 + steps / 4;
        assert!(steps < 100_000, "it never ends");
        // One of them opens it, and never both.
        let [old, new] = [Store::open_beside(place(now)).await, Store::open_beside(place(now + 1)).await];
        let opened = match (old, new) {
            (Ok(old), Err(_)) => old,
            (Err(_), Ok(new)) => {
                (now, rotated) = (now + 1, rotated + 1);
                new
            }
            other => panic!("{other:?}"),
        };
        has_all(&opened, &revision).await;
        opened.close().await;
    }
}

#[tokio::test]
async fn another_data_key_seals_every_secret_anew() {
    let fixture = Fixture::new().await;
    let revision = fill(&fixture).await;
    let search = fixture.store.search_key();
    let place = fixture.database.place(fixture.dir.path());
    assert!(Store::reseal(place).await.is_err(), "while a gateway runs");
    let Fixture { store, dir, database } = fixture;
    store.close().await;
    drop(store);
    assert_eq!(Store::reseal(database.place(dir.path())).await.unwrap(), 5);
    let store = Store::open(database.place(dir.path())).await.unwrap();
    assert_eq!(*store.search_key(), *search);
    let fixture = Fixture { store, dir, database };
    has_all(&fixture.store, &revision).await;
    has_cookies(&fixture).await;
}
