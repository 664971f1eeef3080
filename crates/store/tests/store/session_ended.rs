//! Each way from `called` to `ended`, and back.

use keyward_model::{InstanceName, Verdict};
use keyward_store::{Interrupted, PluginState, Role, StoreError};

use crate::{END, Fixture, call, otp, outcome, plugin};

#[tokio::test]
async fn a_plugin_hears_of_the_end_once_and_after_it() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let session = fixture.session_with(1, &otp()).await;
    store.begin_call(&call(&session, &otp(), "authorize")).await.unwrap();
    let early = store.begin_session_ended(&session, &otp().instance, END).await;
    assert!(matches!(early, Err(StoreError::NotEnded(_))));
    assert!(store.end_session(&session, END, Verdict::Accept, "").await.unwrap());
    let end = fixture.begin_end(&session, &otp()).await.unwrap();
    assert_eq!(fixture.plugin_state(&session, &otp()).await, PluginState::Ending);
    assert_eq!(fixture.begin_end(&session, &otp()).await, None);
    assert!(store.finish_session_ended(end, &outcome("ok")).await.unwrap());
    assert_eq!(fixture.begin_end(&session, &otp()).await, None);
    assert!(!store.finish_session_ended(end, &outcome("timeout")).await.unwrap());
    let record = store.session(&session).await.unwrap().unwrap();
    assert_eq!(record.plugins[0].state, PluginState::Ended);
    assert_eq!(record.plugins[0].outcome.as_deref(), Some("ok"));
    let calls: Vec<_> = record.calls.iter().map(|c| (c.hook.as_str(), c.outcome.as_deref())).collect();
    assert_eq!(calls, [("authorize", Some("cancelled")), ("session_ended", Some("ok"))]);
    assert!(fixture.owed().await.is_empty());
}

#[tokio::test]
async fn of_many_who_end_a_session_one_does() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    fixture.store.begin_call(&call(&session, &otp(), "authorize")).await.unwrap();
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (store, session, instance) = (fixture.store.clone(), session.clone(), otp().instance);
            tokio::spawn(async move {
                let ended = store.end_session(&session, END, Verdict::Accept, "").await.unwrap();
                (ended, store.begin_session_ended(&session, &instance, END).await.unwrap().is_some())
            })
        })
        .collect();
    let (mut ended, mut begun) = (0, 0);
    for one in tries {
        let (ended_it, began_it) = one.await.unwrap();
        ended += usize::from(ended_it);
        begun += usize::from(began_it);
    }
    assert_eq!((ended, begun), (1, 1));
}

#[tokio::test]
async fn an_end_that_reached_nobody_is_owed_as_before_and_leaves_no_trace() {
    let fixture = Fixture::new().await;
    let session = fixture.ended_with(1, &[&otp()]).await;
    for _ in 0..3 {
        let end = fixture.begin_end(&session, &otp()).await.unwrap();
        assert!(fixture.owed().await.is_empty());
        assert!(fixture.store.release_session_ended(end).await.unwrap());
        assert!(!fixture.store.release_session_ended(end).await.unwrap());
        assert_eq!(fixture.plugin_state(&session, &otp()).await, PluginState::Called);
        assert_eq!(fixture.owed().await, [otp().instance]);
    }
    assert_eq!(fixture.store.session(&session).await.unwrap().unwrap().calls.len(), 1);
}

#[tokio::test]
async fn an_end_that_is_over_is_not_given_back() {
    let fixture = Fixture::new().await;
    let session = fixture.ended_with(1, &[&otp()]).await;
    let end = fixture.begin_end(&session, &otp()).await.unwrap();
    assert!(fixture.store.finish_session_ended(end, &outcome("exception")).await.unwrap());
    assert!(!fixture.store.release_session_ended(end).await.unwrap());
    assert_eq!(fixture.plugin_state(&session, &otp()).await, PluginState::Ended);
}

#[tokio::test]
async fn a_call_of_another_hook_is_neither_finished_nor_given_back_as_an_end() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    let other = fixture.store.begin_call(&call(&session, &otp(), "authorize")).await.unwrap();
    let error = fixture.store.finish_session_ended(other, &outcome("ok")).await;
    assert!(matches!(error, Err(StoreError::NotEnding(_))));
    assert!(!fixture.store.release_session_ended(other).await.unwrap());
    assert!(fixture.store.finish_call(other, &outcome("ok"), None).await.unwrap());
}

