//! The MANIFEST of a bundle (contract section 1).

mod document;
mod error;
mod product_version;

use keyward_model::PluginName;
use serde::{Deserialize, Serialize};

pub use error::ManifestError;

use crate::{ApiVersion, Warning};
use document::{Document, Shape};
use product_version::ProductVersion;

/// What a bundle says about itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Manifest {
    /// The identity of the plugin: the same name again is an update.
    pub name: PluginName,
    /// The key `type`.
    pub kind: PluginKind,
    /// Begins with a digit; as written, so that `1.0` stays `1.0`.
    pub version: String,
    /// The API that the plugin asks for.
    pub api: ApiVersion,
    pub description: String,
    /// The file with `class Plugin`; `None` selects Python 2 and `main.py`.
    pub entry_point: Option<String>,
    /// `scb_min_version`, shown and never obeyed.
    pub min_version: Option<String>,
    /// `scb_max_version`, shown and never obeyed. A trailing `~` means "below".
    pub max_version: Option<String>,
    pub author_email: Option<String>,
}

/// The key `type`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum PluginKind {
    #[serde(rename = "aa")]
    Aa,
    #[serde(rename = "credentialstore")]
    CredentialStore,
    #[serde(rename = "signingca")]
    SigningCa,
    #[serde(rename = "configuration_sync")]
    ConfigurationSync,
}

impl Manifest {
    /// The name of the file, in the root of a bundle.
    pub const FILE: &str = "MANIFEST";
    /// Real ones have a few hundred bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Reads a MANIFEST. Scalars count by their text: `api: 1.10` is minor ten.
    ///
    /// # Errors
    /// Names the key, the value and the rule; a document that is no YAML, the line and the column.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        Self::parse_with_warnings(bytes).map(|(manifest, _)| manifest)
    }

    /// The same, with what is odd but no reason to refuse.
    pub(crate) fn parse_with_warnings(bytes: &[u8]) -> Result<(Self, Vec<Warning>), ManifestError> {
        let document = Document::read(text(bytes)?)?;
        let manifest = Self {
            name: name(&document)?,
            kind: kind(&document)?,
            version: version(&document)?,
            api: api(&document)?,
            description: required(&document, "description", "a text that tells people what the plugin does")?
                .to_owned(),
            entry_point: entry_point(&document)?,
            min_version: bound(&document, MIN_VERSION),
            max_version: bound(&document, MAX_VERSION),
            author_email: author_email(&document)?,
        };
        let warnings = manifest.version_warnings(&document);
        Ok((manifest, warnings))
    }

    /// Public plugins carry contradictory product versions, so nothing here refuses them.
    fn version_warnings(&self, document: &Document) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (key, bound) in [(MIN_VERSION, &self.min_version), (MAX_VERSION, &self.max_version)] {
            let given = document.get(key).is_some_and(|node| !matches!(node.shape, Shape::Null));
            if given && bound.as_deref().and_then(ProductVersion::parse).is_none() {
                warnings.push(Warning::NotAProductVersion { key, value: bound.clone().unwrap_or_default() });
            }
        }
        if let (Some(min), Some(max)) = (&self.min_version, &self.max_version)
            && product_version::contradict(min, max)
        {
            warnings.push(Warning::ContradictoryVersions { min: min.clone(), max: max.clone() });
        }
        warnings
    }
}

const MIN_VERSION: &str = "scb_min_version";
const MAX_VERSION: &str = "scb_max_version";

fn text(bytes: &[u8]) -> Result<&str, ManifestError> {
    if bytes.len() > Manifest::MAX_BYTES {
        return Err(ManifestError::TooLong { bytes: bytes.len() });
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| ManifestError::NotUtf8 { offset: error.valid_up_to() })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn name(document: &Document) -> Result<PluginName, ManifestError> {
    const RULE: &str =
        "a letter, then one or more letters, digits or underscores (A-Z, a-z, 0-9, _), 128 at most";
    let name = required(document, "name", RULE)?;
    PluginName::try_from(name).map_err(|_| ManifestError::value("name", name, RULE))
}

fn kind(document: &Document) -> Result<PluginKind, ManifestError> {
    const RULE: &str = "one of aa, credentialstore, signingca, configuration_sync";
    let kind = required(document, "type", RULE)?;
    PluginKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| ManifestError::value("type", kind, RULE))
}

