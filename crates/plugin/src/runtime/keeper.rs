//! The task that keeps an instance served: it owns the template, forks workers ahead of need, and cleans up after calls.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::CallError;
use super::budget::Part;
use super::confinement::{Disk, Group};
use super::launch::Launch;
use super::pool::Pool;
use super::process::{kill_strays, kill_user, share};
use super::template::{ForkError, Need, Started, Template};
use crate::service::Services;

pub(super) struct Keeper {
    pub(super) launch: Launch,
    pub(super) pool: Arc<Pool>,
    pub(super) services: Arc<Services>,
    pub(super) idle_workers: usize,
    pub(super) template: Option<Template>,
    pub(super) failures: u32,
    /// Forks in a row that were refused.
    pub(super) refusals: u32,
    /// Calls that run on without the template that they come from.
    pub(super) orphans: HashSet<i32>,
    /// The groups of such templates.
    pub(super) old_groups: Vec<Group>,
    pub(super) disk: Disk,
    /// What was killed had not ended by the time that it was waited for: it is to be reaped at the next look.
    pub(super) dying: bool,
    /// When the template was last asked whether it is stale.
    pub(super) looked: Instant,
    /// When the template was started.
    pub(super) started: Instant,
    /// The template was lost, and is to be replaced before a call asks for it.
    pub(super) replace: bool,
    /// When that was so the last time.
    pub(super) replaced: Option<Instant>,
    /// Of the memory that all instances have together.
    pub(super) part: Part,
    /// What the template and its idle workers hold in bytes; `None`: others than those that were measured.
    pub(super) held: Option<u64>,
}

const MIB: u64 = 1 << 20;

/// How long running calls may go on once the instance is given up.
const DRAIN: Duration = Duration::from_secs(10);
/// Between looks at processes that were killed and are not gone yet.
const DYING: Duration = Duration::from_millis(5);
/// How long the template of a version that was replaced is kept without a call.
const RETIRED: Duration = Duration::from_secs(60);
/// As long as most calls take.
const QUIET: Duration = Duration::from_millis(4);
/// Between looks at the files that the template may read.
const LOOK: Duration = Duration::from_secs(5);
/// A template that is lost this soon after another one is replaced when a call asks for it: the next may do no better.
const AGAIN: Duration = Duration::from_secs(5);
/// After a fork that was refused.
const FORK_PAUSE: Duration = Duration::from_millis(50);
/// So many refused forks in a row, and the template is replaced.
const MAX_REFUSALS: u32 = 20;

