//! What a running call uses with all that it has started: limits of single processes do not bound their sum.
//!
//! It is looked at each 100 ms, so a call may be over for as long. A call that is over earlier is not looked at.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Pid;
use tokio::time::{MissedTickBehavior, interval};

use super::disk::Disk;
use crate::runtime::process::{children, share, usage};

const TICK: Duration = Duration::from_millis(100);

/// What one call may use.
#[derive(Clone, Copy, Debug)]
pub(in crate::runtime) struct Allowance {
    /// Memory of all its processes, in bytes; what they share counts once.
    pub(in crate::runtime) memory: u64,
    /// Its processes and threads.
    pub(in crate::runtime) processes: usize,
    /// Those of all calls of the instance, where the kernel refuses more.
    pub(in crate::runtime) together: Option<usize>,
}

/// What a call has used too much of.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::runtime) enum Overrun {
    #[error("its processes hold {held} MiB of memory together, and {allowed} are allowed")]
    Memory { held: u64, allowed: u64 },
    #[error("it has more than {0} processes and threads")]
    Processes(usize),
    #[error("it has {0} processes and threads, and leaves none for other calls")]
    Place(usize),
    #[error("{0}")]
    Disk(String),
}

/// A process of the call, as it was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Seen {
    tasks: usize,
    /// In clock ticks.
    cpu: u64,
    resident: u64,
}

const MIB: u64 = 1 << 20;

/// Where the calls of an instance leave no place for more, one that has more than this part of them is ended.
const MANY: usize = 4;

/// How many processes and threads the calls of an instance have, as far as they were looked at.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Tasks(AtomicUsize);

/// Of one call, until it ends.
struct Own<'a> {
    of_all: &'a Tasks,
    tasks: usize,
}

impl<'a> Own<'a> {
    fn new(of_all: &'a Tasks) -> Self {
        of_all.0.fetch_add(1, Ordering::Relaxed);
        Self { of_all, tasks: 1 }
    }

    /// What all calls have with `tasks` of this one.
    fn are(&mut self, tasks: usize) -> usize {
        self.of_all.0.fetch_add(tasks, Ordering::Relaxed);
        let before = self.of_all.0.fetch_sub(self.tasks, Ordering::Relaxed);
        before - std::mem::replace(&mut self.tasks, tasks)
    }
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        self.of_all.0.fetch_sub(self.tasks, Ordering::Relaxed);
    }
}

/// Resolves when the call of `worker` is over what it is allowed. Cancel-safe.
pub(in crate::runtime) async fn overrun(
    worker: Pid,
    allowance: Allowance,
    of_all: &Tasks,
    disk: &Disk,
) -> Overrun {
    let mut own = Own::new(of_all);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = 0;
    loop {
        ticks.tick().await;
        let Some(tree) = tree(worker, allowance.processes) else {
            return Overrun::Processes(allowance.processes);
        };
        let tasks = tree.iter().map(|(_, seen)| seen.tasks).sum::<usize>();
        let all = own.are(tasks);
        // A call that has started nothing takes no place but its own.
        let many = (allowance.processes / MANY).max(1);
        if allowance.together.is_some_and(|most| all > most) && tasks > many {
            return Overrun::Place(tasks);
        }
        let sum = |of: fn(&Seen) -> u64| tree.iter().map(|(_, seen)| of(seen)).sum::<u64>();
        if sum(|seen| seen.resident) > allowance.memory {
            let held = tree.iter().map(|(pid, seen)| share(*pid).unwrap_or(seen.resident)).sum::<u64>();
            if held > allowance.memory {
                return Overrun::Memory { held: held / MIB, allowed: allowance.memory / MIB };
            }
        }
        // Who has not run has not written.
        let cpu = sum(|seen| seen.cpu);
        if cpu != before {
            let hidden = tree.iter().map(|(pid, _)| unlinked(*pid)).sum();
            if let Some(why) = disk.with_hidden(hidden) {
                return Overrun::Disk(why);
            }
            // What it wrote before it slept is measured, if not now.
            if disk.measure_soon() {
                before = cpu;
            }
        }
        if let Some(why) = disk.full() {
            return Overrun::Disk(why);
        }
    }
}

/// `worker` and what is below it; `None` when that is more than `most` processes and threads.
fn tree(worker: Pid, most: usize) -> Option<Vec<(Pid, Seen)>> {
    let mut found = vec![worker];
    let mut seen = Vec::new();
    let mut tasks = 0;
    while let Some(pid) = found.get(seen.len()).copied() {
        let one = usage(pid).unwrap_or_default();
        tasks += one.tasks;
        seen.push((pid, Seen { tasks: one.tasks, cpu: one.cpu, resident: one.resident }));
        if tasks > most || found.len() > most {
            return None;
        }
        found.extend(children(pid).into_iter().filter_map(Pid::from_raw));
    }
    Some(seen)
}

/// Bytes of files that a process has open and that have no name any more.
fn unlinked(pid: Pid) -> u64 {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| fs::metadata(entry.path()).ok());
    files.filter(|file| file.is_file() && file.nlink() == 0).map(|file| file.blocks() * 512).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_with_its_memory_and_threads() {
        let tree = tree(rustix::process::getpid(), 10_000).unwrap();
        let (pid, own) = tree[0];
        assert_eq!(pid, rustix::process::getpid());
        assert!(own.tasks > 0 && own.resident > MIB / 4, "{own:?}");
        assert!(share(pid).unwrap() <= own.resident * 2);
        assert_eq!(super::tree(rustix::process::getpid(), 0), None);
    }

    #[test]
    fn a_file_without_a_name_is_counted() {
        use std::io::Write;
        let before = unlinked(rustix::process::getpid());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; 1 << 20]).unwrap();
        assert!(unlinked(rustix::process::getpid()) >= before + (1 << 20));
    }
}
