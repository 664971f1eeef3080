//! Puts packages into a bundle: `pip install --target`, and what of it would differ from time to time taken out.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::create::{succeeded, with_callers_settings};
use super::run::run;
use super::{Environment, EnvironmentError};

const LIMIT: Duration = Duration::from_secs(900);
/// A longer file is no list of requirements.
const MAX_REQUIREMENTS: u64 = 1024 * 1024;
/// What an installation notes about itself: paths, times, and who did it.
const TRACES: [&str; 5] = ["RECORD", "REQUESTED", "INSTALLER", "direct_url.json", "uv_cache.json"];

impl Environment {
    /// Installs the packages of a requirements file into the folder `into`, with this interpreter's pip and the caller's
    /// settings for it. Only what the file lists: each with its exact version, so that the same file gives the same
    /// bundle tomorrow.
    ///
    /// Cancel-safe: pip is killed when the future is dropped; what it has written stays.
    ///
    /// # Errors
    /// A requirement without an exact version, named with its line; what pip says.
    pub async fn vendor(&self, requirements: &Path, into: &Path) -> Result<(), EnvironmentError> {
        let failed = |source| EnvironmentError::Directory { path: requirements.to_owned(), source };
        let requirements = std::path::absolute(requirements).map_err(failed)?;
        check(&requirements)?;
        let mut command = with_callers_settings(&self.python);
        command
            .args(["-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--no-compile"])
            .args(["--no-deps", "--target"])
            .args([into.as_os_str(), "-r".as_ref(), requirements.as_os_str()]);
        // Relative paths in the file start at its folder.
        command.current_dir(requirements.parent().unwrap_or(Path::new("/")));
        let step = "installing what the requirements list";
        succeeded(step, &run(command, step, LIMIT).await?)?;
        clear(into).map_err(|source| EnvironmentError::Directory { path: into.to_owned(), source })
    }
}

/// Each requirement must be one version of one package.
fn check(requirements: &Path) -> Result<(), EnvironmentError> {
    let step = |problem: String| EnvironmentError::Step {
        step: format!("reading {}", requirements.display()),
        output: problem,
    };
    let size = fs::metadata(requirements).map_err(|error| step(error.to_string()))?.len();
    if size > MAX_REQUIREMENTS {
        return Err(step("it is too large for a list of requirements".to_owned()));
    }
    let text = fs::read_to_string(requirements).map_err(|error| step(error.to_string()))?;
    let mut goes_on = false;
    for (n, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let continued = goes_on;
        goes_on = line.ends_with('\\');
        if !continued && !is_fixed(line) {
            let line: String = line.chars().take(100).collect();
            return Err(step(format!(
                "line {}: {line:?} has no exact version: write NAME==VERSION, and every package that it needs as well \
                 (`pip freeze` lists them)",
                n + 1
            )));
        }
    }
    Ok(())
}

/// Whether the line of a requirements file can mean one thing only: a version, a file, an option, nothing.
fn is_fixed(line: &str) -> bool {
    let requirement = line.split(';').next().unwrap_or_default();
    let is_file = [".", "/"].iter().any(|start| line.starts_with(start)) || requirement.ends_with(".whl");
    let is_version = requirement.contains("==") && !requirement.contains('*') && !requirement.contains(',');
    line.is_empty() || line.starts_with('#') || line.starts_with("--") || is_file || is_version
}

/// Removes what differs between two installations of the same packages: notes of the installation, programs with the
/// interpreter's path in them.
fn clear(into: &Path) -> std::io::Result<()> {
    let programs = into.join("bin");
    if programs.is_dir() {
        fs::remove_dir_all(programs)?;
    }
    for entry in fs::read_dir(into)? {
        let folder = entry?.path();
        if folder.extension().is_none_or(|ending| ending != "dist-info") {
            continue;
        }
        for trace in TRACES {
            match fs::remove_file(folder.join(trace)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_must_be_one_version_or_one_file() {
        for fixed in [
            "",
            "# a comment",
            "--require-hashes",
            "idna==3.11",
            "idna[all]==3.11 ; python_version >= \"3.9\"",
            "./wheels/idna-3.11-py3-none-any.whl",
        ] {
            assert!(is_fixed(fixed), "{fixed}");
        }
        for open in
            ["idna", "idna>=3", "idna==3.*", "idna==3,>2", "idna; python_version == \"3.9\"", "-r other.txt"]
        {
            assert!(!is_fixed(open), "{open}");
        }
    }
}
