use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

/// Answers what a stock `ssh` asks, one answer per prompt, and keeps the prompts.
#[derive(Debug)]
pub struct Askpass {
    folder: TempDir,
}

impl Askpass {
    /// `answers` in the order in which they are given; one prompt more than there are answers fails.
    pub fn new(answers: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-askpass-").tempdir().unwrap();
        for (at, answer) in answers.iter().enumerate() {
            fs::write(folder.path().join(format!("answer-{at}")), format!("{answer}\n")).unwrap();
        }
        let script = "#!/bin/sh\n\
             cd \"$(dirname \"$0\")\" || exit 1\n\
             at=$(ls | grep -c '^prompt-')\n\
             printf '%s' \"$1\" > \"prompt-$at\"\n\
             exec cat \"answer-$at\"\n";
        Self::with(folder, script)
    }

    /// Keeps the first prompt and never answers; ends with this value.
    pub fn silent() -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-askpass-").tempdir().unwrap();
        let script = "#!/bin/sh\n\
             cd \"$(dirname \"$0\")\" || exit 1\n\
             printf '%s' \"$1\" > prompt-0\n\
             while [ -e prompt-0 ]; do sleep 0.1; done\n\
             exit 1\n";
        Self::with(folder, script)
    }

    fn with(folder: TempDir, script: &str) -> Self {
        let askpass = Self { folder };
        fs::write(askpass.program(), script).unwrap();
        fs::set_permissions(askpass.program(), Permissions::from_mode(0o700)).unwrap();
        askpass
    }

    pub(crate) fn program(&self) -> std::path::PathBuf {
        self.folder.path().join("askpass")
    }

    /// What was asked so far, in order.
    pub fn prompts(&self) -> Vec<String> {
        (0..).map_while(|at| read(self.folder.path(), at)).collect()
    }
}

fn read(folder: &Path, at: usize) -> Option<String> {
    fs::read_to_string(folder.join(format!("prompt-{at}"))).ok()
}
