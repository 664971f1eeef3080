//! The way to what plugins need, for users of their own: folders that others may pass and not list.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::PluginError;

/// The gateway's data folder, opened for others to pass. What lies above it is the administrator's.
#[derive(Debug)]
pub(super) struct Way(PathBuf);

const PASS: u32 = 0o011;
const PASS_AS_OTHER: u32 = 0o001;

impl Way {
    /// # Errors
    /// A folder above `data` that others cannot pass.
    pub(super) fn open(data: &Path) -> Result<Self, PluginError> {
        let failed = |source| PluginError::File { what: "cannot open", path: data.to_owned(), source };
        let data = std::path::absolute(data).map_err(failed)?;
        for folder in data.ancestors().skip(1) {
            if mode(folder).map_err(failed)? & PASS_AS_OTHER == 0 {
                return Err(PluginError::Barred { folder: folder.to_owned() });
            }
        }
        let_pass(&data).map_err(failed)?;
        Ok(Self(data))
    }

    /// Lets others pass every folder between the data folder and `place`; missing ones are made with mode 0711.
    ///
    /// Nothing is done to `place` itself, nor for one that is not below the data folder.
    pub(super) fn lead_to(&self, place: &Path) -> Result<(), PluginError> {
        let failed = |source| PluginError::File { what: "cannot open", path: place.to_owned(), source };
        let place = std::path::absolute(place).map_err(failed)?;
        let Some(between) = place.parent().and_then(|parent| parent.strip_prefix(&self.0).ok()) else {
            return Ok(());
        };
        let mut folder = self.0.clone();
        for part in between.components() {
            // `..` would lead out of the data folder.
            let Component::Normal(name) = part else {
                return Err(failed(io::ErrorKind::InvalidInput.into()));
            };
            folder.push(name);
            let_pass(&folder).map_err(failed)?;
        }
        Ok(())
    }
}

fn let_pass(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o711).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mode = mode(folder)?;
    // Whatever the umask is.
    if mode & PASS == PASS {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(mode | PASS))
}

fn mode(folder: &Path) -> io::Result<u32> {
    Ok(fs::metadata(folder)?.mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data folder (mode 0700) below one that everyone may pass.
    fn data() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        set(parent.path(), 0o755);
        let data = parent.path().join("data");
        fs::create_dir(&data).unwrap();
        set(&data, 0o700);
        (parent, data)
    }

    fn set(folder: &Path, mode: u32) {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folders_on_the_way_can_be_passed_and_not_listed() {
        let (_parent, data) = data();
        fs::create_dir_all(data.join("plugins")).unwrap();
        set(&data.join("plugins"), 0o700);
        let way = Way::open(&data).unwrap();
        way.lead_to(&data.join("plugins/a/state")).unwrap();
        for folder in ["", "plugins", "plugins/a"] {
            assert_eq!(mode(&data.join(folder)).unwrap(), 0o711, "{folder:?}");
        }
        assert!(!data.join("plugins/a/state").exists());
    }

    #[test]
    fn what_is_not_on_the_way_stays_as_it_was() {
        let (parent, data) = data();
        let trails = data.join("trails");
        fs::create_dir(&trails).unwrap();
        set(&trails, 0o700);
        let elsewhere = parent.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        set(&elsewhere, 0o700);
        let way = Way::open(&data).unwrap();
        way.lead_to(&data.join("plugins/a/state")).unwrap();
        way.lead_to(&elsewhere.join("state")).unwrap();
        assert!(way.lead_to(&data.join("../elsewhere/state")).is_err());
        assert_eq!((mode(&trails).unwrap(), mode(&elsewhere).unwrap()), (0o700, 0o700));
    }

    #[test]
    fn a_folder_above_that_bars_the_way_is_named_and_left_alone() {
        let (parent, data) = data();
        set(parent.path(), 0o750);
        let error = Way::open(&data).unwrap_err().to_string();
        assert!(error.contains(parent.path().to_str().unwrap()) && error.contains("chmod o+x"), "{error}");
        assert_eq!((mode(parent.path()).unwrap(), mode(&data).unwrap()), (0o750, 0o700));
    }
}
