//! Looks at a bundle's source for what will hurt later, without running any of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::run::{clean, run};
use super::{Environment, EnvironmentError};
use crate::{Hook, PluginKind, PythonMajor, UnpackedBundle};

const SCRIPT: &str = include_str!("../../../../python/keyward_kit/look.py");
const LIMIT: Duration = Duration::from_secs(60);
/// What the contract promises to Python 3 plugins (section 2), as it is imported.
const PROMISED: [&str; 6] = ["safeguard", "OpenSSL", "ldap", "requests", "urllib3", "yaml"];

/// Something that a gateway would trip over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum SourceWarning {
    Syntax { file: String, line: u32, message: String },
    Import { module: String, file: String, line: u32 },
    MissingHook { hook: String },
    PositionalOnly { hook: String, argument: String, file: String, line: u32 },
    UnknownArgument { hook: String, argument: String, file: String, line: u32 },
    TakesNoConfiguration {},
    SdkInside { path: String },
    Compiled { path: String },
}

/// Which modules count as there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AtHand {
    /// Those of this interpreter and no others.
    Installed,
    /// Also those that the contract promises: this interpreter stands for an environment that has them.
    Promised,
}

impl Environment {
    /// Reads the bundle's source, with this interpreter's own parser. It has 60 seconds. Bundles of Python 2 are not
    /// looked into.
    ///
    /// Cancel-safe: the interpreter is killed when the future is dropped.
    ///
    /// # Errors
    /// An interpreter that does not answer.
    pub async fn look_into(
        &self,
        bundle: &UnpackedBundle,
        at_hand: AtHand,
    ) -> Result<Vec<SourceWarning>, EnvironmentError> {
        match bundle.bundle.python {
            PythonMajor::Two => return Ok(Vec::new()),
            PythonMajor::Three => {}
        }
        let kind = bundle.bundle.manifest.kind;
        let hooks: BTreeMap<&str, Vec<&str>> = Hook::ALL
            .into_iter()
            .filter(|hook| hook.belongs_to(kind))
            .map(|hook| (hook.name(), hook.arguments(kind)))
            .collect();
        let configuration = bundle.bundle.default_configuration.as_deref().unwrap_or_default();
        let order = json!({
            "root": bundle.root,
            "entry": bundle.bundle.entry,
            "hooks": hooks,
            "family": Hook::family(kind),
            "required": required(kind),
            "configured": !configuration.trim().is_empty(),
            "at_hand": match at_hand {
                AtHand::Installed => &[][..],
                AtHand::Promised => &PROMISED[..],
            },
        });
        let mut command = clean(&self.python);
        command.args(["-E", "-s", "-B", "-X", "utf8", "-c", SCRIPT]).arg(order.to_string());
        let step = "looking at the source";
        let finished = run(command, step, LIMIT).await?;
        let failed = || EnvironmentError::Step { step: step.to_owned(), output: finished.said() };
        if !finished.success {
            return Err(failed());
        }
        serde_json::from_slice(finished.stdout.trim_ascii()).map_err(|_| failed())
    }
}

/// The hooks that must exist (contract sections 4 and 5).
fn required(kind: PluginKind) -> &'static [&'static str] {
    match kind {
        PluginKind::Aa => &["authenticate", "authorize", "session_ended"],
        PluginKind::CredentialStore => {
            &["get_password_list", "get_private_key_list", "authentication_completed", "session_ended"]
        }
        PluginKind::SigningCa | PluginKind::ConfigurationSync => &[],
    }
}

impl fmt::Display for SourceWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { file, line, message } => {
                write!(f, "{file}:{line}: this Python cannot read it: {message}")
            }
            Self::Import { module, file, line } => write!(
                f,
                "{file}:{line}: imports {module}, which neither the bundle nor the environment has: put it into the bundle \
                 (`keyward plugin pack` with --requirements does)"
            ),
            Self::MissingHook { hook } => {
                write!(
                    f,
                    "class Plugin has no {hook}, which it must have: the first session that needs it will end there"
                )
            }
            Self::PositionalOnly { hook, argument, file, line } => write!(
                f,
                "{file}:{line}: {hook} declares {argument} as positional-only, and arguments are passed by name: remove the `/`"
            ),
            Self::UnknownArgument { hook, argument, file, line } => write!(
                f,
                "{file}:{line}: {hook} declares {argument}, which is no argument of the hook and has no default: every call would fail"
            ),
            Self::TakesNoConfiguration {} => write!(
                f,
                "class Plugin takes no configuration, and default.cfg has one: every call would fail; write \
                 `def __init__(self, configuration):`, or remove default.cfg"
            ),
            Self::SdkInside { path } => write!(
                f,
                "{path}: the Plugin SDK is inside the bundle, where it hides the environment's own: leave it out"
            ),
            Self::Compiled { path } => write!(
                f,
                "{path}: it was compiled for another Python or another system: this environment cannot import it"
            ),
        }
    }
}

/// As its sentence.
impl Serialize for SourceWarning {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
