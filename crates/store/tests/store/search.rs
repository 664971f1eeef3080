//! Sessions by what is known of them.

use keyward_model::{ConnectionName, UnixMillis};
use keyward_store::{NewSession, SessionFacts, SessionsWith};

use crate::{END, Fixture, new_session};

/// Which sessions have all these words, the newest first, by when they began.
async fn with(fixture: &Fixture, wanted: SessionsWith<'_>) -> Vec<i64> {
    let found = fixture.store.sessions_with(&wanted).await.unwrap();
    found.into_iter().map(|(summary, _)| summary.started.0).collect()
}

fn words<'q>(words: &[&'q str]) -> SessionsWith<'q> {
    SessionsWith { words: words.to_vec(), ..SessionsWith::default() }
}

#[tokio::test]
async fn a_session_is_found_by_all_words_in_whatever_case_within_its_time() {
    let fixture = Fixture::new().await;
    for (number, login) in [(1, "otp=@Root@db1"), (2, "otp=@root@db2"), (3, "it's \"50%\" \\ d_b2")] {
        let new = NewSession { login: Some(login.into()), ..new_session(number) };
        fixture.store.begin_session(&new).await.unwrap();
    }
    let facts = SessionFacts { additional_metadata: Some("Ticket 4711".into()), ..SessionFacts::default() };
    fixture.store.update_session(&new_session(1).id, &facts).await.unwrap();

    assert_eq!(with(&fixture, words(&[])).await, [1003, 1002, 1001]);
    assert_eq!(with(&fixture, words(&["root"])).await, [1002, 1001]);
    assert_eq!(with(&fixture, words(&["root", "ticket 4711"])).await, [1001]);
    assert_eq!(with(&fixture, words(&["root", "d_b2"])).await, [] as [i64; 0]);
    // No character means anything to the database.
    assert_eq!(with(&fixture, words(&["it's \"50%\" \\"])).await, [1003]);
    let (from, until) = (Some(UnixMillis(1002)), Some(UnixMillis(1003)));
    assert_eq!(with(&fixture, SessionsWith { from, until, ..words(&["otp"]) }).await, [1002]);
    let after = Some((UnixMillis(1002), new_session(2).id));
    assert_eq!(with(&fixture, SessionsWith { after, ..words(&[]) }).await, [1001]);
}

#[tokio::test]
async fn recordings_are_counted_but_for_those_of_some_connections() {
    let fixture = Fixture::new().await;
    let web = ConnectionName::try_from("web").unwrap();
    for (number, connection) in [(1, new_session(1).connection), (2, web.clone()), (3, web.clone())] {
        let new = NewSession { connection, ..new_session(number) };
        fixture.store.begin_session(&new).await.unwrap();
        let facts = SessionFacts { trail: Some(format!("{number}.trail")), ..SessionFacts::default() };
        fixture.store.update_session(&new.id, &facts).await.unwrap();
        fixture.store.end_session(&new.id, END, keyward_model::Verdict::Accept, "").await.unwrap();
    }
    assert_eq!(fixture.store.count_trails(&[]).await.unwrap(), 3);
    assert_eq!(fixture.store.count_trails(&[&web]).await.unwrap(), 1);
}
