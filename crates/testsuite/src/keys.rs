use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Input, run};

/// An SSH key in a file, without a passphrase.
#[derive(Debug)]
pub struct KeyPair {
    path: PathBuf,
}

impl KeyPair {
    /// `kind` is a word of `ssh-keygen -t`.
    #[track_caller]
    pub fn generate(folder: &Path, name: &str, kind: &str) -> Self {
        let path = folder.join(name);
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", kind, "-N", "", "-C", name, "-f"]).arg(&path);
        run(&mut keygen, Input::Nothing).must_succeed();
        Self { path }
    }

    /// One that is there already; its public half is beside it.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The private key's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The private key as it stands in its file.
    pub fn private(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    /// The public key as one line: type, base64, comment.
    pub fn public(&self) -> String {
        fs::read_to_string(self.path.with_extension("pub")).unwrap().trim_end().to_owned()
    }
}
