//! The timestamps of one recording, asked for beside what goes on. An authority that is gone holds nobody up.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use keyward_policy::AuditPolicy;
use keyward_trail::{Extent, Finished, Sealed, Timestamp, TrailError, TrailFile};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::authority::{Authorities, Authority};
use crate::end::chain;
use crate::sync::elsewhere;

/// An answer that takes longer while the session goes on is none.
const PATIENCE: Duration = Duration::from_secs(15);
/// The recording of a session that is over waits for this, and nobody with it but who closes its row in the ledger.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// A recording whose end is on the disk.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It reaches so far.
    Closed(Extent),
    /// It waits for the timestamp of its end, for some seconds at most, and says then how far it reaches.
    Stamping(oneshot::Receiver<Result<Extent, TrailError>>),
}

/// When a recording gets its timestamps.
#[derive(Debug)]
pub(crate) struct Stamps {
    authority: Option<Arc<Authority>>,
    /// The next one is not asked for before.
    due: Instant,
    /// Something was written since the last one was asked for, beside itself.
    is_new: bool,
    /// At most one is on its way.
    asked: Option<JoinHandle<Option<Timestamp>>>,
}

impl Stamps {
    /// Of a recording under this audit policy, which may have no timestamps.
    pub(crate) fn of(authorities: &Authorities, audit: Option<&AuditPolicy>) -> Self {
        let policy = audit.and_then(|audit| audit.timestamps.as_ref());
        let authority = policy.map(|policy| authorities.of(policy));
        let interval = authority.as_ref().map_or(Duration::ZERO, |authority| authority.interval());
        Self { authority, due: Instant::now() + interval, is_new: false, asked: None }
    }

    /// Whether there are any to come.
    pub(crate) fn are_wanted(&self) -> bool {
        self.authority.is_some()
    }

    /// Something was recorded.
    pub(crate) fn note(&mut self) {
        self.is_new = true;
    }

    /// Asks for a timestamp of the newest seal, if one is due.
    pub(crate) fn sealed(&mut self, sealed: Option<Sealed>) {
        let (Some(authority), Some(sealed)) = (&self.authority, sealed) else { return };
        if !self.is_new || self.asked.is_some() || self.due > Instant::now() {
            return;
        }
        (self.is_new, self.due) = (false, Instant::now() + authority.interval());
        let authority = Arc::clone(authority);
        self.asked = Some(tokio::spawn(async move { authority.stamp(sealed, PATIENCE).await }));
    }

    /// What came of the one that was asked for; resolves never where none was. Cancel-safe.
    pub(crate) async fn answer(&mut self) -> Option<Timestamp> {
        let Some(asked) = &mut self.asked else { return pending().await };
        let answer = asked.await;
        self.asked = None;
        answer.ok().flatten()
    }

    /// Puts a timestamp behind the end, if there is one in time, and says how far the recording reaches.
    pub(crate) async fn put_behind(self, mut finished: Finished<TrailFile>) -> Result<Extent, TrailError> {
        let before = finished.extent();
        let Some(stamp) = self.last(finished.sealed()).await else { return Ok(before) };
        elsewhere(move || {
            let stamped = finished.timestamp(&stamp);
            let Err(error) = stamped.and_then(|()| finished.output().sync().map_err(TrailError::Write)) else {
                return Ok(finished.extent());
            };
            // Nothing but a whole timestamp may stand behind the end, which was on the disk before.
            tracing::error!(error = %chain(&error), "the timestamp of a recording's end could not be written");
            let file = finished.output().handle();
            file.set_len(before.length).and_then(|()| file.sync_data()).map_err(TrailError::Write)?;
            Ok(before)
        })
        .await
    }

    async fn last(&self, sealed: Option<Sealed>) -> Option<Timestamp> {
        let (authority, sealed) = (self.authority.as_ref()?, sealed?);
        authority.stamp(sealed, LAST_PATIENCE).await
    }
}

/// One that stands for less than the end is of no use any more.
impl Drop for Stamps {
    fn drop(&mut self) {
        if let Some(asked) = &self.asked {
            asked.abort();
        }
    }
}
