use keyward_model::{Secret, UnixMillis};
use keyward_store::{NewConfiguration, PutConfiguration, Store, StoreError};

use crate::Fixture;

async fn put(store: &Store, document: &str, base: Option<u32>) -> PutConfiguration {
    let document = Secret::new(document.to_owned());
    let new = NewConfiguration {
        document: &document,
        made: UnixMillis(7),
        author: "alice",
        comment: Some("For the new\0 servers."),
    };
    store.put_configuration(&new, base).await.unwrap()
}

#[tokio::test]
async fn each_change_is_a_revision_that_stays() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.newest_configuration().await.unwrap(), 0);
    assert_eq!(put(&fixture.store, "one", Some(0)).await, PutConfiguration::Made(1));
    assert_eq!(put(&fixture.store, "two", Some(1)).await, PutConfiguration::Made(2));
    assert_eq!(put(&fixture.store, "two", None).await, PutConfiguration::Same(2));
    let fixture = fixture.restart().await;
    assert_eq!(put(&fixture.store, "one", None).await, PutConfiguration::Made(3));
    let documents = async |number| {
        let (revision, document) = fixture.store.configuration(number).await.unwrap().unwrap();
        assert_eq!(revision.number, number);
        document.expose().to_owned()
    };
    assert_eq!([documents(1).await, documents(2).await, documents(3).await], ["one", "two", "one"]);
    assert!(fixture.store.configuration(4).await.unwrap().is_none());
    let all = fixture.store.configurations().await.unwrap();
    assert_eq!(all.iter().map(|revision| revision.number).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!((all[0].author.as_str(), all[0].made), ("alice", UnixMillis(7)));
    assert_eq!(all[0].comment.as_deref(), Some("For the new? servers."));
}

#[tokio::test]
async fn of_two_who_change_the_same_revision_one_is_told() {
    let fixture = Fixture::new().await;
    let beside = fixture.beside().await;
    put(&fixture.store, "one", None).await;
    let (first, second) =
        tokio::join!(put(&fixture.store, "of alice", Some(1)), put(&beside, "of bob", Some(1)));
    let mut both = [first, second];
    both.sort_by_key(|put| matches!(put, PutConfiguration::Outdated(_)));
    assert_eq!(both, [PutConfiguration::Made(2), PutConfiguration::Outdated(2)]);
    assert_eq!(fixture.store.newest_configuration().await.unwrap(), 2);
}

#[tokio::test]
async fn what_the_gateway_has_taken_last_is_in_force() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    for document in ["one", "two", "three"] {
        put(store, document, None).await;
    }
    assert_eq!(store.configuration_in_force().await.unwrap(), 0);
    store.take_configuration(2, UnixMillis(8)).await.unwrap();
    store.refuse_configuration(3, "its plugin cannot be imported").await.unwrap();
    assert_eq!(store.configuration_in_force().await.unwrap(), 2);
    let refused = |all: &[keyward_store::ConfigurationRevision]| all[0].refused.clone();
    let all = store.configurations().await.unwrap();
    assert_eq!(refused(&all).as_deref(), Some("its plugin cannot be imported"));
    // A restart takes it again.
    store.take_configuration(2, UnixMillis(9)).await.unwrap();
    assert_eq!(store.configurations().await.unwrap()[1].in_force_since, Some(UnixMillis(8)));
    store.take_configuration(3, UnixMillis(10)).await.unwrap();
    assert_eq!(store.configuration_in_force().await.unwrap(), 3);
    assert_eq!(refused(&store.configurations().await.unwrap()), None);
}

#[tokio::test]
async fn a_document_is_sealed_and_opens_in_its_own_place_only() {
    let fixture = Fixture::new().await;
    put(&fixture.store, "password = \"s3cret\"", None).await;
    put(&fixture.store, "nothing", None).await;
    fixture
        .run("UPDATE configurations SET document = (SELECT document FROM configurations WHERE number = 1)")
        .await;
    let swapped = fixture.store.configuration(2).await.unwrap_err();
    assert!(matches!(swapped, StoreError::Sealing), "{swapped}");
    assert_eq!(fixture.store.configuration(1).await.unwrap().unwrap().1.expose(), "password = \"s3cret\"");
    let is_sealed = "SELECT COUNT(*) = 2 FROM configurations WHERE LENGTH(document) > 30 AND document <> 'password = \"s3cret\"'";
    assert!(fixture.raw(is_sealed).await);
}
