//! Where the calls of an instance and its keeper meet: idle workers, and those who wait for one.

use std::collections::{HashSet, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::process::Pid;
use tokio::sync::{Notify, oneshot};

use super::CallError;
use super::worker::Worker;

#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    /// For the keeper: there is something to do.
    pub(super) wake: Notify,
    /// For whoever drains the pool: a call has ended.
    pub(super) ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    idle: VecDeque<Worker>,
    running: HashSet<i32>,
    /// When the last call came.
    used: Option<Instant>,
    /// As many as there are running calls at most.
    waiting: VecDeque<oneshot::Sender<Result<Lease, CallError>>>,
    /// A call has ended, and its processes are still to be looked after.
    leftovers: bool,
    /// Why there will be no worker before that time.
    refusal: Option<(Instant, CallError)>,
    closed: bool,
    /// Another version has taken the place of this one.
    retired: bool,
}

/// A worker that belongs to one call. Dropping it kills the worker and its process group at once; the keeper then
/// kills what left the group.
#[derive(Debug)]
pub(super) struct Lease {
    worker: Worker,
    pool: Arc<Pool>,
}

impl Pool {
    /// A worker for one call. Cancel-safe.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Lease, CallError> {
        let waiting = {
            let mut state = self.lock();
            if state.closed {
                return Err(closing());
            }
            state.used = Some(Instant::now());
            while let Some(mut worker) = state.idle.pop_front() {
                if !worker.channel.is_open() {
                    worker.kill();
                    state.leftovers = true;
                    continue;
                }
                state.running.insert(worker.pid.as_raw_pid());
                self.wake.notify_one();
                return Ok(Lease { worker, pool: Arc::clone(self) });
            }
            if let Some((until, error)) = &state.refusal
                && Instant::now() < *until
            {
                return Err(error.clone());
            }
            let (give, waiting) = oneshot::channel();
            state.waiting.push_back(give);
            waiting
        };
        self.wake.notify_one();
        waiting.await.unwrap_or_else(|_| Err(closing()))
    }

    /// Hands a new worker to whoever waits longest, or keeps it idle.
    pub(super) fn give(self: &Arc<Self>, worker: Worker) {
        let mut state = self.lock();
        state.refusal = None;
        while let Some(waiting) = state.waiting.pop_front() {
            if waiting.is_closed() {
                continue;
            }
            state.running.insert(worker.pid.as_raw_pid());
            drop(state);
            // Should the waiting call be cancelled just now, the lease is dropped and the worker killed.
            let _ = waiting.send(Ok(Lease { worker, pool: Arc::clone(self) }));
            return;
        }
        if state.retired {
            worker.kill();
            state.leftovers = true;
        } else {
            state.idle.push_back(worker);
        }
    }

    /// Fails those who wait, and all who come before `until`.
    pub(super) fn refuse(&self, error: &CallError, until: Instant) {
        let waiting = {
            let mut state = self.lock();
            state.refusal = Some((until, error.clone()));
            std::mem::take(&mut state.waiting)
        };
        for waiting in waiting {
            let _ = waiting.send(Err(error.clone()));
        }
    }

    /// No call gets a worker from now on.
    pub(super) fn close(&self) {
        let waiting = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }

    /// No worker waits for a call from now on.
    pub(super) fn retire(&self) {
        let idle = {
            let mut state = self.lock();
            state.retired = true;
            state.leftovers = true;
            std::mem::take(&mut state.idle)
        };
        for worker in idle {
            worker.kill();
        }
        self.wake.notify_one();
    }

    pub(super) fn is_retired(&self) -> bool {
        self.lock().retired
    }

    /// Takes the idle workers away, for their template is gone.
    pub(super) fn drop_idle(&self) {
        let idle = std::mem::take(&mut self.lock().idle);
        for worker in idle {
            worker.kill();
        }
    }

    pub(super) fn has_waiting(&self) -> bool {
        let mut state = self.lock();
        state.waiting.retain(|waiting| !waiting.is_closed());
        !state.waiting.is_empty()
    }

    pub(super) fn idle(&self) -> usize {
        self.lock().idle.len()
    }

    pub(super) fn has_running(&self) -> bool {
        !self.lock().running.is_empty()
    }

    /// When the last call came, or now while one is running or waits for a worker.
    pub(super) fn used(&self) -> Option<Instant> {
        let state = self.lock();
        if state.running.is_empty() && state.waiting.is_empty() { state.used } else { Some(Instant::now()) }
    }

    /// The pids of workers that wait for a call.
    pub(super) fn idle_pids(&self) -> Vec<Pid> {
        self.lock().idle.iter().map(|worker| worker.pid).collect()
    }

    /// The pids of running calls.
    pub(super) fn running(&self) -> HashSet<i32> {
        self.lock().running.clone()
    }

    /// The pids of workers that are idle or serve a call: all others below the template are leftovers.
    pub(super) fn known(&self) -> HashSet<i32> {
        let state = self.lock();
        let idle = state.idle.iter().map(|worker| worker.pid.as_raw_pid());
        idle.chain(state.running.iter().copied()).collect()
    }

    /// Whether a call has ended since this was asked last.
    pub(super) fn take_leftovers(&self) -> bool {
        std::mem::take(&mut self.lock().leftovers)
    }

    pub(super) fn mark_leftovers(&self) {
        self.lock().leftovers = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere has not broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closing() -> CallError {
    CallError::unavailable("the plugin instance is being shut down".to_owned())
}

impl Deref for Lease {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.worker
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Worker {
        &mut self.worker
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.worker.kill();
        let mut state = self.pool.lock();
        state.running.remove(&self.worker.pid.as_raw_pid());
        state.leftovers = true;
        drop(state);
        self.pool.wake.notify_one();
        self.pool.ended.notify_waiters();
    }
}
