use keyward_model::{InstanceName, PluginName, Secret, UnixMillis};
use keyward_store::{EngagedPlugin, PluginRevision, PutBundle, StoreError, StoredBundle};

use crate::{Fixture, otp, outcome};

fn bundle(name: &str, digit: char) -> StoredBundle {
    StoredBundle {
        name: PluginName::try_from(name).unwrap(),
        version: format!("1.{digit}"),
        api: "1.9".into(),
        kind: "aa".into(),
        checksum: digit.to_string().repeat(64),
        archive: vec![digit as u8; 1000],
        uploaded: UnixMillis(7),
    }
}

#[tokio::test]
async fn the_newest_upload_is_current_and_older_ones_stay() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (one, two) = (bundle("Otp", '1'), bundle("Otp", '2'));
    assert_eq!(store.put_bundle(&one).await.unwrap(), PutBundle::New);
    assert_eq!(store.put_bundle(&one).await.unwrap(), PutBundle::Same);
    assert_eq!(store.put_bundle(&two).await.unwrap(), PutBundle::Updated);
    assert_eq!(store.bundle(&one.name).await.unwrap().unwrap(), two);
    assert_eq!(store.bundle_by_checksum(&one.checksum).await.unwrap().unwrap(), one);
}

#[tokio::test]
async fn an_older_version_can_be_made_current_again() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (one, two) = (bundle("Otp", '1'), bundle("Otp", '2'));
    for (upload, expected) in [
        (&one, PutBundle::New),
        (&two, PutBundle::Updated),
        (&one, PutBundle::Updated),
        (&one, PutBundle::Same),
    ] {
        assert_eq!(store.put_bundle(upload).await.unwrap(), expected);
    }
    assert_eq!(store.bundle(&one.name).await.unwrap().unwrap(), one);
    assert_eq!(store.bundle_by_checksum(&two.checksum).await.unwrap().unwrap(), two);
}

#[tokio::test]
async fn the_list_has_the_current_bundle_of_each_name() {
    let fixture = Fixture::new().await;
    let beside = fixture.beside().await;
    for upload in [bundle("Otp", '1'), bundle("Otp", '2'), bundle("Ldap", '3')] {
        beside.put_bundle(&upload).await.unwrap();
    }
    let list = fixture.store.bundles().await.unwrap();
    let seen: Vec<_> = list.iter().map(|b| (b.name.as_str(), b.version.as_str(), b.size)).collect();
    assert_eq!(seen, [("Ldap", "1.3", 1000), ("Otp", "1.2", 1000)]);
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    let fixture = Fixture::new().await;
    assert!(fixture.store.bundle(&bundle("Otp", '1').name).await.unwrap().is_none());
    assert!(fixture.store.bundle_by_checksum("x").await.unwrap().is_none());
}

#[tokio::test]
async fn a_bundle_without_a_checksum_or_too_large_is_refused() {
    let fixture = Fixture::new().await;
    let bad = StoredBundle { checksum: "A".repeat(64), ..bundle("Otp", '1') };
    assert!(matches!(fixture.store.put_bundle(&bad).await, Err(StoreError::BadChecksum(_))));
    let large = StoredBundle { archive: vec![0; 64 * 1024 * 1024 + 1], ..bundle("Otp", '1') };
    assert!(matches!(fixture.store.put_bundle(&large).await, Err(StoreError::TooLarge { .. })));
    assert!(fixture.store.bundles().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_archive_is_kept_while_it_is_one_of_the_last_or_somebody_may_need_it() {
    let fixture = Fixture::new().await;
    let all: Vec<StoredBundle> = ('1'..='7').map(|digit| bundle("Otp", digit)).collect();
    for upload in all.iter().chain([&bundle("Other", 'a')]) {
        fixture.store.put_bundle(upload).await.unwrap();
    }
    // 2 is owed the end of a session, 4 is what an instance runs on.
    let owed = EngagedPlugin { checksum: all[1].checksum.clone(), ..otp() };
    let session = fixture.ended_with(1, &[&owed]).await;
    let revision = PluginRevision {
        instance: InstanceName::try_from("otp").unwrap(),
        bundle: all[3].name.clone(),
        checksum: all[3].checksum.clone(),
        environment: "python3".into(),
        configuration: Secret::new(String::new()),
    };
    fixture.store.put_revision(&revision, UnixMillis(1)).await.unwrap();

    assert_eq!(fixture.store.forget_archives(2).await.unwrap(), 3);
    let kept: Vec<String> =
        fixture.store.all_bundles().await.unwrap().into_iter().map(|bundle| bundle.version).collect();
    assert_eq!(kept, ["1.a", "1.7", "1.6", "1.4", "1.2"]);
    assert_eq!(fixture.store.bundle_by_checksum(&all[0].checksum).await.unwrap(), None);
    assert_eq!(fixture.store.forget_archives(2).await.unwrap(), 0);

    let end = fixture.begin_end(&session, &owed).await.unwrap();
    assert!(fixture.store.finish_session_ended(end, &outcome("ok")).await.unwrap());
    assert_eq!(fixture.store.forget_archives(2).await.unwrap(), 1);
    // The record still tells the version, and an upload brings the archive back.
    let record = fixture.store.session(&session).await.unwrap().unwrap();
    assert_eq!(record.plugins[0].version.as_deref(), Some("1.2"));
    assert_eq!(fixture.store.put_bundle(&all[1]).await.unwrap(), PutBundle::Updated);
    assert_eq!(fixture.store.bundle(&all[1].name).await.unwrap().unwrap(), all[1]);
}
