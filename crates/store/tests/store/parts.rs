//! Pieces of recordings: each is known before it is sent, and until it is gone.

use keyward_model::{SessionId, UnixMillis, Verdict};
use keyward_store::{
    ClosedTrail, DeletionCause, LastLink, NewDeletion, SessionFacts, StoredObject, TheFile, TrailPart,
};

use crate::{END, Fixture, new_session};

const AT: UnixMillis = UnixMillis(9500);

fn part(number: u32, length: u64) -> TrailPart {
    TrailPart {
        number,
        store: "http://store/recordings".into(),
        key: format!("0/1.trail.partial/{number:06}"),
        version: None,
        length,
        sha256: format!("{length:064x}"),
        stored: None,
    }
}

fn whole() -> StoredObject {
    StoredObject {
        store: "http://store/recordings".into(),
        key: "0/1.trail".into(),
        version: None,
        etag: "e".into(),
        length: 5,
        sha256: "s".into(),
        stored: AT,
        file: TheFile::Kept,
    }
}

impl Fixture {
    /// A session that is open and is recorded.
    async fn running(&self, number: u64) -> SessionId {
        let new = new_session(number);
        self.store.begin_session(&new).await.unwrap();
        let facts = SessionFacts { trail: Some(format!("0/{number}.trail")), ..SessionFacts::default() };
        self.store.update_session(&new.id, &facts).await.unwrap();
        new.id
    }

    async fn end(&self, id: &SessionId) {
        assert!(self.store.end_session(id, END, Verdict::Accept, "").await.unwrap());
        let last = Some(LastLink { link: "00".into(), length: 5 });
        self.store.close_trail(id, &ClosedTrail { end: "accept".into(), last }).await.unwrap();
    }

    async fn delete(&self, id: &SessionId) {
        let new = NewDeletion { at: AT, cause: DeletionCause::Hand, reason: "wanted", by: None, found: None };
        self.store.decide_deletion(id, &new).await.unwrap().unwrap();
    }

    async fn to_spool(&self, since: i64) -> Vec<SessionId> {
        let found = self.store.trails_to_spool(UnixMillis(since), "").await.unwrap();
        found.into_iter().map(|record| record.session).collect()
    }
}

#[tokio::test]
async fn what_runs_is_spooled_and_what_ended_lately_until_the_store_has_the_whole() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.running(1).await, fixture.running(2).await);
    fixture.store.begin_session(&new_session(3)).await.unwrap();
    assert_eq!(fixture.to_spool(END.0 + 1).await, [first.clone(), second.clone()]);
    let rest = fixture.store.trails_to_spool(END, first.as_str()).await.unwrap();
    assert_eq!(rest.iter().map(|record| &record.session).collect::<Vec<_>>(), [&second]);
    fixture.end(&first).await;
    assert_eq!(fixture.to_spool(END.0).await, [first.clone(), second.clone()]);
    assert_eq!(fixture.to_spool(END.0 + 1).await, std::slice::from_ref(&second));
    assert!(fixture.store.note_stored(&first, &whole()).await.unwrap());
    assert_eq!(fixture.to_spool(END.0).await, std::slice::from_ref(&second));
    fixture.end(&second).await;
    fixture.delete(&second).await;
    assert!(fixture.to_spool(END.0).await.is_empty());
}

#[tokio::test]
async fn a_piece_is_known_before_it_is_sent_and_until_it_is_forgotten() {
    let fixture = Fixture::new().await;
    let id = fixture.running(1).await;
    assert!(fixture.store.begin_part(&id, &part(1, 3)).await.unwrap());
    assert!(fixture.store.note_part(&id, 1, Some("v1"), AT).await.unwrap());
    assert!(fixture.store.begin_part(&id, &part(2, 4)).await.unwrap());
    let fixture = fixture.restart().await;
    let first = TrailPart { version: Some("v1".into()), stored: Some(AT), ..part(1, 3) };
    assert_eq!(fixture.store.trail_parts(&id).await.unwrap(), [first.clone(), part(2, 4)]);
    // What was on its way is sent again with more; what has arrived is never another.
    assert!(fixture.store.begin_part(&id, &part(2, 9)).await.unwrap());
    assert!(!fixture.store.begin_part(&id, &part(1, 9)).await.unwrap());
    assert_eq!(fixture.store.trail_parts(&id).await.unwrap(), [first, part(2, 9)]);
    assert!(fixture.store.sessions_with_parts_to_go("").await.unwrap().is_empty());

    fixture.end(&id).await;
    assert!(fixture.store.note_stored(&id, &whole()).await.unwrap());
    assert!(!fixture.store.begin_part(&id, &part(3, 1)).await.unwrap());
    assert_eq!(fixture.store.sessions_with_parts_to_go("").await.unwrap(), std::slice::from_ref(&id));
    for number in [1, 2] {
        fixture.store.forget_part(&id, number).await.unwrap();
    }
    assert!(fixture.store.sessions_with_parts_to_go("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_piece_of_a_deleted_recording_is_neither_begun_nor_kept() {
    let fixture = Fixture::new().await;
    let id = fixture.running(1).await;
    assert!(fixture.store.begin_part(&id, &part(1, 3)).await.unwrap());
    fixture.end(&id).await;
    fixture.delete(&id).await;
    assert!(!fixture.store.note_part(&id, 1, None, AT).await.unwrap());
    assert!(!fixture.store.begin_part(&id, &part(2, 3)).await.unwrap());
    assert_eq!(fixture.store.sessions_with_parts_to_go("").await.unwrap(), [id]);
}
