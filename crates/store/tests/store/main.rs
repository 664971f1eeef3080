//! The store on real SQLite files.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod approvals;
mod bundles;
mod calls;
mod cost;
mod host_keys;
mod ledger;
mod opening;
mod parts;
mod plugin_status;
mod retention;
mod revisions;
mod session_ended;
mod terminations;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use keyward_model::{
    ClientAddr, ConnectionName, InstanceName, PluginName, Protocol, SessionId, UnixMillis, Verdict,
};
use keyward_store::{CallId, CallRecord, EngagedPlugin, NewCall, NewSession, PluginState, Role, Store};
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;

const END: UnixMillis = UnixMillis(9000);

/// A store in a directory of its own, which goes with it.
struct Fixture {
    store: Store,
    dir: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Store::open(dir.path()).await.unwrap(), dir }
    }

    /// The gateway stops and starts.
    async fn restart(self) -> Self {
        let Self { store, dir } = self;
        drop(store);
        Self { store: Store::open(dir.path()).await.unwrap(), dir }
    }

    /// A yes or no that the store itself does not give away.
    async fn raw(&self, question: &'static str) -> bool {
        let path = self.dir.path().join("keyward.db");
        let mut raw = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        sqlx::query_scalar(question).fetch_one(&mut raw).await.unwrap()
    }

    /// How the database would answer a query, in one line.
    async fn plan(&self, query: &str) -> String {
        let path = self.dir.path().join("keyward.db");
        let mut raw = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        let explained = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let steps = sqlx::query(explained).fetch_all(&mut raw).await.unwrap();
        steps.iter().map(|step| step.get::<String, _>("detail") + "; ").collect()
    }

    /// A session with `plugin` engaged, and not called yet.
    async fn session_with(&self, number: u64, plugin: &EngagedPlugin) -> SessionId {
        let new = new_session(number);
        self.store.begin_session(&new).await.unwrap();
        self.store.engage(&new.id, plugin).await.unwrap();
        new.id
    }

    /// A session that has ended after a hook of each of `plugins` ran.
    async fn ended_with(&self, number: u64, plugins: &[&EngagedPlugin]) -> SessionId {
        let new = new_session(number);
        self.store.begin_session(&new).await.unwrap();
        for plugin in plugins {
            self.store.engage(&new.id, plugin).await.unwrap();
            self.store.begin_call(&call(&new.id, plugin, "authorize")).await.unwrap();
        }
        assert!(self.store.end_session(&new.id, END, Verdict::Accept, "").await.unwrap());
        new.id
    }

    /// Takes the right to call `session_ended`; `None` when it is not to be had.
    async fn begin_end(&self, session: &SessionId, plugin: &EngagedPlugin) -> Option<CallId> {
        let begun = self.store.begin_session_ended(session, &plugin.instance, END).await.unwrap();
        begun.map(|end| end.call)
    }

    async fn plugin_state(&self, session: &SessionId, plugin: &EngagedPlugin) -> PluginState {
        let record = self.store.session(session).await.unwrap().unwrap();
        record.plugins.iter().find(|found| found.instance == plugin.instance).unwrap().state
    }

    async fn owed(&self) -> Vec<InstanceName> {
        self.store.debts().await.unwrap().into_iter().map(|debt| debt.instance).collect()
    }

    /// Changes what no function of the store does.
    async fn run(&self, sql: &'static str) {
        let path = self.dir.path().join("keyward.db");
        let mut raw = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }
}

fn new_session(number: u64) -> NewSession {
    let connection = ConnectionName::try_from("db").unwrap();
    NewSession {
        id: SessionId::new(u128::from(number).to_be_bytes(), &connection, number),
        protocol: Protocol::Ssh,
        connection,
        client: ClientAddr("192.0.2.1:40000".parse().unwrap()),
        login: Some("otp=@root@db1".into()),
        jump_host: None,
        started: UnixMillis(1000 + i64::try_from(number).unwrap()),
    }
}

fn otp() -> EngagedPlugin {
    plugin("otp", Role::Aa, false)
}

fn plugin(instance: &str, role: Role, retry_interrupted: bool) -> EngagedPlugin {
    EngagedPlugin {
        instance: InstanceName::try_from(instance).unwrap(),
        role,
        bundle: PluginName::try_from("Example").unwrap(),
        checksum: "c1".into(),
        revision: None,
        follow_updates: false,
        retry_interrupted,
    }
}

fn call(session: &SessionId, plugin: &EngagedPlugin, hook: &str) -> NewCall {
    NewCall {
        session: session.clone(),
        instance: plugin.instance.clone(),
        hook: hook.into(),
        round: 1,
        started: UnixMillis(2000),
    }
}

fn outcome(word: &str) -> CallRecord {
    CallRecord { outcome: word.into(), ..CallRecord::default() }
}

/// The outcome of a future that is dropped after so many steps. A step ends where it waits.
async fn polled<T>(future: impl Future<Output = T>, mut steps: usize) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|waker| {
        if steps == 0 {
            return Poll::Ready(None);
        }
        steps -= 1;
        future.as_mut().poll(waker).map(Some)
    })
    .await
}
