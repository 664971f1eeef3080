//! Locks between the calls of a plugin instance, by path. A dead owner's lock is free.
//!
//! On SPS a lock is a file, which another plugin could not make in this one's directories; so locks of two instances
//! have nothing to do with each other, whatever their paths are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyward_model::InstanceName;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

const MAX_PER_OWNER: usize = 100;
/// Bytes of a path (limits.h).
const MAX_PATH: usize = 4096;
/// How long a lock that another call holds is waited for. The SDK sleeps for a second after each of five refusals, and
/// then gives up, while what it does under its locks takes a millisecond: without this, calls at the same time would
/// lose seconds, and fail where they are many.
const PATIENCE: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct Locks {
    holders: Mutex<Holders>,
    released: Notify,
}

/// Who holds what.
type Holders = HashMap<(InstanceName, String), u64>;

enum Attempt {
    Taken,
    HeldByAnother,
    HeldByItself,
}

impl Locks {
    /// False: somebody holds it, possibly `owner` itself. Cancel-safe.
    pub(super) async fn try_acquire(
        &self,
        owner: u64,
        instance: &InstanceName,
        path: &str,
    ) -> Result<bool, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // From here on no release is missed.
            let released = self.released.notified();
            match self.attempt(owner, instance, path)? {
                Attempt::Taken => return Ok(true),
                Attempt::HeldByItself => return Ok(false),
                Attempt::HeldByAnother => {}
            }
            if timeout_at(deadline, released).await.is_err() {
                return Ok(false);
            }
        }
    }

    fn attempt(&self, owner: u64, instance: &InstanceName, path: &str) -> Result<Attempt, String> {
        if path.len() > MAX_PATH {
            return Err(format!("a path of {} bytes is refused: {MAX_PATH} are allowed", path.len()));
        }
        let lock = (instance.clone(), path.to_owned());
        let mut holders = self.lock();
        match holders.get(&lock) {
            Some(holder) if *holder == owner => return Ok(Attempt::HeldByItself),
            Some(_) => return Ok(Attempt::HeldByAnother),
            None => {}
        }
        if holders.values().filter(|holder| **holder == owner).count() >= MAX_PER_OWNER {
            return Err(format!("a call may hold {MAX_PER_OWNER} locks at once"));
        }
        holders.insert(lock, owner);
        Ok(Attempt::Taken)
    }

    pub(super) fn release(&self, owner: u64, instance: &InstanceName, path: &str) -> Result<(), String> {
        let lock = (instance.clone(), path.to_owned());
        let mut holders = self.lock();
        if holders.get(&lock) != Some(&owner) {
            return Err("the lock is not held by this call".to_owned());
        }
        holders.remove(&lock);
        drop(holders);
        self.released.notify_waiters();
        Ok(())
    }

    pub(super) fn release_all(&self, owner: u64) {
        let mut holders = self.lock();
        let before = holders.len();
        holders.retain(|_, holder| *holder != owner);
        let released = holders.len() < before;
        drop(holders);
        if released {
            self.released.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_lock_is_had_as_soon_as_its_holder_releases_it_or_is_gone() {
        let (locks, instance) = (Locks::default(), InstanceName::try_from("p").unwrap());
        assert_eq!(locks.try_acquire(1, &instance, "/x").await, Ok(true));
        assert_eq!(locks.try_acquire(1, &instance, "/x").await, Ok(false));
        for waiter in [2, 3] {
            let mut waiting = pin!(locks.try_acquire(waiter, &instance, "/x"));
            tokio::select! {
                biased;
                answer = &mut waiting => panic!("it has not waited: {answer:?}"),
                () = tokio::task::yield_now() => {}
            }
            match waiter {
                2 => locks.release(1, &instance, "/x").unwrap(),
                _ => locks.release_all(2),
            }
            assert_eq!(waiting.await, Ok(true));
        }
    }
}
