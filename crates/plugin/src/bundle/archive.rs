//! A bundle's archive: its entries, each checked, and their content, counted while it is inflated.
//!
//! The library's own `extract` is not used: it follows the archive's wishes about modes and links.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Write};

use zip::read::ZipFileEntry;
use zip::{CompressionMethod, ZipArchive, ZipReadOptions};

use super::{Bundle, BundleError, EntryFault, name};

/// An archive whose names are all fit to be written to a disk.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// Relative and straight, without a `/` at its end.
    pub(super) path: String,
    pub(super) kind: EntryKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EntryKind {
    Directory,
    File,
    /// A file whose owner may execute it.
    Executable,
}

/// What may still be unpacked, in bytes.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Self(Bundle::MAX_UNPACKED_BYTES)
    }
}

impl<'a> Archive<'a> {
    /// Reads the list of entries and checks every one; their content is not looked at yet.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, BundleError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(BundleError::NotAnArchive)?;
        let listed = listed_names(bytes, zip.central_directory_start());
        let entries = zip.len().max(listed.len());
        if entries > Bundle::MAX_ENTRIES {
            return Err(BundleError::TooManyEntries { entries });
        }
        refuse_duplicates(&zip, &listed)?;
        let entries = (0..zip.len())
            .map(|at| {
                zip.by_index_data(at).map_err(BundleError::NotAnArchive).and_then(|entry| check(&entry))
            })
            .collect::<Result<Vec<_>, _>>()?;
        refuse_clashes(&entries)?;
        refuse_declared_size(&zip, &entries)?;
        Ok(Self { zip, entries })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content of the file `path`, at most `limit` bytes of it; `None` where there is no such file.
    pub(super) fn read(&mut self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, BundleError> {
        let is_file = |entry: &Entry| entry.path == path && entry.kind != EntryKind::Directory;
        let Some(at) = self.entries.iter().position(is_file) else {
            return match self.folder_with(path) {
                Some(found) if path == crate::Manifest::FILE => Err(BundleError::ManifestInFolder { found }),
                Some(_) | None => Ok(None),
            };
        };
        let mut content = Vec::new();
        let mut budget = Budget(limit.min(Bundle::MAX_UNPACKED_BYTES));
        match self.copy(at, &mut budget, &mut content) {
            Err(BundleError::Entry { entry, fault: EntryFault::OverBudget }) => {
                Err(BundleError::Entry { entry, fault: EntryFault::TooLong { limit } })
            }
            Err(error) => Err(error),
            Ok(()) => Ok(Some(content)),
        }
    }

    /// A file of that name one folder down: what packing the folder instead of its content gives.
    fn folder_with(&self, file: &str) -> Option<String> {
        let in_folder = |entry: &&Entry| entry.path.split_once('/').is_some_and(|(_, rest)| rest == file);
        self.entries.iter().find(in_folder).map(|entry| entry.path.clone())
    }

    /// Writes the content of the entry at `at`, checked against its checksum. A folder has none.
    pub(super) fn copy(
        &mut self,
        at: usize,
        budget: &mut Budget,
        to: &mut impl Write,
    ) -> Result<(), BundleError> {
        let Some(entry) = self.entries.get(at) else { return Ok(()) };
        let fault = |fault| BundleError::entry(&entry.path, fault);
        let damaged = |error: zip::result::ZipError| fault(EntryFault::Damaged(error.into()));
        // What other tools read in the local header must be what is read here in the directory.
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let mut file = self.zip.by_index_with_options(at, options).map_err(damaged)?;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let length = file.read(&mut chunk).map_err(|error| fault(EntryFault::Damaged(error)))?;
            let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { return Ok(()) };
            budget.0 = budget.0.checked_sub(length as u64).ok_or_else(|| fault(EntryFault::OverBudget))?;
            if entry.kind == EntryKind::Directory {
                return Err(fault(EntryFault::DirectoryWithContent));
            }
            to.write_all(read).map_err(|error| fault(EntryFault::Damaged(error)))?;
        }
    }
}

