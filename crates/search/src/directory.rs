//! Where the index library keeps its files: encrypted, in one directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, WatchCallback, WatchCallbackList, WatchHandle, WritePtr,
};

use crate::file_reader::FileReader;
use crate::file_writer::FileWriter;
use crate::{FileError, IndexKey};

/// INVARIANT: the longest file that is read at once; bytes. These list the segments and the files of the index.
const MOST_AT_ONCE: u64 = 16 * 1024 * 1024;
/// How often a lock is tried that somebody holds for a moment only.
const TRIES: u32 = 1000;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The files of an index in a directory of their own, encrypted with one key.
///
/// A crash at any moment leaves the index of the last commit. Several processes may use it: one writes, others read.
#[derive(Clone)]
pub struct EncryptedDirectory {
    path: PathBuf,
    key: Arc<IndexKey>,
}

impl EncryptedDirectory {
    /// Makes the directory where there is none; the one above must be there.
    ///
    /// # Errors
    /// The directory cannot be made. Whether the key opens what is there, the files tell.
    pub fn open(path: PathBuf, key: IndexKey) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self { path, key: Arc::new(key) }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, path: &Path) -> io::Result<FileReader> {
        let name = name(path)?;
        FileReader::open(File::open(self.path.join(name))?, name, &self.key)
    }

    fn read_whole(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.read(path)?;
        let length = file.len() as u64;
        if length > MOST_AT_ONCE {
            let name = name(path)?.to_owned();
            return Err(FileError::TooLong { name, length, most: MOST_AT_ONCE }.into());
        }
        Ok(file.read_bytes(0..file.len())?.to_vec())
    }

    fn write(&self, path: &Path) -> io::Result<FileWriter> {
        let name = name(path)?;
        let file = new_file().create_new(true).open(self.path.join(name))?;
        FileWriter::new(file, name, &self.key)
    }

    fn lock_file(&self, lock: &Lock) -> io::Result<File> {
        new_file().create(true).open(self.path.join(name(&lock.filepath)?))
    }
}

fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// The files of an index lie side by side: nothing else has a name there.
fn name(path: &Path) -> io::Result<&str> {
    let mut parts = path.components();
    let name = match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) => name.to_str(),
        _ => None,
    };
    Ok(name.ok_or_else(|| FileError::Name { name: path.display().to_string() })?)
}

fn unread(error: io::Error, path: &Path) -> OpenReadError {
    match error.kind() {
        ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path.to_owned()),
        _ => OpenReadError::wrap_io_error(error, path.to_owned()),
    }
}

impl Directory for EncryptedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.read(path).map_err(|error| unread(error, path))?))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let deleted = name(path).and_then(|name| fs::remove_file(self.path.join(name)));
        deleted.map_err(|error| match error.kind() {
            ErrorKind::NotFound => DeleteError::FileDoesNotExist(path.to_owned()),
            _ => DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() },
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        let exists = name(path).and_then(|name| self.path.join(name).try_exists());
        exists.map_err(|error| unread(error, path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let writer = self.write(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
            _ => OpenWriteError::wrap_io_error(error, path.to_owned()),
        })?;
        Ok(BufWriter::new(Box::new(writer)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.read_whole(path).map_err(|error| unread(error, path))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let name = name(path)?;
        let new = self.path.join(format!("{name}.new"));
        let file = new_file().create(true).truncate(true).open(&new)?;
        let mut writer = FileWriter::new(file, name, &self.key)?;
        writer.write_all(data)?;
        writer.finish()?;
        fs::rename(&new, self.path.join(name))?;
        self.sync_directory()
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// The lock goes with the process: no crash leaves one behind.
    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        let file = self.lock_file(lock).map_err(LockError::wrap_io_error)?;
        let mut tries = if lock.is_blocking { TRIES } else { 1 };
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(DirectoryLock::from(Box::new(file))),
                Err(fs::TryLockError::Error(error)) => return Err(LockError::wrap_io_error(error)),
                Err(fs::TryLockError::WouldBlock) => {}
            }
            tries -= 1;
            if tries == 0 {
                return Err(LockError::LockBusy);
            }
            thread::sleep(BETWEEN_TRIES);
        }
    }

    /// Nobody waits for changes: who searches reads the index as it is then.
    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchCallbackList::default().subscribe(callback))
    }
}

impl std::fmt::Debug for EncryptedDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncryptedDirectory").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
