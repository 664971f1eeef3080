use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::{KeyPair, shell};

/// An authority for certificates of users, made with `ssh-keygen`.
#[derive(Debug)]
pub struct UserCa {
    folder: TempDir,
    key: KeyPair,
}

impl UserCa {
    #[track_caller]
    pub fn new() -> Self {
        Self::of_kind("ed25519")
    }

    /// `kind` is a word of `ssh-keygen -t`.
    #[track_caller]
    pub fn of_kind(kind: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-user-ca-").tempdir().unwrap();
        let key = KeyPair::generate(folder.path(), "authority", kind);
        Self { folder, key }
    }

    /// A line for the policy document.
    pub fn public(&self) -> String {
        self.key.public()
    }

    /// A new key with a certificate beside it, where ssh looks for one. `options` are those of `ssh-keygen -s`.
    #[track_caller]
    pub fn certified(&self, options: &str) -> KeyPair {
        self.certified_kind("ed25519", options)
    }

    #[track_caller]
    pub fn certified_kind(&self, kind: &str, options: &str) -> KeyPair {
        let count = fs::read_dir(self.folder.path()).unwrap().count();
        let key = KeyPair::generate(self.folder.path(), &format!("key-{count}"), kind);
        self.certify(key.path(), options);
        key
    }

    /// Makes a certificate beside a key that is there already.
    #[track_caller]
    pub fn certify(&self, key: &Path, options: &str) {
        let script = format!("ssh-keygen -q -s \"$1\" -I an-id {options} \"$2.pub\"");
        let [authority, key] = [self.key.path(), key].map(|path| path.to_str().unwrap());
        shell(&script, &[authority, key]).must_succeed();
    }
}

impl Default for UserCa {
    fn default() -> Self {
        Self::new()
    }
}