fn version(document: &Document) -> Result<String, ManifestError> {
    const RULE: &str = "a text of one line that begins with a digit";
    let version = required(document, "version", RULE)?;
    let good = version.starts_with(|c: char| c.is_ascii_digit()) && !version.contains(char::is_control);
    if good { Ok(version.to_owned()) } else { Err(ManifestError::value("version", version, RULE)) }
}

fn api(document: &Document) -> Result<ApiVersion, ManifestError> {
    const RULE: &str = "x.y or x.y.z, in digits (1.10 is minor ten)";
    let api = required(document, "api", RULE)?;
    api.parse().map_err(|_| ManifestError::value("api", api, RULE))
}

fn entry_point(document: &Document) -> Result<Option<String>, ManifestError> {
    const RULE: &str = "the name of a file in the root of the bundle, made of A-Z, a-z, 0-9, '.', '_' and '-'; \
                        a Python 2 plugin leaves the key out";
    if document.get("entry_point").is_none() {
        return Ok(None);
    }
    let file = required(document, "entry_point", RULE)?;
    let good = file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !matches!(file, "." | "..")
        && file.len() <= 255;
    if good { Ok(Some(file.to_owned())) } else { Err(ManifestError::value("entry_point", file, RULE)) }
}

/// A product version, or anything else that stands there as a scalar.
fn bound(document: &Document, key: &str) -> Option<String> {
    match &document.get(key)?.shape {
        Shape::Text(text) => Some(text.to_string()),
        Shape::Null | Shape::List | Shape::Map => None,
    }
}

fn author_email(document: &Document) -> Result<Option<String>, ManifestError> {
    const RULE: &str = "a mail address such as name@example.com, or no key at all";
    let Some(node) = document.get("author_email") else { return Ok(None) };
    let address: &str = match &node.shape {
        Shape::Null => return Ok(None),
        Shape::Text(text) if text.is_empty() => return Ok(None),
        Shape::Text(text) => text,
        Shape::List | Shape::Map => return Err(ManifestError::ill_typed("author_email", node, RULE)),
    };
    if is_address(address) {
        Ok(Some(address.to_owned()))
    } else {
        Err(ManifestError::value("author_email", address, RULE))
    }
}

fn is_address(text: &str) -> bool {
    let word = |part: &str, extra: &[u8]| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
    };
    text.split_once('@').is_some_and(|(user, domain)| {
        word(user, b"-+_.") && domain.split('.').all(|label| word(label, b"-_"))
    })
}

/// The text of a key that must be there and must not be empty.
fn required<'d>(
    document: &'d Document,
    key: &'static str,
    rule: &'static str,
) -> Result<&'d str, ManifestError> {
    let node = document.get(key).ok_or(ManifestError::Missing { key, rule })?;
    match &node.shape {
        Shape::Text(text) if text.trim().is_empty() => Err(ManifestError::Empty { key, rule }),
        Shape::Text(text) => Ok(text),
        Shape::Null => Err(ManifestError::Empty { key, rule }),
        Shape::List | Shape::Map => Err(ManifestError::ill_typed(key, node, rule)),
    }
}

impl PluginKind {
    pub const ALL: [Self; 4] = [Self::Aa, Self::CredentialStore, Self::SigningCa, Self::ConfigurationSync];

    /// Whether the gateway calls plugins of this type. The others are checked and stored (contract section 6).
    pub fn is_called(self) -> bool {
        match self {
            Self::Aa | Self::CredentialStore => true,
            Self::SigningCa | Self::ConfigurationSync => false,
        }
    }

    /// The word of the MANIFEST.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aa => "aa",
            Self::CredentialStore => "credentialstore",
            Self::SigningCa => "signingca",
            Self::ConfigurationSync => "configuration_sync",
        }
    }
}

impl std::fmt::Display for PluginKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
