use std::time::Duration;

use keyward_model::{SessionId, UnixMillis, Verdict};
use keyward_store::{CallRecord, Cookies, EngagedPlugin, LogLine, Role, StoreError};
use serde_json::{Value, json};

use crate::{END, Fixture, call, otp, plugin};

fn ok() -> CallRecord {
    CallRecord { duration: Duration::from_micros(2500), outcome: "ok".into(), ..CallRecord::default() }
}

fn cookies(cookie: Value, session_cookie: Value) -> Cookies {
    Cookies { cookie, session_cookie }
}

/// The cookies that `session_ended` of `plugin` is called with.
async fn left_to(fixture: &Fixture, session: &SessionId, plugin: &EngagedPlugin) -> (Value, Value) {
    let end = fixture.store.begin_session_ended(session, &plugin.instance, END).await.unwrap().unwrap();
    (end.cookies.cookie, end.cookies.session_cookie)
}

#[tokio::test]
async fn a_call_is_on_record_before_it_is_made_and_after() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    let id = fixture.store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    let running = fixture.store.session(&session).await.unwrap().unwrap().calls;
    assert_eq!((running.len(), &running[0].outcome), (1, &None));

    let record = CallRecord {
        verdict: Some("DENY".into()),
        error: Some("bad\0thing".into()),
        traceback: Some("Traceback".into()),
        log: vec![LogLine { stream: "stderr".into(), line: "\u{1b}[31mred".into() }],
        ..ok()
    };
    assert!(fixture.store.finish_call(id, &record, None).await.unwrap());
    let calls = fixture.store.session(&session).await.unwrap().unwrap().calls;
    assert_eq!(calls[0].duration, Some(Duration::from_micros(2500)));
    assert_eq!(calls[0].verdict.as_deref(), Some("DENY"));
    assert_eq!(calls[0].outcome.as_deref(), Some("ok"));
    assert_eq!(calls[0].error.as_deref(), Some("bad?thing"));
    assert_eq!(calls[0].log, record.log);
    assert_eq!(calls[0].log_left_out, 0);
}

#[tokio::test]
async fn a_call_is_finished_once() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    let id = fixture.store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    assert!(fixture.store.finish_call(id, &ok(), None).await.unwrap());
    let late = CallRecord { outcome: "cancelled".into(), ..CallRecord::default() };
    let evil = cookies(json!({"late": true}), json!({}));
    assert!(!fixture.store.finish_call(id, &late, Some(&evil)).await.unwrap());
    let calls = fixture.store.session(&session).await.unwrap().unwrap().calls;
    assert_eq!(calls[0].outcome.as_deref(), Some("ok"));
    assert!(fixture.store.end_session(&session, UnixMillis(1), Verdict::Accept, "").await.unwrap());
    assert_eq!(left_to(&fixture, &session, &otp()).await, (json!({}), json!({})));
}

#[tokio::test]
async fn only_an_engaged_plugin_of_an_open_session_may_be_called() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let session = fixture.session_with(1, &otp()).await;
    let stranger = plugin("stranger", Role::Aa, false);
    let refused = |result| assert!(matches!(result, Err(StoreError::MayNotCall { .. })));
    refused(store.begin_call(&call(&session, &stranger, "authorize")).await);
    assert!(store.end_session(&session, UnixMillis(1), Verdict::Accept, "").await.unwrap());
    refused(store.begin_call(&call(&session, &otp(), "authorize")).await);
    refused(store.begin_call(&call(&session, &otp(), "session_ended")).await);
}

#[tokio::test]
async fn cookies_are_replaced_and_kept_across_a_restart() {
    let fixture = Fixture::new().await;
    let vault = plugin("vault", Role::CredentialStore, false);
    let session = fixture.session_with(1, &otp()).await;
    fixture.store.engage(&session, &vault).await.unwrap();
    for (plugin, given) in [
        (&otp(), Some(cookies(json!({"a": 1, "b": [2]}), json!({"shared": "x"})))),
        (&otp(), Some(cookies(json!({"c": "ä"}), json!({"shared": "y"})))),
        (&otp(), None),
        (&vault, Some(cookies(json!({"lease": 7}), json!({"path": "/db"})))),
    ] {
        let id = fixture.store.begin_call(&call(&session, plugin, "authorize")).await.unwrap();
        assert!(fixture.store.finish_call(id, &ok(), given.as_ref()).await.unwrap());
    }
    let fixture = fixture.restart().await;
    assert!(fixture.store.end_session(&session, UnixMillis(1), Verdict::Lost, "").await.unwrap());
    let shared = json!({"path": "/db"});
    assert_eq!(left_to(&fixture, &session, &otp()).await, (json!({"c": "ä"}), shared.clone()));
    assert_eq!(left_to(&fixture, &session, &vault).await, (json!({"lease": 7}), shared));
}

