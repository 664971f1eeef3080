//! What the templates of all instances and their idle workers hold in memory together.
//!
//! Each keeper says what its own hold. Where all are over the limit, the one that was used the longest ago is to give
//! its memory back, and the others look again.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Budget {
    /// In bytes.
    limit: u64,
    holdings: Mutex<Holdings>,
}

#[derive(Debug, Default)]
struct Holdings {
    last: u64,
    of: HashMap<u64, Holding>,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    bytes: u64,
    used: Instant,
}

/// The part of one instance. What it holds is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Part {
    budget: Arc<Budget>,
    id: u64,
}

/// Where the machine does not say how much it has.
const UNKNOWN: u64 = 8 << 30;

impl Budget {
    /// `limit` in bytes; a quarter of the machine's memory where there is none.
    pub(super) fn new(limit: Option<u64>) -> Arc<Self> {
        let limit = limit.unwrap_or_else(|| memory_of_machine().unwrap_or(UNKNOWN) / 4);
        Arc::new(Self { limit, holdings: Mutex::default() })
    }

    pub(super) fn part(self: &Arc<Self>) -> Part {
        let mut holdings = self.lock();
        holdings.last += 1;
        Part { budget: Arc::clone(self), id: holdings.last }
    }

    fn lock(&self) -> MutexGuard<'_, Holdings> {
        // Each entry is whole by itself.
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// `used`: when the last call came, or now while one is running.
    pub(super) fn hold(&self, bytes: u64, used: Instant) {
        self.budget.lock().of.insert(self.id, Holding { bytes, used });
    }

    pub(super) fn give_back(&self) {
        self.budget.lock().of.remove(&self.id);
    }

    /// What all hold in bytes, where that is too much and this part is the one that was used the longest ago.
    pub(super) fn is_to_give_way(&self) -> Option<u64> {
        let holdings = self.budget.lock();
        let held = holdings.of.values().map(|holding| holding.bytes).sum::<u64>();
        let (oldest, _) = holdings.of.iter().min_by_key(|(_, holding)| holding.used)?;
        (held > self.budget.limit && *oldest == self.id).then_some(held)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// In bytes (proc_meminfo(5)).
fn memory_of_machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn over_the_limit_only_the_part_that_was_used_the_longest_ago_gives_way() {
        let budget = Budget::new(Some(100));
        let (old, new) = (budget.part(), budget.part());
        let begin = Instant::now();
        old.hold(60, begin);
        new.hold(40, begin + Duration::from_secs(1));
        assert_eq!((old.is_to_give_way(), new.is_to_give_way()), (None, None));
        new.hold(41, begin + Duration::from_secs(1));
        assert_eq!((old.is_to_give_way(), new.is_to_give_way()), (Some(101), None));
        old.hold(60, begin + Duration::from_secs(2));
        assert_eq!((old.is_to_give_way(), new.is_to_give_way()), (None, Some(101)));
        drop(old);
        assert_eq!(new.is_to_give_way(), None);
    }

    #[test]
    fn without_a_limit_a_quarter_of_the_machines_memory_may_be_held() {
        let limit = Budget::new(None).limit;
        assert!(limit > 1 << 20 && limit == memory_of_machine().unwrap() / 4, "{limit}");
    }
}
