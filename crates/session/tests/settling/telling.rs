//! What plugins are told of who has proven to be somebody, and sessions that end because of what plugins lack or ask.

use keyward_model::Verdict;
use keyward_session::Silent;

use super::fixture::{AA, LISTENER, PROVING, Site, VAULT, located, named, proof, settled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authenticate_is_told_who_the_gateway_has_authenticated() {
    let aa = AA
        .replace("def authenticate(self, session_id)", "def authenticate(self, session_id, gateway_user)")
        .replace("note('authenticate', session_id)", "note('authenticate', session_id, repr(gateway_user))");
    let site = Site::with(&aa, VAULT, 500).await;
    let gateway = site.gateway().await;
    let (proven, mut stage) = named(&gateway, PROVING).await;
    let proof = proof(&mut stage, "gateway-word").await;
    drop(stage.identify(proof, &mut Silent).await.unwrap());
    let (unknown, stage) = named(&gateway, LISTENER).await;
    let proof = stage.unauthenticated().unwrap();
    drop(stage.identify(proof, &mut Silent).await.unwrap());
    assert_eq!(site.heard("aa", "authenticate", &proven), [format!("authenticate {proven} 'root'")]);
    assert_eq!(site.heard("aa", "authenticate", &unknown), [format!("authenticate {unknown} None")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_on_a_connection_that_cannot_ask_is_a_refusal_and_the_record_says_so() {
    let asking = AA.replace(
        "'verdict': 'ACCEPT', 'cookie': {'seen': 1}",
        "'verdict': 'NEEDINFO', 'question': ['otp', 'Code: ']",
    );
    let site = Site::with(&asking, VAULT, 500).await;
    let gateway = site.gateway().await;
    let (id, stage) = named(&gateway, LISTENER).await;
    let proof = stage.unauthenticated().unwrap();
    assert!(stage.identify(proof, &mut Silent).await.is_err());
    let record = settled(gateway.store(), &id).await;
    assert_eq!(record.summary.verdict, Some(Verdict::Deny));
    let reason = record.summary.reason.unwrap();
    assert!(reason.contains("asked in authenticate, but this connection cannot ask"), "{reason}");
    assert_eq!(site.heard("aa", "authenticate", &id).len(), 1);
    assert_eq!(site.heard("aa", "session_ended", &id).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_hook_ends_the_session() {
    let site = Site::with(&AA.replace("def authorize", "def authorise"), VAULT, 500).await;
    let gateway = site.gateway().await;
    let (id, located) = located(&gateway, LISTENER).await;
    let ended = located.authorize(&mut Silent).await.unwrap_err();
    assert_eq!(ended.client_message(), "The gateway cannot serve this session now.");
    let record = settled(gateway.store(), &id).await;
    assert_eq!(record.summary.verdict, Some(Verdict::PluginError));
    let call = record.calls.iter().find(|call| call.hook == "authorize").unwrap();
    assert_eq!(call.outcome.as_deref(), Some("missing-hook"), "{call:?}");
    assert_eq!(site.heard("aa", "session_ended", &id).len(), 1);
}
