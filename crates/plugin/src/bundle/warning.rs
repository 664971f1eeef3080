//! What is odd about a bundle, and no reason to refuse it.

use serde::Serialize;

/// An oddity, told to whoever uploads the bundle.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Warning {
    #[error(
        "MANIFEST key `{key}` has the value {value:?}, which is no product version such as 6.0 or 6.0~: it is not used"
    )]
    NotAProductVersion { key: &'static str, value: String },
    #[error(
        "MANIFEST keys `scb_min_version` ({min}) and `scb_max_version` ({max}) contradict each other: they are not used"
    )]
    ContradictoryVersions { min: String, max: String },
    #[error(
        "entry \"default.cfg\" has {bytes} bytes, more than {}: it will not pre-fill a configuration",
        super::Bundle::MAX_DEFAULT_CONFIGURATION_BYTES
    )]
    DefaultConfigurationTooLong { bytes: usize },
    #[error("entry {entry:?} defines no class Plugin that can be seen: only importing it will tell")]
    NoPluginSeen { entry: String },
}

/// As its sentence.
impl Serialize for Warning {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
