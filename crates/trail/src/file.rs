//! The file of a trail that is being written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, OFlags, fcntl_getfl, fcntl_setfl, flock};

/// A new file that leaves the page cache as it found it.
///
/// A recording is written once and read rarely. The gigabytes of a bulk transfer would push everything else out of
/// memory, and filling fresh pages takes three times the processor time of handing the bytes to the disk. So what
/// comes fast is staged, and goes past the page cache in long aligned writes (`O_DIRECT` of open(2)); what comes slowly
/// goes through it at once. A [`flush`](Write::flush) leaves nothing staged.
#[derive(Debug)]
pub struct TrailFile {
    file: Arc<File>,
    /// Bytes that the operating system has.
    written: u64,
    staged: Staged,
    way: Way,
}

/// Whether some process of this machine has the file of a trail open to write it (flock(2)); also where nobody can tell.
///
/// # Errors
/// The file cannot be opened.
pub fn is_being_written(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    Ok(flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

/// How the file is written at the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Cached,
    Direct,
    /// The file system, or its disk, takes nothing directly.
    OnlyCached,
}

/// Bytes of a direct write: with less, what each of them costs begins to show.
const STRETCH: usize = 1024 * 1024;
/// Offsets, lengths and addresses of direct writes are multiples of a page, which satisfies any common disk.
const PAGE: usize = 4096;
/// Blocks of this length come when much is recorded, and are staged.
const LONG: usize = 16 * 1024;
/// The longest piece that is staged at once: a block of the longest data, with all that is around it.
const PIECE: usize = 260 * 1024;

/// Where a trail is written to.
pub trait Output: Write {
    /// Memory in which the next bytes may be made, which saves copying them. Nothing else is written before
    /// [`take_back`](Self::take_back).
    fn lend(&mut self, _length: usize) -> Option<Lent> {
        None
    }

    /// Writes what was made there.
    ///
    /// # Errors
    /// As those of a write; also for memory that is not this output's.
    fn take_back(&mut self, _lent: Lent) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Output for Vec<u8> {}

impl Output for io::Sink {}

impl Output for File {}

impl TrailFile {
    /// Creates the file, for its owner only (mode 0600).
    ///
    /// # Errors
    /// Also when the file exists: a recording is never written over.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        // For `is_being_written`. It is free again when the process dies; a file system without locks is no reason not to record.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Self { file: Arc::new(file), written: 0, staged: Staged::default(), way: Way::Cached })
    }

    /// The file, for whoever waits elsewhere until the disk has what was flushed (fdatasync(2)).
    pub fn handle(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Waits until the disk has everything that was flushed.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Writes what is staged as far as its last whole page: pages directly, what is before them through the cache.
    fn unstage_pages(&mut self) -> io::Result<()> {
        let mut staged = std::mem::take(&mut self.staged);
        let bytes = staged.bytes();
        let (head, rest) = bytes.split_at(to_next_page(self.written).min(bytes.len()));
        let (pages, tail) = rest.split_at(rest.len() / PAGE * PAGE);
        self.write_cached(head)?;
        self.write_direct(pages)?;
        staged.keep_last(tail.len(), self.written);
        self.staged = staged;
        Ok(())
    }

    /// Takes what was made in the room behind what is staged.
    fn take(&mut self, length: usize) -> io::Result<()> {
        self.staged.end += length;
        if self.staged.bytes().len() < STRETCH { Ok(()) } else { self.unstage_pages() }
    }

    fn write_cached(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.turn(Way::Cached)?;
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn write_direct(&mut self, pages: &[u8]) -> io::Result<()> {
        if pages.is_empty() {
            return Ok(());
        }
        self.turn(Way::Direct)?;
        let direct = match self.file.write(pages) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.way == Way::Direct => {
                self.turn(Way::Cached)?;
                self.way = Way::OnlyCached;
                0
            }
            Err(error) => return Err(error),
        };
        self.written += direct as u64;
        // What was not taken may begin anywhere. If the disk is full, this says so.
        self.write_cached(pages.get(direct..).unwrap_or_default())
    }

    fn turn(&mut self, way: Way) -> io::Result<()> {
        if self.way == Way::OnlyCached || self.way == way {
            return Ok(());
        }
        let mut flags = fcntl_getfl(&self.file)?;
        flags.set(OFlags::DIRECT, way == Way::Direct);
        match fcntl_setfl(&self.file, flags) {
            Ok(()) => self.way = way,
            Err(_) if way == Way::Direct => self.way = Way::OnlyCached,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Write for TrailFile {
    /// Takes all of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.staged.is_empty() && bytes.len() < LONG {
            self.write_cached(bytes)?;
            return Ok(bytes.len());
        }
        for piece in bytes.chunks(PIECE) {
            self.staged.prepare(self.written);
            self.staged.room(piece.len()).copy_from_slice(piece);
            self.take(piece.len())?;
        }
        Ok(bytes.len())
    }

    /// Hands everything to the operating system, and frees the memory.
    fn flush(&mut self) -> io::Result<()> {
        self.unstage_pages()?;
        let staged = std::mem::take(&mut self.staged);
        self.write_cached(staged.bytes())?;
        self.file.flush()
    }
}

impl Output for TrailFile {
    fn lend(&mut self, length: usize) -> Option<Lent> {
        if !(LONG..=PIECE).contains(&length) {
            return None;
        }
        let mut staged = std::mem::take(&mut self.staged);
        staged.prepare(self.written);
        Some(Lent { staged, length })
    }

    fn take_back(&mut self, lent: Lent) -> io::Result<()> {
        self.staged = lent.staged;
        self.take(lent.length)
    }
}

fn to_next_page(offset: u64) -> usize {
    let page = PAGE as u64;
    (offset.next_multiple_of(page) - offset) as usize
}

/// Bytes that wait to be written, as far from a page's beginning in memory as they will be in the file.
#[derive(Default)]
struct Staged {
    /// None, or all that will be needed: of what is not used, the system keeps none.
    memory: Box<[u8]>,
    /// Where they begin, and end.
    start: usize,
    end: usize,
}

/// Memory of an output for its next bytes.
#[derive(Debug)]
pub struct Lent {
    staged: Staged,
    length: usize,
}

impl Staged {
    fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.end).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// `offset`: where in the file the first of all bytes will be.
    fn prepare(&mut self, offset: u64) {
        if self.memory.is_empty() {
            self.memory = vec![0; STRETCH + PIECE + 3 * PAGE].into();
        }
        if self.is_empty() {
            self.begin(offset);
        }
    }

    /// Room for more, which holds anything.
    fn room(&mut self, length: usize) -> &mut [u8] {
        self.memory.get_mut(self.end..).and_then(|rest| rest.get_mut(..length)).unwrap_or_default()
    }

    fn begin(&mut self, offset: u64) {
        let first_page = self.memory.as_ptr().align_offset(PAGE);
        self.start = first_page + PAGE - to_next_page(offset);
        self.end = self.start;
    }

    /// Forgets all but the last ones, of which the first will be at `offset` in the file.
    fn keep_last(&mut self, count: usize, offset: u64) {
        if count == 0 {
            (self.start, self.end) = (0, 0);
            return;
        }
        let kept = self.end.saturating_sub(count)..self.end;
        self.begin(offset);
        self.memory.copy_within(kept, self.start);
        self.end = self.start + count;
    }
}

impl Lent {
    /// It holds anything.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.staged.room(self.length)
    }
}

/// No bytes: they are what people type.
impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged").field("bytes", &self.bytes().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Not in a temporary folder of the system, which may be in memory.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
    }

    fn noise(length: usize, seed: usize) -> Vec<u8> {
        (0..length).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 7) as u8).collect()
    }

    #[test]
    fn the_file_holds_what_was_written_whatever_the_lengths_and_the_flushes() {
        let folder = folder();
        let path = folder.path().join("trail");
        let mut file = TrailFile::create(&path).unwrap();
        let mut whole = Vec::new();
        for round in 0..60 {
            let lengths = [1, LONG, PAGE, 70_001, LONG - 1, 3 * STRETCH + 17, 100];
            let piece = noise(lengths[round % lengths.len()], round);
            file.write_all(&piece).unwrap();
            whole.extend_from_slice(&piece);
            if round % 5 == 4 {
                file.flush().unwrap();
                assert_eq!(file.staged.memory.len(), 0);
                assert!(fs::read(&path).unwrap() == whole, "after round {round}");
            }
        }
        file.flush().unwrap();
        file.sync().unwrap();
        assert!(fs::read(&path).unwrap() == whole);
        assert_eq!(file.written, whole.len() as u64);
    }

    #[test]
    fn what_comes_fast_goes_past_the_cache() {
        let folder = folder();
        let mut file = TrailFile::create(&folder.path().join("trail")).unwrap();
        file.write_all(b"short").unwrap();
        assert_eq!((file.way, file.written), (Way::Cached, 5));
        file.write_all(&noise(LONG, 1)).unwrap();
        assert_eq!(file.written, 5);
        file.write_all(&noise(STRETCH, 2)).unwrap();
        assert_eq!(file.way, Way::Direct);
        assert_eq!(file.written % PAGE as u64, 0);
    }

    #[test]
    fn what_is_made_in_lent_memory_is_written_in_its_place() {
        let folder = folder();
        let path = folder.path().join("trail");
        let mut file = TrailFile::create(&path).unwrap();
        assert!(file.lend(LONG - 1).is_none() && file.lend(PIECE + 1).is_none());
        let mut whole = Vec::new();
        for round in 0..60 {
            let piece = noise([LONG, PIECE, 70_001, 3 * LONG][round % 4], round);
            let mut lent = file.lend(piece.len()).unwrap();
            lent.room().copy_from_slice(&piece);
            file.take_back(lent).unwrap();
            whole.extend_from_slice(&piece);
            if round % 7 == 3 {
                file.write_all(b"short").unwrap();
                whole.extend_from_slice(b"short");
            }
            if round % 25 == 24 {
                file.flush().unwrap();
                assert!(fs::read(&path).unwrap() == whole, "after round {round}");
            }
        }
        file.flush().unwrap();
        assert!(fs::read(&path).unwrap() == whole);
    }

    #[test]
    fn where_nothing_is_taken_directly_all_goes_through_the_cache() {
        let folder = folder();
        let path = folder.path().join("trail");
        let mut file = TrailFile::create(&path).unwrap();
        file.way = Way::OnlyCached;
        let piece = noise(2 * STRETCH + 5, 3);
        file.write_all(&piece).unwrap();
        file.flush().unwrap();
        assert!(fs::read(&path).unwrap() == piece);
        assert_eq!(file.way, Way::OnlyCached);
    }

    #[test]
    fn the_file_is_its_owners_and_no_file_is_written_over() {
        let folder = folder();
        let path = folder.path().join("trail");
        TrailFile::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(TrailFile::create(&path).is_err());
    }
}
