//! A disk that is late: the relay waits at once, and after a grace time the session ends.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::timeout;

use crate::activity::{Activity, EndCause};

/// What the disk takes within this, the relay does not notice. With it nothing is unwritten for longer than a second.
pub(crate) const LATE: Duration = Duration::from_millis(300);
/// How long the relay waits for the disk, or for the object store, before the session ends.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// The log tells of sessions that waited this long.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// What waits for the disk of one recording.
#[derive(Clone, Debug)]
pub(crate) struct Grace {
    /// Room between relay and recorder, in bytes.
    space: Arc<Semaphore>,
    activity: Arc<Activity>,
}

impl Grace {
    pub(crate) fn new(space: Arc<Semaphore>, activity: Arc<Activity>) -> Self {
        Self { space, activity }
    }

    /// Waits for what the disk does, as long as that takes: what was recorded is written when it answers, also when the
    /// session is over by then. While the disk is late, nothing more is taken from the relay.
    pub(crate) async fn given<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = timeout(LATE, &mut work).await {
            return done;
        }
        self.overdue(work).await
    }

    /// The same of what is late already.
    pub(crate) async fn overdue<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let since = Instant::now();
        let _held = self.all_room();
        if let Ok(done) = timeout(GRACE, &mut work).await {
            let waited = since.elapsed();
            if waited >= WORTH_A_WORD {
                tracing::warn!(?waited, "a session waited for the disk of its recording");
            }
            return done;
        }
        let why = format!("the disk took nothing for {} s", GRACE.as_secs());
        tracing::error!("ALERT: recording failed: {why}: the session ends");
        self.activity.end(EndCause::Recording(why));
        // Who waits for room waits for nothing.
        self.space.close();
        work.await
    }

    /// All room that is left. What is on its way has its own.
    fn all_room(&self) -> Vec<SemaphorePermit<'_>> {
        let mut held = Vec::new();
        while let Ok(free) = u32::try_from(self.space.available_permits())
            && free > 0
        {
            match self.space.try_acquire_many(free) {
                Ok(room) => held.push(room),
                // The relay took some in between.
                Err(TryAcquireError::NoPermits) => {}
                Err(TryAcquireError::Closed) => break,
            }
        }
        held
    }
}