#[tokio::test]
async fn cookies_of_another_session_stay_as_they_are() {
    let fixture = Fixture::new().await;
    let one = fixture.session_with(1, &otp()).await;
    let two = fixture.session_with(2, &otp()).await;
    let id = fixture.store.begin_call(&call(&one, &otp(), "authenticate")).await.unwrap();
    let given = cookies(json!({"one": 1}), json!({"one": 1}));
    assert!(fixture.store.finish_call(id, &ok(), Some(&given)).await.unwrap());
    fixture.store.begin_call(&call(&two, &otp(), "authenticate")).await.unwrap();
    assert!(fixture.store.end_session(&two, UnixMillis(1), Verdict::Accept, "").await.unwrap());
    assert_eq!(left_to(&fixture, &two, &otp()).await, (json!({}), json!({})));
}

#[tokio::test]
async fn cookies_are_forgotten_when_nobody_needs_them_any_more() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let vault = plugin("vault", Role::CredentialStore, false);
    let session = fixture.session_with(1, &otp()).await;
    store.engage(&session, &vault).await.unwrap();
    store.begin_call(&call(&session, &vault, "get_password_list")).await.unwrap();
    let id = store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    let given = cookies(json!({"token": "T"}), json!({"path": "/db"}));
    assert!(store.finish_call(id, &ok(), Some(&given)).await.unwrap());
    assert!(store.end_session(&session, UnixMillis(1), Verdict::Accept, "").await.unwrap());
    let first = fixture.begin_end(&session, &otp()).await.unwrap();
    assert!(store.finish_session_ended(first, &ok()).await.unwrap());
    let last = store.begin_session_ended(&session, &vault.instance, END).await.unwrap().unwrap();
    assert_eq!(last.cookies.session_cookie, json!({"path": "/db"}));
    assert!(!format!("{last:?}").contains("/db"));
    assert!(store.finish_session_ended(last.call, &ok()).await.unwrap());
    assert!(fixture.raw("SELECT LENGTH(session_cookie) = 0 FROM sessions").await);
    assert!(!fixture.raw("SELECT COUNT(*) > 0 FROM session_plugins WHERE LENGTH(cookie) > 0").await);
}

#[tokio::test]
async fn a_cookie_that_could_not_be_read_again_is_refused_whole() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    let id = fixture.store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    let long = cookies(json!({}), json!({"x": "x".repeat(1024 * 1024)}));
    let error = fixture.store.finish_call(id, &ok(), Some(&long)).await;
    assert!(matches!(error, Err(StoreError::TooLarge { .. })));
    let deep = (0..200).fold(json!({}), |inner, _| json!([inner]));
    let error = fixture.store.finish_call(id, &ok(), Some(&cookies(deep, json!({})))).await;
    assert!(matches!(error, Err(StoreError::CookieTooDeep(_))));
    assert!(fixture.store.finish_call(id, &ok(), None).await.unwrap());
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_counted() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    let id = fixture.store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    let line = LogLine { stream: "stdout".into(), line: "spam".into() };
    let flood =
        CallRecord { log: vec![line; 5000], log_left_out: 70, traceback: Some("x".repeat(1 << 20)), ..ok() };
    assert!(fixture.store.finish_call(id, &flood, None).await.unwrap());
    let calls = fixture.store.session(&session).await.unwrap().unwrap().calls;
    assert_eq!((calls[0].log.len(), calls[0].log_left_out), (1000, 4070));
    assert_eq!(calls[0].traceback.as_ref().unwrap().len(), 64 * 1024);
}
