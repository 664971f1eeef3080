//! Python environments below the target folder, made once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{legacy, program};

/// What plugins find beside their bundle: the SDK as it is published, without its dependencies, and `requests`.
const PLUGINS: Environment = Environment {
    folder: "test-env",
    installs: &[&["--no-deps", "oneidentity_safeguard_sessions_plugin_sdk==1.9.1"], &["requests>=2.31,<3"]],
};
/// Peers written in Python. Apart from the plugins' environment: what a test's peer needs, no plugin may see.
const PEERS: Environment = Environment {
    folder: "test-peers",
    installs: &[
        &["paramiko>=3.5,<5", "asyncssh>=2.21,<3", "ansible-core>=2.17,<2.20", "ssh-audit==3.9.0"],
        // An object store, and a client that looks into it.
        &["swift==2.38.3", "minio==7.2.20"],
    ],
};
/// What looks at our own Python code.
const CHECKS: Environment = Environment { folder: "checks", installs: &[&["vermin==1.9.2"]] };

/// Debian's own comes first: it is what users have, and unlike one below a home folder, other accounts may run it.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// What plugins may run on. Of Python 2, 2.6 cannot be had any more.
const VERSIONS: [&str; 9] = ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"];

pub(crate) struct Interpreters {
    pub(crate) plugins: PathBuf,
    pub(crate) peers: PathBuf,
    /// A Python 2.7.
    pub(crate) legacy: PathBuf,
    /// One of each version that plugins may run on and this machine has, in the form of PATH.
    pub(crate) all: OsString,
}

pub(crate) fn ensure(workspace: &Workspace) -> Result<Interpreters> {
    let legacy = legacy::ensure(workspace)?;
    let all = one_of_each_version(&legacy)?;
    Ok(Interpreters { plugins: PLUGINS.ensure(workspace)?, peers: PEERS.ensure(workspace)?, legacy, all })
}

/// The program of that name.
pub(crate) fn vermin(workspace: &Workspace) -> Result<PathBuf> {
    Ok(CHECKS.ensure(workspace)?.with_file_name("vermin"))
}

/// Says which versions were found, and which the tests go without.
fn one_of_each_version(legacy: &Path) -> Result<OsString> {
    let question = ["-E", "-s", "-c", "import sys, ssl; sys.stdout.write('%d.%d' % sys.version_info[:2])"];
    let candidates = std::iter::once(legacy.to_owned()).chain(interpreters());
    let known: Vec<(String, PathBuf)> = candidates
        .filter_map(|path| Some((program::read(Command::new(&path).args(question)).ok()?, path)))
        .collect();
    let of = |version: &str| known.iter().find(|(found, _)| found == version).map(|(_, path)| path);
    let (there, missing): (Vec<&str>, Vec<&str>) =
        VERSIONS.into_iter().partition(|version| of(version).is_some());
    println!("    tests run on Python {}", there.join(", "));
    if !missing.is_empty() {
        println!("    not found on this machine, so not tried: Python {}", missing.join(", "));
    }
    Ok(env::join_paths(there.into_iter().filter_map(of))?)
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
    named("3")
}

/// The same for Python 2.
pub(crate) fn interpreters_2() -> Vec<PathBuf> {
    named("2")
}

fn named(major: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(pyenv_folders());
    let mut found: Vec<PathBuf> = folders.iter().flat_map(|folder| pythons_in(folder, major)).collect();
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
fn pythons_in(folder: &Path, major: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter(|entry| is_python(&entry.file_name().to_string_lossy(), major));
    let real = names.filter_map(|entry| fs::canonicalize(entry.path()).ok());
    real.filter(|path| path.file_name().is_some_and(|name| is_python(&name.to_string_lossy(), major)))
        .filter(|path| !path.components().any(|part| part.as_os_str() == "shims"))
        .collect()
}

fn is_python(name: &str, major: &str) -> bool {
    let Some(rest) = name.strip_prefix("python").and_then(|rest| rest.strip_prefix(major)) else {
        return false;
    };
    let Some(minor) = rest.strip_prefix('.') else { return rest.is_empty() };
    !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_python;

    #[test]
    fn only_interpreters_count_as_python() {
        let names =
            ["python3", "python3.6", "python3.13", "python", "python3-config", "python3.11m", "python2.7"];
        let found = |major| names.into_iter().filter(|name| is_python(name, major)).collect::<Vec<_>>();
        assert_eq!(found("3"), ["python3", "python3.6", "python3.13"]);
        assert_eq!(found("2"), ["python2.7"]);
    }
}
