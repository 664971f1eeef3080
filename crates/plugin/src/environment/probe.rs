//! Asks an interpreter what it is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{Environment, EnvironmentError, PythonVersion, run};
use crate::{ApiVersion, ApiVersionError};

const LIMIT: Duration = Duration::from_secs(20);

/// Runs on any Python, so that a 2.7 is told from a program that is none. Nothing of a package is imported:
/// the SDK is known by what its installation has left on the search path.
const QUESTION: &str = r#"
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import json, os, re
sdk = None
for folder in sys.path:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        continue
    for name in names:
        parts = name.rsplit('.', 1)[0].split('-')
        if name.endswith(('.dist-info', '.egg-info')) and len(parts) > 1 and sdk is None:
            if re.sub('[-_.]+', '_', parts[0]).lower() == 'oneidentity_safeguard_sessions_plugin_sdk':
                sdk = parts[1]
print(json.dumps({'version': list(sys.version_info[:3]), 'sdk': sdk, 'executable': sys.executable}))
"#;

#[derive(Deserialize)]
struct Answer {
    version: (u32, u32, u32),
    sdk: Option<String>,
    /// Where the interpreter says that it lies.
    executable: Option<String>,
}

impl Environment {
    /// Starts `python` once, in a clean environment and isolated from the user's packages, and asks for its
    /// version and its SDK. It has 20 seconds.
    ///
    /// Cancel-safe: the interpreter is killed when the future is dropped.
    ///
    /// # Errors
    /// No interpreter, one before 3.6.7 (of Python 2: before 2.6.5), one that does not answer.
    pub async fn probe(name: &str, python: &Path) -> Result<Self, EnvironmentError> {
        let path = || python.to_owned();
        let python = std::path::absolute(python)
            .map_err(|source| EnvironmentError::Start { python: path(), source })?;
        let mut command = run::clean(&python);
        // Together with the first line of the question this is `-I`, which Python 2 does not know.
        command.args(["-E", "-s", "-B", "-c", QUESTION]);
        let finished =
            run::run(command, &format!("asking {} for its version", python.display()), LIMIT).await?;
        let answer = if finished.success { answer(&finished.stdout) } else { None };
        let Some(answer) = answer else {
            return Err(EnvironmentError::NotPython { python, output: finished.said() });
        };
        let python = behind(&python, answer.executable.as_deref()).unwrap_or(python);
        let (major, minor, micro) = answer.version;
        let version = PythonVersion { major, minor, micro };
        if !version.fits() {
            return Err(EnvironmentError::TooOld { python, version });
        }
        match api(answer.sdk.as_deref()) {
            Ok(api) => Ok(Self { name: name.to_owned(), python, version, sdk: answer.sdk, api }),
            Err(_) => Err(EnvironmentError::SdkVersion { python, version: answer.sdk.unwrap_or_default() }),
        }
    }
}

/// The interpreter that a script at `python` starts, as version managers put them on the search path. A confined plugin
/// has no shell to run such a script with. `None`: it is no script.
fn behind(python: &Path, executable: Option<&str>) -> Option<PathBuf> {
    let mut start = [0; 2];
    File::open(python).and_then(|mut file| file.read_exact(&mut start)).ok()?;
    let executable = executable.map(PathBuf::from).filter(|path| path.is_absolute())?;
    (&start == b"#!").then_some(executable)
}

/// The last line: whatever a site's own start-up prints comes before it.
fn answer(stdout: &[u8]) -> Option<Answer> {
    let line = stdout.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
    serde_json::from_slice(line).ok()
}

fn api(sdk: Option<&str>) -> Result<ApiVersion, ApiVersionError> {
    sdk.map_or(Ok(ApiVersion::HOST), str::parse)
}
