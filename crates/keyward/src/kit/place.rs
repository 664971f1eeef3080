//! Where a plugin was unpacked for a call: nothing that its author knows.

use std::path::{Path, PathBuf};

/// The unpacked copy that Python sees.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
}

impl Place {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The text with paths below the unpacked copy as paths in the bundle, as the author knows them.
    pub(crate) fn relative(&self, text: &str) -> String {
        let root = self.root.to_string_lossy();
        text.replace(&format!("{root}/"), "").replace(&*root, ".")
    }
}
