use std::process::Command;

use crate::gateway::bin;
use crate::{Input, run};

/// The line of a user's entry in the policy document, as a person makes it.
#[track_caller]
pub fn password_line(password: &str) -> String {
    let mut hash = Command::new(bin());
    run(hash.args(["user", "hash"]), Input::Bytes(format!("{password}\n").into())).text()
}
