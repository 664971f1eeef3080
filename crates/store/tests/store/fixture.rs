//! A store with sessions and plugins in it, on the database of the binary.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use keyward_model::{
    ClientAddr, ConnectionName, InstanceName, PluginName, Protocol, SessionId, UnixMillis, Verdict,
};
use keyward_store::{CallId, CallRecord, EngagedPlugin, NewCall, NewSession, PluginState, Role, Store};
use tempfile::TempDir;

use crate::database::Database;

pub(crate) const END: UnixMillis = UnixMillis(9000);

/// A store in a directory of its own, which goes with it.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) dir: TempDir,
    pub(crate) database: Database,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::new(dir.path()).await;
        let store = Store::open(database.place(dir.path())).await.unwrap();
        Self { store, dir, database }
    }

    /// The gateway stops and starts.
    pub(crate) async fn restart(self) -> Self {
        let Self { store, dir, database } = self;
        drop(store);
        let store = Store::open(database.place(dir.path())).await.unwrap();
        Self { store, dir, database }
    }

    /// As a command has it.
    pub(crate) async fn beside(&self) -> Store {
        Store::open_beside(self.database.place(self.dir.path())).await.unwrap()
    }

    /// A yes or no that the store itself does not give away.
    pub(crate) async fn raw(&self, question: &'static str) -> bool {
        self.database.raw(question).await
    }

    /// Changes what no function of the store does.
    pub(crate) async fn run(&self, sql: &'static str) {
        self.database.run(sql).await;
    }

    /// A session with `plugin` engaged, and not called yet.
    pub(crate) async fn session_with(&self, number: u64, plugin: &EngagedPlugin) -> SessionId {
        let new = new_session(number);
        self.store.begin_session(&new).await.unwrap();
        self.store.engage(&new.id, plugin).await.unwrap();
        new.id
    }

    /// A session that has ended after a hook of each of `plugins` ran.
    pub(crate) async fn ended_with(&self, number: u64, plugins: &[&EngagedPlugin]) -> SessionId {
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
    pub(crate) async fn begin_end(&self, session: &SessionId, plugin: &EngagedPlugin) -> Option<CallId> {
        let begun = self.store.begin_session_ended(session, &plugin.instance, END).await.unwrap();
        begun.map(|end| end.call)
    }

    pub(crate) async fn plugin_state(&self, session: &SessionId, plugin: &EngagedPlugin) -> PluginState {
        let record = self.store.session(session).await.unwrap().unwrap();
        record.plugins.iter().find(|found| found.instance == plugin.instance).unwrap().state
    }

    pub(crate) async fn owed(&self) -> Vec<InstanceName> {
        self.store.debts().await.unwrap().into_iter().map(|debt| debt.instance).collect()
    }
}

pub(crate) fn new_session(number: u64) -> NewSession {
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

pub(crate) fn otp() -> EngagedPlugin {
    plugin("otp", Role::Aa, false)
}

pub(crate) fn plugin(instance: &str, role: Role, retry_interrupted: bool) -> EngagedPlugin {
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

pub(crate) fn call(session: &SessionId, plugin: &EngagedPlugin, hook: &str) -> NewCall {
    NewCall {
        session: session.clone(),
        instance: plugin.instance.clone(),
        hook: hook.into(),
        round: 1,
        started: UnixMillis(2000),
    }
}

pub(crate) fn outcome(word: &str) -> CallRecord {
    CallRecord { outcome: word.into(), ..CallRecord::default() }
}

/// The outcome of a future that is dropped after so many steps. A step ends where it waits.
pub(crate) async fn polled<T>(future: impl Future<Output = T>, mut steps: usize) -> Option<T> {
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