/// One entry by its own rules.
fn check(entry: &ZipFileEntry<'_>) -> Result<Entry, BundleError> {
    let name = entry.name().map_err(BundleError::NotAnArchive)?;
    let fault = |fault| BundleError::entry(&name, fault);
    let path = name::check(&name).map_err(fault)?.to_owned();
    // Bit 0 is encryption, 6 strong encryption, 13 an encrypted directory (APPNOTE 4.4.4).
    if entry.encrypted() || entry.flags().as_u16() & (1 | 1 << 6 | 1 << 13) != 0 {
        return Err(fault(EntryFault::Encrypted));
    }
    match entry.compression() {
        CompressionMethod::Stored | CompressionMethod::Deflated => {}
        other => return Err(fault(EntryFault::Method(other.to_string()))),
    }
    let kind = kind(entry.external_attributes() >> 16, entry.is_dir()).map_err(fault)?;
    Ok(Entry { path, kind })
}

/// By the file type of Unix where there is one, whatever system the archive says it comes from.
fn kind(mode: u32, is_directory: bool) -> Result<EntryKind, EntryFault> {
    const TYPE: u32 = 0o170_000;
    match mode & TYPE {
        0 | 0o100_000 | 0o040_000 => {}
        0o120_000 => return Err(EntryFault::Link),
        _ => return Err(EntryFault::Special),
    }
    Ok(match (is_directory, mode & 0o100) {
        (true, _) => EntryKind::Directory,
        (false, 0) => EntryKind::File,
        (false, _) => EntryKind::Executable,
    })
}

/// The names in the central directory, as written (APPNOTE 4.3.12): the library keeps one of two equal ones.
fn listed_names(bytes: &[u8], start: u64) -> Vec<&[u8]> {
    let mut names = Vec::new();
    let mut rest = usize::try_from(start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
    while let Some(name) = split_name(&mut rest) {
        names.push(name);
    }
    names
}

fn split_name<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    const HEADER: usize = 46;
    let header = rest.get(..HEADER).filter(|header| header.starts_with(b"PK\x01\x02"))?;
    let length = |at: usize| {
        let bytes = header.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(bytes)))
    };
    let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
    let found = rest.get(HEADER..HEADER + name)?;
    *rest = rest.get(HEADER + name + extra + comment..)?;
    Some(found)
}

fn refuse_duplicates(zip: &ZipArchive<Cursor<&[u8]>>, listed: &[&[u8]]) -> Result<(), BundleError> {
    let mut seen = BTreeSet::new();
    let twice = listed.iter().find(|name| !seen.insert(**name));
    match twice {
        Some(name) => Err(BundleError::entry(&String::from_utf8_lossy(name), EntryFault::Duplicate)),
        // Two entries whose names become one by an extra field.
        None if zip.has_duplicate_names() => Err(BundleError::entry("?", EntryFault::Duplicate)),
        None => Ok(()),
    }
}

/// A path is one thing: not twice there as file and folder, and no file above others.
fn refuse_clashes(entries: &[Entry]) -> Result<(), BundleError> {
    let mut kinds = BTreeMap::new();
    for entry in entries {
        if kinds.insert(entry.path.as_str(), entry.kind).is_some() {
            return Err(BundleError::entry(&entry.path, EntryFault::Duplicate));
        }
    }
    for entry in entries {
        for (slash, _) in entry.path.match_indices('/') {
            let above = entry.path.get(..slash).unwrap_or_default();
            if kinds.get(above).is_some_and(|kind| *kind != EntryKind::Directory) {
                return Err(BundleError::entry(above, EntryFault::FileAndDirectory));
            }
        }
    }
    Ok(())
}

/// What the directory promises, before anything is inflated; what comes is counted all the same.
fn refuse_declared_size(zip: &ZipArchive<Cursor<&[u8]>>, entries: &[Entry]) -> Result<(), BundleError> {
    let mut total = 0_u64;
    for (at, entry) in entries.iter().enumerate() {
        let size = zip.by_index_data(at).map_err(BundleError::NotAnArchive)?.size();
        total = total.saturating_add(size);
        if total > Bundle::MAX_UNPACKED_BYTES {
            return Err(BundleError::entry(&entry.path, EntryFault::OverBudget));
        }
    }
    Ok(())
}
