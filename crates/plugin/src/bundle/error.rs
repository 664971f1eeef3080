//! Why a bundle is refused.

use std::io;
use std::path::{Path, PathBuf};

use crate::ManifestError;

/// By whose fault: the bundle's first, then the caller's and the disk's.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(
        "the archive has {bytes} bytes: it must have fewer than {} (20 MiB)",
        super::Bundle::MAX_ARCHIVE_BYTES
    )]
    TooLarge { bytes: u64 },
    #[error("the archive is no .zip file, or a damaged one")]
    NotAnArchive(#[source] zip::result::ZipError),
    #[error("the archive has {entries} entries: it may have {}", super::Bundle::MAX_ENTRIES)]
    TooManyEntries { entries: usize },
    #[error("entry {entry:?}: {fault}")]
    Entry { entry: String, fault: EntryFault },
    #[error(
        "the bundle has no MANIFEST in its root: it must have one, a file of that name without an extension"
    )]
    NoManifest,
    #[error(
        "the bundle has no MANIFEST in its root, but has {found:?}: pack what is in that folder, not the folder"
    )]
    ManifestInFolder { found: String },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(
        "the bundle has no file {entry:?} in its root: it must have the one that the MANIFEST names as `entry_point`, or main.py"
    )]
    NoEntryFile { entry: String },
    #[error(
        "entry {entry:?} has the first line {line:?}: where the MANIFEST has `entry_point`, it must be \"#!/usr/bin/env pluginwrapper3\""
    )]
    Interpreter { entry: String, line: String },
    #[error("entry \"default.cfg\" is not UTF-8 at byte {offset}: save it as UTF-8")]
    DefaultConfigurationNotUtf8 { offset: usize },

    #[error("{} is there already: unpack to a directory that does not exist", .0.display())]
    Exists(PathBuf),
    #[error("{} was not unpacked from a bundle: it has no file {}", .0.display(), super::unpack::CHECKSUM_FILE)]
    NotUnpacked(PathBuf),
    #[error("{} is neither a file nor a folder: give a bundle's .zip file, or the folder of its files", .0.display())]
    NotAFile(PathBuf),
    #[error("{} has a name that is not UTF-8: rename it", .0.display())]
    NameNotUtf8(PathBuf),
    #[error("{} is a link or a special file: a bundle holds files and folders only", .0.display())]
    SpecialFile(PathBuf),

    #[error(
        "the stored archive has the checksum {found}, and was uploaded with {wanted}: it was changed since; upload the bundle again"
    )]
    WrongArchive { wanted: String, found: String },
    #[error(
        "{} {change}: it is not what was uploaded. Find out who changed it; remove the folder of the unpacked bundle, and \
         the gateway unpacks it again from its store",
        path.display()
    )]
    Changed { path: PathBuf, change: Change },
    #[error("cannot {action} {}", path.display())]
    Disk { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the archive cannot be written")]
    Packing(#[source] zip::result::ZipError),
}

/// What has become of a file of an unpacked bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Change {
    #[error("has another content")]
    Content,
    #[error("is gone")]
    Gone,
    #[error("was added")]
    Added,
    #[error("was replaced by something else")]
    Replaced,
    #[error("has the mode {0:04o}")]
    Mode(u32),
    #[error("belongs to user {0}")]
    Owner(u32),
}

/// The rule that one entry breaks.
#[derive(Debug, thiserror::Error)]
pub enum EntryFault {
    #[error("the name is empty")]
    EmptyName,
    #[error(
        "the name has more than {} bytes, or a part of more than {}",
        super::name::MAX_BYTES,
        super::name::MAX_PART_BYTES
    )]
    LongName,
    #[error("the path is absolute: it must be relative to the root of the bundle")]
    Absolute,
    #[error(
        "the path has a part `..`, `.` or an empty one: it must lead straight down from the root of the bundle"
    )]
    Crooked,
    #[error("the name has a backslash: parts of a path are parted by `/`")]
    Backslash,
    #[error("the name has a control character")]
    ControlCharacter,
    #[error("the name is kept for the gateway's own use")]
    Reserved,
    #[error("the name is there twice")]
    Duplicate,
    #[error("it is a file, and other entries lie below it")]
    FileAndDirectory,
    #[error("it is a link: a bundle holds files and folders only")]
    Link,
    #[error("it is a special file: a bundle holds files and folders only")]
    Special,
    #[error("it is a folder that has content")]
    DirectoryWithContent,
    #[error("it is encrypted: pack the bundle without a password")]
    Encrypted,
    #[error("it is packed by the method {0}: pack the bundle with deflate, or without compression")]
    Method(String),
    #[error("it has more than {limit} bytes")]
    TooLong { limit: u64 },
    #[error(
        "with it the bundle has more than {} bytes unpacked (200 MiB)",
        super::Bundle::MAX_UNPACKED_BYTES
    )]
    OverBudget,
    #[error("it cannot be unpacked: {0}")]
    Damaged(io::Error),
}

impl BundleError {
    /// A fault of the entry `name`; a long name is cut.
    pub(super) fn entry(name: &str, fault: EntryFault) -> Self {
        Self::Entry { entry: name.chars().take(200).collect(), fault }
    }

    pub(super) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { action, path: path.to_owned(), source }
    }
}
