use keyward_model::{Secret, UnixMillis};
use keyward_store::{HostKeyTrust, StoreError};

use crate::Fixture;

const SEEN: UnixMillis = UnixMillis(5);

async fn trust(fixture: &Fixture, hosts: &[&str], port: u16, key: &str) -> HostKeyTrust {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.into()).collect();
    fixture.store.trust_host_key(&hosts, port, key, SEEN).await.unwrap()
}

async fn known(fixture: &Fixture, host: &str) -> Vec<String> {
    let keys = fixture.store.host_keys(host, 22).await.unwrap();
    keys.into_iter().map(|record| record.key).collect()
}

#[tokio::test]
async fn the_first_key_is_never_overwritten_nor_joined_by_another() {
    let fixture = Fixture::new().await;
    assert_eq!(trust(&fixture, &["DB1"], 22, "ssh-ed25519 AAAA me@db1").await, HostKeyTrust::Trusted);
    for other in ["ssh-ed25519 BBBB", "ssh-rsa AAAA"] {
        assert_eq!(trust(&fixture, &["db1"], 22, other).await, HostKeyTrust::OtherKnown);
    }
    assert_eq!(trust(&fixture, &["db1"], 22, "ssh-ed25519 AAAA").await, HostKeyTrust::Trusted);
    assert_eq!(trust(&fixture, &["db1"], 2222, "ssh-ed25519 BBBB").await, HostKeyTrust::Trusted);
    assert_eq!(known(&fixture, "db1").await, ["ssh-ed25519 AAAA"]);
    assert_eq!(fixture.store.host_keys("db1", 22).await.unwrap()[0].first_seen, SEEN);
}

#[tokio::test]
async fn a_key_is_trusted_under_all_names_or_none() {
    let fixture = Fixture::new().await;
    assert_eq!(trust(&fixture, &["10.0.0.1"], 22, "ssh-ed25519 AAAA").await, HostKeyTrust::Trusted);
    let other = trust(&fixture, &["db1", "10.0.0.1"], 22, "ssh-ed25519 BBBB").await;
    assert_eq!(other, HostKeyTrust::OtherKnown);
    assert!(known(&fixture, "db1").await.is_empty());
    let same = trust(&fixture, &["db1", "10.0.0.1"], 22, "ssh-ed25519 AAAA").await;
    assert_eq!(same, HostKeyTrust::Trusted);
    assert_eq!(known(&fixture, "db1").await, ["ssh-ed25519 AAAA"]);
}

#[tokio::test]
async fn of_two_first_keys_at_once_one_is_taken() {
    let fixture = Fixture::new().await;
    let (a, b) = tokio::join!(
        trust(&fixture, &["db1"], 22, "ssh-ed25519 AAAA"),
        trust(&fixture, &["db1"], 22, "ssh-rsa BBBB")
    );
    assert_eq!([a, b].iter().filter(|trust| **trust == HostKeyTrust::Trusted).count(), 1);
    assert_eq!(known(&fixture, "db1").await.len(), 1);
}

#[tokio::test]
async fn removed_keys_make_the_next_one_a_first_use() {
    let fixture = Fixture::new().await;
    assert_eq!(trust(&fixture, &["db1"], 22, "ssh-ed25519 AAAA").await, HostKeyTrust::Trusted);
    assert_eq!(fixture.store.remove_host_keys("DB1", 22).await.unwrap(), 1);
    assert!(known(&fixture, "db1").await.is_empty());
    assert_eq!(trust(&fixture, &["db1"], 22, "ssh-ed25519 BBBB").await, HostKeyTrust::Trusted);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let fixture = Fixture::new().await;
    for bad in ["", "ssh-ed25519", "AAAA\tä", "<x> AAAA"] {
        let result = fixture.store.trust_host_key(&["db1".into()], 22, bad, SEEN).await;
        assert!(matches!(result, Err(StoreError::BadHostKey(_))), "{bad:?}");
    }
    let long = format!("ssh-rsa {}", "A".repeat(20_000));
    assert!(matches!(
        fixture.store.trust_host_key(&["db1".into()], 22, &long, SEEN).await,
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
