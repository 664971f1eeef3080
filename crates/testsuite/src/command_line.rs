use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::gateway::bin;
use crate::{Input, Run, run};

/// Runs a command of the gateway's program to its end.
#[track_caller]
pub fn keyward<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    keyward_reading(arguments, "")
}

/// Runs a command of the gateway's program that reads `input`.
#[track_caller]
pub fn keyward_reading<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, input: &str) -> Run {
    run(command().args(arguments), Input::Bytes(input.into()))
}

/// A command of the gateway's program that runs in `folder`.
#[track_caller]
pub fn keyward_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command();
    command.args(arguments).current_dir(folder);
    command
}

/// The same for a [`Program`](crate::Program), whose log is then what the command prints as well as what it complains
/// about.
#[track_caller]
pub fn keyward_to_log(folder: &Path, arguments: &[&str]) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-c", "exec \"$@\" >&2", "bash"]).arg(bin()).args(arguments).current_dir(folder);
    shell.env("NO_COLOR", "1").env_remove("RUST_LOG");
    shell
}

#[track_caller]
fn command() -> Command {
    let mut command = Command::new(bin());
    command.env("NO_COLOR", "1").env_remove("RUST_LOG");
    command
}
