//! Recordings may have to be in another place than the disk as well: while that is late, nothing more is recorded, and so
//! nothing more passes.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::activity::{Activity, EndCause};
use crate::grace::GRACE;

/// What is known of the other place; shared by all sessions, and told by whoever sends. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OffSite(Arc<watch::Sender<Option<Taken>>>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Taken {
    /// The place has everything that was recorded before.
    until: Instant,
    /// What was recorded may be on the disk alone for so long.
    unsent_at_most: Duration,
}

/// The place has taken nothing for so many seconds, which is too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the object store took nothing for {0} s")]
pub struct TooLate(pub u64);

impl Default for OffSite {
    /// Nothing has to be anywhere else.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl OffSite {
    /// From now on recordings may be on the disk alone.
    pub fn is_not_needed(&self) {
        self.tell(None);
    }

    /// The place has everything that was recorded before `until`. A moment after `until + unsent_at_most` it is late,
    /// unless it is told again.
    pub fn has_all(&self, until: Instant, unsent_at_most: Duration) {
        self.tell(Some(Taken { until, unsent_at_most }));
    }

    fn tell(&self, taken: Option<Taken>) {
        self.0.send_if_modified(|known| std::mem::replace(known, taken) != taken);
    }

    /// # Errors
    /// Where the place is late.
    pub fn check(&self) -> Result<(), TooLate> {
        match *self.0.borrow() {
            Some(taken) if taken.late_at() <= Instant::now() => Err(TooLate(taken.until.elapsed().as_secs())),
            Some(_) | None => Ok(()),
        }
    }

    /// Waits until the place is late. Cancel-safe.
    pub async fn late(&self) -> TooLate {
        let mut told = self.0.subscribe();
        loop {
            let at = told.borrow_and_update().map(Taken::late_at);
            if let Err(late) = self.check() {
                return late;
            }
            tokio::select! {
                () = async { match at { Some(at) => sleep_until(at).await, None => pending().await } } => {}
                // The sender is this one's own.
                _ = told.changed() => {}
            }
        }
    }

    /// Waits until the place is late no more. Cancel-safe.
    pub async fn back(&self) {
        let mut told = self.0.subscribe();
        while self.check().is_err() {
            let _ = told.changed().await;
        }
    }

    /// While the place is late, takes all room from between relay and recorder, so that nothing passes; what is in the
    /// recorder is written all the same. After a grace time the session ends. Until the session is over.
    pub(crate) async fn hold(self, space: Arc<Semaphore>, all: u32, activity: Arc<Activity>) {
        tokio::select! {
            _ = activity.over() => {}
            () = self.hold_until_the_end(&space, all, &activity) => {}
        }
    }

    async fn hold_until_the_end(&self, space: &Semaphore, all: u32, activity: &Activity) {
        loop {
            self.late().await;
            let since = Instant::now();
            let hold = async {
                // It has what is free at once, and what comes back before anybody else.
                let _room = space.acquire_many(all).await;
                pending::<()>().await;
            };
            let back = async {
                tokio::select! {
                    () = hold => {}
                    () = self.back() => {}
                }
            };
            if timeout(GRACE, back).await.is_ok() {
                let waited = since.elapsed();
                tracing::warn!(?waited, "a session waited for the object store");
                continue;
            }
            let Err(late) = self.check() else { continue };
            tracing::error!("ALERT: recording failed: {late}: the session ends");
            activity.end(EndCause::Recording(late.to_string()));
            // Who waits for room waits for nothing.
            space.close();
            return;
        }
    }
}

impl Taken {
    fn late_at(self) -> Instant {
        self.until + self.unsent_at_most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(60);
    const ALL: u32 = 100;

    fn long_ago() -> Instant {
        Instant::now() - MOST - Duration::from_secs(1)
    }

    async fn nothing_is_free(space: &Semaphore) {
        while space.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn while_a_place_is_late_the_relay_has_no_room_and_then_it_has_all_of_it() {
        let (place, space, activity) =
            (OffSite::default(), Arc::new(Semaphore::new(ALL as usize)), Activity::new());
        let holding = tokio::spawn(place.clone().hold(Arc::clone(&space), ALL, Arc::clone(&activity)));
        // What is in the recorder has room, and gives it back while the relay waits.
        let in_recorder = space.acquire_many(30).await.unwrap();
        for _ in 0..2 {
            place.has_all(Instant::now(), MOST);
            assert_eq!(place.check(), Ok(()));
            place.has_all(long_ago(), MOST);
            assert_eq!(place.check(), Err(TooLate(61)));
            nothing_is_free(&space).await;
            // Another word, and as late.
            place.has_all(long_ago(), MOST);
            tokio::task::yield_now().await;
            assert_eq!(space.available_permits(), 0);
            place.has_all(Instant::now(), MOST);
            drop(space.acquire_many(70).await.unwrap());
        }
        place.has_all(long_ago(), MOST);
        nothing_is_free(&space).await;
        drop(in_recorder);
        assert_eq!(space.available_permits(), 0, "what comes back is held as well");
        place.is_not_needed();
        drop(space.acquire_many(ALL).await.unwrap());
        assert_eq!(activity.ended(), None);
        activity.end(EndCause::Closed);
        holding.await.unwrap();
    }

    #[tokio::test]
    async fn it_is_late_when_its_time_is_over_and_not_before_it_is_told_again() {
        let place = OffSite::default();
        let short = Duration::from_millis(50);
        place.has_all(Instant::now(), short);
        assert_eq!(place.late().await, TooLate(0));
        let back = tokio::spawn({
            let place = place.clone();
            async move { place.back().await }
        });
        place.has_all(Instant::now(), MOST);
        back.await.unwrap();
        assert_eq!(place.check(), Ok(()));
    }
}