#[tokio::test]
async fn a_plugin_that_was_never_engaged_is_owed_nothing() {
    let fixture = Fixture::new().await;
    let session = fixture.ended_with(1, &[&otp()]).await;
    let stranger = InstanceName::try_from("stranger").unwrap();
    assert!(fixture.store.begin_session_ended(&session, &stranger, END).await.unwrap().is_none());
}

#[tokio::test]
async fn a_plugin_that_was_engaged_and_never_called_is_owed_nothing_and_leaves_the_session() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    assert!(fixture.store.end_session(&session, END, Verdict::AuthFail, "").await.unwrap());
    assert!(fixture.owed().await.is_empty());
    assert_eq!(fixture.begin_end(&session, &otp()).await, None);
    assert!(fixture.store.session(&session).await.unwrap().unwrap().plugins.is_empty());
}

#[tokio::test]
async fn a_plugin_that_no_call_reached_is_owed_nothing_and_its_calls_stay_on_record() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let session = fixture.session_with(1, &otp()).await;
    let refused = store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    assert!(store.refuse_call(refused, &outcome("busy")).await.unwrap());
    assert!(!store.refuse_call(refused, &outcome("busy")).await.unwrap());
    assert!(store.end_session(&session, END, Verdict::PluginError, "").await.unwrap());
    assert!(fixture.owed().await.is_empty());
    assert_eq!(fixture.begin_end(&session, &otp()).await, None);
    let record = store.session(&session).await.unwrap().unwrap();
    assert_eq!(record.calls[0].outcome.as_deref(), Some("busy"));
    assert_eq!(record.plugins[0].outcome.as_deref(), Some("not-called"));
}

#[tokio::test]
async fn a_plugin_that_one_of_its_calls_reached_is_owed_its_end() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let session = fixture.session_with(1, &otp()).await;
    let first = store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    assert!(store.finish_call(first, &outcome("ok"), None).await.unwrap());
    let second = store.begin_call(&call(&session, &otp(), "authorize")).await.unwrap();
    assert!(store.refuse_call(second, &outcome("unavailable")).await.unwrap());
    assert!(store.end_session(&session, END, Verdict::PluginError, "").await.unwrap());
    assert_eq!(fixture.owed().await, [otp().instance]);
}

#[tokio::test]
async fn a_call_that_runs_at_the_end_is_cancelled_and_counts() {
    let fixture = Fixture::new().await;
    let session = fixture.session_with(1, &otp()).await;
    let running = fixture.store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    assert!(fixture.store.end_session(&session, END, Verdict::AuthFail, "").await.unwrap());
    assert!(!fixture.store.finish_call(running, &outcome("ok"), None).await.unwrap());
    let record = fixture.store.session(&session).await.unwrap().unwrap();
    assert_eq!(record.calls[0].outcome.as_deref(), Some("cancelled"));
    assert_eq!(fixture.owed().await, [otp().instance]);
}

#[tokio::test]
async fn a_start_finds_open_sessions_and_after_their_end_what_is_owed() {
    let fixture = Fixture::new().await;
    let vault = plugin("vault", Role::CredentialStore, false);
    let session = fixture.session_with(1, &otp()).await;
    fixture.store.engage(&session, &vault).await.unwrap();
    fixture.store.begin_call(&call(&session, &vault, "get_password_list")).await.unwrap();
    fixture.store.begin_call(&call(&session, &otp(), "authenticate")).await.unwrap();
    let fixture = fixture.restart().await;
    let store = &fixture.store;
    assert_eq!(store.open_sessions().await.unwrap(), std::slice::from_ref(&session));
    assert!(store.debts().await.unwrap().is_empty());
    assert!(store.end_session(&session, END, Verdict::Lost, "the gateway died").await.unwrap());
    assert!(store.open_sessions().await.unwrap().is_empty());
    let debts = store.debts().await.unwrap();
    let owed: Vec<_> = debts.iter().map(|debt| (debt.instance.as_str(), debt.role)).collect();
    assert_eq!(owed, [("otp", Role::Aa), ("vault", Role::CredentialStore)]);
    assert_eq!(debts[0].checksum, "c1");
    assert!(fixture.begin_end(&session, &vault).await.is_some());
    assert_eq!(fixture.owed().await, [otp().instance]);
}

