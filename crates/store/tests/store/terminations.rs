//! Orders to end open sessions.

use keyward_model::{SessionId, UnixMillis, Verdict};
use keyward_store::{StoreError, Termination};

use crate::{END, Fixture, new_session};

fn order(by: &str, message: Option<&str>) -> Termination {
    Termination { by: by.to_owned(), message: message.map(str::to_owned) }
}

#[tokio::test]
async fn an_order_is_taken_once_and_the_first_one_counts() {
    let fixture = Fixture::new().await;
    let (first, second) = (new_session(1), new_session(2));
    fixture.store.begin_session(&first).await.unwrap();
    fixture.store.begin_session(&second).await.unwrap();
    assert!(fixture.store.take_terminations(END).await.unwrap().is_empty());
    for (at, id, by) in [(2, &second.id, "root"), (1, &first.id, "alice"), (3, &second.id, "bob")] {
        let order = order(by, Some("go"));
        assert!(fixture.store.order_termination(id, UnixMillis(at), &order).await.unwrap());
    }
    let expected = [(first.id, order("alice", Some("go"))), (second.id.clone(), order("root", Some("go")))];
    assert_eq!(fixture.store.take_terminations(END).await.unwrap(), expected);
    assert!(fixture.store.take_terminations(END).await.unwrap().is_empty());
    // Ordered again it is not taken again: the gateway knows.
    assert!(fixture.store.order_termination(&second.id, END, &order("bob", None)).await.unwrap());
    assert!(fixture.store.take_terminations(END).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_has_ended_is_not_ordered_to_end() {
    let fixture = Fixture::new().await;
    let session = new_session(1);
    fixture.store.begin_session(&session).await.unwrap();
    assert!(fixture.store.end_session(&session.id, END, Verdict::Accept, "").await.unwrap());
    let root = order("root", None);
    assert!(!fixture.store.order_termination(&session.id, END, &root).await.unwrap());
    assert!(fixture.store.take_terminations(END).await.unwrap().is_empty());
    let unknown: SessionId = new_session(9).id;
    let refused = fixture.store.order_termination(&unknown, END, &root).await.unwrap_err();
    assert!(matches!(refused, StoreError::UnknownSession(id) if id == unknown));
}
