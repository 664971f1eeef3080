//! `sealing.key` of a data directory: where the master key is that nobody has named.
//!
//! Before schema 13 its two keys sealed and hashed by themselves.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::StoreError;
use crate::master_key::{KEY_BYTES, Key, MasterKey, derive};
use crate::sealing;

const FILE: &str = "sealing.key";

/// What keys are for that are derived from the first one in the file.
const SEARCH: &[u8] = b"keyward store 1 search";
const MASTER: &[u8] = b"keyward store 2 master";

/// The keys in the file.
pub(crate) struct KeyFile {
    seal: Key,
    hash: Key,
}

impl KeyFile {
    pub(crate) fn path(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// `None`: there is none.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = Self::path(directory);
        match File::open(&path) {
            Ok(file) => {
                let bytes = read(file).map_err(failed(&path, "its sealing.key cannot be read"))?;
                Self::of(&bytes).map(Some).ok_or_else(|| {
                    let source = io::Error::new(ErrorKind::InvalidData, "it must have 64 bytes");
                    failed(&path, "its sealing.key is no key: restore it")(source)
                })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, "its sealing.key cannot be read")(error)),
        }
    }

    /// Makes one where there is none. The caller has the right to open the directory, so that nobody else makes one
    /// meanwhile.
    pub(crate) fn read_or_make(directory: &Path) -> Result<Self, StoreError> {
        if let Some(found) = Self::read(directory)? {
            return Ok(found);
        }
        let path = Self::path(directory);
        let bytes = make(directory, &path).map_err(failed(&path, "its sealing.key cannot be made"))?;
        Self::of(&bytes).ok_or(StoreError::Sealing)
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let (seal, hash) = bytes.split_at_checked(KEY_BYTES)?;
        let key = |bytes: &[u8]| bytes.try_into().ok().map(Zeroizing::new);
        Some(Self { seal: key(seal)?, hash: key(hash)? })
    }

    pub(crate) fn master(&self) -> Result<MasterKey, StoreError> {
        let derived = derive(&*self.seal, MASTER)?;
        MasterKey::of_bytes(&*derived).ok_or(StoreError::Sealing)
    }

    /// What texts were hashed with before schema 13.
    pub(crate) fn hash(&self) -> &Key {
        &self.hash
    }

    /// What recordings were searched with before schema 13.
    pub(crate) fn search(&self) -> Result<Key, StoreError> {
        derive(&*self.seal, SEARCH)
    }

    /// What was sealed before schema 13.
    pub(crate) fn open(&self, sealed: &[u8], about: &str) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*self.seal).map_err(|_| StoreError::Sealing)?;
        sealing::open(&key, sealed, about.as_bytes())
    }
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Directory { path, doing, source }
}

fn read(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + 1));
    file.take(2 * KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The file appears as a whole: a crash leaves none, or one that can be used. It is on the disk before anything is sealed.
fn make(directory: &Path, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; 2 * KEY_BYTES]);
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system's random generator failed"))?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(directory)?.sync_all()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_that_is_cut_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), [7; 40]).unwrap();
        let error = KeyFile::read_or_make(dir.path()).err().unwrap().to_string();
        assert!(error.contains("sealing.key is no key"), "{error}");
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), [7; 40]);
    }

    #[test]
    fn the_keys_of_a_directory_are_the_same_each_time_and_none_of_those_in_the_file() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(KeyFile::read(dir.path()).unwrap().is_none());
        let keys = |dir: &Path| {
            let file = KeyFile::read_or_make(dir).unwrap();
            (file.master().unwrap().wrapping().unwrap(), file.search().unwrap())
        };
        let (master, search) = keys(dir.path());
        assert_eq!((&master, &search), (&keys(dir.path()).0, &keys(dir.path()).1));
        assert_ne!(master, keys(other.path()).0);
        assert_ne!(search, keys(other.path()).1);
        let file = std::fs::read(dir.path().join(FILE)).unwrap();
        assert!(!file.windows(8).any(|bytes| bytes == &master[..8] || bytes == &search[..8]));
    }
}
