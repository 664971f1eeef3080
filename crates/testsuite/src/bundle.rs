use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// A plugin as its author has it: a folder that `keyward plugin upload` takes.
#[derive(Debug)]
pub struct BundleFolder {
    folder: TempDir,
}

impl BundleFolder {
    /// `kind` is `aa` or `credentialstore`; `main` the text of `main.py`.
    pub fn new(name: &str, kind: &str, main: &str) -> Self {
        Self::of_version(name, kind, "1.0.0", main)
    }

    pub fn of_version(name: &str, kind: &str, version: &str, main: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-bundle-").tempdir().unwrap();
        let manifest = format!(
            "api: 1.0\nname: {name}\ntype: {kind}\nversion: {version}\ndescription: under test\nentry_point: main.py\n"
        );
        let bundle = Self { folder };
        bundle.add("MANIFEST", &manifest);
        bundle.add("main.py", &format!("#!/usr/bin/env pluginwrapper3\n{main}"));
        bundle
    }

    /// A plugin for Python 2: its MANIFEST names no entry point.
    pub fn legacy(name: &str, kind: &str, main: &str) -> Self {
        let bundle = Self::new(name, kind, "");
        let manifest =
            format!("api: 1.0\nname: {name}\ntype: {kind}\nversion: 1.0.0\ndescription: from before\n");
        bundle.add("MANIFEST", &manifest);
        bundle.add("main.py", main);
        bundle
    }

    /// Adds a file, or replaces one.
    pub fn add(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
