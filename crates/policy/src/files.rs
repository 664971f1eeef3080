//! What may be done to files through sftp and scp, by path: `files` of a channel rule.

use std::fmt;
use std::sync::Arc;

use crate::TextPattern;

/// The files of a channel rule. Without any, every operation is allowed. Cheap to clone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FileRules {
    /// In order; the first one that speaks of an operation on a path decides.
    rules: Option<Arc<[FileRule]>>,
}

/// Allows or refuses some operations on some paths. An empty list is every one of its kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileRule {
    pub operations: Vec<FileOperation>,
    pub paths: Vec<TextPattern>,
    pub allow: bool,
}

/// Something that is done to a file or folder of the target.
///
/// To ask for attributes, for the place of a link or for the start folder is none of these: no client can do without.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FileOperation {
    /// To read a file.
    Download,
    /// To make, write or cut a file.
    Upload,
    /// To read a folder.
    List,
    /// To remove a file or a folder.
    Delete,
    /// To give a file or a folder another name; judged by both names.
    Rename,
    MakeDirectory,
    /// To make a symbolic or a hard link; judged by both names, and by what the link would let through.
    Link,
    /// To change permissions, owner or times.
    Attributes,
}

impl FileRules {
    /// Only what one of `rules` allows.
    pub fn of(rules: Vec<FileRule>) -> Self {
        Self { rules: Some(rules.into()) }
    }

    /// Whether there is anything that would be refused.
    pub fn judge(&self) -> bool {
        self.rules.is_some()
    }

    /// Whether an operation on a path is allowed. `path` is absolute and without `.`, `..` and doubled slashes.
    pub fn allow(&self, operation: FileOperation, path: &[u8]) -> bool {
        let Some(rules) = &self.rules else { return true };
        rules.iter().find(|rule| rule.speaks_of(operation, path)).is_some_and(|rule| rule.allow)
    }

    /// Whether a link may be made. Its two names become one file, so whatever either name allows, and for folders
    /// whatever is allowed below it, the other must allow.
    pub fn allow_link(&self, one: &[u8], other: &[u8]) -> bool {
        let below = |path: &[u8]| [path.strip_suffix(b"/").unwrap_or(path), b"/", BELOW].concat();
        self.allow(FileOperation::Link, one)
            && self.allow(FileOperation::Link, other)
            && FileOperation::ALL.iter().all(|&operation| {
                self.allow(operation, one) == self.allow(operation, other)
                    && self.allow(operation, &below(one)) == self.allow(operation, &below(other))
            })
    }
}

/// Stands for every name in a folder.
const BELOW: &[u8] = b"keyward-any-name";

impl FileRule {
    fn speaks_of(&self, operation: FileOperation, path: &[u8]) -> bool {
        (self.operations.is_empty() || self.operations.contains(&operation))
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path)))
    }
}

impl FileOperation {
    pub const ALL: [Self; 8] = [
        Self::Download,
        Self::Upload,
        Self::List,
        Self::Delete,
        Self::Rename,
        Self::MakeDirectory,
        Self::Link,
        Self::Attributes,
    ];

    /// The word of the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Rename => "rename",
            Self::MakeDirectory => "make-directory",
            Self::Link => "link",
            Self::Attributes => "attributes",
        }
    }
}

impl fmt::Display for FileOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(operations: &[FileOperation], paths: &[&str], allow: bool) -> FileRule {
        let paths = paths.iter().map(|path| TextPattern::parse(path).unwrap()).collect();
        FileRule { operations: operations.to_vec(), paths, allow }
    }

    #[test]
    fn without_rules_everything_is_allowed_and_with_rules_nothing_else_is() {
        for operation in FileOperation::ALL {
            assert!(FileRules::default().allow(operation, b"/x"));
            assert!(!FileRules::of(Vec::new()).allow(operation, b"/x"));
        }
    }

    #[test]
    fn the_first_rule_that_speaks_of_a_path_decides() {
        use FileOperation::{Delete, Download, Upload};
        let rules = FileRules::of(vec![
            rule(&[], &["/srv/secret(/.*)?"], false),
            rule(&[Download], &["/srv/.*"], true),
            rule(&[Upload], &["/srv/in/.*"], true),
        ]);
        assert!(rules.allow(Download, b"/srv/a") && rules.allow(Upload, b"/srv/in/a"));
        assert!(!rules.allow(Download, b"/srv/secret/a") && !rules.allow(Download, b"/etc/passwd"));
        assert!(!rules.allow(Upload, b"/srv/a") && !rules.allow(Delete, b"/srv/in/a"));
    }

    #[test]
    fn a_link_gives_neither_of_its_names_more() {
        use FileOperation::{Download, Link, List};
        let rules = FileRules::of(vec![
            rule(&[], &["/srv/secret/.*"], false),
            rule(&[Download, Link], &["/srv/.*"], true),
            rule(&[Link, List], &["/.*"], true),
        ]);
        assert!(rules.allow_link(b"/srv/a", b"/srv/b"));
        assert!(!rules.allow_link(b"/srv/a", b"/etc/passwd") && !rules.allow_link(b"/etc/passwd", b"/srv/a"));
        assert!(!rules.allow_link(b"/srv/a", b"/srv/secret"), "what is below it is refused");
        assert!(!rules.allow_link(b"/srv/a", b"/"));
    }

    #[test]
    fn a_link_must_be_allowed_itself() {
        let rules = FileRules::of(vec![rule(&[FileOperation::Download], &["/srv/.*"], true)]);
        assert!(!rules.allow_link(b"/srv/a", b"/srv/b"));
    }
}
