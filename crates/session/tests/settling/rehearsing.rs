//! A rehearsal takes the stages of a session, and no socket; a gateway that serves people never rehearses.

use keyward_model::Verdict;
use keyward_session::{Reached, Script, Silent};

use super::fixture::{LISTENER, Site, located, settled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_serves_people_does_not_rehearse() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let (id, located) = located(&gateway, LISTENER).await;
    let permit = located.authorize(&mut Silent).await.unwrap();
    let ended = permit.rehearse(Reached::Proven).unwrap_err();
    assert_eq!(ended.verdict, Verdict::ConnectFail);
    let record = settled(gateway.store(), &id).await;
    assert!(record.summary.reason.unwrap().contains("does not rehearse"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_opens_no_socket() {
    let site = Site::new().await;
    let gateway = site.rehearsal(Script::default()).await;
    let (id, located) = located(&gateway, LISTENER).await;
    let ended = located.authorize(&mut Silent).await.unwrap().dial().await.unwrap_err();
    assert_eq!(ended.verdict, Verdict::ConnectFail);
    let record = settled(gateway.store(), &id).await;
    assert!(record.summary.reason.unwrap().contains("a rehearsal opens no socket"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsed_session_is_in_the_ledger_as_any_other() {
    let site = Site::new().await;
    let gateway = site.rehearsal(Script::default()).await;
    let (id, located) = located(&gateway, LISTENER).await;
    assert!(id.as_str().starts_with("svc/0000000000000000000000/"), "{id}");
    let connected = located.authorize(&mut Silent).await.unwrap().rehearse(Reached::Proven).unwrap();
    let (connected, passwords) = connected.passwords().await.unwrap();
    assert_eq!(passwords.len(), 1);
    connected.logged_in().await.unwrap().end("over");
    let record = settled(gateway.store(), &id).await;
    let hooks: Vec<&str> = record.calls.iter().map(|call| call.hook.as_str()).collect();
    let all = [
        "authenticate",
        "authorize",
        "get_password_list",
        "authentication_completed",
        "session_ended",
        "session_ended",
    ];
    assert_eq!(hooks, all);
}
