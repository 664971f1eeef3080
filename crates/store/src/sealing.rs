//! Texts that lie in the database sealed: the configurations of plugins, which often hold passwords.
//!
//! The key lies in a file beside the database, so that a copy of the database alone gives nothing away.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::{hmac, rand};
use keyward_model::Secret;
use zeroize::Zeroizing;

use crate::StoreError;

/// Of each of the two keys in the file: the one that seals, and the one that hashes.
const KEY_BYTES: usize = 32;
const FILE: &str = "sealing.key";

pub(crate) struct Sealing {
    seal: RandomizedNonceKey,
    hash: hmac::Key,
    search: Zeroizing<[u8; KEY_BYTES]>,
}

/// What a key is for that is derived from the file.
const SEARCH: &[u8] = b"keyward store 1 search";

impl Sealing {
    /// Reads the key file of a data directory, and makes one where there is none. The caller has the right to open
    /// the directory, so that nobody else makes one meanwhile.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let failed = |doing| {
            let path = path.clone();
            move |source| StoreError::Directory { path, doing, source }
        };
        let bytes = match File::open(&path) {
            Ok(file) => read(file).map_err(failed("its sealing.key cannot be read"))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make(&path).map_err(failed("its sealing.key cannot be made"))?
            }
            Err(error) => return Err(failed("its sealing.key cannot be read")(error)),
        };
        let keys = bytes.split_at_checked(KEY_BYTES).filter(|(_, second)| second.len() == KEY_BYTES);
        let (seal, hash) = keys.ok_or_else(|| {
            let source = io::Error::new(ErrorKind::InvalidData, "it must have 64 bytes");
            failed("its sealing.key is no key: restore it, or remove it and with it what it has sealed")(
                source,
            )
        })?;
        let search = derive(seal, SEARCH)?;
        let seal = RandomizedNonceKey::new(&AES_256_GCM, seal).map_err(|_| StoreError::Sealing)?;
        Ok(Self { seal, hash: hmac::Key::new(hmac::HMAC_SHA256, hash), search })
    }

    /// `about` says what the text is; it must be the same when it is opened.
    pub(crate) fn seal(&self, text: &Secret, about: &str) -> Result<Vec<u8>, StoreError> {
        let mut bytes = text.expose().as_bytes().to_vec();
        let nonce = self.seal.seal_in_place_append_tag(Aad::from(about), &mut bytes);
        let mut sealed = nonce.map_err(|_| StoreError::Sealing)?.as_ref().to_vec();
        sealed.append(&mut bytes);
        Ok(sealed)
    }

    /// # Errors
    /// [`StoreError::Sealing`] for what this key has not sealed, or as something else.
    pub(crate) fn unseal(&self, sealed: &[u8], about: &str) -> Result<Secret, StoreError> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(StoreError::Sealing)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| StoreError::Sealing)?;
        let mut bytes = Zeroizing::new(text.to_vec());
        let opened = self.seal.open_in_place(nonce, Aad::from(about), &mut bytes);
        let opened = opened.map_err(|_| StoreError::Sealing)?;
        let text = std::str::from_utf8(opened).map_err(|_| StoreError::Sealing)?;
        Ok(Secret::new(text.to_owned()))
    }

    /// The key of what recordings are searched by.
    pub(crate) fn search_key(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.search.clone()
    }

    /// Tells a text from others without giving it away to whoever has not the key.
    pub(crate) fn hash(&self, text: &Secret) -> String {
        let tag = hmac::sign(&self.hash, text.expose().as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Whoever has what comes out of it learns nothing of `key`, or of what comes out for another use.
fn derive(key: &[u8], usage: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, StoreError> {
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    let usage = [usage];
    let okm = Salt::new(HKDF_SHA256, b"").extract(key);
    let okm = okm.expand(&usage, Length).map_err(|_| StoreError::Sealing)?;
    okm.fill(&mut *derived).map_err(|_| StoreError::Sealing)?;
    Ok(derived)
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

fn read(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + 1));
    file.take(2 * KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The file appears as a whole: a crash leaves none, or one that can be used.
fn make(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; 2 * KEY_BYTES]);
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system's random generator failed"))?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    Ok(bytes)
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_search_is_the_same_each_time_and_none_of_those_in_the_file() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = Sealing::open(dir.path()).unwrap().search_key();
        assert_eq!(*key, *Sealing::open(dir.path()).unwrap().search_key());
        assert_ne!(*key, *Sealing::open(other.path()).unwrap().search_key());
        let file = std::fs::read(dir.path().join(FILE)).unwrap();
        assert!(!file.windows(8).any(|bytes| bytes == &key[..8]));
    }

    #[test]
    fn what_is_sealed_is_opened_with_the_same_key_as_the_same_thing_only() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text = Secret::new("password=sesame".into());
        let sealed = Sealing::open(dir.path()).unwrap().seal(&text, "otp").unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"sesame"));

        // The key is that of the file.
        let sealing = Sealing::open(dir.path()).unwrap();
        assert_eq!(sealing.unseal(&sealed, "otp").unwrap().expose(), "password=sesame");
        assert!(sealing.unseal(&sealed, "vault").is_err());
        assert!(sealing.unseal(&sealed[..5], "otp").is_err());
        let stranger = Sealing::open(other.path()).unwrap();
        assert!(stranger.unseal(&sealed, "otp").is_err());
        assert_eq!(sealing.hash(&text), sealing.hash(&text));
        assert_ne!(sealing.hash(&text), stranger.hash(&text));
    }

    #[test]
    fn a_key_file_that_is_cut_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), [7; 40]).unwrap();
        let error = Sealing::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("sealing.key is no key"), "{error}");
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), [7; 40]);
    }
}
