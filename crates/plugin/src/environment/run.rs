//! Runs a program to its end: bounded in time and in what is kept of its output.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::EnvironmentError;

/// How a program ended, and the last [`KEPT`] bytes of what it wrote.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

const KEPT: usize = 16 * 1024;

/// A command with the environment of the gateway or of whoever runs its command line.
#[expect(clippy::disallowed_methods, reason = "interpreters and pip are started here, in the crate that may")]
pub(super) fn inheriting(program: &Path) -> Command {
    Command::new(program)
}

/// A command with nothing in its environment but a search path and a locale.
pub(super) fn clean(program: &Path) -> Command {
    let mut command = inheriting(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8").current_dir("/");
    command
}

/// Runs `command`; `step` names it in errors. It and all that it started are killed at `limit`, and when the
/// future is dropped.
pub(super) async fn run(
    mut command: Command,
    step: &str,
    limit: Duration,
) -> Result<Finished, EnvironmentError> {
    let program = command.as_std().get_program().to_owned();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|source| EnvironmentError::Start { python: program.clone().into(), source })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Dropped before the child is, that is, while its number is still its own.
    let group = Group::of(child.id());
    let finished = async { tokio::try_join!(child.wait(), tail(stdout), tail(stderr)) };
    let result = tokio::time::timeout(limit, finished).await;
    match result {
        Ok(Ok((status, stdout, stderr))) => {
            group.leave();
            Ok(Finished { success: status.success(), stdout, stderr })
        }
        Ok(Err(source)) => {
            Err(EnvironmentError::Output { program: program.to_string_lossy().into_owned(), source })
        }
        Err(_) => Err(EnvironmentError::TimedOut { step: step.to_owned(), seconds: limit.as_secs() }),
    }
}

/// Kills a process group when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        Self(leader.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // A group that has already ended is what is wanted.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Reads to the end and keeps the end.
async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut kept = VecDeque::new();
    let Some(mut pipe) = pipe else { return Ok(Vec::new()) };
    let mut chunk = vec![0; 4096];
    loop {
        let length = pipe.read(&mut chunk).await?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { return Ok(kept.into()) };
        kept.extend(read);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
}

impl Finished {
    /// The end of what the program said, in one line for an error message.
    pub(super) fn said(&self) -> String {
        let bytes = if self.stderr.trim_ascii().is_empty() { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        // A compiler or pip says much after the line that tells what went wrong.
        let telling: Vec<&str> =
            lines.iter().copied().filter(|line| line.to_lowercase().contains("error")).collect();
        let chosen = if telling.is_empty() { &lines } else { &telling };
        let last = chosen.get(chosen.len().saturating_sub(3)..).unwrap_or_default();
        let cut: Vec<String> =
            last.iter().map(|line| line.chars().filter(|c| !c.is_control()).take(300).collect()).collect();
        let cut = cut.join(" | ");
        if cut.is_empty() { "it wrote nothing".to_owned() } else { cut }
    }
}
