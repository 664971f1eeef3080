//! Environments: a named interpreter and the packages that plugins may assume in it (contract section 2).

mod create;
mod error;
mod look;
mod modules;
mod native;
mod packages;
mod probe;
mod run;
mod vendor;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

pub use create::create_environment;
pub use error::EnvironmentError;
pub use look::{AtHand, SourceWarning};
pub use modules::{Module, ModuleReport};

use crate::ApiVersion;

/// An interpreter that can run plugins, as it was when it was asked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Environment {
    pub name: String,
    /// Absolute. Links are kept: a virtual environment is found by the path of its interpreter.
    pub python: PathBuf,
    pub version: PythonVersion,
    /// The version of the SDK that is installed there.
    pub sdk: Option<String>,
    /// What the environment offers: the API of its SDK, or that of Keyward where there is none.
    pub api: ApiVersion,
}

/// The version of an interpreter.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct PythonVersion {
    pub major: u32,
    pub minor: u32,
    pub micro: u32,
}

impl PythonVersion {
    /// What a plugin for Python 3 may assume.
    pub const MINIMUM: Self = Self { major: 3, minor: 6, micro: 7 };
    /// What a plugin for Python 2 may assume.
    pub const MINIMUM_LEGACY: Self = Self { major: 2, minor: 6, micro: 5 };

    /// Whether plugins of either kind run on it.
    pub fn fits(self) -> bool {
        match self.major {
            2 => self >= Self::MINIMUM_LEGACY,
            _ => self >= Self::MINIMUM,
        }
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

impl Environment {
    /// Debian's packages without which python-ldap cannot be built here; none for Python 2, whose plugins do not expect it.
    ///
    /// Cancel-safe: the interpreter is killed when the future is dropped.
    ///
    /// # Errors
    /// An interpreter that does not answer.
    pub async fn missing_native_packages(&self) -> Result<Vec<String>, EnvironmentError> {
        match self.version.major {
            2 => Ok(Vec::new()),
            _ => native::lacking(&self.python, self.version).await,
        }
    }
}

#[cfg(test)]
mod tests;
