//! A plugin is updated while sessions run, and between two runs of the gateway.

use std::sync::Arc;
use std::time::Duration;

use keyward_model::SessionId;
use keyward_plugin::PluginKind;
use keyward_session::{Gateway, Silent};
use keyward_store::PluginState;

use super::fixture::{LISTENER, PATIENCE, Site, VAULT, connected, located, record, settled, until};

/// An AA plugin that notes which version it is.
fn version(word: &str) -> String {
    let text = "
class Plugin:
    def authenticate(self, session_id):
        note('authenticate', session_id, 'WORD')
        return {'verdict': 'ACCEPT', 'cookie': {'seen': 1}}
    def authorize(self, session_id, cookie):
        note('authorize', session_id, 'WORD')
        return {'verdict': 'ACCEPT', 'cookie': {'seen': cookie['seen'] + 1}}
    def session_ended(self, session_id, cookie):
        note('session_ended', session_id, 'WORD', json.dumps(cookie))
";
    text.replace("WORD", word)
}

/// What the AA plugin noted of a session: hook and version.
fn heard(site: &Site, session: &SessionId) -> Vec<(String, String)> {
    let notes = site.notes("aa").into_iter();
    let of_session = notes.filter(|line| line.contains(session.as_str()));
    of_session
        .map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            (words.next().unwrap(), words.nth(1).unwrap())
        })
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(hook, version)| ((*hook).to_owned(), (*version).to_owned())).collect()
}

async fn update(site: &mut Site, gateway: &Gateway, word: &str, settings: &str) {
    site.load("aa", "Aa", PluginKind::Aa, &version(word)).await;
    let versions = site.versions(gateway.store()).await;
    gateway.replace(Arc::new(site.policy(settings)), versions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_keeps_the_version_that_it_began_with_and_the_next_one_gets_the_new_one() {
    let mut site = Site::with(&version("one"), VAULT, 500).await;
    let gateway = site.gateway().await;
    let (old, located) = located(&gateway, LISTENER).await;
    update(&mut site, &gateway, "two", "").await;
    let (new, stage) = connected(&gateway, LISTENER).await;
    let permit = located.authorize(&mut Silent).await.unwrap();
    drop((permit, stage));

    let (old_record, new_record) =
        (settled(gateway.store(), &old).await, settled(gateway.store(), &new).await);
    let all = |word| pairs(&[("authenticate", word), ("authorize", word), ("session_ended", word)]);
    assert_eq!(heard(&site, &old), all("one"));
    assert_eq!(heard(&site, &new), all("two"));
    assert_ne!(old_record.plugins[0].revision, new_record.plugins[0].revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_an_instance_that_follows_updates_gets_the_new_version_at_its_next_call() {
    let mut site = Site::with(&version("one"), VAULT, 500).await;
    let gateway = site.gateway().await;
    let follow = "follow-updates = true";
    update(&mut site, &gateway, "one", follow).await;
    let (id, located) = located(&gateway, LISTENER).await;
    update(&mut site, &gateway, "two", follow).await;
    let permit = located.authorize(&mut Silent).await.unwrap();
    update(&mut site, &gateway, "three", follow).await;
    drop(permit);

    let record = settled(gateway.store(), &id).await;
    assert!(record.plugins[0].follow_updates);
    let all = [("authenticate", "one"), ("authorize", "two"), ("session_ended", "three")];
    assert_eq!(heard(&site, &id), pairs(&all));
    // Cookies go from version to version.
    let end = site.heard("aa", "session_ended", &id);
    assert!(end[0].ends_with("{\"seen\": 2}"), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_the_end_of_a_session_is_told_to_the_version_that_it_began_with() {
    let mut site = Site::with(&version("one"), VAULT, 500).await;
    let gateway = site.gateway().await;
    let (old, stage) = connected(&gateway, LISTENER).await;
    gateway.stop(Duration::ZERO).await;
    drop((stage, gateway));
    until("the first gateway has let go", || site.notes("aa").len() == 2).await;

    site.load("aa", "Aa", PluginKind::Aa, &version("two")).await;
    let gateway = site.gateway().await;
    let (new, stage) = connected(&gateway, LISTENER).await;
    drop(stage);
    settled(gateway.store(), &old).await;
    settled(gateway.store(), &new).await;
    assert_eq!(heard(&site, &old)[2], ("session_ended".into(), "one".into()));
    assert_eq!(heard(&site, &new)[2], ("session_ended".into(), "two".into()));
    gateway.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_version_cannot_be_loaded_the_end_stays_owed() {
    let mut site = Site::with(&version("one"), VAULT, 500).await;
    let gateway = site.gateway().await;
    let (old, stage) = connected(&gateway, LISTENER).await;
    gateway.stop(Duration::ZERO).await;
    drop((stage, gateway));

    site.load("aa", "Aa", PluginKind::Aa, &version("two")).await;
    site.lose_earlier_versions();
    let gateway = site.gateway().await;
    let (new, stage) = connected(&gateway, LISTENER).await;
    drop(stage);
    settled(gateway.store(), &new).await;
    assert_eq!(record(gateway.store(), &old).await.plugins[0].state, PluginState::Called);
    assert_eq!(heard(&site, &old).len(), 2);
    gateway.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_was_replaced_keeps_no_idle_workers_and_can_be_called() {
    let mut site = Site::with(&version("one"), VAULT, 500).await;
    let gateway = site.gateway().await;
    let (old, located) = located(&gateway, LISTENER).await;
    let first = site.plugins[&super::fixture::instance("aa")].clone();
    until("workers wait", || first.idle_workers() == 2).await;
    update(&mut site, &gateway, "two", "").await;
    until("no worker waits", || first.idle_workers() == 0).await;
    drop(located.authorize(&mut Silent).await.unwrap());
    settled(gateway.store(), &old).await;
    assert_eq!(first.idle_workers(), 0);
}
