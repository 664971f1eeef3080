use keyward_model::{InstanceName, PluginName, Secret, UnixMillis, Verdict};
use keyward_store::{CallRecord, EngagedPlugin, PluginRevision, RevisionId};

use crate::{END, Fixture, call, new_session, otp, outcome};

fn revision(checksum: &str, configuration: &str) -> PluginRevision {
    PluginRevision {
        instance: InstanceName::try_from("otp").unwrap(),
        bundle: PluginName::try_from("Example").unwrap(),
        checksum: checksum.into(),
        environment: "python3".into(),
        configuration: Secret::new(configuration.into()),
    }
}

async fn put(fixture: &Fixture, checksum: &str, configuration: &str) -> RevisionId {
    fixture.store.put_revision(&revision(checksum, configuration), UnixMillis(1)).await.unwrap()
}

#[tokio::test]
async fn another_bundle_or_configuration_is_another_revision_and_the_same_again_is_not() {
    let fixture = Fixture::new().await;
    let first = put(&fixture, "c1", "a").await;
    assert_ne!(put(&fixture, "c2", "a").await, first);
    assert_ne!(put(&fixture, "c1", "b").await, first);
    assert_eq!(put(&fixture, "c1", "a").await, first);
    let kept = fixture.store.revision(first).await.unwrap().unwrap();
    assert_eq!((kept.checksum.as_str(), kept.configuration.expose()), ("c1", "a"));
}

#[tokio::test]
async fn a_configuration_is_in_no_file_of_the_store_in_the_clear() {
    let fixture = Fixture::new().await;
    let id = put(&fixture, "c1", "password=open-sesame").await;
    for file in fixture.dir.path().read_dir().unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(11).any(|bytes| bytes == b"open-sesame"));
    }
    let fixture = fixture.restart().await;
    let kept = fixture.store.revision(id).await.unwrap().unwrap();
    assert_eq!(kept.configuration.expose(), "password=open-sesame");
    assert_eq!(put(&fixture, "c1", "password=open-sesame").await, id);
}

#[tokio::test]
async fn a_revision_is_kept_until_no_session_is_owed_its_end_by_it() {
    let fixture = Fixture::new().await;
    let (old, unused, today) =
        (put(&fixture, "c1", "a").await, put(&fixture, "c1", "b").await, put(&fixture, "c2", "a").await);
    let plugin = EngagedPlugin { revision: Some(old), ..otp() };
    let session = fixture.ended_with(1, &[&plugin]).await;
    let fixture = fixture.restart().await;
    assert_eq!(fixture.store.debts().await.unwrap()[0].revision, Some(old));

    assert_eq!(fixture.store.forget_revisions(&[today]).await.unwrap(), 1);
    assert!(fixture.store.revision(unused).await.unwrap().is_none());
    assert!(fixture.store.revision(old).await.unwrap().is_some());

    let end = fixture.begin_end(&session, &plugin).await.unwrap();
    assert!(fixture.store.finish_session_ended(end, &outcome("ok")).await.unwrap());
    assert_eq!(fixture.store.forget_revisions(&[today]).await.unwrap(), 1);
    assert!(fixture.store.revision(today).await.unwrap().is_some());
}

#[tokio::test]
async fn the_record_tells_how_a_call_ended_and_which_version_it_ran_on() {
    let fixture = Fixture::new().await;
    let bundle = |checksum: &str, version: &str| keyward_store::StoredBundle {
        name: PluginName::try_from("Example").unwrap(),
        version: version.into(),
        api: "1.0".into(),
        kind: "aa".into(),
        checksum: checksum.repeat(64),
        archive: checksum.into(),
        uploaded: UnixMillis(7),
    };
    for bundle in [bundle("1", "1.0"), bundle("2", "2.0")] {
        fixture.store.put_bundle(&bundle).await.unwrap();
    }
    let plugin = EngagedPlugin { checksum: "1".repeat(64), follow_updates: true, ..otp() };
    let session = new_session(1);
    fixture.store.begin_session(&session).await.unwrap();
    fixture.store.engage(&session.id, &plugin).await.unwrap();
    for checksum in [None, Some("2".repeat(64))] {
        let begun = fixture.store.begin_call(&call(&session.id, &plugin, "authorize")).await.unwrap();
        let record = CallRecord { exit: Some("status 0".into()), checksum, ..outcome("ok") };
        assert!(fixture.store.finish_call(begun, &record, None).await.unwrap());
    }
    fixture.store.end_session(&session.id, END, Verdict::Accept, "").await.unwrap();

    let record = fixture.store.session(&session.id).await.unwrap().unwrap();
    assert!(record.plugins[0].follow_updates);
    let calls: Vec<_> =
        record.calls.iter().map(|call| (call.version.as_deref(), call.exit.as_deref())).collect();
    assert_eq!(calls, [(Some("1.0"), Some("status 0")), (Some("2.0"), Some("status 0"))]);
}
