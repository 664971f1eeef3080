//! What a run of the gateway leaves owing, and who pays it.

use std::time::Duration;

use keyward_model::UnixMillis;
use keyward_plugin::PluginKind;
use keyward_store::PluginState;

use super::fixture::{AA, LISTENER, PATIENCE, Site, connected, instance, record, settled};

/// A session whose last stage is dropped after the drain deadline.
async fn owing(site: &Site) -> keyward_model::SessionId {
    let gateway = site.gateway().await;
    let (id, stage) = connected(&gateway, LISTENER).await;
    gateway.stop(Duration::ZERO).await;
    drop(stage);
    while record(gateway.store(), &id).await.summary.ended.is_none() {
        tokio::task::yield_now().await;
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_drain_deadline_nothing_is_begun_and_the_next_start_pays() {
    let site = Site::new().await;
    let id = owing(&site).await;
    let store = site.store().await;
    assert_eq!(store.debts().await.unwrap().len(), 1);
    assert!(site.heard("aa", "session_ended", &id).is_empty());
    drop(store);

    let gateway = site.gateway().await;
    settled(gateway.store(), &id).await;
    gateway.stop(PATIENCE).await;
    assert_eq!(site.heard("aa", "session_ended", &id).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_plugin_of_the_same_name_does_not_hear_what_the_first_is_owed() {
    let mut site = Site::new().await;
    let id = owing(&site).await;
    site.load("aa", "Stranger", PluginKind::Aa, AA).await;
    site.lose_earlier_versions();
    let gateway = site.gateway().await;
    // A session of today is served meanwhile, and settled after the first look at the debts.
    let (new, stage) = connected(&gateway, LISTENER).await;
    drop(stage);
    settled(gateway.store(), &new).await;
    gateway.stop(PATIENCE).await;
    assert!(site.heard("aa", "session_ended", &id).is_empty());
    assert_eq!(gateway.store().debts().await.unwrap().len(), 1);
    drop(gateway);

    site.load("aa", "Aa", PluginKind::Aa, AA).await;
    let gateway = site.gateway().await;
    settled(gateway.store(), &id).await;
    assert_eq!(site.heard("aa", "session_ended", &id).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_owed_again_by_hand_is_paid_without_a_restart() {
    let site = Site::new().await;
    let id = owing(&site).await;
    let store = site.store().await;
    // The gateway dies during the call.
    assert!(store.begin_session_ended(&id, &instance("aa"), UnixMillis(1)).await.unwrap().is_some());
    drop(store);
    let gateway = site.gateway().await;
    let interrupted = record(gateway.store(), &id).await;
    assert_eq!(interrupted.plugins[0].state, PluginState::Interrupted);
    assert!(gateway.store().repeat_interrupted(&id, &instance("aa")).await.unwrap());
    settled(gateway.store(), &id).await;
    assert_eq!(site.heard("aa", "session_ended", &id).len(), 1);
}
