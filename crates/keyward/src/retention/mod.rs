//! How long recordings are kept: a task of the gateway deletes those that are past their time, and the oldest where all
//! together take more room than the policy gives them.
//!
//! What was changed, replaced or removed by others is evidence, and what is on hold is wanted: none of that is deleted.

mod delete;
mod plan;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use keyward_model::SessionId;
use keyward_policy::Policy;
use keyward_session::Gateway;
use keyward_store::NewDeletion;
use tokio::sync::Notify;

use crate::search_index::forget_deleted_if_any;

pub(crate) use delete::{Deleted, Finished, Found, Recordings, now};
pub(crate) use plan::{Because, Due, Kept, Look, Plan};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(3600);
/// The most recordings that one look deletes; the next follows soon where there are more.
const MOST: usize = 1000;
const SOON: Duration = Duration::from_secs(1);

/// The task that deletes recordings. It ends when the gateway stops; what it was at then is finished at the next start.
#[derive(Debug)]
pub(crate) struct Retention {
    again: Arc<Notify>,
}

impl Retention {
    /// Looks now, and from then on each hour.
    pub(crate) fn start(gateway: Gateway, recordings: Recordings) -> Self {
        let again = Arc::new(Notify::new());
        tokio::spawn(run(gateway, Keeper::new(recordings), Arc::clone(&again)));
        Self { again }
    }

    /// Has it look at once: the policy is another.
    pub(crate) fn look_now(&self) {
        self.again.notify_one();
    }
}

async fn run(gateway: Gateway, mut keeper: Keeper, again: Arc<Notify>) {
    let stopping = gateway.stopping().clone();
    let look = async {
        loop {
            let pause = keeper.look(&gateway.policy()).await;
            tokio::select! {
                // Files that were put back are looked at again.
                () = again.notified() => keeper.changed.clear(),
                () = tokio::time::sleep(pause) => {}
            }
        }
    };
    // Dropped between two steps of a deletion, it leaves the rest to the next start.
    tokio::select! {
        () = stopping.cancelled() => {}
        () = look => {}
    }
}

/// What the task remembers, so that it does not say the same every hour.
struct Keeper {
    recordings: Recordings,
    /// Recordings that somebody was told of.
    told: HashSet<SessionId>,
    /// Those of them whose files are not as they were closed.
    changed: HashSet<SessionId>,
    is_over: bool,
    is_doubtful: bool,
    has_failed: bool,
}

impl Keeper {
    fn new(recordings: Recordings) -> Self {
        let (told, changed) = (HashSet::new(), HashSet::new());
        Self { recordings, told, changed, is_over: false, is_doubtful: false, has_failed: false }
    }

