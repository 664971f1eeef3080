//! What the ledger has owing: left by an earlier run of the gateway, by a plugin that could not be called, by a
//! ledger that could not be written, or made owed again by hand.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use keyward_model::{InstanceName, UnixMillis, Verdict};
use keyward_plugin::{Instance, PluginKind};
use keyward_store::{Debt, RevisionId, Role, StoreError};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::end::chain;
use crate::gateway::Shared;
use crate::lost::close_trails;
use crate::settle::{LONGEST_PAUSE, SHORTEST_PAUSE};
use crate::tell::{End, Hiding, Told};
use crate::{NotLoadable, PluginVersion};

/// How many sessions are made up for at once, so that the plugins serve those that are open.
const AT_ONCE: usize = 8;

impl Shared {
    /// At a start: what was running when the gateway died is interrupted or lost.
    pub(crate) async fn recover(self: &Arc<Self>) -> Result<(), StoreError> {
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
        let unclosed = self.store.unclosed_trails().await?;
        if !unclosed.is_empty() {
            self.settling.spawn(close_trails(Arc::clone(self), unclosed));
        }
        Ok(())
    }

    /// Starts the task that pays debts until the gateway stops.
    pub(crate) fn collect_debts(self: &Arc<Self>) {
        let (shared, stopping) = (Arc::downgrade(self), self.stopping.clone());
        let collector = Collector {
            stopping,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            alerted: HashSet::new(),
            old: HashMap::new(),
        };
        self.settling.spawn(collector.run(shared));
    }
}

struct Collector {
    stopping: CancellationToken,
    slots: Arc<Semaphore>,
    /// Instances whose debts cannot be paid, and that somebody was told of.
    alerted: HashSet<InstanceName>,
    old: HashMap<RevisionId, Arc<Old>>,
}

/// A version that is loaded for its debts alone, at the first of them.
#[derive(Debug, Default)]
struct Old {
    instance: OnceCell<Instance>,
    /// After a failure: when it is tried again.
    failed: Mutex<Option<Instant>>,
}

/// The version that a debt is to be paid by.
#[derive(Clone, Debug)]
enum Payer {
    Loaded(Instance),
    Old(RevisionId, Arc<Old>),
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
        // An old version ends with the last of its debts.
        let owed: HashSet<_> = debts.iter().filter_map(|debt| debt.revision).collect();
        self.old.retain(|revision, _| owed.contains(revision));
        debts.retain(|debt| shared.settling.is_awake(&debt.instance));
        for debts in debts.chunk_by(|one, next| one.session == next.session) {
            let Some(session) = debts.first().map(|debt| &debt.session) else { continue };
            let payers: Vec<_> =
                debts.iter().filter_map(|debt| Some((debt.clone(), self.payer(shared, debt)?))).collect();
            if payers.is_empty() {
                continue;
            }
            let slot = tokio::select! {
                () = self.stopping.cancelled() => return Ok(()),
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
            };
            let Some(work) = shared.work_on(session) else { continue };
            let paying = Arc::clone(shared);
            shared.settling.spawn(async move {
                for (debt, payer) in &payers {
                    pay(&paying, debt, payer).await;
                }
                drop((work, slot));
            });
        }
        Ok(())
    }

    /// The version that owes; `None` where there is none: another one would not know what to end.
    fn payer(&mut self, shared: &Shared, debt: &Debt) -> Option<Payer> {
        let current = shared.current();
        let plugin = current.plugins.get(&debt.instance);
        let same = plugin.filter(|version| {
            let manifest = version.instance.manifest();
            let plugin = manifest.name == debt.bundle && role(manifest.kind) == Some(debt.role);
            let version = debt.follow_updates || debt.revision.is_none() || debt.revision == version.revision;
            plugin && version
        });
        match (same, debt.revision) {
            (Some(version), _) => Some(Payer::Loaded(version.instance.clone())),
            (None, Some(revision)) => {
                Some(Payer::Old(revision, Arc::clone(self.old.entry(revision).or_default())))
            }
            (None, None) => {
                self.alert(debt, plugin);
                None
            }
        }
    }

    fn alert(&mut self, debt: &Debt, plugin: Option<&PluginVersion>) {
        if self.alerted.insert(debt.instance.clone()) {
            tracing::error!(
                session = %debt.session,
                plugin = %debt.instance,
                bundle = %debt.bundle,
                role = debt.role.as_str(),
                loaded = plugin.map_or("nothing", |plugin| plugin.instance.manifest().name.as_str()),
                "ALERT: session_ended is owed to a plugin instance that is not loaded as it was: it stays owed until \
                 the policy has an instance of this name with this bundle again"
            );
        }
    }
}

impl Payer {
    /// The instance to call; `None` where it cannot be loaded now.
    async fn instance(&self, shared: &Shared, debt: &Debt) -> Option<Instance> {
        let (revision, old) = match self {
            Self::Loaded(instance) => return Some(instance.clone()),
            Self::Old(revision, old) => (*revision, old),
        };
        if old.failed_until().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let load = || async { shared.old_versions.load(&debt.instance, revision).await };
        match old.instance.get_or_try_init(load).await {
            Ok(instance) => Some(instance.clone()),
            Err(NotLoadable { error }) => {
                *old.failed() = Some(Instant::now() + LONGEST_PAUSE);
                tracing::error!(
                    session = %debt.session,
                    plugin = %debt.instance,
                    bundle = %debt.bundle,
                    error,
                    pause = ?LONGEST_PAUSE,
                    "ALERT: session_ended is owed by a version of the plugin that cannot be loaded: tried again"
                );
                None
            }
        }
    }
}

impl Old {
    fn failed_until(&self) -> Option<Instant> {
        *self.failed()
    }

    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pay(shared: &Shared, debt: &Debt, payer: &Payer) {
    // One that cannot be called is not asked for each session.
    if shared.stopping.is_cancelled() || !shared.settling.is_awake(&debt.instance) {
        return;
    }
    let Some(plugin) = payer.instance(shared, debt).await else { return };
    tracing::info!(
        session = %debt.session,
        plugin = %debt.instance,
        version = plugin.manifest().version,
        "session_ended is made up for"
    );
    let left = shared.settling.left(&debt.session);
    let hidden = left.as_deref().map_or(Hiding::AllOfTheCookies, Hiding::These);
    let (session, instance) = (&debt.session, &debt.instance);
    let end = End { session, instance, plugin: &plugin, limit: limit(shared, debt), hidden };
    match end.tell(shared).await {
        // The next round sees it.
        Told::Settled | Told::StillOwed => {}
    }
}

/// Half the timeout of the connection (contract section 3, rule 8), or of the default where it is gone.
fn limit(shared: &Shared, debt: &Debt) -> Duration {
    let current = shared.current();
    let connection = current.policy.connections.iter().find(|c| c.name == debt.connection);
    connection.map_or(Duration::from_secs(300), |connection| connection.settings.timeout / 2)
}

fn role(kind: PluginKind) -> Option<Role> {
    match kind {
        PluginKind::Aa => Some(Role::Aa),
        PluginKind::CredentialStore => Some(Role::CredentialStore),
        PluginKind::SigningCa | PluginKind::ConfigurationSync => None,
    }
}
