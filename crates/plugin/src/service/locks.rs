//! Locks between the calls of a plugin instance, by path. A dead owner's lock is free.
//!
//! On SPS a lock is a file, which another plugin could not make in this one's directories; so locks of two instances
//! have nothing to do with each other, whatever their paths are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyward_model::InstanceName;

const MAX_PER_OWNER: usize = 100;
/// Bytes of a path (limits.h).
const MAX_PATH: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<Holders>);

/// Who holds what.
type Holders = HashMap<(InstanceName, String), u64>;

impl Locks {
    /// False: somebody holds it, possibly `owner` itself.
    pub(super) fn try_acquire(
        &self,
        owner: u64,
        instance: &InstanceName,
        path: &str,
    ) -> Result<bool, String> {
        if path.len() > MAX_PATH {
            return Err(format!("a path of {} bytes is refused: {MAX_PATH} are allowed", path.len()));
        }
        let lock = (instance.clone(), path.to_owned());
        let mut locks = self.lock();
        if locks.contains_key(&lock) {
            return Ok(false);
        }
        if locks.values().filter(|holder| **holder == owner).count() >= MAX_PER_OWNER {
            return Err(format!("a call may hold {MAX_PER_OWNER} locks at once"));
        }
        locks.insert(lock, owner);
        Ok(true)
    }

    pub(super) fn release(&self, owner: u64, instance: &InstanceName, path: &str) -> Result<(), String> {
        let lock = (instance.clone(), path.to_owned());
        let mut locks = self.lock();
        if locks.get(&lock) != Some(&owner) {
            return Err("the lock is not held by this call".to_owned());
        }
        locks.remove(&lock);
        Ok(())
    }

    pub(super) fn release_all(&self, owner: u64) {
        self.lock().retain(|_, holder| *holder != owner);
    }

    fn lock(&self) -> MutexGuard<'_, Holders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