/// Should the keeper panic, those who wait must hear of it.
struct CloseAtEnd(Arc<Pool>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What is to be done next.
enum Task {
    Fork,
    ForkAhead,
    Clean,
    Nothing,
}

/// What a keeper that has nothing to do waits for.
enum Event {
    /// The template has ended.
    Died,
    /// No call came for a while, and none is expected.
    Unused,
    Other,
}

impl Keeper {
    /// Runs until `stop`; then waits for running calls, and leaves no process.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let _closing = CloseAtEnd(Arc::clone(&self.pool));
        while !stop.is_cancelled() {
            self.renew().await;
            let idle = match self.next() {
                Task::Fork => self.fork().await,
                Task::ForkAhead => {
                    self.quiet().await;
                    self.fork().await
                }
                Task::Clean => self.clean().await,
                Task::Nothing => true,
            };
            if idle && !stop.is_cancelled() {
                self.wait(&stop).await;
            }
        }
        self.pool.close();
        self.drain().await;
        self.end().await;
    }

    /// A template that may not read what has taken the place of its files is replaced; what took long to end is reaped.
    async fn renew(&mut self) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        if std::mem::take(&mut self.dying) {
            self.pool.mark_leftovers();
        }
        if self.template.as_ref().is_some_and(|template| template.is_stale(&self.launch)) {
            self.lose("files that it may read were replaced").await;
            // The next call need not wait for the import.
            self.start().await;
        }
        self.share_memory().await;
    }

    /// Says what the template and its idle workers hold, and ends them where others are to have that.
    async fn share_memory(&mut self) {
        let Some(template) = &self.template else { return };
        let own = std::iter::once(template.pid).chain(self.pool.idle_pids());
        let held = *self.held.get_or_insert_with(|| own.filter_map(share).sum());
        self.part.hold(held, self.pool.used().unwrap_or(self.started));
        let Some(all) = self.part.is_to_give_way() else { return };
        self.pool.drop_idle();
        // A call may have taken a worker just now.
        if !self.pool.has_running() {
            let (held, all) = (held / MIB, all / MIB);
            tracing::info!(plugin = %self.launch.name, held, all, "MiB for plugins are too much: until its next call, it has no template");
            self.rest().await;
        }
    }

    fn next(&self) -> Task {
        if self.pool.has_waiting() {
            Task::Fork
        } else if self.pool.take_leftovers() {
            Task::Clean
        } else if (self.template.is_some() || self.replace) && self.pool.idle() < self.wanted() {
            Task::ForkAhead
        } else {
            Task::Nothing
        }
    }

    /// How many workers are to wait for a call.
    fn wanted(&self) -> usize {
        if self.pool.is_retired() { 0 } else { self.idle_workers }
    }

    /// While one worker is idle there is no hurry: a fork would take its time from the call that has just begun.
    async fn quiet(&self) {
        if self.pool.idle() > 0 {
            let _ = timeout(QUIET, self.pool.wake.notified()).await;
        }
    }

    async fn wait(&mut self, stop: &CancellationToken) {
        let pool = Arc::clone(&self.pool);
        let event = match &mut self.template {
            Some(template) => tokio::select! {
                () = pool.wake.notified() => Event::Other,
                () = stop.cancelled() => Event::Other,
                () = template.ended() => Event::Died,
                () = sleep(RETIRED), if pool.is_retired() && !pool.has_running() => Event::Unused,
                () = sleep(LOOK), if !pool.is_retired() => Event::Other,
            },
            None => tokio::select! {
                () = pool.wake.notified() => Event::Other,
                () = stop.cancelled() => Event::Other,
            },
        };
        match event {
            Event::Died => self.lose("it ended").await,
            Event::Unused => self.rest().await,
            Event::Other => {}
        }
    }

    /// Ends the template of a version that nobody calls; the next call starts one.
    async fn rest(&mut self) {
        self.part.give_back();
        if let Some(template) = self.template.take() {
            sweep(template).await;
        }
    }

    /// One more worker. False: there may be more to do at once.
    async fn fork(&mut self) -> bool {
        // What calls left is cleaned between forks, so that a busy instance is cleaned as well.
        let dead = if self.pool.take_leftovers() { self.kill_strays() } else { Vec::new() };
        if !dead.is_empty() {
            // Some may not have ended by the time that the template reaps them.
            self.pool.mark_leftovers();
        }
        if self.template.is_none() && !self.start().await {
            return true;
        }
        let Some(template) = &mut self.template else { return true };
        let need = if self.pool.idle() == 0 { Need::Now } else { Need::Ahead };
        match template.fork(need, &dead).await {
            Ok(worker) => {
                (self.failures, self.refusals) = (0, 0);
                self.held = None;
                self.pool.give(worker);
            }
            Err(error @ ForkError::Refused(_)) => self.refused(&error).await,
            Err(error @ ForkError::Broken(_)) => {
                self.lose(&error.to_string()).await;
                // Once may be an accident.
                if self.failures > 0 {
                    self.give_up(&CallError::unavailable(error.to_string()));
                }
                self.failures += 1;
            }
        }
        false
    }

    /// The template is well, and the system or the plugin's limits say no: try again soon, fail when it lasts.
    async fn refused(&mut self, error: &ForkError) {
        if self.refusals == 0 {
            tracing::warn!(plugin = %self.launch.name, %error, "no worker");
        }
        // A call that runs, or what it left, may have used up the limits of the instance, and will not for ever.
        let used_up = self.pool.has_running() || !self.kill_strays().is_empty();
        self.refusals = if used_up { 1 } else { self.refusals + 1 };
        if self.refusals < MAX_REFUSALS {
            sleep(FORK_PAUSE).await;
            self.clean().await;
        } else {
            self.refusals = 0;
            self.lose("it cannot fork any more").await;
            self.give_up(&CallError::unavailable(error.to_string()));
        }
    }

    /// Starts a template for those who wait.
    async fn start(&mut self) -> bool {
        self.replace = false;
        loop {
            match Template::start(&self.launch, &self.services).await {
                Ok(Started::Ready(template)) => {
                    self.template = Some(*template);
                    self.started = Instant::now();
                    return true;
                }
                Ok(Started::Unforkable(obstacle)) if self.launch.warm => {
                    tracing::warn!(plugin = %self.launch.name, obstacle, "cold starts from now on");
                    self.launch.warm = false;
                }
                Ok(Started::Unforkable(obstacle)) => self.give_up(&CallError::unavailable(obstacle)),
                Err(error) => self.give_up(&error.into()),
            }
            if !self.pool.has_waiting() {
                return false;
            }
        }
    }

    /// Fails those who wait, and all who come within a pause that grows.
    fn give_up(&mut self, error: &CallError) {
        self.failures = self.failures.saturating_add(1);
        let pause = Duration::from_secs(1 << self.failures.min(6));
        tracing::warn!(plugin = %self.launch.name, %error, ?pause, "the plugin cannot be called");
        self.pool.refuse(error, Instant::now() + pause);
    }

    /// The template is no use any more. Calls that run go on; the next ones get a new template.
    async fn lose(&mut self, why: &str) {
        tracing::warn!(plugin = %self.launch.name, why, "the template is replaced");
        if let Some(mut template) = self.template.take() {
            template.end().await;
            self.old_groups.extend(template.group.take());
        }
        self.replace = self.replaced.is_none_or(|last| last.elapsed() > AGAIN);
        self.replaced = Some(Instant::now());
        self.part.give_back();
        self.pool.drop_idle();
        let running = self.pool.running();
        self.kill_others(&running);
        self.orphans.extend(running);
        self.kill_strays_of_orphans();
    }

    /// Kills what calls left behind and has it reaped. False: there may be more to do at once.
    async fn clean(&mut self) -> bool {
        for _ in 0..200 {
            let dead = self.kill_strays();
            let Some(template) = &mut self.template else { return false };
            if dead.is_empty() {
                return false;
            }
            if let Err(error) = template.reap(&dead).await {
                self.lose(&error.to_string()).await;
                return false;
            }
            if self.kill_strays().is_empty() || self.pool.has_waiting() {
                self.pool.mark_leftovers();
                return false;
            }
            sleep(DYING).await;
        }
        tracing::warn!(plugin = %self.launch.name, "processes of a call do not end");
        self.dying = true;
        false
    }

    fn kill_strays(&mut self) -> Vec<i32> {
        self.disk.measure_soon();
        self.kill_strays_of_orphans();
        match &self.template {
            Some(template) => kill_strays(template.pid, &self.pool.known()),
            None => Vec::new(),
        }
    }

    /// What left the group of a call is not below any template when its own is gone.
    fn kill_strays_of_orphans(&mut self) {
        let mut known = self.pool.known();
        let ended = !self.orphans.is_subset(&known);
        self.orphans.retain(|pid| known.contains(pid));
        if self.orphans.is_empty() {
            // Dropping a group kills what is left in it.
            self.old_groups.clear();
        }
        if !ended {
            return;
        }
        known.extend(self.template.iter().map(|template| template.pid.as_raw_pid()));
        self.kill_others(&known);
    }

    async fn drain(&self) {
        let drained = async {
            loop {
                let ended = self.pool.ended.notified();
                if !self.pool.has_running() {
                    return;
                }
                ended.await;
            }
        };
        let _ = timeout(DRAIN, drained).await;
    }

    /// Kills everything below the template, then the template.
    async fn end(mut self) {
        self.pool.drop_idle();
        if let Some(template) = self.template.take() {
            sweep(template).await;
        }
        self.kill_others(&HashSet::new());
        self.old_groups.clear();
        if let Some(groups) = &self.launch.kernel.groups {
            groups.clear().await;
        }
    }

    /// What is no longer below a template, but has the instance's own user.
    fn kill_others(&self, known: &HashSet<i32>) {
        if let Some(user) = self.launch.user.as_ref().filter(|user| user.is_alone()) {
            kill_user(user.uid, known);
        }
    }
}

/// Kills everything below the template, then the template.
async fn sweep(mut template: Template) {
    for _ in 0..200 {
        let dead = kill_strays(template.pid, &HashSet::new());
        if dead.is_empty() || template.reap(&dead).await.is_err() {
            break;
        }
        sleep(DYING).await;
    }
    template.end().await;
}
