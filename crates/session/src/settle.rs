//! Settling: what is left to do for a session when its last stage is gone. In the order that the ledger needs:
//! recording, last call, end, then `session_ended` of each plugin.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keyward_model::{InstanceName, Secret, SessionId, UnixMillis};
use keyward_store::{ClosedTrail, LastLink, Store, StoreError};
use keyward_trail::{Extent, TrailError};
use tokio::runtime::Handle;
use tokio::sync::oneshot::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::core::{Ending, Engaged};
use crate::end::chain;
use crate::gateway::Shared;
use crate::hook::Unwritten;
use crate::limits::Places;
use crate::lost::seen;
use crate::recorder::{Recorder, RecorderFailed};
use crate::stamps::Ended;
use crate::tell::{End, Hiding, Told};

/// What fails is tried again after this, then after twice as long, and so on to the longest.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Of so many sessions at most the secrets are kept until their last `session_ended`.
const MAX_LEFT: usize = 10_000;

/// All that is left to do for a session when its last stage is gone.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) id: SessionId,
    pub(crate) ending: Ending,
    pub(crate) ended: UnixMillis,
    /// The plugins that may be owed a `session_ended`.
    pub(crate) engaged: Vec<Engaged>,
    pub(crate) unwritten: Option<Unwritten>,
    pub(crate) hidden: Vec<Secret>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) limit: Duration,
    #[expect(
        dead_code,
        reason = "held until the session is settled, so that settling counts against the limits"
    )]
    pub(crate) places: Option<Places>,
}

/// What the tasks that settle sessions share.
#[derive(Debug)]
pub(crate) struct Settling {
    tasks: TaskTracker,
    runtime: Handle,
    /// From the drain deadline on no `session_ended` is begun: it stays owed.
    closed: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// INVARIANT: of a session in here one task makes the calls.
    in_work: HashSet<SessionId>,
    /// Plugin instances that cannot be called at the moment.
    resting: HashMap<InstanceName, Rest>,
    /// The secrets of sessions that were not settled at the first try.
    left: HashMap<SessionId, Vec<Secret>>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    pause: Duration,
}

/// That a task works on a session; nobody else does while it lives.
#[derive(Debug)]
pub(crate) struct Work {
    shared: Arc<Shared>,
    session: SessionId,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.shared.settling.state().in_work.remove(&self.session);
    }
}

impl Settling {
    /// Within a tokio runtime, which the tasks then run on.
    pub(crate) fn new() -> Self {
        Self {
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            closed: CancellationToken::new(),
            state: Mutex::default(),
        }
    }

    /// The gateway's own, which outlives the threads of connections.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Waits until nothing is left to settle. Cancel-safe.
    pub(crate) async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// From now on nothing is begun or tried again.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Whether a plugin may be called now, as far as the last call that no worker got tells.
    pub(crate) fn is_awake(&self, instance: &InstanceName) -> bool {
        self.state().resting.get(instance).is_none_or(|rest| rest.until <= Instant::now())
    }

    /// No worker got a call: the next one is made after a pause that grows.
    pub(crate) fn rest(&self, instance: &InstanceName) {
        let now = Instant::now();
        let mut state = self.state();
        let pause = match state.resting.get(instance) {
            // Of many calls that fail together the first one counts.
            Some(rest) if rest.until > now => return,
            Some(rest) => (rest.pause * 2).min(LONGEST_PAUSE),
            None => SHORTEST_PAUSE,
        };
        state.resting.insert(instance.clone(), Rest { until: now + pause, pause });
    }

    pub(crate) fn wake(&self, instance: &InstanceName) {
        self.state().resting.remove(instance);
    }

    /// Keeps the secrets of a session whose plugins are told later.
    fn leave(&self, session: &SessionId, hidden: Vec<Secret>) {
        let mut state = self.state();
        if state.left.len() < MAX_LEFT {
            state.left.insert(session.clone(), hidden);
        }
    }

    /// `None` where nobody knows them any more.
    pub(crate) fn left(&self, session: &SessionId) -> Option<Vec<Secret>> {
        self.state().left.get(session).cloned()
    }

