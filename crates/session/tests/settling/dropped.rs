//! The client goes away at every await of the stages that call plugins.

use keyward_model::SessionId;
use keyward_session::{Ended, Gateway, Silent};

use super::fixture::{LISTENER, PATIENCE, Site, connected, located, named, polled, settled};

/// More sessions than any stage has steps.
const MAX_SESSIONS: usize = 300;
/// So many must be left in the middle of their stage.
const ENOUGH: usize = 3;

/// Sessions of which each goes a step further than the one before, up to one that ends its stage. On a busy machine
/// much is ready at once and few steps lead there; it goes on from the first step then, until [`ENOUGH`] were left.
#[derive(Default)]
struct Steps {
    sessions: Vec<SessionId>,
    next: usize,
    left: usize,
    done: bool,
}

impl Steps {
    fn next(&mut self) -> Option<usize> {
        assert!(self.sessions.len() < MAX_SESSIONS, "the stage never ends, or never waits");
        (!self.done).then_some(self.next)
    }

    #[track_caller]
    fn took<T>(&mut self, session: SessionId, outcome: Option<Result<T, Ended>>) {
        self.sessions.push(session);
        match outcome {
            Some(Ok(_)) => (self.next, self.done) = (1, self.left >= ENOUGH),
            Some(Err(ended)) => panic!("the stage failed: {ended:?}"),
            None => {
                self.left += usize::from(self.next > 0);
                self.next += 1;
            }
        }
    }
}

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
    let mut steps = Steps::default();
    while let Some(step) = steps.next() {
        let (id, named) = named(&gateway, LISTENER).await;
        let proof = named.unauthenticated().unwrap();
        steps.took(id, polled(named.identify(proof, &mut Silent), step).await);
    }
    let sessions = steps.sessions;
    check(&site, &gateway, &sessions).await;
    assert!(site.heard("aa", "session_ended", &sessions[0]).is_empty());
    assert!(!site.notes("aa").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_during_authorize_leaves_no_debt() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let mut steps = Steps::default();
    while let Some(step) = steps.next() {
        let (id, located) = located(&gateway, LISTENER).await;
        steps.took(id, polled(located.authorize(&mut Silent), step).await);
    }
    let sessions = steps.sessions;
    check(&site, &gateway, &sessions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_while_passwords_are_fetched_leaves_no_debt_and_no_lease() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let mut steps = Steps::default();
    while let Some(step) = steps.next() {
        let (id, connected) = connected(&gateway, LISTENER).await;
        steps.took(id, polled(connected.passwords(), step).await);
    }
    let sessions = steps.sessions;
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
