//! What the ledger has owing: left by an earlier run of the gateway, by a plugin that could not be called, by a
//! ledger that could not be written, or made owed again by hand.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use keyward_model::{InstanceName, UnixMillis, Verdict};
use keyward_plugin::PluginKind;
use keyward_store::{Debt, Role, StoreError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::end::chain;
use crate::gateway::Shared;
use crate::settle::{End, LONGEST_PAUSE, SHORTEST_PAUSE, Told};

/// How many sessions are made up for at once, so that the plugins serve those that are open.
const AT_ONCE: usize = 8;

impl Shared {
    /// At a start: what was running when the gateway died is interrupted or lost.
    pub(crate) async fn recover(&self) -> Result<(), StoreError> {
        for interrupted in self.store.mark_interrupted().await? {
            tracing::error!(
                session = %interrupted.session,
                plugin = %interrupted.instance,
                repeat = interrupted.retry,
                "ALERT: the gateway died while session_ended was running; it is not repeated unless the plugin \
                 instance says retry-interrupted = true, or `keyward session repeat` does"
            );
        }
        let now: UnixMillis = SystemTime::now().into();
        for id in self.store.open_sessions().await? {
            self.store.end_session(&id, now, Verdict::Lost, "the gateway died").await?;
            tracing::warn!(session = %id, "session was lost when the gateway died");
        }
        Ok(())
    }

    /// Starts the task that pays debts until the gateway stops.
    pub(crate) fn collect_debts(self: &Arc<Self>) {
        let (shared, stopping) = (Arc::downgrade(self), self.stopping.clone());
        let collector =
            Collector { stopping, slots: Arc::new(Semaphore::new(AT_ONCE)), alerted: HashSet::new() };
        self.settling.spawn(collector.run(shared));
    }
}

struct Collector {
    stopping: CancellationToken,
    slots: Arc<Semaphore>,
    /// Instances whose debts cannot be paid, and that somebody was told of.
    alerted: HashSet<InstanceName>,
}

impl Collector {
    /// Looks again every five seconds, and less often while the ledger cannot be read.
    async fn run(mut self, shared: Weak<Shared>) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let Some(shared) = shared.upgrade() else { return };
            pause = match self.round(&shared).await {
                Ok(()) => SHORTEST_PAUSE,
                Err(error) => {
                    tracing::error!(error = %chain(&error), ?pause, "the debts could not be read: tried again");
                    (pause * 2).min(LONGEST_PAUSE)
                }
            };
            drop(shared);
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn round(&mut self, shared: &Arc<Shared>) -> Result<(), StoreError> {
        let left = shared.settling.all_left();
        let mut debts = shared.store.debts().await?;
        let owing: HashSet<_> = debts.iter().map(|debt| &debt.session).collect();
        // Whoever keeps secrets keeps them after the ledger has the debt, so that these are paid by now.
        left.iter().filter(|session| !owing.contains(session)).for_each(|s| shared.settling.forget(s));
        debts.retain(|debt| self.is_payable(shared, debt) && shared.settling.is_awake(&debt.instance));
        for debts in debts.chunk_by(|one, next| one.session == next.session) {
            let Some(session) = debts.first().map(|debt| &debt.session) else { continue };
            let slot = tokio::select! {
                () = self.stopping.cancelled() => return Ok(()),
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
            };
            let Some(work) = shared.work_on(session) else { continue };
            let (paying, debts) = (Arc::clone(shared), debts.to_vec());
            shared.settling.spawn(async move {
                for debt in &debts {
                    pay(&paying, debt).await;
                }
                drop((work, slot));
            });
        }
        Ok(())
    }

    /// Whether the instance is still the plugin that owes: another one would not know what to end.
    fn is_payable(&mut self, shared: &Shared, debt: &Debt) -> bool {
        let plugin = shared.plugins.get(&debt.instance);
        let same = plugin.is_some_and(|plugin| {
            plugin.manifest().name == debt.bundle && role(plugin.manifest().kind) == Some(debt.role)
        });
        if !same && self.alerted.insert(debt.instance.clone()) {
            tracing::error!(
                session = %debt.session,
                plugin = %debt.instance,
                bundle = %debt.bundle,
                role = debt.role.as_str(),
                loaded = plugin.map_or("nothing", |plugin| plugin.manifest().name.as_str()),
                "ALERT: session_ended is owed to a plugin instance that is not loaded as it was: it stays owed until \
                 the policy has an instance of this name with this bundle again, and the gateway is restarted"
            );
        }
        same
    }
}

async fn pay(shared: &Shared, debt: &Debt) {
    // One that cannot be called is not asked for each session.
    if shared.stopping.is_cancelled() || !shared.settling.is_awake(&debt.instance) {
        return;
    }
    tracing::info!(session = %debt.session, plugin = %debt.instance, "session_ended is made up for");
    let hidden = shared.settling.left(&debt.session);
    let (session, instance) = (&debt.session, &debt.instance);
    let end = End { session, instance, limit: limit(shared, debt), hidden: &hidden };
    match end.tell(shared).await {
        // The next round sees it.
        Told::Settled | Told::StillOwed => {}
    }
}

/// Half the timeout of the connection (contract section 3, rule 8), or of the default where it is gone.
fn limit(shared: &Shared, debt: &Debt) -> Duration {
    let connection = shared.policy.connections.iter().find(|c| c.name == debt.connection);
    connection.map_or(Duration::from_secs(300), |connection| connection.settings.timeout / 2)
}

fn role(kind: PluginKind) -> Option<Role> {
    match kind {
        PluginKind::Aa => Some(Role::Aa),
        PluginKind::CredentialStore => Some(Role::CredentialStore),
        PluginKind::SigningCa | PluginKind::ConfigurationSync => None,
    }
}
