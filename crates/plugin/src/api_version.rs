//! API versions: what a bundle asks for, and what an environment offers (contract section 1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version of the plugin API. A third number, where one is written, does not count.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiVersion {
    pub major: u32,
    pub minor: u32,
}

/// A text that is no API version.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no API version: write x.y or x.y.z, in digits")]
pub struct ApiVersionError(String);

impl ApiVersion {
    /// The version that Keyward speaks: that of the SDK which it installs.
    pub const HOST: Self = Self { major: 1, minor: 9 };

    /// Whether a host that offers `self` runs a plugin that asks for `plugin`: the same major, and no lower minor.
    pub fn accepts(self, plugin: Self) -> bool {
        self.major == plugin.major && self.minor >= plugin.minor
    }
}

impl FromStr for ApiVersion {
    type Err = ApiVersionError;

    fn from_str(text: &str) -> Result<Self, ApiVersionError> {
        let parts: Vec<Option<u32>> = text.splitn(4, '.').map(number).collect();
        match parts.as_slice() {
            [Some(major), Some(minor)] | [Some(major), Some(minor), Some(_)] => {
                Ok(Self { major: *major, minor: *minor })
            }
            _ => Err(ApiVersionError(text.chars().take(64).collect())),
        }
    }
}

/// Plain digits: `u32::from_str` would take a sign as well.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl TryFrom<String> for ApiVersion {
    type Error = ApiVersionError;

    fn try_from(text: String) -> Result<Self, ApiVersionError> {
        text.parse()
    }
}

impl From<ApiVersion> for String {
    fn from(version: ApiVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> ApiVersion {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_takes_its_minor_and_every_lower_one_of_its_major() {
        let taken: Vec<&str> = ["0.9", "1.0", "1.1", "1.2", "1.3", "1.4", "2.0"]
            .into_iter()
            .filter(|plugin| version("1.3").accepts(version(plugin)))
            .collect();
        assert_eq!(taken, ["1.0", "1.1", "1.2", "1.3"]);
    }

    #[test]
    fn minor_ten_is_above_minor_nine() {
        assert_eq!(version("1.10"), ApiVersion { major: 1, minor: 10 });
        assert!(version("1.10").accepts(version("1.9")));
        assert!(!ApiVersion::HOST.accepts(version("1.10")));
    }

    #[test]
    fn the_third_number_does_not_count() {
        assert_eq!(version("1.2.99"), version("1.2"));
        assert_eq!(version("01.002").to_string(), "1.2");
    }

    #[test]
    fn what_is_not_two_or_three_numbers_is_refused() {
        for bad in [
            "",
            "1",
            "1.",
            ".1",
            "1.2.",
            "1.2.3.4",
            "1.x",
            "+1.2",
            "1.-2",
            "1.2-rc1",
            " 1.2",
            "1,2",
            "1.99999999999",
        ] {
            assert!(bad.parse::<ApiVersion>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "one".parse::<ApiVersion>().unwrap_err().to_string(),
            "\"one\" is no API version: write x.y or x.y.z, in digits"
        );
    }
}
