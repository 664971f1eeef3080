//! A group of processes for each template (cgroups(7), version 2), so that everything that comes of it can be killed at
//! once, wherever it has gone.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where groups are made: below the gateway's own.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Groups {
    own: PathBuf,
    made: Arc<AtomicU64>,
    /// Killed, and not empty yet when that was tried last.
    ended: Arc<Mutex<Vec<PathBuf>>>,
}

/// The group of one template. Dropping it kills every process in it.
#[derive(Debug)]
pub(in crate::runtime) struct Group {
    path: PathBuf,
    ended: Arc<Mutex<Vec<PathBuf>>>,
}

const PREFIX: &str = "keyward-";

impl Groups {
    /// `None` where there is no cgroup v2, or the gateway may not make groups in its own.
    pub(super) fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let memberships = fs::read_to_string("/proc/self/cgroup").ok()?;
        let groups = Self::at(own_group(&mounts, &memberships)?);
        groups.clear_abandoned();
        // One made for a trial, as a kernel before 5.14 cannot kill it.
        let trial = groups.make().ok()?;
        let works = trial.processes().is_ok() && trial.path.join("cgroup.kill").exists();
        drop(trial);
        works.then_some(groups)
    }

    fn at(own: PathBuf) -> Self {
        Self { own, made: Arc::default(), ended: Arc::default() }
    }

    pub(in crate::runtime) fn make(&self) -> io::Result<Group> {
        self.remove_ended();
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        // Several hosts may live in one process.
        let host = Arc::as_ptr(&self.made).addr();
        let path = self.own.join(format!("{PREFIX}{}-{host:x}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Group { path, ended: Arc::clone(&self.ended) })
    }

    /// Removes the groups whose processes are gone by now. True: none is left.
    fn remove_ended(&self) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|path| is_busy(fs::remove_dir(path)));
        ended.is_empty()
    }

    /// Waits until the killed ones are gone, a second at most.
    pub(in crate::runtime) async fn clear(&self) {
        for _ in 0..100 {
            if self.remove_ended() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A gateway that was killed leaves its groups; one with a process in it cannot be removed.
    fn clear_abandoned(&self) {
        for entry in fs::read_dir(&self.own).into_iter().flatten().flatten() {
            if entry.file_name().to_str().and_then(maker).is_some_and(|pid| !is_running(pid)) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

/// The process that made the group of this name.
fn maker(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

/// A group may be new, and its first process still on its way.
fn is_running(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn is_busy(removed: io::Result<()>) -> bool {
    removed.is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
}

impl Group {
    /// Where a process writes `0` to enter.
    pub(in crate::runtime) fn processes(&self) -> io::Result<OwnedFd> {
        Ok(fs::OpenOptions::new().write(true).open(self.path.join("cgroup.procs"))?.into())
    }

    /// Kills all at once: none can fork away from it.
    fn kill(&self) -> io::Result<()> {
        let kill: File = fs::OpenOptions::new().write(true).open(self.path.join("cgroup.kill"))?;
        rustix::io::write(kill.as_fd(), b"1")?;
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::debug!(group = %self.path.display(), %error, "a group of processes cannot be killed");
        }
        if is_busy(fs::remove_dir(&self.path)) {
            self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(self.path.clone());
        }
    }
}

/// The folder of the gateway's own group, by `/proc/self/mountinfo` and `/proc/self/cgroup` (cgroups(7)).
fn own_group(mounts: &str, memberships: &str) -> Option<PathBuf> {
    let own = memberships.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (place, file_system) = line.split_once(" - ")?;
        if file_system.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(own).strip_prefix(root).ok()?;
        // A group outside of what is mounted shows as `/..`.
        let inside = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        inside.then(|| Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_own_group_is_found_below_its_mount() {
        let group = own_group(MOUNTS, "4:memory:/x\n0::/system.slice/keyward.service\n");
        assert_eq!(group.unwrap(), Path::new("/sys/fs/cgroup/unified/system.slice/keyward.service"));
        assert_eq!(own_group(MOUNTS, "0::/\n").unwrap(), Path::new("/sys/fs/cgroup/unified/"));
    }

    #[test]
    fn the_groups_of_a_gateway_that_is_gone_are_removed_and_those_of_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let running = format!("{PREFIX}{}-1-0", std::process::id());
        for name in [running.as_str(), "keyward-4294967295-1-0", "keyward.service", "other"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Groups::at(dir.path().to_owned()).clear_abandoned();
        let mut left: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [running.as_str(), "keyward.service", "other"]);
    }

    #[test]
    fn a_container_that_sees_a_part_of_the_tree_finds_its_own_in_it() {
        let mounts = "41 31 0:38 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        assert_eq!(own_group(mounts, "0::/docker/ab/c\n").unwrap(), Path::new("/sys/fs/cgroup/c"));
        assert_eq!(own_group(mounts, "0::/../other\n"), None);
        assert_eq!(own_group("", "0::/\n"), None);
        assert_eq!(own_group(MOUNTS, "1:name=systemd:/\n"), None);
    }
}