    /// Finishes what was begun, and deletes what is due. How long to wait until the next time.
    async fn look(&mut self, policy: &Policy) -> Duration {
        match self.try_look(policy).await {
            Ok(pause) => {
                self.has_failed = false;
                pause
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    let error = format!("{error:#}");
                    tracing::error!(error, "ALERT: recordings cannot be looked at: none is deleted");
                }
                PERIOD
            }
        }
    }

    async fn try_look(&mut self, policy: &Policy) -> anyhow::Result<Duration> {
        self.recordings.objects.clone_from(&policy.gateway.object_store);
        if !self.finish().await? {
            // What cannot be removed today is decided on another day.
            return Ok(PERIOD);
        }
        let (now, recordings) = (now(), self.recordings.clone());
        let look = Look { recordings: &recordings, policy, now, most: MOST, known: &self.changed };
        let plan = look.plan().await?;
        recordings.store.note_look(plan.clock.known()).await?;
        self.tell(&plan, policy);
        let mut removes = true;
        for due in &plan.due {
            removes = self.delete(due).await;
            if !removes {
                break;
            }
        }
        if !plan.due.is_empty() {
            self.forget(policy).await;
        }
        Ok(if removes && plan.is_cut { SOON } else { PERIOD })
    }

    /// What was decided and not done, as when the gateway died in between. Whether files can be removed.
    async fn finish(&mut self) -> anyhow::Result<bool> {
        let mut removes = true;
        for record in self.recordings.store.unfinished_deletions().await? {
            let session = &record.session;
            match self.recordings.finish(&record).await {
                Ok(Finished::Done) => {
                    let reason = record.deletion.as_ref().map_or("", |deletion| &deletion.reason);
                    tracing::info!(%session, trail = record.trail, reason, "recording deleted, as was decided before");
                }
                Ok(Finished::Replaced(what)) => self.alert(
                    session,
                    &format!("its deletion was decided, and there is another file in its place by now, which stays: {what}"),
                ),
                Err(error) => {
                    removes = false;
                    self.alert(session, &undeletable(&error));
                }
            }
        }
        Ok(removes)
    }

    /// What was deleted must not stay where it can be searched. Nobody is told of it from its deletion on.
    async fn forget(&self, policy: &Policy) {
        let forgotten = forget_deleted_if_any(&policy.node.data_dir, &self.recordings.store).await;
        if let Err(error) = forgotten {
            let error = format!("{error:#}");
            tracing::warn!(error, "text of deleted recordings is still in the index");
        }
    }

    /// Whether files can be removed.
    async fn delete(&mut self, due: &Due) -> bool {
        let (record, session) = (&due.record, &due.record.session);
        let reason = due.why.reason(record);
        let (cause, found) = (due.why.cause(), Some(&due.found));
        let new = NewDeletion { at: now(), cause, reason: &reason, by: None, found };
        match self.recordings.delete(record, &new).await {
            Ok(Deleted::Done) => {
                tracing::info!(%session, trail = record.trail, cause = cause.as_str(), reason, "recording deleted");
            }
            // A hold came in between, for one.
            Ok(Deleted::Kept(why)) => tracing::info!(%session, why = why.as_str(), "recording kept"),
            Err(error) => {
                self.alert(session, &undeletable(&error));
                return false;
            }
        }
        true
    }

    fn tell(&mut self, plan: &Plan, policy: &Policy) {
        for Kept { record, because } in plan.kept.iter().filter(|kept| kept.because.is_alarming()) {
            self.alert(&record.session, &format!("it is due for deletion, and kept: {}", because.says()));
            if matches!(because, Because::Changed(_)) {
                self.changed.insert(record.session.clone());
            }
        }
        let doubtful_since = plan.clock.doubtful_since().filter(|_| policy.has_terms());
        let was_doubtful = std::mem::replace(&mut self.is_doubtful, doubtful_since.is_some());
        if let (false, Some(known)) = (was_doubtful, doubtful_since) {
            let days = now().0.saturating_sub(known.0) / (24 * 3600 * 1000);
            tracing::error!(
                days,
                "ALERT: by this machine's clock, more than a week has passed since recordings were last looked at: none is \
                 deleted by age until somebody says `keyward trail retention --clock-is-right --policy FILE`"
            );
        }
        let was_over = std::mem::replace(&mut self.is_over, plan.over > 0);
        if let (false, true, Some(bound)) = (was_over, self.is_over, policy.gateway.keep_at_most) {
            let (over, kept) = (plan.over, plan.kept.len());
            tracing::error!(
                bound,
                over,
                kept,
                "ALERT: recordings take more room than `keep-at-most`, and none that is left may be deleted: recording goes on"
            );
        }
    }

    /// Once for each recording and run of the gateway.
    fn alert(&mut self, session: &SessionId, what: &str) {
        if self.told.insert(session.clone()) {
            tracing::error!(%session, what, "ALERT: a recording cannot be deleted");
        }
    }
}

fn undeletable(error: &anyhow::Error) -> String {
    format!("{error:#}; where its deletion is written down already, that is tried again every hour")
}
