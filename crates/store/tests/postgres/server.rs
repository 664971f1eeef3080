//! What can happen to a server, and who may come beside.

use keyward_model::Secret;
use keyward_store::{PostgresServer, Store, StoreError};

use crate::database::by_password;
use crate::peers::authority::Authority;
use crate::peers::postgres::Postgres;
use crate::{Fixture, new_session, otp};

#[tokio::test]
async fn a_database_that_a_gateway_has_is_refused_to_a_gateway_with_another_directory() {
    let fixture = Fixture::new().await;
    let other = tempfile::tempdir().unwrap();
    let place = fixture.database.place(other.path());
    let error = Store::open(place).await.unwrap_err();
    assert!(matches!(error, StoreError::ServedElsewhere { .. }), "{error}");
    // A command may come from anywhere, as on SQLite.
    assert!(Store::open_beside(place).await.unwrap().open_sessions().await.unwrap().is_empty());
    drop(fixture.store);
    Store::open(place).await.unwrap();
}

#[tokio::test]
async fn a_server_that_goes_away_fails_what_is_asked_and_one_that_comes_back_has_what_was_returned() {
    let mut fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    fixture.database.peer.stop();
    let error = fixture.store.begin_session(&new_session(2)).await.unwrap_err();
    assert!(error.may_pass(), "{error}");
    assert!(fixture.store.open_sessions().await.unwrap_err().may_pass());
    fixture.database.peer.start_again();
    assert_eq!(fixture.store.open_sessions().await.unwrap(), [session]);
    fixture.store.begin_session(&new_session(2)).await.unwrap();
}

#[tokio::test]
async fn a_gateway_whose_database_was_taken_over_writes_no_more() {
    let fixture = Fixture::new().await;
    // What a server does that takes the gateway's machine for dead.
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keyward'";
    let other = tempfile::tempdir().unwrap();
    let place = fixture.database.place(other.path());
    fixture.database.peer.sql(Postgres::DATABASE, cut);
    let second = Store::open(place).await.unwrap();
    fixture.store.begin_session(&new_session(1)).await.unwrap_err();
    assert!(second.open_sessions().await.unwrap().is_empty());
    second.begin_session(&new_session(2)).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_neither_shown() {
    let fixture = Fixture::new().await;
    let wrong = Some(Secret::new("open-sesame".into()));
    let server = PostgresServer { password: wrong, ..fixture.database.server.clone() };
    let dir = tempfile::tempdir().unwrap();
    let place = keyward_store::Place { server: Some(&server), ..dir.path().into() };
    let error = Store::open(place).await.unwrap_err();
    let shown = format!("{error} {error:?} {place:?} {:?}", fixture.store);
    assert!(error.to_string().contains("postgres of keyward at 127.0.0.1"), "{error}");
    assert!(shown.contains("password authentication failed"), "{shown}");
    assert!(!shown.contains("sesame") && !shown.contains(Postgres::PASSWORD), "{shown}");
}

#[tokio::test]
async fn a_server_is_reached_by_its_socket() {
    let fixture = Fixture::new().await;
    let socket = fixture.database.peer.socket().display().to_string();
    let server = PostgresServer { host: socket, password: None, ..fixture.database.server.clone() };
    let place = keyward_store::Place { server: Some(&server), ..fixture.database.place(fixture.dir.path()) };
    Store::open_beside(place).await.unwrap().begin_session(&new_session(1)).await.unwrap();
    assert_eq!(fixture.store.open_sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_is_asked_for_a_certificate_of_the_authority_that_is_named() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let peer = Postgres::with_tls(&authority);
    let dir = tempfile::tempdir().unwrap();
    let server = |authority: &Authority| {
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, authority.certificate()).unwrap();
        PostgresServer { ca: Some(ca), ..by_password(&peer) }
    };
    let wrong = server(&stranger);
    let place = keyward_store::Place { server: Some(&wrong), ..dir.path().into() };
    let error = Store::open(place).await.unwrap_err();
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");

    let right = server(&authority);
    let place = keyward_store::Place { server: Some(&right), ..dir.path().into() };
    let _store = Store::open(place).await.unwrap();
    let on = peer.sql(Postgres::DATABASE, "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'keyward'");
    assert_eq!(on, "t");
}
