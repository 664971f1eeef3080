use keyward_model::{ConnectionName, SessionId, UnixMillis, Verdict};
use keyward_store::{
    After, CallRecord, ClosedTrail, DeletionCause, KeptBecause, LastLink, NewDeletion, Said, SessionFacts,
    StoreError, TrailRecord,
};

use crate::{END, Fixture, call, new_session, otp};

fn last(length: u64) -> LastLink {
    LastLink { link: format!("{length:04x}"), length }
}

fn said(reason: &str) -> Said<'_> {
    Said { at: UnixMillis(9500), reason, by: "root" }
}

fn by_age(found: &LastLink) -> NewDeletion<'_> {
    let (cause, reason) = (DeletionCause::Age, "kept for 90d");
    NewDeletion { at: UnixMillis(9900), cause, reason, by: None, found: Some(found) }
}

fn db() -> ConnectionName {
    ConnectionName::try_from("db").unwrap()
}

impl Fixture {
    /// A session that ended at 9000 and its number, whose recording of so many bytes was closed.
    async fn recorded(&self, number: u64) -> SessionId {
        let id = self.recording(number).await;
        let end = UnixMillis(END.0 + i64::try_from(number).unwrap());
        assert!(self.store.end_session(&id, end, Verdict::Accept, "").await.unwrap());
        self.close(&id, number).await;
        id
    }

    async fn recording(&self, number: u64) -> SessionId {
        let new = new_session(number);
        self.store.begin_session(&new).await.unwrap();
        let facts = SessionFacts { trail: Some(format!("0/{number}.trail")), ..SessionFacts::default() };
        self.store.update_session(&new.id, &facts).await.unwrap();
        new.id
    }

    async fn close(&self, id: &SessionId, length: u64) {
        let closed = ClosedTrail { end: "accept".into(), last: Some(last(length)) };
        self.store.close_trail(id, &closed).await.unwrap();
    }

    async fn refusal(&self, id: &SessionId, new: &NewDeletion<'_>) -> Option<KeptBecause> {
        let refused = self.store.decide_deletion(id, new).await.unwrap().err();
        // What was refused has changed nothing.
        let deletion = self.store.session(id).await.unwrap().unwrap().trail_deletion;
        assert_eq!(deletion.is_some(), matches!(refused, None | Some(KeptBecause::Deleted)));
        refused
    }
}

fn ids(records: &[TrailRecord]) -> Vec<&SessionId> {
    records.iter().map(|record| &record.session).collect()
}

#[tokio::test]
async fn a_deletion_is_recorded_before_and_after_and_the_session_stays() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.recorded(7).await);
    store.decide_deletion(&id, &by_age(&last(7))).await.unwrap().unwrap();
    let unfinished = store.unfinished_deletions().await.unwrap();
    assert_eq!(ids(&unfinished), [&id]);
    assert_eq!(unfinished[0].deletion.as_ref().unwrap().done, None);
    let fixture = fixture.restart().await;
    let store = &fixture.store;
    assert_eq!(store.unfinished_deletions().await.unwrap(), unfinished);

    for at in [9950, 9999] {
        store.finish_deletion(&id, UnixMillis(at)).await.unwrap();
    }
    assert!(store.unfinished_deletions().await.unwrap().is_empty());
    let record = store.session(&id).await.unwrap().unwrap();
    let deletion = record.trail_deletion.unwrap();
    assert_eq!((deletion.decided, deletion.done), (UnixMillis(9900), Some(UnixMillis(9950))));
    assert_eq!((deletion.cause, &*deletion.reason), (DeletionCause::Age, "kept for 90d"));
    assert_eq!((deletion.by, deletion.as_closed), (None, true));
    assert_eq!(record.trail_closed.unwrap().last, Some(last(7)));
    assert_eq!(record.trail.as_deref(), Some("0/7.trail"));
    assert_eq!(fixture.refusal(&id, &by_age(&last(7))).await, Some(KeptBecause::Deleted));
    let unknown = fixture.store.decide_deletion(&new_session(8).id, &by_age(&last(7))).await;
    assert!(matches!(unknown, Err(StoreError::UnknownSession(_))));
}

