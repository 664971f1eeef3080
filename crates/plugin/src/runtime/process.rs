//! Processes below a template, as `/proc` tells of them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::spawn;

/// What `/proc/<pid>/stat` says (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stat {
    pub(super) state: char,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// In the form of waitpid(2); meaningful once the process is a zombie.
    pub(super) exit_code: i32,
}

/// What a process uses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Itself and its threads.
    pub(super) tasks: usize,
    /// Processor time, in clock ticks.
    pub(super) cpu: u64,
    /// Memory, in bytes, what it shares with others included.
    pub(super) resident: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Status(i32),
    Signal(i32),
}

impl Stat {
    pub(super) fn read(pid: Pid) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name of the command may hold anything, so count from its closing parenthesis: the state is field 3.
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // Field 52; some hardened kernels leave it out.
        let exit_code = fields.nth(46).and_then(|code| code.parse().ok()).unwrap_or(0);
        Some(Self { state, parent, group, exit_code })
    }

    pub(super) fn ending(self) -> Option<Ending> {
        let status = self.exit_code;
        match (self.state, status & 0x7f) {
            ('Z' | 'X', 0) => Some(Ending::Status((status >> 8) & 0xff)),
            ('Z' | 'X', signal) => Some(Ending::Signal(signal)),
            (_, _) => None,
        }
    }
}

/// `None` when the process is gone.
pub(super) fn usage(pid: Pid) -> Option<Usage> {
    parse_usage(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_usage(text: &str) -> Option<Usage> {
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    // Fields 14, 15, 20 and 24 (proc_pid_stat(5)); field 3 is the first here.
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let tasks = fields.nth(4)?.parse().ok()?;
    let pages: u64 = fields.nth(3)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(Usage { tasks, cpu: user + system, resident: pages.saturating_mul(page) })
}

/// The share of a process in the memory that it has, in bytes; pages that three have count a third for each.
pub(super) fn share(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Kills `pid` and its process group. Errors mean that nothing is left to kill.
pub(super) fn kill_group(pid: Pid, pidfd: BorrowedFd<'_>) {
    if let Err(error) = spawn::kill_group(pidfd)
        && error.raw_os_error() == Some(libc::EINVAL)
        && pidfd_send_signal(pidfd, Signal::KILL).is_ok()
    {
        // An older kernel. The leader has not been reaped, so its pid is still the group's.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

/// Kills every descendant of `template` that is not below one of `known`, and returns the children of the template
/// that are to be reaped. Empty: none was found.
///
/// All are stopped before any is killed, so that none can fork away from the count.
pub(super) fn kill_strays(template: Pid, known: &HashSet<i32>) -> Vec<i32> {
    let mut stopped = HashSet::new();
    for _ in 0..MAX_ROUNDS {
        let strays = strays(template, known);
        let fresh: Vec<i32> = strays.iter().copied().filter(|pid| stopped.insert(*pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            signal(pid, Signal::STOP);
        }
    }
    for pid in &stopped {
        signal(*pid, Signal::KILL);
    }
    children(template).into_iter().filter(|pid| !known.contains(pid)).collect()
}

/// A fork bomb below a process limit stands still long before.
const MAX_ROUNDS: u32 = 100;

fn strays(template: Pid, known: &HashSet<i32>) -> Vec<i32> {
    let mut found: Vec<i32> = children(template).into_iter().filter(|pid| !known.contains(pid)).collect();
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        if let Some(pid) = Pid::from_raw(pid) {
            found.extend(children(pid));
        }
    }
    found
}

/// The children of all threads of `pid`.
pub(super) fn children(pid: Pid) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| pids(&list)).collect()
}

fn pids(list: &str) -> Vec<i32> {
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The pid may be another process's by now; that it is not is checked once a pidfd holds it.
fn signal(pid: i32, signal: Signal) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let Some(before) = Stat::read(pid) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if Stat::read(pid).is_some_and(|now| now.group == before.group) {
        let _ = pidfd_send_signal(pidfd.as_fd(), signal);
    }
}

/// Kills what a dead template left behind: every process of `user`, but not `known` and what is below them.
pub(super) fn kill_user(user: u32, known: &HashSet<i32>) {
    let mut stopped = HashSet::new();
    for _ in 0..MAX_ROUNDS {
        let all = of_user(user);
        // After the others: what is forked meanwhile is in neither, and not taken for a stray.
        let spared = below(known);
        let fresh: Vec<i32> =
            all.into_iter().filter(|pid| !spared.contains(pid) && stopped.insert(*pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            signal(pid, Signal::STOP);
        }
    }
    for pid in stopped {
        signal(pid, Signal::KILL);
    }
}

/// `known` and everything below them.
fn below(known: &HashSet<i32>) -> HashSet<i32> {
    let pids = known.iter().filter_map(|pid| Pid::from_raw(*pid));
    known.iter().copied().chain(pids.flat_map(|pid| strays(pid, &HashSet::new()))).collect()
}

fn of_user(user: u32) -> Vec<i32> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let owned = entries.flatten().filter(|entry| entry.metadata().is_ok_and(|meta| meta.uid() == user));
    owned.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A pidfd of `pid`, which must be a child of `template` and the leader of its own group.
///
/// The template has run the plugin's code and may name any process; this is where that is found out.
pub(super) fn verified(pid: i32, template: Pid) -> io::Result<(Pid, std::os::fd::OwnedFd)> {
    let refuse = |what: &str| io::Error::other(format!("process {pid} {what}"));
    // `Pid` panics at a negative number.
    let number = Some(pid).filter(|pid| *pid > 1).and_then(Pid::from_raw);
    let number = number.ok_or_else(|| refuse("is no process"))?;
    let pidfd = pidfd_open(number, PidfdFlags::empty())?;
    let stat = Stat::read(number).ok_or_else(|| refuse("is gone"))?;
    if stat.parent != template.as_raw_pid() || stat.group != pid {
        return Err(refuse("is no worker of this template"));
    }
    Ok((number, pidfd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_cannot_forge_the_fields() {
        let tail = "0 ".repeat(46);
        let stat = Stat::parse(&format!("7 (a) S 1 1) (x) Z 42 43 {tail}256\n")).unwrap();
        assert_eq!((stat.state, stat.parent, stat.group), ('Z', 42, 43));
        assert_eq!(stat.ending(), Some(Ending::Status(1)));
        assert_eq!(Stat::parse(&format!("7 (x) Z 1 1 {tail}9\n")).unwrap().ending(), Some(Ending::Signal(9)));
        assert_eq!(Stat::parse("7 (x"), None);
    }

    #[test]
    fn what_a_process_uses_is_read_from_its_fields() {
        let fields: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let used = parse_usage(&format!("7 (a) R 1) S {}\n", fields.join(" "))).unwrap();
        let page = u64::try_from(rustix::param::page_size()).unwrap();
        assert_eq!((used.tasks, used.cpu, used.resident), (20, 14 + 15, 24 * page));
    }

    #[test]
    fn a_process_that_is_not_the_templates_child_is_refused() {
        assert!(verified(1, rustix::process::getpid()).is_err());
        assert!(verified(-1, rustix::process::getpid()).is_err());
        assert!(verified(rustix::process::getpid().as_raw_pid(), rustix::process::getpid()).is_err());
    }
}
