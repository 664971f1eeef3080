use std::path::Path;
use std::process::Command;

use crate::{Input, run};

/// Writes a program that may be started at once.
///
/// Another process writes it: what this one has open for writing, a child that another thread forks at that moment
/// has open too, until its own `exec`, and as long the program cannot be started ("text file busy").
#[track_caller]
pub(crate) fn script(path: &Path, text: &str) {
    let mut install = Command::new("install");
    install.args(["-m", "700", "/dev/stdin"]).arg(path);
    run(&mut install, Input::Bytes(text.as_bytes().to_vec())).must_succeed();
}