    /// The sessions whose secrets are kept.
    pub(crate) fn all_left(&self) -> Vec<SessionId> {
        self.state().left.keys().cloned().collect()
    }

    pub(crate) fn forget(&self, session: &SessionId) {
        self.state().left.remove(session);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere has not broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The right to work on a session, `None` while another task has it.
    pub(crate) fn work_on(self: &Arc<Self>, session: &SessionId) -> Option<Work> {
        let new = self.settling.state().in_work.insert(session.clone());
        new.then(|| Work { shared: Arc::clone(self), session: session.clone() })
    }

    /// Hands a session that is over to a task. Called from `Drop`, so it never waits.
    pub(crate) fn settle(self: &Arc<Self>, settlement: Settlement) {
        // Before the task runs: the ledger may show the session's debts to others as soon as it has ended.
        let work = self.work_on(&settlement.id);
        let shared = Arc::clone(self);
        self.settling.spawn(async move {
            settle(&shared, settlement).await;
            drop(work);
        });
    }
}

async fn settle(shared: &Arc<Shared>, mut over: Settlement) {
    let closed = match over.recorder.take() {
        Some(recorder) => finish(shared, recorder, &over).await,
        None => left_behind(shared, &over).await,
    };
    let ended = insist(&shared.settling, &over.id, || write_end(&shared.store, &over, closed.as_ref())).await;
    if ended != Some(true) {
        return;
    }
    tracing::info!(session = %over.id, verdict = %over.ending.verdict, reason = over.ending.reason, "session ended");
    let mut owed = false;
    for Engaged { instance, version, follow_updates, .. } in &over.engaged {
        let version = if *follow_updates { shared.newest(instance, version) } else { version.clone() };
        let plugin = &version.instance;
        let end = End {
            session: &over.id,
            instance,
            plugin,
            limit: over.limit,
            hidden: Hiding::These(&over.hidden),
        };
        owed |= end.tell(shared).await == Told::StillOwed;
    }
    if owed {
        shared.settling.leave(&over.id, over.hidden);
    }
}

/// Ends the recording. What the ledger keeps of it tells later whether it was cut back or replaced. `None`: somebody still
/// writes it, and notes its end, or the next start looks at it.
async fn finish(shared: &Arc<Shared>, recorder: Recorder, over: &Settlement) -> Option<ClosedTrail> {
    let Ending { verdict, reason } = &over.ending;
    let end = format!("{verdict}: {reason}");
    match recorder.finish(*verdict, reason).await {
        Ok(Ended::Closed(extent)) => Some(closed(end, &extent)),
        // The ledger's row of the recording waits for its timestamp; the session's end and who is told of it do not.
        Ok(Ended::Stamping(extent)) => {
            let (gateway, session) = (Arc::clone(shared), over.id.clone());
            shared.settling.spawn(async move {
                close_stamped(&gateway, &session, end, extent.await).await;
            });
            None
        }
        Err(error) => {
            let says = chain(&error).to_string();
            tracing::error!(session = %over.id, error = says, "recording could not be finished");
            match error {
                RecorderFailed::Stuck => None,
                RecorderFailed::Before | RecorderFailed::Now(_) => {
                    as_it_is(shared, over, &format!("not finished: {says}")).await
                }
            }
        }
    }
}

fn closed(end: String, extent: &Extent) -> ClosedTrail {
    ClosedTrail { end, last: Some(LastLink { link: extent.link(), length: extent.length }) }
}

/// Where it fails, the next start closes the recording as far as it reaches then.
async fn close_stamped(
    shared: &Shared,
    session: &SessionId,
    end: String,
    extent: Result<Result<Extent, TrailError>, RecvError>,
) {
    let says = match extent {
        Ok(Ok(extent)) => {
            let closed = closed(end, &extent);
            insist(&shared.settling, session, || shared.store.close_trail(session, &closed)).await;
            return;
        }
        Ok(Err(error)) => chain(&error),
        Err(error) => chain(&error),
    };
    tracing::error!(%session, error = says, "the timestamp of a recording's end could not be written");
}

/// A session may end while its recording is being created.
async fn left_behind(shared: &Shared, over: &Settlement) -> Option<ClosedTrail> {
    as_it_is(shared, over, "not finished: the session ended while its recording was begun").await
}

/// A recording that nobody writes any more. `None`: there is none, it was closed, or it cannot be seen.
async fn as_it_is(shared: &Shared, over: &Settlement, unfinished: &str) -> Option<ClosedTrail> {
    let record = shared.store.trail_of(&over.id).await.ok()??;
    match record.closed {
        Some(_) => None,
        None => seen(shared, &record, unfinished, ClosedTrail::NOT_BEGUN).await,
    }
}

/// How the recording was closed, the last call and the end. `false`: the client was gone before the session's row was
/// written, and nothing was called.
async fn write_end(
    store: &Store,
    over: &Settlement,
    closed: Option<&ClosedTrail>,
) -> Result<bool, StoreError> {
    if let Some(closed) = closed {
        match store.close_trail(&over.id, closed).await {
            Ok(()) | Err(StoreError::UnknownSession(_)) => {}
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                tracing::error!(session = %over.id, error = %chain(&error), "the recording's end could not be kept");
            }
        }
    }
    if let Some(unwritten) = &over.unwritten {
        match unwritten.write(store).await {
            Ok(()) => {}
            Err(error) if error.may_pass() => return Err(error),
            // The end closes its row.
            Err(error) => {
                tracing::error!(session = %over.id, error = %chain(&error), "the last call could not be written");
            }
        }
    }
    match store.end_session(&over.id, over.ended, over.ending.verdict, &over.ending.reason).await {
        // An end that was there before may be that of an earlier try: the ledger knows who is owed what.
        Ok(_) => Ok(true),
        Err(StoreError::UnknownSession(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes, again and again while the ledger fails. `None`: it cannot be written, or the drain deadline came first;
/// then the next start finds what the ledger has.
pub(crate) async fn insist<T, W>(settling: &Settling, session: &SessionId, write: impl Fn() -> W) -> Option<T>
where
    W: Future<Output = Result<T, StoreError>>,
{
    let mut pause = SHORTEST_PAUSE;
    loop {
        let error = match write().await {
            Ok(written) => return Some(written),
            Err(error) => error,
        };
        if !error.may_pass() {
            tracing::error!(%session, error = %chain(&error), "ALERT: the session cannot be settled");
            return None;
        }
        tracing::error!(%session, error = %chain(&error), ?pause, "the session could not be settled: tried again");
        tokio::select! {
            () = settling.closed.cancelled() => return None,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_instance_that_cannot_be_called_rests_and_of_many_failures_at_once_the_first_counts() {
        let settling = Settling::new();
        let vault = InstanceName::try_from("vault").unwrap();
        assert!(settling.is_awake(&vault));
        for _ in 0..8 {
            settling.rest(&vault);
        }
        assert!(!settling.is_awake(&vault));
        assert_eq!(settling.state().resting[&vault].pause, SHORTEST_PAUSE);
        settling.wake(&vault);
        assert!(settling.is_awake(&vault));
    }

    #[tokio::test]
    async fn the_pauses_of_an_instance_grow_up_to_five_minutes() {
        let settling = Settling::new();
        let vault = InstanceName::try_from("vault").unwrap();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            settling.rest(&vault);
            let mut state = settling.state();
            let rest = state.resting.get_mut(&vault).unwrap();
            pauses.push(rest.pause.as_secs());
            rest.until = Instant::now();
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[tokio::test]
    async fn what_cannot_pass_is_not_tried_again() {
        let settling = Settling::new();
        let connection = keyward_model::ConnectionName::try_from("db").unwrap();
        let session = SessionId::new([1; 16], &connection, 1);
        let tries = std::cell::Cell::new(0);
        let write = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>(StoreError::UnknownSession(session.clone()))
        };
        assert_eq!(insist(&settling, &session, write).await, None);
        assert_eq!(tries.get(), 1);
    }
}
