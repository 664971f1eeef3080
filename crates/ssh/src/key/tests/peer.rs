//! ssh-keygen and openssl, run in a directory of their own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use keyward_model::Secret;
use tempfile::TempDir;

use crate::key::{PublicKey, SigningKey};

/// Where files of one test lie.
pub(super) struct Desk {
    dir: TempDir,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs a program with words separated by spaces, `_` being an empty one, and gives what it prints.
    /// It must succeed.
    pub(super) fn run(&self, command: &str) -> String {
        self.run_on(command, Stdio::null())
    }

    /// With a file as its input.
    pub(super) fn run_with(&self, command: &str, input: &str) -> String {
        self.run_on(command, std::fs::File::open(self.path(input)).unwrap().into())
    }

    fn run_on(&self, command: &str, input: Stdio) -> String {
        let mut words = command.split_ascii_whitespace().map(|word| if word == "_" { "" } else { word });
        let program = words.next().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test runs its peer")]
        let mut process = Command::new(program);
        process.current_dir(self.dir.path()).args(words).stdin(input);
        let output = process.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A new key of ssh-keygen's, in the files `name` and `name.pub`.
    pub(super) fn keygen(&self, name: &str, options: &str) {
        self.run(&format!("ssh-keygen -q -C a-comment -f {name} {options}"));
    }

    pub(super) fn key(&self, name: &str, passphrase: Option<&str>) -> SigningKey {
        let passphrase = passphrase.map(|text| Secret::new(text.into()));
        SigningKey::from_text(&Secret::new(self.text(name)), passphrase.as_ref()).unwrap()
    }

    pub(super) fn public(&self, name: &str) -> PublicKey {
        PublicKey::from_openssh(&self.text(name)).unwrap()
    }
}
