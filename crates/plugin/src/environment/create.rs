//! Makes an environment: a virtual environment with the SDK and the modules that plugins may assume.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::packages::{Built, Packages, VIRTUALENV};
use super::run::{Finished, inheriting, run};
use super::{Environment, EnvironmentError, PythonVersion, native};

const VENV_LIMIT: Duration = Duration::from_secs(120);
const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// What makes an environment of Python 2 must itself be this or later.
const MAKER: PythonVersion = PythonVersion { major: 3, minor: 8, micro: 0 };

/// Makes an environment in `dir`, which must not exist, from the interpreter `python`. It is named after `dir`.
///
/// pip runs with the caller's environment and settings, since those say which registry to ask; it is a tool of
/// the administrator here and not a plugin. It takes the packages of a pinned list and checks their hashes. An
/// environment of Python 2 is made with the `python3` on the search path. `progress` gets a sentence at each step, and
/// a warning where python-ldap could not be built.
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
    let scratch = Scratch::make()?;
    progress(&format!(
        "making a virtual environment of Python {} in {}",
        base.version,
        folder.path.display()
    ));
    match base.version.major {
        2 => make_virtualenv(&base, &folder.path, &scratch).await?,
        _ => make_venv(&base, &folder.path).await?,
    }
    let packages = Packages::of(base.version);
    let pip = Pip { python: folder.path.join("bin/python"), version: base.version, scratch: &scratch };
    if let Some(newer) = packages.pip {
        progress("installing a newer pip");
        pip.install("pip", newer).await?;
    }
    progress("installing the modules that plugins may assume");
    pip.install("the modules that plugins may assume", packages.modules).await?;
    if let Some(ldap) = packages.ldap {
        progress("building python-ldap");
        if let Err(why) = pip.build(ldap).await {
            progress(&format!(
                "warning: python-ldap could not be built, so plugins that use LDAP themselves will not run; {why}"
            ));
        }
    }
    progress("importing what was installed");
    let environment = Environment::probe(&name, &pip.python).await?;
    prove(&environment).await?;
    folder.keep();
    Ok(environment)
}

/// Every module can be imported; python-ldap may be missing, about which there was a warning.
async fn prove(environment: &Environment) -> Result<(), EnvironmentError> {
    let problems = environment.modules().await?.into_iter().filter_map(|report| {
        let problem = report.problem.filter(|_| report.module.package != Some("python-ldap"))?;
        Some(format!("{}: {problem}", report.module.name))
    });
    let problems: Vec<String> = problems.collect();
    if problems.is_empty() {
        return Ok(());
    }
    let step = "importing what was installed".to_owned();
    Err(EnvironmentError::Step { step, output: problems.join(" | ") })
}

/// Python 2 has no `venv` of its own. A Python 3 makes the environment, with what is installed for that alone.
async fn make_virtualenv(base: &Environment, dir: &Path, scratch: &Scratch) -> Result<(), EnvironmentError> {
    let Some(python3) = python3() else { return Err(EnvironmentError::NoMaker) };
    let maker = Environment::probe("maker", &python3).await?;
    if maker.version < MAKER {
        return Err(EnvironmentError::NoMaker);
    }
    let folder = scratch.path("maker");
    make_venv(&maker, &folder).await?;
    let pip = Pip { python: folder.join("bin/python"), version: maker.version, scratch };
    pip.install("virtualenv", VIRTUALENV).await?;
    let mut command = with_callers_settings(&pip.python);
    command.args(["-I", "-m", "virtualenv", "--quiet", "--no-download", "--no-periodic-update"]);
    command.args(["--no-setuptools", "--no-wheel", "--app-data"]).arg(scratch.path("app-data"));
    command.arg("--python").arg(&base.python).arg(dir);
    let step = "making the virtual environment";
    succeeded(step, &run(command, step, VENV_LIMIT).await?)
}

/// The one that a shell would start.
fn python3() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|file| file.is_file())
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

/// The pip of one interpreter.
#[derive(Debug)]
struct Pip<'a> {
    python: PathBuf,
    version: PythonVersion,
    scratch: &'a Scratch,
}

impl Pip<'_> {
    /// Installs a list. `what` names it in errors.
    async fn install(&self, what: &str, list: &str) -> Result<(), EnvironmentError> {
        let list = self.scratch.write("packages.txt", list)?;
        let words = ["install", "--prefer-binary", "--require-hashes", "--requirement"];
        self.run(&words, &[&list], &[], &format!("installing {what}")).await
    }

    /// Builds and installs python-ldap. The tools for it do not stay in the environment.
    async fn build(&self, ldap: Built) -> Result<(), EnvironmentError> {
        let packages = native::lacking(&self.python, self.version).await?;
        if !packages.is_empty() {
            return Err(EnvironmentError::NativePackages { packages });
        }
        let (tools, wheels) = (self.scratch.path("tools"), self.scratch.path("wheels"));
        let (package, list) =
            (self.scratch.write("ldap.txt", ldap.package)?, self.scratch.write("tools.txt", ldap.tools)?);
        let words = ["install", "--require-hashes", "--requirement"];
        let target = Path::new("--target");
        self.run(&words, &[&list, target, &tools], &[], "installing what builds python-ldap").await?;
        // Without isolation pip takes these tools, and not those that the package would choose from a registry.
        let words = ["wheel", "--no-build-isolation", "--require-hashes", "--requirement"];
        let into = Path::new("--wheel-dir");
        let step = "building python-ldap";
        self.run(&words, &[&package, into, &wheels], &[("PYTHONPATH", &tools)], step).await?;
        let words = ["install", "--no-index", "--find-links"];
        let name = Path::new("python-ldap");
        self.run(&words, &[&wheels, name], &[], "installing python-ldap").await
    }

    /// Runs pip with `words`, then `paths`; `variables` are set beside the caller's.
    async fn run(
        &self,
        words: &[&str],
        paths: &[&Path],
        variables: &[(&str, &Path)],
        step: &str,
    ) -> Result<(), EnvironmentError> {
        let mut command = with_callers_settings(&self.python);
        match self.version.major {
            // With `-I`, the variable that names the tools would be ignored; Python 2 does not know it.
            2 => command.args(["-E", "-s"]),
            _ if variables.is_empty() => command.arg("-I"),
            _ => command.arg("-s"),
        };
        let (verb, rest) = words.split_first().unwrap_or((&"help", &[]));
        command.args(["-m", "pip", verb, "--no-input", "--disable-pip-version-check", "--no-deps"]);
        command.args(rest).args(paths).envs(variables.iter().copied());
        command.current_dir(self.scratch.0.path());
        succeeded(step, &run(command, step, INSTALL_LIMIT).await?)
    }
}

/// A folder for what is needed on the way only; it goes away with all of that.
#[derive(Debug)]
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn make() -> Result<Self, EnvironmentError> {
        let failed = |source| EnvironmentError::Directory { path: std::env::temp_dir(), source };
        tempfile::Builder::new().prefix("keyward-environment-").tempdir().map(Self).map_err(failed)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, EnvironmentError> {
        let path = self.path(name);
        let failed = |source| EnvironmentError::Directory { path: path.clone(), source };
        fs::write(&path, text).map_err(failed)?;
        Ok(path)
    }
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
