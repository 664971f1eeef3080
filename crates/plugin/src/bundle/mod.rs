//! Plugin bundles: what is checked before one is taken, and how it comes onto the disk (contract section 1).
//!
//! Bundles come from strangers. Everything here is synchronous and may take a second for a large one:
//! call it where blocking is allowed.

mod archive;
mod entry_file;
mod error;
mod name;
mod pack;
mod unpack;
mod verify;
mod warning;

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use error::{BundleError, Change, EntryFault};
pub use pack::{pack_folder, pack_folders, read_archive};
pub use warning::Warning;

use crate::Manifest;
use archive::{Archive, Budget};

/// A bundle that keeps every rule.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Bundle {
    pub manifest: Manifest,
    /// `default.cfg`: what the configuration of a new instance begins with.
    pub default_configuration: Option<String>,
    /// What is odd, and no reason to refuse.
    pub warnings: Vec<Warning>,
    /// SHA-256 of the archive, in lower-case hexadecimal digits.
    pub checksum: String,
    pub python: PythonMajor,
    /// The file in the root that defines `class Plugin`.
    pub entry: String,
}

/// The Python that a bundle was written for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
pub enum PythonMajor {
    /// It names an entry point, whose first line names `pluginwrapper3`.
    #[serde(rename = "3")]
    Three,
    /// It names no entry point: `main.py` is a Python 2 plugin.
    #[serde(rename = "2")]
    Two,
}

/// A bundle as a directory, ready to be imported from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnpackedBundle {
    pub bundle: Bundle,
    /// Comes first on the plugin's `sys.path`.
    pub root: PathBuf,
}

impl Bundle {
    /// An archive has fewer bytes than this.
    pub const MAX_ARCHIVE_BYTES: u64 = 20 * 1024 * 1024;
    pub const MAX_ENTRIES: usize = 20_000;
    pub const MAX_UNPACKED_BYTES: u64 = 200 * 1024 * 1024;
    /// A longer `default.cfg` does not pre-fill anything.
    pub const MAX_DEFAULT_CONFIGURATION_BYTES: usize = 10 * 1024;
    /// The entry file is read as a whole.
    const MAX_ENTRY_FILE_BYTES: u64 = 16 * 1024 * 1024;
    const DEFAULT_CONFIGURATION: &str = "default.cfg";

    /// Checks a bundle, each of its entries to the last byte, without touching the disk.
    ///
    /// # Errors
    /// The first rule that is broken, with the key or the entry that breaks it.
    pub fn inspect(archive: &[u8]) -> Result<Self, BundleError> {
        let checksum = sha256(archive)?;
        let mut archive = Archive::open(archive)?;
        let bundle = Self::assemble(|name, limit| archive.read(name, limit), checksum)?;
        let mut budget = Budget::default();
        for at in 0..archive.entries().len() {
            archive.copy(at, &mut budget, &mut std::io::sink())?;
        }
        Ok(bundle)
    }

    /// Checks a bundle and writes it to `into`, which must not exist; its parent must.
    ///
    /// The files are written beside `into` and take its name when all of them are there.
    ///
    /// # Errors
    /// Those of [`Bundle::inspect`], and those of the disk. Nothing stays behind.
    pub fn unpack(archive: &[u8], into: &Path) -> Result<UnpackedBundle, BundleError> {
        let checksum = sha256(archive)?;
        let mut archive = Archive::open(archive)?;
        let bundle = Self::assemble(|name, limit| archive.read(name, limit), checksum)?;
        unpack::to_disk(&mut archive, &bundle.checksum, into)?;
        Ok(UnpackedBundle { bundle, root: into.to_owned() })
    }

    /// Reads the files of the root that the rules are about; `read` gives a file, or `None` where there is none.
    fn assemble(
        mut read: impl FnMut(&str, u64) -> Result<Option<Vec<u8>>, BundleError>,
        checksum: String,
    ) -> Result<Self, BundleError> {
        let manifest = read(Manifest::FILE, Manifest::MAX_BYTES as u64)?.ok_or(BundleError::NoManifest)?;
        let (manifest, mut warnings) = Manifest::parse_with_warnings(&manifest)?;
        let (entry, python) = match &manifest.entry_point {
            Some(file) => (file.clone(), PythonMajor::Three),
            None => ("main.py".to_owned(), PythonMajor::Two),
        };
        let source = read(&entry, Self::MAX_ENTRY_FILE_BYTES)?
            .ok_or_else(|| BundleError::NoEntryFile { entry: entry.clone() })?;
        if python == PythonMajor::Three {
            entry_file::check_interpreter(&entry, &source)?;
        }
        if !entry_file::shows_plugin(&source) {
            warnings.push(Warning::NoPluginSeen { entry: entry.clone() });
        }
        let default = read(Self::DEFAULT_CONFIGURATION, Self::MAX_UNPACKED_BYTES)?;
        let default_configuration = match default {
            Some(bytes) => default_configuration(bytes, &mut warnings)?,
            None => None,
        };
        Ok(Self { manifest, default_configuration, warnings, checksum, python, entry })
    }
}

impl UnpackedBundle {
    /// Opens what [`Bundle::unpack`] has written. Only the files of the root are looked at again.
    ///
    /// # Errors
    /// A directory that no bundle was unpacked to, or whose MANIFEST or entry file no longer keeps the rules.
    pub fn open(root: &Path) -> Result<Self, BundleError> {
        let checksum = unpack::read_checksum(root)?;
        let bundle = Bundle::assemble(|name, limit| unpack::read_file(&root.join(name), limit), checksum)?;
        Ok(Self { bundle, root: root.to_owned() })
    }
}

fn sha256(archive: &[u8]) -> Result<String, BundleError> {
    let bytes = archive.len() as u64;
    if bytes >= Bundle::MAX_ARCHIVE_BYTES {
        return Err(BundleError::TooLarge { bytes });
    }
    Ok(Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The sample configuration as text; too long a one only warns, since a public plugin ships such a one.
fn default_configuration(bytes: Vec<u8>, warnings: &mut Vec<Warning>) -> Result<Option<String>, BundleError> {
    let length = bytes.len();
    if length > Bundle::MAX_DEFAULT_CONFIGURATION_BYTES {
        warnings.push(Warning::DefaultConfigurationTooLong { bytes: length });
        return Ok(None);
    }
    let text = String::from_utf8(bytes).map_err(|error| BundleError::DefaultConfigurationNotUtf8 {
        offset: error.utf8_error().valid_up_to(),
    })?;
    Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
}

#[cfg(test)]
mod tests;