#[tokio::test]
async fn an_interrupted_end_waits_for_a_person_unless_the_instance_says_retry() {
    let fixture = Fixture::new().await;
    let (once, again) = (plugin("once", Role::Aa, false), plugin("again", Role::CredentialStore, true));
    let session = fixture.ended_with(1, &[&once, &again]).await;
    for plugin in [&once, &again] {
        assert!(fixture.begin_end(&session, plugin).await.is_some());
    }
    let fixture = fixture.restart().await;
    let store = &fixture.store;
    let mut marked = store.mark_interrupted().await.unwrap();
    marked.sort_by(|a, b| a.instance.cmp(&b.instance));
    let expected = [(&again, true), (&once, false)].map(|(plugin, retry)| Interrupted {
        session: session.clone(),
        instance: plugin.instance.clone(),
        role: plugin.role,
        retry,
    });
    assert_eq!(marked, expected);
    assert!(store.mark_interrupted().await.unwrap().is_empty());
    let calls = store.session(&session).await.unwrap().unwrap().calls;
    assert_eq!(calls.iter().filter(|call| call.outcome.as_deref() == Some("interrupted")).count(), 2);

    assert_eq!(fixture.owed().await, std::slice::from_ref(&again.instance));
    assert_eq!(fixture.begin_end(&session, &once).await, None);
    assert!(store.repeat_interrupted(&session, &once.instance).await.unwrap());
    assert!(!store.repeat_interrupted(&session, &once.instance).await.unwrap());
    for plugin in [&once, &again] {
        let end = fixture.begin_end(&session, plugin).await.unwrap();
        assert!(store.finish_session_ended(end, &outcome("ok")).await.unwrap());
        assert_eq!(fixture.plugin_state(&session, plugin).await, PluginState::Ended);
    }
}

#[tokio::test]
async fn a_repeated_end_that_is_cut_off_again_is_interrupted_again() {
    let fixture = Fixture::new().await;
    let session = fixture.ended_with(1, &[&otp()]).await;
    for _ in 0..2 {
        assert!(fixture.begin_end(&session, &otp()).await.is_some());
        assert_eq!(fixture.store.mark_interrupted().await.unwrap().len(), 1);
        assert_eq!(fixture.plugin_state(&session, &otp()).await, PluginState::Interrupted);
        assert!(fixture.store.repeat_interrupted(&session, &otp().instance).await.unwrap());
    }
}

#[tokio::test]
async fn an_end_without_a_call_on_record_had_not_begun() {
    let fixture = Fixture::new().await;
    let session = fixture.ended_with(1, &[&otp()]).await;
    // What a gateway that wrote the two apart left when it died between them.
    fixture.run("UPDATE session_plugins SET state = 'ending'").await;
    assert!(fixture.store.mark_interrupted().await.unwrap().is_empty());
    assert_eq!(fixture.owed().await, [otp().instance]);
    assert_eq!(fixture.plugin_state(&session, &otp()).await, PluginState::Called);
}

#[tokio::test]
async fn an_end_whose_call_has_an_outcome_was_over() {
    let fixture = Fixture::new().await;
    let session = fixture.ended_with(1, &[&otp()]).await;
    assert!(fixture.begin_end(&session, &otp()).await.is_some());
    fixture.run("UPDATE hook_calls SET outcome = 'timeout' WHERE hook = 'session_ended'").await;
    fixture.run("UPDATE session_plugins SET cookie = 'sealed'").await;
    fixture.run("UPDATE sessions SET session_cookie = 'sealed'").await;
    assert!(fixture.store.mark_interrupted().await.unwrap().is_empty());
    assert!(fixture.owed().await.is_empty());
    let plugins = fixture.store.session(&session).await.unwrap().unwrap().plugins;
    assert_eq!((plugins[0].state, plugins[0].outcome.as_deref()), (PluginState::Ended, Some("timeout")));
    assert!(!fixture.raw("SELECT COUNT(*) > 0 FROM session_plugins WHERE LENGTH(cookie) > 0").await);
    assert!(fixture.raw("SELECT LENGTH(session_cookie) = 0 FROM sessions").await);
}

#[tokio::test]
async fn a_dropped_begin_leaves_the_right_or_the_call_and_never_one_without_the_other() {
    let fixture = Fixture::new().await;
    let session = fixture.ended_with(1, &[&otp()]).await;
    let instance = otp().instance;
    for polls in 0..40 {
        let begin = fixture.store.begin_session_ended(&session, &instance, END);
        let _ = crate::polled(begin, polls).await;
        // Whatever came of it: ending with an open call, or neither.
        assert!(
            fixture
                .raw("SELECT (SELECT COUNT(*) FROM session_plugins WHERE state = 'ending') = (SELECT COUNT(*) FROM hook_calls WHERE hook = 'session_ended' AND outcome IS NULL)")
                .await
        );
        fixture.store.mark_interrupted().await.unwrap();
        fixture.store.repeat_interrupted(&session, &instance).await.unwrap();
        assert_eq!(fixture.owed().await, [otp().instance]);
    }
}
