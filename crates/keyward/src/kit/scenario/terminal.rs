//! The person at the terminal, while a scenario is recorded.

use std::io::{BufRead, IsTerminal, Write};

use keyward_store::CallEntry;

use super::talk::Reply;
use crate::command::{Quiet, shown};

/// Shows what happens and reads answers.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    calls_shown: usize,
}

impl Terminal {
    /// Shows the calls that have not been shown yet.
    pub(crate) fn show_calls(&mut self, calls: &[CallEntry]) {
        for call in calls.iter().skip(self.calls_shown) {
            let verdict = call.verdict.as_deref().or(call.outcome.as_deref()).unwrap_or("?");
            eprintln!("  {} {} -> {}", call.instance, call.hook, shown(verdict));
            for line in &call.log {
                eprintln!("    {}: {}", line.stream, shown(&line.line));
            }
            if let Some(error) = &call.error {
                eprintln!("    error: {}", shown(error));
            }
        }
        self.calls_shown = calls.len();
    }

    /// One line; the end of the input is the person who leaves.
    pub(crate) async fn ask(&mut self, prompt: &str, echo: bool) -> Reply {
        let prompt = prompt.lines().map(shown).collect::<Vec<_>>().join("\n");
        let read = tokio::task::spawn_blocking(move || read_line(&prompt, echo)).await;
        match read {
            Ok(Some(line)) => Reply::Answer(line),
            Ok(None) | Err(_) => Reply::Leaves,
        }
    }
}

fn read_line(prompt: &str, echo: bool) -> Option<String> {
    let stdin = std::io::stdin();
    let _quiet = (!echo && stdin.is_terminal()).then(|| Quiet::begin("")).transpose().ok()?;
    eprint!("{prompt}");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