#[tokio::test]
async fn nothing_is_deleted_that_is_open_or_owed_or_not_as_it_was_closed() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (found, id) = (last(1), fixture.recording(1).await);
    store.engage(&id, &otp()).await.unwrap();
    let called = store.begin_call(&call(&id, &otp(), "authorize")).await.unwrap();
    store
        .finish_call(called, &CallRecord { outcome: "ok".into(), ..CallRecord::default() }, None)
        .await
        .unwrap();
    assert_eq!(fixture.refusal(&id, &by_age(&found)).await, Some(KeptBecause::Open));
    store.end_session(&id, END, Verdict::Accept, "").await.unwrap();
    assert_eq!(fixture.refusal(&id, &by_age(&found)).await, Some(KeptBecause::Owed));
    let ending = fixture.begin_end(&id, &otp()).await.unwrap();
    assert_eq!(fixture.refusal(&id, &by_age(&found)).await, Some(KeptBecause::Owed));
    store.finish_session_ended(ending, &CallRecord::default()).await.unwrap();
    assert_eq!(fixture.refusal(&id, &by_age(&found)).await, Some(KeptBecause::NotClosed));
    fixture.close(&id, 1).await;
    for other in [LastLink { length: 2, ..found.clone() }, LastLink { link: "beef".into(), ..found.clone() }]
    {
        assert_eq!(fixture.refusal(&id, &by_age(&other)).await, Some(KeptBecause::OtherEnd));
    }
    let changed = NewDeletion { found: None, ..by_age(&found) };
    assert_eq!(fixture.refusal(&id, &changed).await, Some(KeptBecause::OtherEnd));
    let by_hand = NewDeletion { cause: DeletionCause::Hand, by: Some("root"), ..changed };
    assert_eq!(fixture.refusal(&id, &by_hand).await, None);
    let deletion = store.session(&id).await.unwrap().unwrap().trail_deletion.unwrap();
    assert_eq!((deletion.as_closed, deletion.by.as_deref()), (false, Some("root")));

    let bare = new_session(2);
    store.begin_session(&bare).await.unwrap();
    assert_eq!(fixture.refusal(&bare.id, &by_age(&found)).await, Some(KeptBecause::NoRecording));
}

#[tokio::test]
async fn each_hold_keeps_a_recording_until_its_own_release_and_stays_in_the_record() {
    let fixture = Fixture::new().await;
    let (store, id) = (&fixture.store, fixture.recorded(1).await);
    assert!(store.held_sessions(10).await.unwrap().is_empty());
    for (number, reason) in [(1, "case 12"), (2, "case 13")] {
        assert_eq!(store.hold(&id, &said(reason)).await.unwrap(), number);
    }
    for number in [2, 1] {
        assert_eq!(fixture.refusal(&id, &by_age(&last(1))).await, Some(KeptBecause::Held));
        assert_eq!(store.held_sessions(10).await.unwrap()[0].id, id);
        assert!(store.release(&id, number, &said("closed")).await.unwrap());
        assert!(!store.release(&id, number, &said("again")).await.unwrap());
    }
    assert!(store.held_sessions(10).await.unwrap().is_empty());
    let holds = store.session(&id).await.unwrap().unwrap().holds;
    assert_eq!(holds, store.holds(&id).await.unwrap());
    assert_eq!(holds.iter().map(|hold| &*hold.reason).collect::<Vec<_>>(), ["case 12", "case 13"]);
    assert!(holds.iter().all(|hold| hold.released.as_ref().unwrap().reason == "closed"));

    assert_eq!(fixture.refusal(&id, &by_age(&last(1))).await, None);
    assert!(matches!(store.hold(&id, &said("late")).await, Err(StoreError::TrailDeleted(_))));
    let unknown = store.hold(&new_session(5).id, &said("x")).await;
    assert!(matches!(unknown, Err(StoreError::UnknownSession(_))));
    let open = fixture.recording(3).await;
    assert_eq!(store.hold(&open, &said("at once")).await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_kept_is_found_oldest_first_and_by_connection() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let mut all = Vec::new();
    for number in [3, 1, 2] {
        all.push(fixture.recorded(number).await);
    }
    let open = fixture.recording(9).await;
    let [three, one, two] = &all[..] else { panic!() };
    let kept = store.kept_trails(&After::NOTHING).await.unwrap();
    assert_eq!(ids(&kept), [one, two, three]);
    assert_eq!(ids(&store.kept_trails(&After::this(&kept[0])).await.unwrap()), [two, three]);
    let of = async |before: i64, after: &After| {
        store.kept_trails_of(&db(), UnixMillis(before), after).await.unwrap()
    };
    assert_eq!(ids(&of(9003, &After::NOTHING).await), [one, two]);
    assert_eq!(ids(&of(9003, &After::this(&kept[0])).await), [two]);
    let other = ConnectionName::try_from("web").unwrap();
    assert!(store.kept_trails_of(&other, UnixMillis(i64::MAX), &After::NOTHING).await.unwrap().is_empty());
    assert_eq!(store.kept_bytes().await.unwrap(), 6);
    assert_eq!(store.unmeasured_trails("").await.unwrap(), ["0/9.trail"]);
    assert!(store.unmeasured_trails("0/9.trail").await.unwrap().is_empty());

    store.decide_deletion(two, &by_age(&last(2))).await.unwrap().unwrap();
    assert_eq!(ids(&store.kept_trails(&After::NOTHING).await.unwrap()), [one, three]);
    assert_eq!(store.kept_bytes().await.unwrap(), 4);
    assert_eq!(store.session_of(two.unique()).await.unwrap().as_ref(), Some(two));
    assert_eq!(store.session_of(&open.unique()[1..]).await.unwrap(), None);
}

#[tokio::test]
async fn the_last_look_is_what_is_known_of_the_time_and_before_it_the_newest_session() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    assert_eq!(store.last_known_time().await.unwrap(), None);
    fixture.recorded(1).await;
    assert_eq!(store.last_known_time().await.unwrap(), Some(UnixMillis(1001)));
    for at in [5000, 4000] {
        store.note_look(UnixMillis(at)).await.unwrap();
        assert_eq!(store.last_known_time().await.unwrap(), Some(UnixMillis(at)));
    }
}
