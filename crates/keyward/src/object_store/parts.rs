//! Pieces of a recording that has no end in the store yet: their names, and how they become one file again.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use keyward_model::UnixMillis;
use keyward_store::{StoredObject, TheFile, TrailPart};

use super::client::LARGEST;
use super::{ObjectStore, StoreFault};

/// The most that one piece has, in bytes: it is in memory while it is sent.
pub(super) const LONGEST: u64 = 8 << 20;

/// How far a fetched recording reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    /// The store has it as a whole.
    Whole,
    /// So many pieces, one behind the other.
    Parts(u32),
}

/// `NAME.partial/000001` and so on: they stand in order, beside the name of the whole.
pub(super) fn part_name(trail: &str, number: u32) -> String {
    format!("{trail}.partial/{number:06}")
}

/// A piece as an object like others.
pub(crate) fn object_of(part: &TrailPart) -> StoredObject {
    StoredObject {
        store: part.store.clone(),
        key: part.key.clone(),
        version: part.version.clone(),
        etag: String::new(),
        length: part.length,
        sha256: part.sha256.clone(),
        stored: part.stored.unwrap_or(UnixMillis(0)),
        file: TheFile::Kept,
    }
}

impl ObjectStore {
    /// Writes the pieces that the ledger knows to `to`, one behind the other; how many. A last one that may never have
    /// arrived is left out where it did not.
    ///
    /// # Errors
    /// Where one that the store has named is not there, or not what was sent.
    pub(crate) fn fetch_parts(&self, parts: &[TrailPart], to: &mut File) -> Result<u32, StoreFault> {
        let mut count = 0;
        for part in parts {
            let begin = to.stream_position().map_err(StoreFault::File)?;
            match self.fetch(&object_of(part), to) {
                Ok(()) => count += 1,
                Err(StoreFault::Gone | StoreFault::NotTheSame(_)) if part.stored.is_none() => {
                    cut(to, begin).map_err(StoreFault::File)?;
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(count)
    }

    /// Writes what the store has of the recording of this name to `to`, without a ledger that knows more: the whole, or
    /// the pieces up to the first number that is not there. Whether that is what was recorded, only its signatures tell.
    ///
    /// # Errors
    /// [`StoreFault::Gone`] where there is neither.
    pub(crate) fn fetch_named(&self, trail: &str, to: &mut File) -> Result<Reach, StoreFault> {
        match self.fetch_unknown(&self.key(trail), LARGEST, to) {
            Err(StoreFault::Gone) => {}
            whole => return whole.map(|_| Reach::Whole),
        }
        for number in 1.. {
            match self.fetch_unknown(&self.key(&part_name(trail, number)), LONGEST, to) {
                Err(StoreFault::Gone) if number > 1 => return Ok(Reach::Parts(number - 1)),
                got => _ = got?,
            }
        }
        Err(StoreFault::Gone)
    }
}

fn cut(file: &mut File, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length)).map(drop)
}
