//! Where a gateway keeps what.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use keyward_model::InstanceName;

/// The folders of a gateway's data.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(pub(crate) PathBuf);

impl DataDir {
    pub(crate) fn trails(&self) -> PathBuf {
        self.0.join("trails")
    }

    /// Whether there are recordings.
    pub(crate) fn has_trails(&self) -> io::Result<bool> {
        match fs::read_dir(self.trails()) {
            // A new disk that is mounted there has that one of its own.
            Ok(mut entries) => Ok(entries
                .find(|entry| entry.as_ref().map_or(true, |entry| entry.file_name() != "lost+found"))
                .transpose()?
                .is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Of the key that recordings are signed with.
    pub(crate) fn signing_key(&self) -> PathBuf {
        self.0.join("signing.key")
    }

    /// What recordings are searched by.
    pub(crate) fn search(&self) -> PathBuf {
        self.0.join("search")
    }

    pub(crate) fn bundles(&self) -> PathBuf {
        self.0.join("bundles")
    }

    pub(crate) fn trusted_ca(&self) -> PathBuf {
        self.0.join("trusted-ca")
    }

    pub(crate) fn instance(&self, name: &InstanceName) -> PathBuf {
        self.0.join("plugins").join(name.as_str())
    }

    /// Where an environment is looked for that the policy does not name.
    pub(crate) fn environment(&self, name: &str) -> PathBuf {
        self.0.join("environments").join(name).join("bin/python")
    }

    /// The environments that are found in that place, by name, each with its interpreter.
    pub(crate) fn environments(&self) -> io::Result<BTreeMap<String, PathBuf>> {
        let entries = match fs::read_dir(self.0.join("environments")) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
        let all = names.map(|name| (name.clone(), self.environment(&name)));
        Ok(all.filter(|(_, python)| python.exists()).collect())
    }
}
