use keyward_model::{Secret, UnixMillis};
use keyward_store::{AddedHostKey, StoreError};

use crate::Fixture;

const SEEN: UnixMillis = UnixMillis(5);

#[tokio::test]
async fn the_first_key_of_a_type_is_never_overwritten() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    assert_eq!(
        store.add_host_key("DB1", 22, "ssh-ed25519 AAAA me@db1", SEEN).await.unwrap(),
        AddedHostKey::Added
    );
    let other = store.add_host_key("db1", 22, "ssh-ed25519 BBBB", UnixMillis(6)).await.unwrap();
    assert_eq!(other, AddedHostKey::AlreadyOther);
    let same = store.add_host_key("db1", 22, "ssh-ed25519 AAAA", UnixMillis(7)).await.unwrap();
    assert_eq!(same, AddedHostKey::Added);
    assert_eq!(store.add_host_key("db1", 2222, "ssh-ed25519 BBBB", SEEN).await.unwrap(), AddedHostKey::Added);
    let keys = store.host_keys("db1", 22).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!((keys[0].key.as_str(), keys[0].first_seen), ("ssh-ed25519 AAAA", SEEN));
}

#[tokio::test]
async fn of_two_first_keys_at_once_one_is_taken() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (a, b) = tokio::join!(
        store.add_host_key("db1", 22, "ssh-ed25519 AAAA", SEEN),
        store.add_host_key("db1", 22, "ssh-ed25519 BBBB", SEEN)
    );
    let taken = [a.unwrap(), b.unwrap()].iter().filter(|added| **added == AddedHostKey::Added).count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn removed_keys_make_the_next_one_a_first_use() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    for key in ["ssh-ed25519 AAAA", "ssh-rsa AAAA"] {
        assert_eq!(store.add_host_key("db1", 22, key, SEEN).await.unwrap(), AddedHostKey::Added);
    }
    assert_eq!(store.remove_host_keys("DB1", 22).await.unwrap(), 2);
    assert!(store.host_keys("db1", 22).await.unwrap().is_empty());
    assert_eq!(store.add_host_key("db1", 22, "ssh-ed25519 BBBB", SEEN).await.unwrap(), AddedHostKey::Added);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let fixture = Fixture::new().await;
    for bad in ["", "ssh-ed25519", "AAAA\tä", "<x> AAAA"] {
        let result = fixture.store.add_host_key("db1", 22, bad, SEEN).await;
        assert!(matches!(result, Err(StoreError::BadHostKey(_))), "{bad:?}");
    }
    let long = format!("ssh-rsa {}", "A".repeat(20_000));
    assert!(matches!(
        fixture.store.add_host_key("db1", 22, &long, SEEN).await,
        Err(StoreError::TooLarge { .. })
    ));
}

#[tokio::test]
async fn a_secret_is_made_once() {
    let fixture = Fixture::new().await;
    assert!(fixture.store.secret("ssh-host-key").await.unwrap().is_none());
    for text in ["first", "second"] {
        let kept =
            fixture.store.put_secret_if_absent("ssh-host-key", &Secret::new(text.into())).await.unwrap();
        assert_eq!(kept.expose(), "first");
    }
    let fixture = fixture.restart().await;
    assert_eq!(fixture.store.secret("ssh-host-key").await.unwrap().unwrap().expose(), "first");
}
