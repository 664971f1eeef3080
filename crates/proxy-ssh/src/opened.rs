//! What the channels of an open session share.

use std::fmt;
use std::sync::Arc;

use keyward_model::SessionId;
use keyward_session::Channels;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::Target;

pub(crate) struct Opened {
    pub(crate) session: SessionId,
    pub(crate) channels: Channels,
    pub(crate) target: Target,
    /// The relays, so that the end of the session can wait for what they still have to say.
    pub(crate) relays: TaskTracker,
    /// Ends the relays, whatever they are doing.
    pub(crate) cut: CancellationToken,
    /// The sentence with which the gateway ends the session, once it does.
    pub(crate) farewell: watch::Receiver<Option<&'static str>>,
    /// How many more channels may be open at once.
    pub(crate) places: Arc<Semaphore>,
}

/// Channels open at once in one connection; OpenSSH's own limit for sessions is 10.
pub(crate) const MOST_CHANNELS: usize = 64;

impl Opened {
    /// Waits until the gateway ends the session. Cancel-safe.
    pub(crate) async fn farewell(&self) -> &'static str {
        let mut farewell = self.farewell.clone();
        let said = match farewell.wait_for(Option::is_some).await {
            Ok(sentence) => *sentence,
            Err(_) => None,
        };
        match said {
            Some(sentence) => sentence,
            // Without a sentence the connection is about to be cut.
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("session", &self.session).finish_non_exhaustive()
    }
}
