//! Sessions that wait for somebody's word.

use keyward_model::{SessionId, UnixMillis, Verdict};
use keyward_store::{Approval, ApprovalDecision, Decided, StoreError};

use crate::{END, Fixture, new_session};

fn decision(by: Option<&str>, approved: bool) -> ApprovalDecision {
    ApprovalDecision { at: END, approved, by: by.map(str::to_owned), comment: Some("ticket 7".to_owned()) }
}

async fn waiting(fixture: &Fixture) -> Vec<SessionId> {
    let waiting = fixture.store.waiting_approvals().await.unwrap();
    waiting.into_iter().map(|waiting| waiting.summary.id).collect()
}

#[tokio::test]
async fn the_first_decision_counts_and_ends_the_wait() {
    let fixture = Fixture::new().await;
    let (first, second) = (new_session(1), new_session(2));
    for (session, asked) in [(&first, 2), (&second, 1)] {
        fixture.store.begin_session(session).await.unwrap();
        fixture.store.ask_approval(&session.id, UnixMillis(asked), END).await.unwrap();
    }
    assert_eq!(waiting(&fixture).await, [second.id.clone(), first.id.clone()]);
    let asked = Approval { asked: UnixMillis(2), until: END, decision: None };
    assert_eq!(fixture.store.approval(&first.id).await.unwrap(), Some(asked.clone()));

    let said = decision(Some("bob"), true);
    assert_eq!(fixture.store.decide_approval(&first.id, &said).await.unwrap(), Decided::Now);
    let late = fixture.store.decide_approval(&first.id, &decision(Some("carol"), false)).await.unwrap();
    assert_eq!(late, Decided::Before(said.clone()));
    assert_eq!(
        fixture.store.approval(&first.id).await.unwrap(),
        Some(Approval { decision: Some(said), ..asked })
    );
    assert_eq!(waiting(&fixture).await, [second.id]);
}

#[tokio::test]
async fn once_the_gateway_has_stopped_waiting_nobody_approves() {
    let fixture = Fixture::new().await;
    let session = new_session(1);
    fixture.store.begin_session(&session).await.unwrap();
    fixture.store.ask_approval(&session.id, UnixMillis(1), END).await.unwrap();
    let nobody = decision(None, false);
    assert_eq!(fixture.store.decide_approval(&session.id, &nobody).await.unwrap(), Decided::Now);
    let late = fixture.store.decide_approval(&session.id, &decision(Some("bob"), true)).await.unwrap();
    assert_eq!(late, Decided::Before(nobody));
}

#[tokio::test]
async fn sessions_that_have_ended_or_do_not_wait_are_not_decided() {
    let fixture = Fixture::new().await;
    let (gone, other) = (new_session(1), new_session(2));
    fixture.store.begin_session(&gone).await.unwrap();
    fixture.store.begin_session(&other).await.unwrap();
    fixture.store.ask_approval(&gone.id, UnixMillis(1), END).await.unwrap();
    assert!(fixture.store.end_session(&gone.id, END, Verdict::AuthFail, "").await.unwrap());
    assert_eq!(waiting(&fixture).await, []);
    let bob = decision(Some("bob"), true);
    assert_eq!(fixture.store.decide_approval(&gone.id, &bob).await.unwrap(), Decided::Over);
    assert_eq!(fixture.store.decide_approval(&other.id, &bob).await.unwrap(), Decided::NotAsked);
    assert_eq!(fixture.store.approval(&other.id).await.unwrap(), None);
    let unknown = new_session(9).id;
    let refused = fixture.store.decide_approval(&unknown, &bob).await.unwrap_err();
    assert!(matches!(refused, StoreError::UnknownSession(id) if id == unknown));
}
