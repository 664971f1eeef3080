//! Locks between calls, by path. A dead owner's lock is free.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

const MAX_PER_OWNER: usize = 100;
/// Bytes of a path (limits.h).
const MAX_PATH: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<HashMap<String, u64>>);

impl Locks {
    /// False: somebody holds it, possibly `owner` itself.
    pub(super) fn try_acquire(&self, owner: u64, path: &str) -> Result<bool, String> {
        let mut locks = self.lock();
        if locks.contains_key(path) {
            return Ok(false);
        }
        if path.len() > MAX_PATH {
            return Err(format!("a path of {} bytes is refused: {MAX_PATH} are allowed", path.len()));
        }
        if locks.values().filter(|holder| **holder == owner).count() >= MAX_PER_OWNER {
            return Err(format!("a call may hold {MAX_PER_OWNER} locks at once"));
        }
        locks.insert(path.to_owned(), owner);
        Ok(true)
    }

    pub(super) fn release(&self, owner: u64, path: &str) -> Result<(), String> {
        let mut locks = self.lock();
        if locks.get(path) != Some(&owner) {
            return Err("the lock is not held by this call".to_owned());
        }
        locks.remove(path);
        Ok(())
    }

    pub(super) fn release_all(&self, owner: u64) {
        self.lock().retain(|_, holder| *holder != owner);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
