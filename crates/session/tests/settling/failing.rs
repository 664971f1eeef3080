//! Calls that no worker gets, and a ledger that fails for a while.

use keyward_session::Silent;
use keyward_store::PluginState;

use super::fixture::{AA, HASTY, LISTENER, Site, VAULT, connected, named, record, settled, until};

/// One that holds its call until it is let go.
const HELD: &str = "
class Plugin:
    def authenticate(self, session_id):
        note('authenticate', session_id)
        if not session_id.endswith('quick:1'):
            wait_for('go')
        return {'verdict': 'ACCEPT', 'cookie': {'seen': 1}}
    def authorize(self, session_id):
        return {'verdict': 'ACCEPT'}
    def session_ended(self, session_id, cookie):
        note('session_ended', session_id, json.dumps(cookie))
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_gateway_does_not_use_up_session_ended() {
    let site = Site::with(HELD, VAULT, 1).await;
    let gateway = site.gateway().await;
    let (quick, stage) = named(&gateway, HASTY).await;
    let proof = stage.unauthenticated().unwrap();
    let identified = stage.identify(proof, &mut Silent).await.unwrap();

    let (slow, stage) = named(&gateway, LISTENER).await;
    let proof = stage.unauthenticated().unwrap();
    let held = tokio::spawn(async move { stage.identify(proof, &mut Silent).await.is_ok() });
    until("the other call runs", || !site.heard("aa", "authenticate", &slow).is_empty()).await;
    drop(identified);
    let begun = async |state| {
        while record(gateway.store(), &quick).await.plugins[0].state != state {
            tokio::task::yield_now().await;
        }
    };
    begun(PluginState::Ending).await;
    begun(PluginState::Called).await;
    assert!(site.heard("aa", "session_ended", &quick).is_empty());

    site.let_go("aa", "go");
    assert!(held.await.unwrap());
    let record = settled(gateway.store(), &quick).await;
    assert_eq!(site.heard("aa", "session_ended", &quick), [format!("session_ended {quick} {{\"seen\": 1}}")]);
    let ends = record.calls.iter().filter(|call| call.hook == "session_ended");
    assert_eq!(ends.map(|call| call.outcome.as_deref()).collect::<Vec<_>>(), [Some("ok")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_was_never_reached_hears_no_end() {
    let site = Site::with(HELD, VAULT, 1).await;
    let gateway = site.gateway().await;
    let (slow, stage) = named(&gateway, LISTENER).await;
    let proof = stage.unauthenticated().unwrap();
    let held = tokio::spawn(async move { stage.identify(proof, &mut Silent).await.is_ok() });
    until("the other call runs", || !site.heard("aa", "authenticate", &slow).is_empty()).await;

    let (refused, stage) = named(&gateway, LISTENER).await;
    let proof = stage.unauthenticated().unwrap();
    assert!(stage.identify(proof, &mut Silent).await.is_err());
    site.let_go("aa", "go");
    assert!(held.await.unwrap());
    let record = settled(gateway.store(), &refused).await;
    assert_eq!(record.calls.len(), 1);
    assert_eq!(record.calls[0].outcome.as_deref(), Some("busy"));
    assert_eq!(record.plugins[0].outcome.as_deref(), Some("not-called"));
    settled(gateway.store(), &slow).await;
    assert!(site.heard("aa", "session_ended", &refused).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_end_cannot_be_written_is_settled_once_it_can() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let (id, stage) = connected(&gateway, LISTENER).await;
    let (stage, passwords) = stage.passwords().await.unwrap();
    assert_eq!(passwords.len(), 1);
    site.sql(
        "CREATE TRIGGER broken BEFORE UPDATE OF ended ON sessions BEGIN SELECT RAISE(ABORT, 'broken'); END",
    );
    drop(stage);
    // The settling has met the error once another write of this moment has gone through.
    gateway.store().add_note(&id, keyward_model::UnixMillis(1), "still open").await.unwrap();
    assert!(record(gateway.store(), &id).await.summary.ended.is_none());
    site.sql("DROP TRIGGER broken");
    settled(gateway.store(), &id).await;
    assert_eq!(site.heard("aa", "session_ended", &id).len(), 1);
    assert_eq!(site.heard("vault", "session_ended", &id).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_outcome_could_not_be_written_keeps_its_cookie_and_its_record() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let (id, stage) = connected(&gateway, LISTENER).await;
    site.sql(
        "CREATE TRIGGER broken BEFORE UPDATE OF outcome ON hook_calls BEGIN SELECT RAISE(ABORT, 'broken'); END",
    );
    assert!(stage.passwords().await.is_err());
    site.sql("DROP TRIGGER broken");
    let record = settled(gateway.store(), &id).await;
    let call = record.calls.iter().find(|call| call.hook == "get_password_list").unwrap();
    assert_eq!(call.outcome.as_deref(), Some("ok"));
    assert_eq!(site.heard("vault", "session_ended", &id), [format!("session_ended {id} {{\"lease\": 7}}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_could_not_be_begun_or_recorded_is_made_once() {
    let site = Site::new().await;
    let gateway = site.gateway().await;
    let (id, stage) = connected(&gateway, LISTENER).await;
    site.sql(
        "CREATE TRIGGER broken BEFORE UPDATE OF state ON session_plugins WHEN NEW.state <> OLD.state \
         BEGIN SELECT RAISE(ABORT, 'broken'); END",
    );
    drop(stage);
    while record(gateway.store(), &id).await.summary.ended.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(site.heard("aa", "session_ended", &id).is_empty());
    site.sql("DROP TRIGGER broken");
    site.sql(
        "CREATE TRIGGER broken BEFORE UPDATE OF state ON session_plugins WHEN NEW.state = 'ended' \
         BEGIN SELECT RAISE(ABORT, 'broken'); END",
    );
    until("the plugin is told", || !site.heard("aa", "session_ended", &id).is_empty()).await;
    site.sql("DROP TRIGGER broken");
    settled(gateway.store(), &id).await;
    assert_eq!(site.heard("aa", "session_ended", &id).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_of_the_wrong_shape_is_on_record_as_such_and_keeps_its_cookie() {
    let vault = VAULT.replace("'passwords': ['secret']", "'passwords': [1]");
    let site = Site::with(AA, &vault, 500).await;
    let gateway = site.gateway().await;
    let (id, stage) = connected(&gateway, LISTENER).await;
    assert!(stage.passwords().await.is_err());
    let record = settled(gateway.store(), &id).await;
    let call = record.calls.iter().find(|call| call.hook == "get_password_list").unwrap();
    assert_eq!(call.outcome.as_deref(), Some("wrong-result"));
    assert_eq!(site.heard("vault", "session_ended", &id), [format!("session_ended {id} {{\"lease\": 7}}")]);
}
