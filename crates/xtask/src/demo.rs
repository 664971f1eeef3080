use std::process::Command;

use anyhow::Result;

use crate::step::Steps;
use crate::workspace::Workspace;
use crate::{packages, program};

/// Builds the release and runs `keyward demo` with what else was typed.
pub(crate) fn demo(workspace: &Workspace, steps: &Steps, arguments: &[String]) -> Result<()> {
    steps.step("packages", || packages::ensure(&[&packages::BUILD, &packages::DEMO]))?;
    steps.step("release build", || {
        program::run(workspace.cargo().args(["build", "--release", "-p", "keyward"]))
    })?;
    let program = workspace.target.join("release/keyward");
    steps.last("demo", || {
        program::run(Command::new(program).arg("demo").args(arguments).current_dir(&workspace.root))
    })
}
