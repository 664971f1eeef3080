//! The memory cache: shared by all calls of all plugins, lost at restart.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Of one entry, key and value together.
const MAX_ENTRY: usize = 1024 * 1024;
/// Of all entries, each with its [`ENTRY_COST`].
const MAX_TOTAL: usize = 64 * 1024 * 1024;
const ENTRY_COST: usize = 128;

#[derive(Default)]
pub(super) struct Cache(Mutex<Entries>);

impl std::fmt::Debug for Cache {
    /// Plugins keep tokens here.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache(..)")
    }
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    bytes: usize,
    /// Counts uses: the entry with the lowest was not used for longest.
    clock: u64,
}

struct Entry {
    value: Vec<u8>,
    expires: Option<Instant>,
    used: u64,
}

impl Cache {
    pub(super) fn get(&self, key: &str, now: Instant) -> Option<Vec<u8>> {
        let mut entries = self.lock();
        entries.clock += 1;
        let clock = entries.clock;
        let entry = entries.by_key.get_mut(key)?;
        if entry.expires.is_some_and(|expires| expires <= now) {
            entries.remove(key);
            return None;
        }
        entry.used = clock;
        Some(entry.value.clone())
    }

    /// `ttl` of `None`: for ever.
    pub(super) fn set(
        &self,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
        now: Instant,
    ) -> Result<(), String> {
        let size = key.len() + value.len();
        if size > MAX_ENTRY {
            return Err(format!("a cache entry of {size} bytes is refused: {MAX_ENTRY} are allowed"));
        }
        let mut entries = self.lock();
        entries.remove(key);
        entries.make_room(size + ENTRY_COST, now);
        entries.clock += 1;
        let entry = Entry { value, expires: ttl.and_then(|ttl| now.checked_add(ttl)), used: entries.clock };
        entries.bytes += size + ENTRY_COST;
        entries.by_key.insert(key.to_owned(), entry);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= key.len() + entry.value.len() + ENTRY_COST;
        }
    }

    /// Drops what has expired, then what was not used for longest, an eighth of the whole at a time.
    fn make_room(&mut self, wanted: usize, now: Instant) {
        if self.bytes + wanted <= MAX_TOTAL {
            return;
        }
        let expired = |entry: &Entry| entry.expires.is_some_and(|expires| expires <= now);
        let mut by_age: Vec<(bool, u64, String)> =
            self.by_key.iter().map(|(key, entry)| (!expired(entry), entry.used, key.clone())).collect();
        by_age.sort_unstable();
        for (fresh, _, key) in by_age {
            if fresh && self.bytes + wanted <= MAX_TOTAL - MAX_TOTAL / 8 {
                break;
            }
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_entry_lives_as_long_as_it_was_told() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.set("short", b"1".to_vec(), Some(SECOND), now).unwrap();
        cache.set("ever", b"2".to_vec(), None, now).unwrap();
        assert_eq!(cache.get("short", now), Some(b"1".to_vec()));
        assert_eq!(cache.get("short", now + SECOND), None);
        assert_eq!(cache.get("ever", now + 1000 * SECOND), Some(b"2".to_vec()));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let (cache, now) = (Cache::default(), Instant::now());
        for n in 0..200 {
            cache.set(&n.to_string(), vec![0; MAX_ENTRY - 10], None, now).unwrap();
            assert!(cache.get("0", now).is_some());
        }
        assert!(cache.lock().bytes <= MAX_TOTAL);
        assert!(cache.get("1", now).is_none());
        assert!(cache.get("199", now).is_some());
    }

    #[test]
    fn an_entry_over_a_megabyte_is_refused() {
        assert!(Cache::default().set("k", vec![0; MAX_ENTRY], None, Instant::now()).is_err());
    }
}
