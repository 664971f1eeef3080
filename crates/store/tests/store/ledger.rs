use keyward_model::{SessionId, TargetAddr, UnixMillis, Verdict};
use keyward_store::{ClosedTrail, LastLink, Role, SessionFacts, StoreError};

use crate::{END, Fixture, call, new_session, otp, plugin, polled};

#[tokio::test]
async fn how_a_recording_was_closed_is_kept_and_found_by_session_and_by_name() {
    let fixture = Fixture::new().await;
    let (store, new) = (&fixture.store, new_session(7));
    store.begin_session(&new).await.unwrap();
    assert_eq!(store.trail_of(&new.id).await.unwrap(), None);
    let (trail, signer) = (Some("7/7.trail".to_owned()), Some("key".to_owned()));
    let facts = SessionFacts { trail, trail_signer: signer.clone(), ..SessionFacts::default() };
    store.update_session(&new.id, &facts).await.unwrap();
    let record = store.trail_named("7/7.trail").await.unwrap().unwrap();
    assert_eq!(
        (&record.session, &record.signer, &record.closed, record.is_open),
        (&new.id, &signer, &None, true)
    );
    let last = Some(LastLink { link: "00ff".into(), length: u64::from(u32::MAX) + 1 });
    for closed in
        [ClosedTrail { end: "not finished".into(), last: None }, ClosedTrail { end: "accept".into(), last }]
    {
        store.close_trail(&new.id, &closed).await.unwrap();
        let record = store.trail_of(&new.id).await.unwrap().unwrap();
        assert_eq!(record.closed, Some(closed));
        assert_eq!(store.trails("").await.unwrap(), [record]);
    }
    assert!(store.trails("7/7.trail").await.unwrap().is_empty());
    let unknown =
        store.close_trail(&new_session(8).id, &ClosedTrail { end: String::new(), last: None }).await;
    assert!(matches!(unknown, Err(StoreError::UnknownSession(_))));
}

#[tokio::test]
async fn a_session_ends_once_and_keeps_its_first_verdict() {
    let fixture = Fixture::new().await;
    let new = new_session(1);
    fixture.store.begin_session(&new).await.unwrap();
    assert!(fixture.store.end_session(&new.id, END, Verdict::Deny, "no").await.unwrap());
    assert!(!fixture.store.end_session(&new.id, UnixMillis(1), Verdict::Accept, "yes").await.unwrap());
    let record = fixture.store.session(&new.id).await.unwrap().unwrap();
    assert_eq!(record.summary.ended, Some(END));
    assert_eq!(record.summary.verdict, Some(Verdict::Deny));
    assert_eq!(record.summary.reason.as_deref(), Some("no"));
}

