//! A checked archive onto the disk, and back from there.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};

use super::archive::{Archive, Budget, EntryKind};
use super::{BundleError, EntryFault};

/// Lies beside the bundle's own files and says what archive they come from.
pub(super) const CHECKSUM_FILE: &str = ".keyward-sha256";

/// Writes every entry to a directory beside `into`, then gives that its name. Nothing stays of a failure.
pub(super) fn to_disk(archive: &mut Archive<'_>, checksum: &str, into: &Path) -> Result<(), BundleError> {
    if into.symlink_metadata().is_ok() {
        return Err(BundleError::Exists(into.to_owned()));
    }
    let parent = match into.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let directory = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(parent)
        .map_err(BundleError::disk("make a directory in", parent))?;
    write_entries(archive, directory.path())?;
    write_checksum(checksum, directory.path())?;
    settle(directory.path(), into)?;
    // It has another name now, under which it stays.
    let _ = directory.keep();
    Ok(())
}

fn write_entries(archive: &mut Archive<'_>, root: &Path) -> Result<(), BundleError> {
    let mut budget = Budget::default();
    for at in 0..archive.entries().len() {
        let Some(entry) = archive.entries().get(at) else { break };
        let path = root.join(&entry.path);
        match entry.kind {
            EntryKind::Directory => {
                make_directories(root, &path)?;
                archive.copy(at, &mut budget, &mut io::sink())?;
            }
            EntryKind::File => write_file(archive, at, &mut budget, root, &path, 0o644)?,
            EntryKind::Executable => write_file(archive, at, &mut budget, root, &path, 0o755)?,
        }
    }
    Ok(())
}

fn write_file(
    archive: &mut Archive<'_>,
    at: usize,
    budget: &mut Budget,
    root: &Path,
    path: &Path,
    mode: u32,
) -> Result<(), BundleError> {
    if let Some(folder) = path.parent() {
        make_directories(root, folder)?;
    }
    let mut file = create(path, mode)?;
    archive.copy(at, budget, &mut file).map_err(|error| match error {
        // The archive's reader cannot tell a full disk from a damaged entry; the system can.
        BundleError::Entry { fault: EntryFault::Damaged(source), .. } if source.raw_os_error().is_some() => {
            BundleError::Disk { action: "write", path: path.to_owned(), source }
        }
        other => other,
    })
}

/// Modes are set, not asked for: a worker with another user must be able to read whatever the umask is.
fn create(path: &Path, mode: u32) -> Result<File, BundleError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(BundleError::disk("create", path))?;
    file.set_permissions(Permissions::from_mode(mode)).map_err(BundleError::disk("set the mode of", path))?;
    Ok(file)
}

/// The folders from `root` down to `path`, which lies below it.
fn make_directories(root: &Path, path: &Path) -> Result<(), BundleError> {
    if path == root || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directories(root, parent)?;
    }
    DirBuilder::new().mode(0o755).create(path).map_err(BundleError::disk("make the directory", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .map_err(BundleError::disk("set the mode of", path))
}

fn write_checksum(checksum: &str, root: &Path) -> Result<(), BundleError> {
    let path = root.join(CHECKSUM_FILE);
    create(&path, 0o644)?.write_all(checksum.as_bytes()).map_err(BundleError::disk("write", &path))
}

/// From here on the bundle is there, as a whole, also after a power cut.
fn settle(from: &Path, into: &Path) -> Result<(), BundleError> {
    fs::set_permissions(from, Permissions::from_mode(0o755))
        .map_err(BundleError::disk("set the mode of", from))?;
    let directory = File::open(from).map_err(BundleError::disk("open", from))?;
    syncfs(&directory).map_err(|error| BundleError::disk("write", from)(error.into()))?;
    renameat_with(CWD, from, CWD, into, RenameFlags::NOREPLACE).map_err(|error| match error {
        rustix::io::Errno::EXIST => BundleError::Exists(into.to_owned()),
        other => BundleError::disk("rename the unpacked bundle to", into)(other.into()),
    })
}

/// What [`to_disk`] has noted in `root`.
pub(super) fn read_checksum(root: &Path) -> Result<String, BundleError> {
    let digits = read_file(&root.join(CHECKSUM_FILE), 64)?.and_then(|bytes| String::from_utf8(bytes).ok());
    digits
        .filter(|digits| digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .ok_or_else(|| BundleError::NotUnpacked(root.to_owned()))
}

/// A file of at most `limit` bytes; `None` where there is none.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, BundleError> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) if metadata.is_dir() => return Ok(None),
        Ok(_) => return Err(BundleError::SpecialFile(path.to_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(BundleError::disk("read", path)(error)),
    }
    let file = File::open(path).map_err(BundleError::disk("open", path))?;
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).map_err(BundleError::disk("read", path))?;
    if content.len() as u64 > limit {
        return Err(BundleError::entry(&path.to_string_lossy(), EntryFault::TooLong { limit }));
    }
    Ok(Some(content))
}
