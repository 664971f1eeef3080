//! What can be wrong with a MANIFEST: always the bundle's fault.

use super::document::{Node, Shape};

/// Why a MANIFEST is refused. Each message names the key, the value and the rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ManifestError {
    #[error("MANIFEST has {bytes} bytes: it may have {}", super::Manifest::MAX_BYTES)]
    TooLong { bytes: usize },
    #[error("MANIFEST is not UTF-8 at byte {offset}: save it as UTF-8")]
    NotUtf8 { offset: usize },
    #[error(
        "MANIFEST is no YAML at line {line}, column {column}: {problem} (a text that holds `: ` or ` #`, or begins with a sign, must stand in quotes)"
    )]
    Syntax { line: usize, column: usize, problem: String },
    #[error("MANIFEST line {line}, column {column}: {problem}")]
    Structure { line: usize, column: usize, problem: &'static str },
    #[error("MANIFEST is empty: it must hold at least name, type, version, api and description")]
    EmptyDocument,
    #[error("MANIFEST line {line}, column {column}: the key `{key}` is there twice: remove one")]
    Duplicate { key: String, line: usize, column: usize },
    #[error("MANIFEST has no key `{key}`: it must be {rule}")]
    Missing { key: &'static str, rule: &'static str },
    #[error("MANIFEST key `{key}` is empty: it must be {rule}")]
    Empty { key: &'static str, rule: &'static str },
    #[error("MANIFEST line {line}, column {column}: the key `{key}` holds {found}: it must be {rule}")]
    IllTyped { key: &'static str, found: &'static str, rule: &'static str, line: usize, column: usize },
    #[error("MANIFEST key `{key}` has the value {value:?}: it must be {rule}")]
    Value { key: &'static str, value: String, rule: &'static str },
}

impl ManifestError {
    /// A value that breaks the rule of its key; a long one is cut.
    pub(super) fn value(key: &'static str, value: &str, rule: &'static str) -> Self {
        Self::Value { key, value: value.chars().take(100).collect(), rule }
    }

    pub(super) fn ill_typed(key: &'static str, node: &Node, rule: &'static str) -> Self {
        let found = match node.shape {
            Shape::Text(_) => "a text",
            Shape::Null => "nothing",
            Shape::List => "a list",
            Shape::Map => "a mapping",
        };
        Self::IllTyped { key, found, rule, line: node.line, column: node.column }
    }
}
