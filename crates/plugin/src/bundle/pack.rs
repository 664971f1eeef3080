//! From a folder to an archive, and from a path to the bytes of one.

use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::{Bundle, BundleError, EntryFault, name};

/// The bytes of a bundle: a folder is packed, a file is read.
///
/// # Errors
/// What cannot be read, or is too large (found out before it is read).
pub fn read_archive(path: &Path) -> Result<Vec<u8>, BundleError> {
    let metadata = fs::metadata(path).map_err(BundleError::disk("read", path))?;
    if metadata.is_dir() {
        return pack_folder(path);
    }
    if !metadata.is_file() {
        return Err(BundleError::NotAFile(path.to_owned()));
    }
    if metadata.len() >= Bundle::MAX_ARCHIVE_BYTES {
        return Err(BundleError::TooLarge { bytes: metadata.len() });
    }
    let file = File::open(path).map_err(BundleError::disk("open", path))?;
    let mut bytes = Vec::new();
    file.take(Bundle::MAX_ARCHIVE_BYTES).read_to_end(&mut bytes).map_err(BundleError::disk("read", path))?;
    Ok(bytes)
}

/// Packs what is in `folder`. The same files give the same bytes: sorted, without times.
///
/// `__pycache__`, names that begin with a dot, and the folder `tests` in the root are left out: tests are the author's, and
/// their passwords and answers have no place in a gateway.
///
/// # Errors
/// A link or special file, a name that no bundle may have, more than a bundle may hold.
pub fn pack_folder(folder: &Path) -> Result<Vec<u8>, BundleError> {
    pack_folders(&[folder])
}

/// Packs what is in several folders as if it were in one: a plugin, and the packages that it brings.
///
/// # Errors
/// Those of [`pack_folder`], and a name that two of the folders have.
pub fn pack_folders(folders: &[&Path]) -> Result<Vec<u8>, BundleError> {
    let mut files = Vec::new();
    for folder in folders {
        collect(folder, folder, &mut files)?;
    }
    files.sort();
    if let Some([twice, _]) = files.array_windows().find(|[one, other]| one.name == other.name) {
        return Err(BundleError::entry(&twice.name, EntryFault::Duplicate));
    }
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut left = Bundle::MAX_UNPACKED_BYTES;
    for file in &files {
        add(&mut archive, file, &mut left)?;
    }
    let bytes = archive.finish().map_err(BundleError::Packing)?.into_inner();
    match bytes.len() as u64 {
        bytes if bytes >= Bundle::MAX_ARCHIVE_BYTES => Err(BundleError::TooLarge { bytes }),
        _ => Ok(bytes),
    }
}

/// Where an author keeps the plugin's scenarios.
const TESTS: &str = "tests";

/// Sorted by its name in the archive.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Source {
    name: String,
    path: PathBuf,
}

/// The files below `folder`, which is `root` or lies below it.
fn collect(root: &Path, folder: &Path, files: &mut Vec<Source>) -> Result<(), BundleError> {
    let unreadable = BundleError::disk("read the folder", folder);
    let entries =
        fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    for entry in entries {
        let path = entry.path();
        let file_name = entry.file_name();
        let is_tests = folder == root && file_name == TESTS;
        if file_name == "__pycache__" || file_name.as_encoded_bytes().starts_with(b".") || is_tests {
            continue;
        }
        let kind = entry.file_type().map_err(BundleError::disk("read", &path))?;
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            files.push(source(root, path)?);
        } else {
            return Err(BundleError::SpecialFile(path));
        }
        if files.len() > Bundle::MAX_ENTRIES {
            return Err(BundleError::TooManyEntries { entries: files.len() });
        }
    }
    Ok(())
}

fn source(root: &Path, path: PathBuf) -> Result<Source, BundleError> {
    let name = path.strip_prefix(root).ok().and_then(Path::to_str).map(str::to_owned);
    let Some(name) = name else { return Err(BundleError::NameNotUtf8(path)) };
    name::check(&name).map_err(|fault| BundleError::entry(&name, fault))?;
    Ok(Source { name, path })
}

fn add(archive: &mut ZipWriter<Cursor<Vec<u8>>>, source: &Source, left: &mut u64) -> Result<(), BundleError> {
    let unreadable = || BundleError::disk("read", &source.path);
    let file = File::open(&source.path).map_err(unreadable())?;
    let mode = file.metadata().map_err(unreadable())?.permissions().mode();
    let mut content = Vec::new();
    file.take(*left + 1).read_to_end(&mut content).map_err(unreadable())?;
    *left = left
        .checked_sub(content.len() as u64)
        .ok_or_else(|| BundleError::entry(&source.name, EntryFault::OverBudget))?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(if mode & 0o100 == 0 { 0o644 } else { 0o755 });
    archive.start_file(source.name.as_str(), options).map_err(BundleError::Packing)?;
    archive.write_all(&content).map_err(|error| BundleError::Packing(error.into()))
}
