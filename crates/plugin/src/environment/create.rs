//! Makes an environment: a virtual environment with the SDK and the modules that plugins may assume.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::run::{Finished, clean, inheriting, run};
use super::{Environment, EnvironmentError, packages};

const VENV_LIMIT: Duration = Duration::from_secs(120);
const INSTALL_LIMIT: Duration = Duration::from_secs(900);
const IMPORT_LIMIT: Duration = Duration::from_secs(60);

/// Makes an environment in `dir`, which must not exist, from the interpreter `python`. It is named after `dir`.
///
/// pip runs with the caller's environment and settings, since those say which registry to ask; it is a tool of
/// the administrator here and not a plugin. `progress` gets a sentence at each step, and a warning where
/// python-ldap could not be built.
///
/// Cancel-safe: what runs is killed, and `dir` removed, when the future is dropped.
///
/// # Errors
/// An unfit interpreter, a directory that exists, a step that fails. Nothing stays behind.
pub async fn create_environment(
    python: &Path,
    dir: &Path,
    mut progress: impl FnMut(&str),
) -> Result<Environment, EnvironmentError> {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let base = Environment::probe(&name, python).await?;
    let folder = NewFolder::make(dir)?;
    progress(&format!(
        "making a virtual environment of Python {} in {}",
        base.version,
        folder.path.display()
    ));
    make_venv(&base, &folder.path).await?;
    let python = folder.path.join("bin/python");
    progress("installing the SDK and the modules that plugins may assume");
    install(&python, "pip", packages::PIP).await?;
    install(&python, "the SDK", packages::SDK).await?;
    install(&python, "the modules that plugins may assume", packages::REQUIRED).await?;
    progress("installing python-ldap");
    if let Err(error) = install_ldap(&python).await {
        progress(&format!(
            "warning: python-ldap could not be built, so plugins that use LDAP themselves will not run; \
             on Debian, run `apt-get install {}` and make the environment again: {error}",
            packages::LDAP_NEEDS
        ));
    }
    progress("importing what was installed");
    import(&python, packages::PROOF).await?;
    let environment = Environment::probe(&name, &python).await?;
    folder.keep();
    Ok(environment)
}

async fn make_venv(base: &Environment, dir: &Path) -> Result<(), EnvironmentError> {
    let mut command = with_callers_settings(&base.python);
    command.args(["-I", "-m", "venv"]).arg(dir);
    let finished = run(command, "making the virtual environment", VENV_LIMIT).await?;
    let lacks_module = ["ensurepip is not available", "No module named venv", "No module named ensurepip"];
    let said = format!(
        "{} {}",
        String::from_utf8_lossy(&finished.stdout),
        String::from_utf8_lossy(&finished.stderr)
    )
    .replace('\'', "");
    if !finished.success && lacks_module.iter().any(|sign| said.contains(sign)) {
        return Err(EnvironmentError::NoVenv { python: base.python.clone(), version: base.version });
    }
    succeeded("making the virtual environment", &finished)
}

async fn install(python: &Path, what: &str, requirements: &[&str]) -> Result<(), EnvironmentError> {
    let mut command = with_callers_settings(python);
    command
        .args(["-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--prefer-binary"])
        .args(requirements);
    let step = format!("installing {what}");
    succeeded(&step, &run(command, &step, INSTALL_LIMIT).await?)
}

async fn install_ldap(python: &Path) -> Result<(), EnvironmentError> {
    install(python, "python-ldap", packages::LDAP).await?;
    import(python, packages::LDAP_PROOF).await
}

async fn import(python: &Path, statement: &str) -> Result<(), EnvironmentError> {
    let mut command = clean(python);
    command.args(["-I", "-c", statement]);
    succeeded(
        "importing what was installed",
        &run(command, "importing what was installed", IMPORT_LIMIT).await?,
    )
}

/// A command that inherits the environment, without what would lead an installation elsewhere.
pub(super) fn with_callers_settings(program: &Path) -> Command {
    let mut command = inheriting(program);
    for variable in ["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PYTHONHOME", "PYTHONPATH"] {
        command.env_remove(variable);
    }
    command
}

pub(super) fn succeeded(step: &str, finished: &Finished) -> Result<(), EnvironmentError> {
    if finished.success {
        return Ok(());
    }
    Err(EnvironmentError::Step { step: step.to_owned(), output: finished.said() })
}

/// A directory that goes away with everything in it unless it is kept.
#[derive(Debug)]
struct NewFolder {
    path: PathBuf,
    kept: bool,
}

impl NewFolder {
    fn make(dir: &Path) -> Result<Self, EnvironmentError> {
        let failed = |source| EnvironmentError::Directory { path: dir.to_owned(), source };
        let path = std::path::absolute(dir).map_err(failed)?;
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self { path, kept: false }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(EnvironmentError::Exists(path))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove an unfinished environment");
        }
    }
}
