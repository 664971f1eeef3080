//! Whether an unpacked bundle is still what was uploaded.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::archive::{Archive, Budget, EntryKind};
use super::unpack::CHECKSUM_FILE;
use super::{Bundle, BundleError, Change, UnpackedBundle, sha256};

impl UnpackedBundle {
    /// Opens what [`Bundle::unpack`] has written, once every file is compared with `archive`, to the last byte. May take
    /// a second for a large bundle.
    ///
    /// # Errors
    /// [`BundleError::WrongArchive`] where the archive has not the `checksum`, and [`BundleError::Changed`] with the
    /// first file that is not as it was packed: changed, gone, new, a link, or with other rights.
    pub fn open_verified(root: &Path, archive: &[u8], checksum: &str) -> Result<Self, BundleError> {
        Bundle::check_archive(archive, checksum)?;
        compare_all(root, archive)?;
        let unpacked = Self::open(root)?;
        if unpacked.bundle.checksum != checksum {
            return Err(changed(&root.join(CHECKSUM_FILE), Change::Content));
        }
        Ok(unpacked)
    }
}

impl Bundle {
    /// Whether `archive` is the one that was uploaded with `checksum`.
    ///
    /// # Errors
    /// [`BundleError::WrongArchive`] where it is not.
    pub fn check_archive(archive: &[u8], checksum: &str) -> Result<(), BundleError> {
        match sha256(archive)? {
            found if found == checksum => Ok(()),
            found => Err(BundleError::WrongArchive { wanted: checksum.to_owned(), found }),
        }
    }
}

fn compare_all(root: &Path, archive: &[u8]) -> Result<(), BundleError> {
    let mut archive = Archive::open(archive)?;
    let mut known = BTreeSet::from([root.join(CHECKSUM_FILE)]);
    let mut budget = Budget::default();
    for at in 0..archive.entries().len() {
        let Some(entry) = archive.entries().get(at) else { break };
        let path = root.join(&entry.path);
        let folders = path.ancestors().skip(1).take_while(|folder| *folder != root);
        known.extend(folders.map(Path::to_owned));
        let mode = match entry.kind {
            EntryKind::Directory => None,
            EntryKind::File => Some(0o644),
            EntryKind::Executable => Some(0o755),
        };
        if let Some(mode) = mode {
            compare(&mut archive, at, &mut budget, (&path, mode))?;
        }
        known.insert(path);
    }
    let folders: Vec<PathBuf> = known.iter().filter(|path| !path.is_file()).cloned().collect();
    for folder in folders.iter().map(PathBuf::as_path).chain([root]) {
        look_into(folder, &known)?;
    }
    Ok(())
}

fn compare(
    archive: &mut Archive<'_>,
    at: usize,
    budget: &mut Budget,
    (path, mode): (&Path, u32),
) -> Result<(), BundleError> {
    let metadata = look_at(path)?;
    if !metadata.is_file() {
        return Err(changed(path, Change::Replaced));
    }
    check_rights(path, &metadata, mode)?;
    let file = File::open(path).map_err(BundleError::disk("open", path))?;
    let mut comparison = Comparison { file: BufReader::new(file), is_same: true, failed: None };
    archive.copy(at, budget, &mut comparison)?;
    match comparison.end() {
        Ok(true) => Ok(()),
        Ok(false) => Err(changed(path, Change::Content)),
        Err(error) => Err(BundleError::disk("read", path)(error)),
    }
}

/// A folder has its rights, and nothing in it that was not packed: Python would import it.
fn look_into(folder: &Path, known: &BTreeSet<PathBuf>) -> Result<(), BundleError> {
    let metadata = look_at(folder)?;
    if !metadata.is_dir() {
        return Err(changed(folder, Change::Replaced));
    }
    check_rights(folder, &metadata, 0o755)?;
    for entry in fs::read_dir(folder).map_err(BundleError::disk("list", folder))? {
        let path = entry.map_err(BundleError::disk("list", folder))?.path();
        if !known.contains(&path) {
            return Err(changed(&path, Change::Added));
        }
    }
    Ok(())
}

fn look_at(path: &Path) -> Result<fs::Metadata, BundleError> {
    path.symlink_metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => changed(path, Change::Gone),
        _ => BundleError::disk("read", path)(error),
    })
}

fn check_rights(path: &Path, metadata: &fs::Metadata, mode: u32) -> Result<(), BundleError> {
    // The user that unpacked it, or root: nobody else may have put a file there.
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(changed(path, Change::Owner(owner)));
    }
    match metadata.permissions().mode() & 0o7777 {
        now if now == mode => Ok(()),
        now => Err(changed(path, Change::Mode(now))),
    }
}

fn changed(path: &Path, change: Change) -> BundleError {
    BundleError::Changed { path: path.to_owned(), change }
}

/// Takes what a file should hold, and looks whether it does.
struct Comparison {
    file: BufReader<File>,
    is_same: bool,
    failed: Option<io::Error>,
}

impl Comparison {
    /// Whether the file held what was written, and nothing more.
    fn end(mut self) -> io::Result<bool> {
        match self.failed.take() {
            Some(error) => Err(error),
            None if self.is_same => Ok(self.file.read(&mut [0])? == 0),
            None => Ok(false),
        }
    }
}

impl Write for Comparison {
    /// Takes everything, so that no difference is taken for a damaged archive.
    fn write(&mut self, expected: &[u8]) -> io::Result<usize> {
        if self.is_same && self.failed.is_none() {
            let mut there = vec![0; expected.len()];
            match self.file.read_exact(&mut there) {
                Ok(()) => self.is_same = there == expected,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.is_same = false,
                Err(error) => self.failed = Some(error),
            }
        }
        Ok(expected.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
