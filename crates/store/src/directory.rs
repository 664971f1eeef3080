//! The data directory: who may read it, and who is at work in it.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Store, StoreError};

/// How long one process waits while another one opens the same directory.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// A directory that others cannot write to. They may pass it where plugins have users of their own, so what is secret
/// in it is closed to them by itself.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

/// The process that holds the gateway's lock, as the lock file tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holder {
    Process(u32),
    /// The lock file does not say. The holder may be just about to write it.
    Unknown,
}

/// Whether the gateway's lock could be had.
pub(crate) enum Claim {
    Ours(File),
    Theirs(Holder),
}

impl Directory {
    /// Makes the directory (mode 0700) where there is none, and closes recordings that are there to others.
    pub(crate) fn prepare(path: &Path) -> Result<Self, StoreError> {
        let directory = Self(path.to_owned());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(directory.failed("it cannot be made"))?;
        let mode = mode(path).map_err(directory.failed("its mode cannot be read"))?;
        // Who can write here can put another database in place of ours.
        if mode & 0o022 != 0 {
            return Err(StoreError::Exposed { path: path.to_owned(), mode });
        }
        directory.close_trails().map_err(directory.failed("its trails cannot be closed to others"))?;
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join(Store::DATABASE)
    }

    /// A group that the administrator has let in keeps its rights.
    fn close_trails(&self) -> io::Result<()> {
        let path = self.0.join("trails");
        match mode(&path) {
            Ok(mode) if mode & 0o007 != 0 => {
                std::fs::set_permissions(&path, Permissions::from_mode(mode & !0o007))
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Makes the database file (mode 0600), or takes others' rights from the one that is there.
    ///
    /// An existing file is never opened here: closing it would drop the locks that SQLite has on it in this process.
    pub(crate) fn prepare_database(&self) -> Result<(), StoreError> {
        let path = self.database();
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match made {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => close_to_others(&path),
            Err(error) => Err(error),
        }
        // SQLite gives new ones the mode of the database.
        .and_then(|()| close_if_there(&self.0.join("keyward.db-wal")))
        .and_then(|()| close_if_there(&self.0.join("keyward.db-shm")))
        .map_err(self.failed("the database file cannot be made"))
    }

    /// Waits until no other process is opening this directory. The claim ends when the file is dropped.
    pub(crate) async fn begin_opening(&self) -> Result<File, StoreError> {
        let file = self.lock_file("opening.lock")?;
        let start = Instant::now();
        while !try_lock(&file).map_err(self.failed("its opening.lock cannot be locked"))? {
            if start.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(StoreError::OpenedElsewhere { path: self.0.clone(), seconds });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(file)
    }

    /// Takes the gateway's lock and writes this process's id into it. The lock ends with the file or the process.
    pub(crate) fn claim(&self) -> Result<Claim, StoreError> {
        let failed = || self.failed("its gateway.lock cannot be locked");
        let file = self.lock_file("gateway.lock")?;
        if !try_lock(&file).map_err(failed())? {
            return Ok(Claim::Theirs(Holder::read(&file)));
        }
        file.set_len(0).map_err(failed())?;
        writeln!(&file, "{}", std::process::id()).map_err(failed())?;
        Ok(Claim::Ours(file))
    }

    fn lock_file(&self, name: &str) -> Result<File, StoreError> {
        let path = self.0.join(name);
        let mut options = OpenOptions::new();
        let opened =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).and_then(
                // Whoever can read it can lock it.
                |file| close_to_others(&path).map(|()| file),
            );
        opened.map_err(self.failed("a lock file cannot be made"))
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
        let path = self.0.clone();
        move |source| StoreError::Directory { path, doing, source }
    }
}

impl Holder {
    fn read(file: &File) -> Self {
        let mut text = String::new();
        match file.take(16).read_to_string(&mut text) {
            Ok(_) => text.trim().parse().map_or(Self::Unknown, Self::Process),
            Err(_) => Self::Unknown,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(id) => write!(f, "process {id}"),
            Self::Unknown => f.write_str("a process that has not said its id"),
        }
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn mode(path: &Path) -> io::Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

fn close_to_others(path: &Path) -> io::Result<()> {
    if mode(path)? & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "file could be read by others; its mode is now 0600");
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
}

fn close_if_there(path: &Path) -> io::Result<()> {
    match close_to_others(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        closed => closed,
    }
}