#[tokio::test]
async fn an_unknown_session_is_an_error_everywhere() {
    let fixture = Fixture::new().await;
    let id = new_session(1).id;
    let store = &fixture.store;
    let unknown = |error: StoreError| assert!(matches!(error, StoreError::UnknownSession(_)), "{error}");
    unknown(store.update_session(&id, &SessionFacts::default()).await.unwrap_err());
    unknown(store.add_note(&id, END, "x").await.unwrap_err());
    unknown(store.end_session(&id, END, Verdict::Accept, "").await.unwrap_err());
    unknown(store.begin_session_ended(&id, &otp().instance, END).await.unwrap_err());
    assert!(matches!(store.engage(&id, &otp()).await, Err(StoreError::NotOpen(_))));
    assert!(store.session(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn facts_overwrite_and_what_is_not_said_stays() {
    let fixture = Fixture::new().await;
    let new = new_session(1);
    let store = &fixture.store;
    store.begin_session(&new).await.unwrap();
    let named = TargetAddr { addr: "192.0.2.7:22".parse().unwrap(), hostname: Some("db1".into()) };
    let first = SessionFacts {
        gateway_user: Some("alice".into()),
        gateway_groups: Some(vec!["dba".into(), "ops".into()]),
        target: Some(named.clone()),
        ..SessionFacts::default()
    };
    store.update_session(&new.id, &first).await.unwrap();
    let second = SessionFacts { remote_user: Some("root".into()), ..SessionFacts::default() };
    store.update_session(&new.id, &second).await.unwrap();
    let record = store.session(&new.id).await.unwrap().unwrap();
    assert_eq!(record.summary.gateway_user.as_deref(), Some("alice"));
    assert_eq!(record.summary.remote_user.as_deref(), Some("root"));
    assert_eq!(record.gateway_groups, first.gateway_groups);
    assert_eq!(record.summary.target, Some(named));

    let bare = TargetAddr { addr: "[2001:db8::7]:22".parse().unwrap(), hostname: None };
    let third = SessionFacts { target: Some(bare.clone()), ..SessionFacts::default() };
    store.update_session(&new.id, &third).await.unwrap();
    assert_eq!(store.session(&new.id).await.unwrap().unwrap().summary.target, Some(bare));
}

#[tokio::test]
async fn nobody_is_engaged_after_the_end() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    fixture.store.engage(&session, &otp()).await.unwrap();
    assert!(fixture.store.end_session(&session, END, Verdict::Deny, "").await.unwrap());
    let late = plugin("vault", Role::CredentialStore, false);
    assert!(matches!(fixture.store.engage(&session, &late).await, Err(StoreError::NotOpen(_))));
}

#[tokio::test]
async fn an_instance_has_one_role_in_a_session() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    let other = plugin("otp", Role::CredentialStore, false);
    let error = fixture.store.engage(&session, &other).await;
    assert!(matches!(error, Err(StoreError::EngagedOtherwise { .. })));
}

#[tokio::test]
async fn notes_keep_their_order_and_have_a_limit() {
    let fixture = Fixture::new().await;
    let new = new_session(1);
    fixture.store.begin_session(&new).await.unwrap();
    for n in 0..1003 {
        fixture.store.add_note(&new.id, UnixMillis(n), &format!("note {n}")).await.unwrap();
    }
    let record = fixture.store.session(&new.id).await.unwrap().unwrap();
    assert_eq!(record.notes.len(), 1000);
    assert_eq!(record.notes_left_out, 3);
    assert_eq!(record.notes[999].text, "note 999");
}

#[tokio::test]
async fn sessions_are_listed_from_the_newest_in_pages() {
    let fixture = Fixture::new().await;
    for number in 1..=5 {
        fixture.store.begin_session(&new_session(number)).await.unwrap();
    }
    let first = fixture.store.sessions(2, None).await.unwrap();
    let ids: Vec<_> = first.iter().map(|session| session.id.clone()).collect();
    assert_eq!(ids, [new_session(5).id, new_session(4).id]);
    let rest = fixture.store.sessions(10, Some(first[1].started)).await.unwrap();
    assert_eq!(rest.len(), 3);
}

#[tokio::test]
async fn a_record_can_be_printed_as_json() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    fixture.store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    let record = fixture.store.session(&session).await.unwrap().unwrap();
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["connection"], "db");
    assert_eq!(json["calls"][0]["hook"], "authenticate");
    assert_eq!(json["calls"][0]["duration_ms"], serde_json::Value::Null);
    assert_eq!(json["plugins"][0]["state"], "called");
}

#[tokio::test]
async fn a_dropped_change_leaves_the_whole_or_nothing_and_blocks_nobody() {
    let fixture = Fixture::new().await;
    let new = new_session(1);
    fixture.store.begin_session(&new).await.unwrap();
    // Each turn drops it one step later, until it gets through. How many steps there are depends on the database's
    // thread: it may have answered before it is waited for. Hence the rounds.
    for _round in 0..20 {
        let mut steps = 0;
        while !noted_within(&fixture, &new.id, steps).await {
            steps += 1;
        }
    }
    fixture.store.add_note(&new.id, UnixMillis(1), "last").await.unwrap();
    let record = fixture.store.session(&new.id).await.unwrap().unwrap();
    assert_eq!(record.notes.last().unwrap().text, "last");
    // The count and the note are one change.
    assert!(fixture.raw("SELECT notes = (SELECT COUNT(*) FROM session_notes) FROM sessions").await);
}

/// Whether a note was made within so many steps; then it is dropped.
async fn noted_within(fixture: &Fixture, id: &SessionId, steps: usize) -> bool {
    let noted = polled(fixture.store.add_note(id, UnixMillis(0), "dropped"), steps).await;
    noted.is_some_and(|noted| noted.is_ok())
}
