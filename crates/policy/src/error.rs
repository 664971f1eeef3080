//! Why there is no policy.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::Policy;

/// A document that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The environment's fault.
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is larger than {} MiB", .0.display(), Policy::MAX_BYTES >> 20)]
    TooLarge(PathBuf),
    #[error("{} is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// The document's fault. Shows every problem on lines of its own.
    #[error(transparent)]
    Document(Problems),
    #[error("no connection is active: add a [[connection]], or set active = true in one")]
    NothingToRun,
}

/// Everything that is wrong with a document, in its order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems {
    /// What errors call the document.
    pub name: String,
    /// Never empty, and of bounded length.
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub more: usize,
}

/// One thing that is wrong. It shows no secret of the document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// The line of the document, with what must not be seen cut off; `None` where nothing of it may be seen.
    pub excerpt: Option<String>,
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, problems, more } = self;
        match problems.len() + more {
            1 => write!(f, "{name} has a problem")?,
            count => write!(f, "{name} has {count} problems")?,
        }
        for problem in problems {
            write!(f, "\n{name}:{problem}")?;
        }
        if *more > 0 {
            write!(f, "\n{name}: {more} more problems are not shown")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message, hint, excerpt } = self;
        write!(f, "{line}:{column}: {message}")?;
        let margin = " ".repeat(line.to_string().len());
        if let Some(excerpt) = excerpt {
            let caret = caret(excerpt, *column);
            write!(f, "\n{margin} |\n{line} | {excerpt}\n{margin} | {caret}")?;
        }
        match hint {
            Some(hint) => write!(f, "\n{margin} = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A caret below the column; tabs stay tabs, so that it stands right whatever their width.
fn caret(excerpt: &str, column: usize) -> String {
    let before = excerpt.chars().take(column.saturating_sub(1));
    before.map(|c| if c == '\t' { '\t' } else { ' ' }).chain(['^']).collect()
}
