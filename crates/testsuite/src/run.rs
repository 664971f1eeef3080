use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::PATIENCE;

/// What a program that ended has left.
#[derive(Debug)]
pub struct Run {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// What a program gets to read.
#[derive(Debug)]
pub enum Input {
    Nothing,
    Bytes(Vec<u8>),
}

impl Run {
    /// What it printed. Panics, with what it complained about, when it failed.
    #[track_caller]
    pub fn text(&self) -> String {
        self.must_succeed();
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub fn must_succeed(&self) {
        let printed = String::from_utf8_lossy(&self.stdout);
        assert!(self.status.success(), "{}\nstdout: {printed}\nstderr: {}", self.status, self.stderr);
    }
}

/// Runs a program to its end; with all that it started, it is killed after [`PATIENCE`] times eight: what takes half a
/// minute on a quiet machine must end on a busy one too.
#[track_caller]
pub fn run(command: &mut Command, input: Input) -> Run {
    run_within(command, input, PATIENCE * 8)
}

/// A shell pipeline of which each part must succeed. `$1`, `$2` and so on are `arguments`.
#[track_caller]
pub fn shell(script: &str, arguments: &[&str]) -> Run {
    let mut bash = Command::new("bash");
    run(bash.args(["-euo", "pipefail", "-c", script, "bash"]).args(arguments), Input::Nothing)
}

#[track_caller]
fn run_within(command: &mut Command, input: Input, limit: Duration) -> Run {
    let shown = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
    let group = Pid::from_child(&child);

    let mut stdin = child.stdin.take().unwrap();
    // A program that ends without reading all of it breaks the pipe: its status tells what to think of that.
    let writing = thread::spawn(move || match input {
        Input::Nothing => (),
        Input::Bytes(bytes) => drop(stdin.write_all(&bytes)),
    });
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let (ended, end) = mpsc::channel();
    thread::spawn(move || drop(ended.send(child.wait())));

    let Ok(status) = end.recv_timeout(limit) else {
        let _ = kill_process_group(group, Signal::KILL);
        let said = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
        panic!("still running after {limit:?}: {shown}\nstderr: {said}");
    };
    writing.join().unwrap();
    let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
    Run { status: status.unwrap(), stdout: stdout.join().unwrap(), stderr }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
