//! How much a plugin instance keeps in its directories.
//!
//! No file system can be relied on to have quotas for folders, so they are measured: while calls run, and after each.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The directories of an instance. A clone is the same ones.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folders: Vec<PathBuf>,
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    measuring: bool,
    /// Not before.
    next: Option<Instant>,
    bytes: u64,
    full: Option<String>,
}

/// More files and folders than these are as bad as too many bytes.
const MAX_ENTRIES: usize = 100_000;
const PAUSE: Duration = Duration::from_millis(200);
/// A measurement may take this share of the time, as long as that leaves no longer pause than the longest.
const SHARE: u32 = 20;
/// One that was held up itself does not put off the next for long.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const MIB: u64 = 1 << 20;

impl Disk {
    /// `limit` in bytes, for all folders together.
    pub(in crate::runtime) fn new(folders: Vec<PathBuf>, limit: u64) -> Self {
        Self(Arc::new(Inner { folders, limit, state: Mutex::default() }))
    }

    /// Why nothing more may be written, as far as has been measured.
    pub(in crate::runtime) fn full(&self) -> Option<String> {
        self.0.lock().full.clone()
    }

    /// The same, with bytes of files that have no name.
    pub(super) fn with_hidden(&self, hidden: u64) -> Option<String> {
        let held = self.0.lock().bytes + hidden;
        (held > self.0.limit).then(|| self.0.too_much(held))
    }

    /// Measures on a thread of its own, unless that is under way or was done just now. Whether it has begun.
    pub(in crate::runtime) fn measure_soon(&self) -> bool {
        {
            let mut state = self.0.lock();
            if state.measuring || state.next.is_some_and(|next| Instant::now() < next) {
                return false;
            }
            state.measuring = true;
        }
        let inner = Arc::clone(&self.0);
        // Nobody waits for it: its result is looked at when it is there.
        drop(tokio::task::spawn_blocking(move || inner.measure()));
        true
    }
}

impl Inner {
    fn measure(&self) {
        let begin = Instant::now();
        let measured = measure(&self.folders);
        let mut state = self.lock();
        match measured {
            Ok(bytes) => {
                state.bytes = bytes;
                state.full = (bytes > self.limit).then(|| self.too_much(bytes));
            }
            // What cannot be measured may be anything.
            Err(why) => state.full = Some(why),
        }
        state.measuring = false;
        state.next = Some(Instant::now() + (begin.elapsed() * SHARE).clamp(PAUSE, LONGEST_PAUSE));
    }

    fn too_much(&self, held: u64) -> String {
        let (held, limit) = (held / MIB, self.limit / MIB);
        format!("{} hold {held} MiB, and {limit} are allowed: remove what is not needed", self.named())
    }

    fn named(&self) -> String {
        self.folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Each field is whole by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn measure(folders: &[PathBuf]) -> Result<u64, String> {
    let mut pending = folders.to_vec();
    let (mut bytes, mut entries) = (0, 0);
    while let Some(folder) = pending.pop() {
        let list = match fs::read_dir(&folder) {
            Ok(list) => list,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unmeasured(&folder, &error)),
        };
        for entry in list.flatten() {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(format!("{} holds more than {MAX_ENTRIES} files and folders", folder.display()));
            }
            match fs::symlink_metadata(entry.path()) {
                Ok(meta) => {
                    bytes += meta.blocks() * 512;
                    if meta.is_dir() {
                        pending.push(entry.path());
                    }
                }
                // Gone meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unmeasured(&entry.path(), &error)),
            }
        }
    }
    Ok(bytes)
}

fn unmeasured(path: &Path, error: &io::Error) -> String {
    // A path may be as long as the plugin likes.
    let path: String = path.display().to_string().chars().take(300).collect();
    format!("it cannot be measured what {path} holds: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_folders_is_counted_and_what_they_link_to_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        fs::create_dir_all(own.join("a/b")).unwrap();
        fs::create_dir(&other).unwrap();
        for folder in [own.join("a/b"), other.clone()] {
            fs::write(folder.join("file"), vec![1; 1 << 20]).unwrap();
        }
        std::os::unix::fs::symlink(&other, own.join("link")).unwrap();
        let bytes = measure(&[own.clone(), dir.path().join("missing")]).unwrap();
        assert!((MIB..2 * MIB).contains(&bytes), "{bytes}");
        let disk = Disk::new(vec![own], MIB / 2);
        assert_eq!(disk.full(), None);
        disk.0.measure();
        assert!(disk.full().unwrap().contains("remove what is not needed"));
        fs::remove_dir_all(dir.path().join("own/a")).unwrap();
        disk.0.measure();
        assert_eq!(disk.full(), None);
        assert!(disk.with_hidden(MIB).is_some());
    }

    #[test]
    fn a_folder_too_deep_to_be_measured_counts_as_full() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(255);
        let mut folder =
            rustix::fs::open(dir.path(), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        for _ in 0..20 {
            rustix::fs::mkdirat(&folder, &long, rustix::fs::Mode::RWXU).unwrap();
            folder = rustix::fs::openat(&folder, &long, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty())
                .unwrap();
        }
        let error = measure(&[dir.path().to_owned()]).unwrap_err();
        assert!(error.contains("cannot be measured") && error.len() < 500, "{error}");
    }
}
