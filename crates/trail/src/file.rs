//! The file of a trail that is being written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

/// A new file that leaves the page cache as it found it.
///
/// A recording is written once and read rarely. Without a word about it the gigabytes of a bulk transfer would push
/// everything else out of memory, and each would pay for fresh pages. So every 8 MiB the kernel is told that these
/// pages are not needed: it starts to write out the dirty ones and gives back those that are written.
#[derive(Debug)]
pub struct TrailFile {
    file: File,
    written: u64,
    /// Up to here the kernel has been told.
    told: u64,
}

const STRETCH: u64 = 8 * 1024 * 1024;
/// What is on its way to the disk when the kernel is first told is given back when it is told again.
const TOLD_AGAIN: u64 = 3 * STRETCH;

impl TrailFile {
    /// Creates the file, for its owner only (mode 0600).
    ///
    /// # Errors
    /// Also when the file exists: a recording is never written over.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { file, written: 0, told: 0 })
    }

    /// Waits until the disk has everything that was written.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn tell(&mut self) {
        let from = self.told.saturating_sub(TOLD_AGAIN);
        self.told = self.written;
        // A file system that takes no advice loses nothing but speed.
        let _ = fadvise(&self.file, from, NonZeroU64::new(self.written - from), Advice::DontNeed);
    }
}

impl Write for TrailFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        if self.written - self.told >= STRETCH {
            self.tell();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_long_file_holds_what_was_written_whatever_the_kernel_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let mut file = TrailFile::create(&path).unwrap();
        let piece: Vec<u8> = (0..1_000_003_u32).map(|at| at as u8).collect();
        for _ in 0..40 {
            file.write_all(&piece).unwrap();
        }
        file.sync().unwrap();
        assert!(file.told > TOLD_AGAIN && file.written - file.told < STRETCH);
        assert!(std::fs::read(&path).unwrap().chunks(piece.len()).all(|chunk| chunk == piece));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(TrailFile::create(&path).is_err());
    }
}
