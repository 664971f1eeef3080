//! A recording reaches the disk while it is made: a power cut loses little more of it than a crash.

use std::fs::File;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyward_trail::TrailError;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};

/// How many recordings wait for their disk at one time. More would take the threads of those that write.
static PLACES: Semaphore = Semaphore::const_new(16);

/// What the disk is asked to take of one recording.
#[derive(Debug)]
pub(crate) struct Syncing {
    /// At most one is on its way. It ends by itself, also when nobody waits.
    running: Option<JoinHandle<io::Result<()>>>,
    /// The folder of a new file, whose name in it is still to reach the disk.
    folder: Option<PathBuf>,
}

impl Syncing {
    /// Of a file at `path` that was just made.
    pub(crate) fn new(path: &Path) -> Self {
        Self { running: None, folder: path.parent().map(Path::to_owned) }
    }

    /// Asks the disk to take what was flushed, once it has taken what it was asked before: a recording does not run
    /// away from a slow disk.
    ///
    /// # Errors
    /// Those of what was asked before.
    pub(crate) async fn begin(&mut self, file: Arc<File>) -> io::Result<()> {
        self.settle().await?;
        let folder = self.folder.take();
        self.running = Some(tokio::spawn(async move {
            let _place = PLACES.acquire().await;
            let work = move || {
                file.sync_data()?;
                folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all())
            };
            spawn_blocking(work).await.map_err(io::Error::other)?
        }));
        Ok(())
    }

    /// Waits for what the disk was asked to take. Cancel-safe.
    ///
    /// # Errors
    /// When the disk has not taken it. It says so once.
    pub(crate) async fn settle(&mut self) -> io::Result<()> {
        if self.running.is_some() { self.done().await } else { Ok(()) }
    }

    /// The same; resolves never where nothing was asked.
    pub(crate) async fn done(&mut self) -> io::Result<()> {
        let Some(running) = &mut self.running else { return pending().await };
        let result = running.await;
        self.running = None;
        result.map_err(io::Error::other)?
    }
}

/// Disk and compression do not run on the threads that relay.
pub(crate) async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TrailError> + Send + 'static,
) -> Result<T, TrailError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(TrailError::Write(io::Error::other(error))),
    }
}
