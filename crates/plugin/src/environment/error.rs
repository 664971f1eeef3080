//! Why an environment cannot be used or made.

use std::io;
use std::path::PathBuf;

use super::PythonVersion;

/// Output that a variant carries is the end of what the program wrote, without control characters.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    #[error("cannot start {}: give the path of a Python interpreter", python.display())]
    Start { python: PathBuf, source: io::Error },
    #[error("{} did not answer like a Python interpreter: {output}", python.display())]
    NotPython { python: PathBuf, output: String },
    #[error("{} is Python {version}: plugins need {} or later, those for Python 2 {} or later", python.display(), PythonVersion::MINIMUM, PythonVersion::MINIMUM_LEGACY)]
    TooOld { python: PathBuf, version: PythonVersion },
    #[error("{} has an SDK whose version {version:?} cannot be read: install oneidentity_safeguard_sessions_plugin_sdk again", python.display())]
    SdkVersion { python: PathBuf, version: String },
    #[error("{step} took longer than {seconds} seconds and was stopped")]
    TimedOut { step: String, seconds: u64 },

    #[error("{} is there already: remove it, or choose another directory", .0.display())]
    Exists(PathBuf),
    #[error("cannot make the directory {}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "{} cannot make virtual environments: on Debian, run `apt-get install python3-venv` (python{}.{}-venv for another version than the system's)",
        python.display(), version.major, version.minor
    )]
    NoVenv { python: PathBuf, version: PythonVersion },
    #[error(
        "an environment of Python 2 is made by a Python 3.8 or later, and there is no such python3 on the search path: on Debian, run `apt-get install python3-venv`"
    )]
    NoMaker,
    #[error("building it needs what is not here: on Debian, run `apt-get install {}` and make the environment again", packages.join(" "))]
    NativePackages { packages: Vec<String> },
    #[error("{step} failed: {output}")]
    Step { step: String, output: String },
    #[error("cannot read what {program} writes")]
    Output { program: String, source: io::Error },
}
