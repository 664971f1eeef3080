//! Names of the things that the configuration document defines.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name that breaks the rule of its kind.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} {name:?} is not a name: {rule}")]
pub struct NameError {
    what: &'static str,
    name: String,
    rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(&name) { Ok(Self(name)) } else { Err(NameError { what: $what, name, rule: $rule }) }
            }
        }

        impl TryFrom<&str> for $type {
            type Error = NameError;

            fn try_from(name: &str) -> Result<Self, NameError> {
                Self::try_from(name.to_owned())
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a connection policy. It is part of every session id.
    ConnectionName,
    "connection",
    "1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'",
    is_label
);
name!(
    /// The name of a plugin instance: a bundle with a configuration of its own.
    InstanceName,
    "plugin instance",
    "1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'",
    is_label
);
name!(
    /// The `name` of a bundle's MANIFEST, by which an upload is known as an update (contract section 1).
    PluginName,
    "plugin",
    "a letter, then one or more of a-z, A-Z, 0-9 and '_', 128 at most",
    is_plugin_name
);

fn is_label(name: &str) -> bool {
    // A name made of dots alone would be a path of its own wherever it names a directory.
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !name.bytes().all(|b| b == b'.')
}

fn is_plugin_name(name: &str) -> bool {
    (2..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_name_has_two_characters_or_more() {
        assert!(PluginName::try_from("P").is_err());
        assert!(PluginName::try_from("P1").is_ok());
        assert!(PluginName::try_from("1P").is_err());
        assert!(PluginName::try_from("P-1").is_err());
    }

    #[test]
    fn a_label_cannot_be_a_path() {
        for bad in ["", ".", "..", "a/b", "a\0", "é", "a b"] {
            assert!(InstanceName::try_from(bad).is_err(), "{bad:?}");
        }
        assert_eq!(InstanceName::try_from("otp-2.x").unwrap().as_str(), "otp-2.x");
    }
}
