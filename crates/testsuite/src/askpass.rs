use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::script::script;

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

    fn with(folder: TempDir, text: &str) -> Self {
        let askpass = Self { folder };
        script(&askpass.program(), text);
        askpass
    }

    pub fn program(&self) -> std::path::PathBuf {
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
