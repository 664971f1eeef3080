//! Python environments below the target folder, made once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::program;
use crate::workspace::Workspace;

/// What plugins find beside their bundle: the SDK as it is published, without its dependencies, and `requests`.
const PLUGINS: Environment = Environment {
    folder: "test-env",
    installs: &[&["--no-deps", "oneidentity_safeguard_sessions_plugin_sdk==1.9.1"], &["requests>=2.31,<3"]],
};
/// Peers written in Python. Apart from the plugins' environment: what a test's peer needs, no plugin may see.
const PEERS: Environment = Environment { folder: "test-peers", installs: &[&["paramiko>=3.5,<5"]] };

/// Debian's own comes first: it is what users have, and unlike one below a home folder, other accounts may run it.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

pub(crate) struct Interpreters {
    pub(crate) plugins: PathBuf,
    pub(crate) peers: PathBuf,
}

pub(crate) fn ensure(workspace: &Workspace) -> Result<Interpreters> {
    Ok(Interpreters { plugins: PLUGINS.ensure(workspace)?, peers: PEERS.ensure(workspace)? })
}

struct Environment {
    folder: &'static str,
    /// One `pip install` each.
    installs: &'static [&'static [&'static str]],
}

impl Environment {
    fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = workspace.target.join(self.folder);
        let python = folder.join("bin/python");
        let note = folder.join("made-of");
        if !self.is_made(&python, &note) {
            self.make(&folder, &python)
                .with_context(|| format!("Python environment {}", folder.display()))?;
            fs::write(&note, self.recipe())?;
        }
        Ok(python)
    }

    fn is_made(&self, python: &Path, note: &Path) -> bool {
        fs::read_to_string(note).is_ok_and(|made| made == self.recipe())
            && program::succeeds(Command::new(python).args(["-c", "pass"]))
    }

    fn make(&self, folder: &Path, python: &Path) -> Result<()> {
        println!("    making {}", folder.display());
        let system = if Path::new(SYSTEM_PYTHON).exists() { SYSTEM_PYTHON } else { "python3" };
        program::run(Command::new(system).args(["-m", "venv", "--clear"]).arg(folder))?;
        for install in self.installs {
            program::run(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(*install))?;
        }
        Ok(())
    }

    fn recipe(&self) -> String {
        self.installs.iter().map(|install| install.join(" ") + "\n").collect()
    }
}

/// Every Python 3 of this machine, by its command on the path and below pyenv's folder.
pub(crate) fn interpreters() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(pyenv_folders());
    let mut found: Vec<PathBuf> = folders.iter().flat_map(|folder| pythons_in(folder)).collect();
    found.sort();
    found.dedup();
    found
}

fn pyenv_folders() -> Vec<PathBuf> {
    let root = env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv")));
    let Some(Ok(versions)) = root.map(|root| fs::read_dir(root.join("versions"))) else { return Vec::new() };
    versions.flatten().map(|version| version.path().join("bin")).collect()
}

/// The real files behind `python3`, `python3.N`; pyenv's shims are no interpreters and drop out.
fn pythons_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter(|entry| is_python_three(&entry.file_name().to_string_lossy()));
    let real = names.filter_map(|entry| fs::canonicalize(entry.path()).ok());
    real.filter(|path| path.file_name().is_some_and(|name| is_python_three(&name.to_string_lossy())))
        .filter(|path| !path.components().any(|part| part.as_os_str() == "shims"))
        .collect()
}

fn is_python_three(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("python3") else { return false };
    let Some(minor) = rest.strip_prefix('.') else { return rest.is_empty() };
    !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_python_three;

    #[test]
    fn only_interpreters_count_as_python() {
        let names =
            ["python3", "python3.6", "python3.13", "python", "python3-config", "python3.11m", "python2.7"];
        let found: Vec<&str> = names.into_iter().filter(|name| is_python_three(name)).collect();
        assert_eq!(found, ["python3", "python3.6", "python3.13"]);
    }
}
