//! How many calls run at one time, and what memory stays free for everything else (contract section 3, "Many at once").
//! Where either is used up no session begins, and those that are there are served.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::{CallError, CallErrorKind};

#[derive(Debug)]
pub(super) struct Admission {
    calls: Semaphore,
    /// Bytes.
    free_memory: u64,
}

impl Admission {
    pub(super) fn new(max_calls: usize, min_free_memory: u64) -> Self {
        let calls = Semaphore::new(max_calls.min(Semaphore::MAX_PERMITS));
        Self { calls, free_memory: min_free_memory }
    }

    /// A place for a call that begins a session: at once, or not at all.
    pub(super) fn for_a_new_session(&self) -> Result<SemaphorePermit<'_>, CallError> {
        let left = available_memory();
        if left.is_some_and(|left| left < self.free_memory) {
            return Err(busy("less memory is left for plugin calls than the gateway keeps free"));
        }
        self.calls.try_acquire().map_err(|_| too_many())
    }

    /// A place for a call of a session that is there already, which may wait for it. Cancel-safe.
    pub(super) async fn for_an_old_one(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, CallError> {
        match timeout_at(deadline, self.calls.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(too_many()),
        }
    }
}

fn too_many() -> CallError {
    busy("as many plugin calls are running as the gateway allows")
}

fn busy(message: &str) -> CallError {
    CallError { kind: CallErrorKind::Busy, message: message.to_owned(), traceback: None }
}

/// What new processes could have without swapping, in bytes. `None`: the kernel does not say.
fn available_memory() -> Option<u64> {
    read_available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// Of `/proc/meminfo` (proc_meminfo(5)), which counts in units of 1024 bytes.
fn read_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_is_left_is_read_from_the_kernels_own_account() {
        let text = "MemTotal:        4039700 kB\nMemFree:          209556 kB\nMemAvailable:    2879812 kB\n";
        assert_eq!(read_available(text), Some(2_879_812 * 1024));
        for other in
            ["", "MemAvailable:", "MemAvailable: many kB\n", "MemAvailable: 18446744073709551615 kB\n"]
        {
            assert_eq!(read_available(other), None, "{other}");
        }
        assert!(available_memory().is_some_and(|left| left > 0));
    }

    #[test]
    fn a_session_begins_only_where_memory_and_a_place_are_left() {
        let admission = Admission::new(1, 0);
        let place = admission.for_a_new_session().unwrap();
        assert_eq!(admission.for_a_new_session().unwrap_err().kind, CallErrorKind::Busy);
        drop(place);
        assert!(admission.for_a_new_session().is_ok());
        let refused = Admission::new(1, u64::MAX).for_a_new_session().unwrap_err();
        assert!(refused.kind == CallErrorKind::Busy && refused.message.contains("memory"), "{refused:?}");
    }
}
