//! The timestamps of one recording, asked for beside what goes on. An authority that is gone holds nobody up.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use keyward_trail::{Sealed, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::authority::Authority;

/// An answer that takes longer while the session goes on is none.
const PATIENCE: Duration = Duration::from_secs(15);
/// The recording of a session that is over waits for this, and nobody with it but who closes its row in the ledger.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

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
    /// `None`: the recording gets no timestamps.
    pub(crate) fn new(authority: Option<Arc<Authority>>) -> Self {
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

    /// A timestamp of the end.
    pub(crate) async fn last(self, sealed: Option<Sealed>) -> Option<Timestamp> {
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
