//! How a file of the index is read: any range of it, by decrypting the chunks that it lies in.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use tantivy::HasLen;
use tantivy::directory::{FileHandle, OwnedBytes};
use zeroize::Zeroizing;

use crate::file_writer::{CHUNK, MAGIC};
use crate::key::{COMMITMENT_LEN, Cipher, ID_LEN, Place, Position, TAG_LEN};
use crate::{FileError, IndexKey};

const HEAD: usize = MAGIC.len() + ID_LEN + COMMITMENT_LEN;
const SEALED: usize = CHUNK + TAG_LEN;

/// A file that was written whole, with its own key, under this name. It stays readable when it is deleted meanwhile.
#[derive(Debug)]
pub(crate) struct FileReader {
    file: File,
    name: String,
    cipher: Cipher,
    /// Plain bytes of the file.
    length: usize,
    last_chunk: u64,
    /// The chunk that was read last: what is read next often lies in it too.
    kept: Mutex<Kept>,
}

/// Plain.
struct Kept {
    chunk: u64,
    bytes: Zeroizing<Vec<u8>>,
}

impl FileReader {
    /// Reads the last chunk: so a file that was cut, or is another, is not opened at all.
    pub(crate) fn open(file: File, name: &str, key: &IndexKey) -> io::Result<Self> {
        let not_ours = || FileError::NotOurs { name: name.to_owned() };
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0).map_err(|error| ended(error, not_ours()))?;
        let rest = head.strip_prefix(MAGIC).ok_or_else(not_ours)?;
        let (id, commitment) = rest.split_first_chunk::<ID_LEN>().ok_or_else(not_ours)?;
        let cipher = key.cipher(id).map_err(|_| FileError::Encryption { name: name.to_owned() })?;
        if cipher.commitment != commitment {
            return Err(FileError::WrongKey { name: name.to_owned() }.into());
        }
        let (length, last_chunk) = lengths(file.metadata()?.len())
            .ok_or_else(|| FileError::Changed { name: name.to_owned(), chunk: 0 })?;
        let kept = Mutex::new(Kept { chunk: last_chunk, bytes: Zeroizing::default() });
        let reader = Self { file, name: name.to_owned(), cipher, length, last_chunk, kept };
        let bytes = reader.decrypt(last_chunk)?;
        *reader.kept() = Kept { chunk: last_chunk, bytes };
        Ok(reader)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A chunk is put there whole: nobody leaves half of one.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decrypt(&self, chunk: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        let changed = || FileError::Changed { name: self.name.clone(), chunk };
        let before = (chunk as usize).checked_mul(CHUNK).ok_or_else(changed)?;
        let plain = self.length.checked_sub(before).ok_or_else(changed)?.min(CHUNK);
        let mut bytes = Zeroizing::new(vec![0; plain + TAG_LEN]);
        let place = HEAD as u64 + chunk * SEALED as u64;
        self.file.read_exact_at(&mut bytes, place).map_err(|error| ended(error, changed()))?;
        let position = if chunk == self.last_chunk { Position::Last } else { Position::Inner };
        let place = Place { name: &self.name, chunk, position };
        let length = self.cipher.open(place, &mut bytes).map_err(|_| changed())?.len();
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Adds what lies in `chunk` of `range`, which is of the file.
    fn add(&self, chunk: u64, range: &Range<usize>, to: &mut Vec<u8>) -> io::Result<()> {
        let mut kept = self.kept();
        if kept.chunk != chunk {
            *kept = Kept { chunk, bytes: self.decrypt(chunk)? };
        }
        let before = chunk as usize * CHUNK;
        let start = range.start.saturating_sub(before);
        let end = range.end.saturating_sub(before).min(kept.bytes.len());
        let found = kept.bytes.get(start..end);
        to.extend_from_slice(found.ok_or_else(|| FileError::Changed { name: self.name.clone(), chunk })?);
        Ok(())
    }
}

/// Plain bytes and the number of the last chunk of a file of `length` bytes. `None`: it was not written so.
fn lengths(length: u64) -> Option<(usize, u64)> {
    let body = length.checked_sub(HEAD as u64)?;
    let last_chunk = body.checked_sub(1)? / SEALED as u64;
    let last = (body - last_chunk * SEALED as u64).checked_sub(TAG_LEN as u64)?;
    // Only a file without anything ends with a chunk without anything.
    let is_whole = last > 0 || last_chunk == 0;
    let plain = last_chunk * CHUNK as u64 + last;
    is_whole.then_some((usize::try_from(plain).ok()?, last_chunk))
}

/// A file that ends too early was cut; anything else is the disk's.
fn ended(error: io::Error, cut: FileError) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { cut.into() } else { error }
}

impl HasLen for FileReader {
    fn len(&self) -> usize {
        self.length
    }
}

impl FileHandle for FileReader {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let Range { start, end } = range;
        if start > end || end > self.length {
            let (name, length) = (self.name.clone(), self.length);
            return Err(FileError::Range { name, length, start, end }.into());
        }
        let mut bytes = Vec::with_capacity(end - start);
        if start < end {
            for chunk in start / CHUNK..=(end - 1) / CHUNK {
                self.add(chunk as u64, &range, &mut bytes)?;
            }
        }
        Ok(OwnedBytes::new(bytes))
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("chunk", &self.chunk).finish_non_exhaustive()
    }
}
