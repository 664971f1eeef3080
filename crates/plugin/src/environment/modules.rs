//! Which of the modules that plugins may assume an environment has (contract section 2).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Environment, EnvironmentError, PythonVersion, run};

/// A module that plugins may assume.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Module {
    /// What a plugin imports.
    pub name: &'static str,
    /// What pip calls it; `None`: the standard library has it.
    pub package: Option<&'static str>,
    /// The oldest version that plugins may get.
    #[serde(skip)]
    minimum: Option<&'static str>,
}

/// What importing a module has shown.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ModuleReport {
    #[serde(flatten)]
    pub module: Module,
    /// As the module tells it, where it does.
    pub version: Option<String>,
    /// Why plugins cannot use it, in one line.
    pub problem: Option<String>,
}

const LIMIT: Duration = Duration::from_secs(60);

const PYTHON_3: &[Module] = &[
    of("safeguard.sessions.plugin", "oneidentity_safeguard_sessions_plugin_sdk", None),
    of("OpenSSL", "pyOpenSSL", Some("17.5")),
    of("ldap", "python-ldap", Some("3.0")),
    of("requests", "requests", Some("2.18.4")),
    of("urllib3", "urllib3", Some("1.22")),
    of("yaml", "PyYAML", Some("3.12")),
];

const PYTHON_2: &[Module] = &[
    of("dns", "dnspython", None),
    own("httplib"),
    own("json"),
    of("lxml", "lxml", None),
    of("OpenSSL", "pyOpenSSL", None),
    own("urllib"),
    own("urllib2"),
    own("xml"),
    own("xmllib"),
    own("xmlrpclib"),
    // Not for plugins: their workers take descriptors with it.
    own("_multiprocessing"),
];

const fn of(name: &'static str, package: &'static str, minimum: Option<&'static str>) -> Module {
    Module { name, package: Some(package), minimum }
}

const fn own(name: &'static str) -> Module {
    Module { name, package: None, minimum: None }
}

/// One after the other, in an interpreter of its own. Some packages are more than their root: what plugins use of them
/// is imported as well.
const QUESTION: &str = r#"
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import json
inner = {'dns': 'dns.resolver', 'lxml': 'lxml.etree', 'OpenSSL': 'OpenSSL.SSL', 'xml': 'xml.dom.minidom'}
found = []
for name in sys.argv[1:]:
    version = problem = None
    try:
        __import__(inner.get(name, name))
        module = sys.modules[name]
        version = getattr(module, '__version__', None) or getattr(getattr(module, 'version', None), 'version', None)
    except Exception:
        kind, error = sys.exc_info()[:2]
        problem = '%s: %s' % (kind.__name__, error)
    found.append({'version': version and str(version), 'problem': problem})
print('')
print(json.dumps(found))
"#;

#[derive(Deserialize)]
struct Answer {
    version: Option<String>,
    problem: Option<String>,
}

impl Environment {
    /// Imports each module that plugins may assume and tells what came of it. It has 60 seconds.
    ///
    /// Cancel-safe: the interpreter is killed when the future is dropped.
    ///
    /// # Errors
    /// An interpreter that does not answer.
    pub async fn modules(&self) -> Result<Vec<ModuleReport>, EnvironmentError> {
        let assumed = if self.version.major == 2 { PYTHON_2 } else { PYTHON_3 };
        let mut command = run::clean(&self.python);
        command.args(["-E", "-s", "-B", "-c", QUESTION]).args(assumed.iter().map(|module| module.name));
        let step = "importing what plugins may assume";
        let finished = run::run(command, step, LIMIT).await?;
        let line = finished.stdout.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        let answers = line.and_then(|line| serde_json::from_slice::<Vec<Answer>>(line).ok());
        let answers = answers.filter(|answers| finished.success && answers.len() == assumed.len());
        let Some(answers) = answers else {
            return Err(EnvironmentError::Step { step: step.to_owned(), output: finished.said() });
        };
        Ok(assumed
            .iter()
            .zip(answers)
            .map(|(module, answer)| report(*module, answer, self.version))
            .collect())
    }
}

fn report(module: Module, answer: Answer, python: PythonVersion) -> ModuleReport {
    let clean = |text: String| text.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
    let version = answer.version.map(clean);
    let old = match (module.minimum, version.as_deref()) {
        (Some(minimum), Some(version)) if numbers(version) < numbers(minimum) => Some(format!(
            "{version} is older than {minimum}, which plugins for Python {} may assume",
            python.major
        )),
        (_, _) => None,
    };
    ModuleReport { module, version, problem: answer.problem.map(clean).or(old) }
}

/// `2.18.4` as numbers. What follows the digits of a part is left out: `19b1` is close enough to 19.
fn numbers(version: &str) -> Vec<u64> {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    version.split('.').map_while(|part| digits(part).parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_too_old_is_told() {
        let python = PythonVersion { major: 3, minor: 11, micro: 2 };
        let problem = |version: &str| {
            let answer = Answer { version: Some(version.to_owned()), problem: None };
            report(of("requests", "requests", Some("2.18.4")), answer, python).problem
        };
        for good in ["2.18.4", "2.32.5", "3.0.0", "2.19b1", "2.18.4.post1"] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in ["2.18.3", "2.9.9", "1.26.20", ""] {
            assert!(problem(bad).is_some_and(|text| text.contains("older than 2.18.4")), "{bad}");
        }
    }
}
