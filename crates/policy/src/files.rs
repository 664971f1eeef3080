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
        has_one_reading(path)
            && rules.iter().find(|rule| rule.speaks_of(operation, path)).is_some_and(|rule| rule.allow)
    }

    /// Whether a file may get a second name. Both become one file, so whatever either name allows, the other must.
    pub fn allow_hard_link(&self, one: &[u8], other: &[u8]) -> bool {
        self.allow(FileOperation::Link, one)
            && self.allow(FileOperation::Link, other)
            && FileOperation::ALL
                .iter()
                .all(|&operation| self.allow(operation, one) == self.allow(operation, other))
    }

    /// Whether a symbolic link may be made. Everything below `target`, which is absolute, gets a second name below
    /// `link`, and other ones once the link is renamed.
    ///
    /// No sample of names can show that patterns judge all of these alike, so it must be plain from the rules: where
    /// none names a path, or where there is but one, of whole folders.
    pub fn allow_symbolic_link(&self, link: &[u8], target: &[u8]) -> bool {
        let is_plain = match self.rules.as_deref() {
            None => true,
            Some([rule]) => rule.allow && rule.paths.iter().all(TextPattern::is_whole_folder),
            Some(rules) => rules.iter().all(|rule| rule.paths.is_empty()),
        };
        is_plain && self.allow(FileOperation::Link, link) && self.allow(FileOperation::Link, target)
    }
}

/// Whether patterns and targets read the same in a path. `.` matches no line end and nothing that is not UTF-8, so an
/// entry that refuses would not see such a name, and Windows takes `\` for a slash.
fn has_one_reading(path: &[u8]) -> bool {
    std::str::from_utf8(path)
        .is_ok_and(|path| !path.chars().any(|letter| letter.is_control() || letter == '\\'))
}

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
    fn paths_that_patterns_do_not_see_whole_are_refused() {
        let rules = FileRules::of(vec![
            rule(&[], &["/srv/secret(/.*)?"], false),
            rule(&[], &["(?s-u:/srv(/.*)?)"], true),
            rule(&[], &[], true),
        ]);
        let hidden: [&[u8]; 6] = [
            b"/srv/secret/a\nb",
            b"/srv/secret/\xff",
            b"/srv\\secret",
            b"/srv/\x1b",
            b"/srv/\x7f",
            b"/srv/\xc2\x85",
        ];
        for path in hidden {
            for operation in FileOperation::ALL {
                assert!(!rules.allow(operation, path), "{path:?}");
                assert!(FileRules::default().allow(operation, path));
            }
            assert!(!rules.allow_hard_link(b"/srv/a", path) && !rules.allow_hard_link(path, b"/srv/a"));
        }
        assert!(rules.allow(FileOperation::Download, "/srv/größe".as_bytes()));
    }

    #[test]
    fn a_hard_link_gives_neither_of_its_names_more() {
        use FileOperation::{Download, Link, List};
        let rules = FileRules::of(vec![
            rule(&[], &["/srv/secret(/.*)?"], false),
            rule(&[Download, Link], &["/srv/.*"], true),
            rule(&[Link, List], &["/.*"], true),
        ]);
        assert!(rules.allow_hard_link(b"/srv/a", b"/srv/b"));
        assert!(!rules.allow_hard_link(b"/srv/a", b"/etc/passwd"));
        assert!(!rules.allow_hard_link(b"/etc/passwd", b"/srv/a"));
        assert!(!rules.allow_hard_link(b"/srv/a", b"/srv/secret/b"));
    }

    #[test]
    fn a_symbolic_link_is_allowed_only_where_all_that_is_below_it_is_judged_alike() {
        let may = |rules: Vec<FileRule>, link: &str, target: &str| {
            FileRules::of(rules).allow_symbolic_link(link.as_bytes(), target.as_bytes())
        };
        let tree = || vec![rule(&[], &["/srv/ex(/.*)?", "/srv/in.d/.*"], true)];
        assert!(may(tree(), "/srv/ex/l", "/srv/ex/a") && may(tree(), "/srv/ex/l", "/srv/in.d/a"));
        assert!(!may(tree(), "/srv/ex/l", "/srv") && !may(tree(), "/srv/l", "/srv/ex"));
        assert!(may(vec![rule(&[FileOperation::Link], &[], true)], "/a", "/b"));
        assert!(!may(vec![rule(&[FileOperation::Download], &[], true)], "/a", "/b"));

        let private = vec![rule(&[], &["/srv/ex/private(/.*)?"], false), rule(&[], &["/srv/ex(/.*)?"], true)];
        assert!(!may(private, "/srv/ex/l", "/srv/ex"), "`l/private` is allowed, and is `private`");
        let small = rule(&[], &["/srv/(pub(/.*)?|data(/[a-z-]+)?)"], true);
        assert!(!may(vec![small], "/srv/pub/l", "/srv/data"), "`l/X` is allowed, and is `data/X`");
        let link = rule(&[FileOperation::Link], &[], true);
        let two = vec![link, rule(&[FileOperation::Download], &["/srv(/.*)?"], true)];
        assert!(!may(two, "/srv/l", "/etc"), "what is below it is allowed in one place only");
        assert!(!may(vec![rule(&[], &["/srv/ex(/.*)?"], false)], "/srv/ex/l", "/srv/ex/a"));
    }

    #[test]
    fn a_link_must_be_allowed_itself() {
        let rules = FileRules::of(vec![rule(&[FileOperation::Download], &["/srv/.*"], true)]);
        assert!(!rules.allow_hard_link(b"/srv/a", b"/srv/b"));
        assert!(!rules.allow_symbolic_link(b"/srv/a", b"/srv/b"));
    }
}
