//! The Python side, carried in the binary and written out at the start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::PluginError;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../python/keyward_worker/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = embedded!(
    "__init__.py",
    "__main__.py",
    "channel.py",
    "failure.py",
    "kernel.py",
    "memory.py",
    "network.py",
    "outlet.py",
    "pages.py",
    "plugin.py",
    "python2.py",
    "python3.py",
    "services.py",
    "signatures.py",
    "template.py",
    "worker.py",
);

/// Writes the package below `dir` and returns the file to start. Each file is replaced as a whole.
///
/// # Errors
/// When a directory or file cannot be written.
pub(super) fn write(dir: &Path) -> Result<PathBuf, PluginError> {
    let package = dir.join("keyward_worker");
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| PluginError::File { what, path, source }
    };
    fs::create_dir_all(&package).map_err(failed("cannot create", &package))?;
    for folder in [dir, &package] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .map_err(failed("cannot open", folder))?;
    }
    for (name, text) in FILES {
        let path = package.join(name);
        let mut file =
            tempfile::NamedTempFile::new_in(&package).map_err(failed("cannot write in", &package))?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed("cannot write", &path))?;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))
            .map_err(failed("cannot open", &path))?;
        file.persist(&path).map_err(|error| failed("cannot write", &path)(error.error))?;
    }
    Ok(package.join("__main__.py"))
}
