//! How a file of the index is written: a head, then chunks of which each is encrypted for its place.

use std::fs::File;
use std::io::{self, Write};

use aws_lc_rs::rand;
use tantivy::directory::{AntiCallToken, TerminatingWrite};

use crate::key::{Cipher, ID_LEN, Place, Position, TAG_LEN};
use crate::{FileError, IndexKey};

pub(crate) const MAGIC: &[u8; 8] = b"KWSEARC1";
/// Plain bytes of each chunk but the last. What is read is read in chunks: longer ones cost more for a few bytes.
pub(crate) const CHUNK: usize = 16 * 1024;

/// Encrypts what is written to it. Only what [`finish`](Self::finish) has ended can be read.
pub(crate) struct FileWriter {
    file: File,
    name: String,
    cipher: Cipher,
    /// Plain: the chunk that is not full, or not known to be not the last.
    buffer: Vec<u8>,
    chunk: u64,
}

impl FileWriter {
    /// `file`: an empty one, to write to.
    pub(crate) fn new(mut file: File, name: &str, key: &IndexKey) -> io::Result<Self> {
        let failed = || FileError::Encryption { name: name.to_owned() };
        let mut id = [0; ID_LEN];
        rand::fill(&mut id).map_err(|_| failed())?;
        let cipher = key.cipher(&id).map_err(|_| failed())?;
        file.write_all(&[MAGIC.as_slice(), &id, &cipher.commitment].concat())?;
        let buffer = Vec::with_capacity(CHUNK + TAG_LEN);
        Ok(Self { file, name: name.to_owned(), cipher, buffer, chunk: 0 })
    }

    /// Writes the last chunk, and returns when all is on the disk.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.put(Position::Last)?;
        self.file.sync_all()
    }

    fn put(&mut self, position: Position) -> io::Result<()> {
        let place = Place { name: &self.name, chunk: self.chunk, position };
        let sealed = self.cipher.seal(place, &mut self.buffer);
        sealed.map_err(|_| FileError::Encryption { name: self.name.clone() })?;
        // Even if it is not written: the number is used.
        self.chunk += 1;
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == CHUNK && !bytes.is_empty() {
            self.put(Position::Inner)?;
        }
        let room = CHUNK.saturating_sub(self.buffer.len());
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        self.buffer.extend_from_slice(now);
        Ok(now.len())
    }

    /// What is not a whole chunk waits: no chunk can be written twice.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for FileWriter {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.finish()
    }
}
