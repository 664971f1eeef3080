//! The client goes away at every await of the stages that call plugins.

use keyward_model::SessionId;
use keyward_session::{Gateway, Silent};

use super::fixture::{LISTENER, PATIENCE, Site, connected, located, named, polled, settled};

/// More steps than any stage has.
const MAX_STEPS: usize = 300;

/// Each plugin of these sessions was told of the end once if it was called, and not at all otherwise.
async fn check(site: &Site, gateway: &Gateway, sessions: &[SessionId]) {
    let mut called = Vec::new();
    for session in sessions {
        let record = settled(gateway.store(), session).await;
        assert!(record.calls.iter().all(|call| call.outcome.is_some()), "{record:?}");
        // What was given up before a worker had it is on record, and no plugin's matter.
        let reached = record.plugins.iter().filter(|plugin| plugin.outcome.as_deref() != Some("not-called"));
        called.push((session, reached.map(|plugin| plugin.instance.to_string()).collect::<Vec<_>>()));
    }
    gateway.stop(PATIENCE).await;
    for (session, called) in called {
        for (name, hook) in [("aa", "authenticate"), ("aa", "authorize"), ("vault", "get_password_list")] {
            let told = site.heard(name, "session_ended", session).len();
            // A call that was dropped before the plugin's first line is on record, and counts.
            assert_eq!(told, usize::from(called.iter().any(|called| called == name)), "{name}, {session}");
            assert!(
                site.heard(name, hook, session).len() <= told,
                "{name} {hook} ran without an end: {session}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_during_identify_leaves_no_debt() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let mut sessions = Vec::new();
    for steps in 0..MAX_STEPS {
        let (id, named) = named(&gateway, LISTENER).await;
        sessions.push(id);
        let proof = named.unauthenticated().unwrap();
        if polled(named.identify(proof, &mut Silent), steps).await.is_some() {
            break;
        }
    }
    assert!((4..MAX_STEPS).contains(&sessions.len()), "{} steps", sessions.len());
    check(&site, &gateway, &sessions).await;
    assert!(site.heard("aa", "session_ended", &sessions[0]).is_empty());
    assert!(!site.notes("aa").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_during_authorize_leaves_no_debt() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let mut sessions = Vec::new();
    for steps in 0..MAX_STEPS {
        let (id, located) = located(&gateway, LISTENER).await;
        sessions.push(id);
        if polled(located.authorize(&mut Silent), steps).await.is_some() {
            break;
        }
    }
    assert!((4..MAX_STEPS).contains(&sessions.len()), "{} steps", sessions.len());
    check(&site, &gateway, &sessions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_while_passwords_are_fetched_leaves_no_debt_and_no_lease() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let mut sessions = Vec::new();
    for steps in 0..MAX_STEPS {
        let (id, connected) = connected(&gateway, LISTENER).await;
        sessions.push(id);
        if polled(connected.passwords(), steps).await.is_some() {
            break;
        }
    }
    assert!((4..MAX_STEPS).contains(&sessions.len()), "{} steps", sessions.len());
    check(&site, &gateway, &sessions).await;
    for session in &sessions {
        let record = settled(gateway.store(), session).await;
        let fetched = record
            .calls
            .iter()
            .any(|call| call.hook == "get_password_list" && call.outcome.as_deref() == Some("ok"));
        let told = site.heard("vault", "session_ended", session);
        assert!(!fetched || told[0].ends_with("{\"lease\": 7}"), "the lease is lost: {told:?}");
    }
}
