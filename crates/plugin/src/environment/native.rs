//! What the machine must have before python-ldap can be built, since there are no wheels of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::run::{inheriting, run};
use super::{EnvironmentError, PythonVersion};

const LIMIT: Duration = Duration::from_secs(60);

/// Asks the preprocessor that builds extensions of this Python. Where there is no compiler, files are looked for.
const QUESTION: &str = r#"
import json, os, shlex, shutil, subprocess, sysconfig
compiler = shlex.split(os.environ.get('CC') or sysconfig.get_config_var('CC') or 'cc')
folders = [sysconfig.get_paths()['include'], '/usr/include', '/usr/local/include']
works = bool(compiler) and shutil.which(compiler[0]) is not None

def is_there(header):
    if not works:
        return any(os.path.exists(os.path.join(folder, header)) for folder in folders)
    command = compiler + ['-E', '-x', 'c', '-I', folders[0], '-']
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    child.communicate(('#include <%s>\n' % header).encode())
    return child.returncode == 0

lacking = [] if works else ['a C compiler']
lacking += [header for header in ('stdio.h', 'Python.h', 'ldap.h', 'sasl/sasl.h') if not is_there(header)]
print(json.dumps(lacking))
"#;

/// Debian's packages that are missing, by name and sorted; empty where python-ldap can be built with `python`.
///
/// Cancel-safe: the interpreter is killed when the future is dropped.
///
/// # Errors
/// An interpreter that does not answer.
pub(super) async fn lacking(python: &Path, version: PythonVersion) -> Result<Vec<String>, EnvironmentError> {
    let mut command = inheriting(python);
    command.args(["-I", "-c", QUESTION]);
    let step = "looking for what builds python-ldap";
    let finished = run(command, step, LIMIT).await?;
    let lacking = serde_json::from_slice::<Vec<String>>(finished.stdout.trim_ascii()).ok();
    let Some(lacking) = lacking.filter(|_| finished.success) else {
        return Err(EnvironmentError::Step { step: step.to_owned(), output: finished.said() });
    };
    let packages: BTreeSet<String> = lacking.iter().map(|what| package(what, version)).collect();
    Ok(packages.into_iter().collect())
}

/// Debian's name for what brings it.
fn package(what: &str, version: PythonVersion) -> String {
    match what {
        "a C compiler" => "gcc".to_owned(),
        "stdio.h" => "libc6-dev".to_owned(),
        "ldap.h" => "libldap2-dev".to_owned(),
        "sasl/sasl.h" => "libsasl2-dev".to_owned(),
        _ => format!("python{}.{}-dev", version.major, version.minor),
    }
}
