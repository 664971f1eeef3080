use std::process::Command;

use anyhow::{Result, bail};

use crate::step::Steps;
use crate::workspace::Workspace;
use crate::{ci, packages, program, python};

/// Everything from a bare machine to the runner's summary. With a filter: without the checks, and only the
/// tests whose names contain it.
///
/// All compiling steps name the whole workspace with all targets, so that cargo settles on one set of features
/// and nothing is built twice.
pub(crate) fn test(workspace: &Workspace, steps: &Steps, arguments: &[String]) -> Result<()> {
    let filter = match arguments {
        [] => None,
        [filter] if !filter.starts_with('-') => Some(filter.as_str()),
        _ => bail!("usage: cargo xtask test [FILTER]"),
    };
    steps.step("packages", || packages::ensure(&[&packages::BUILD, &packages::PEERS]))?;
    let interpreters = steps.step("Python environments", || python::ensure(workspace))?;
    if filter.is_none() {
        ci::ci(workspace, steps)?;
    }
    let cargo = || {
        let mut cargo = workspace.cargo();
        cargo
            .env("KEYWARD_BIN", workspace.target.join("debug/keyward"))
            .env("KEYWARD_TEST_PYTHON", &interpreters.plugins)
            .env("KEYWARD_TEST_PYTHON2", &interpreters.legacy)
            .env("KEYWARD_TEST_PYTHONS", &interpreters.all)
            .env("KEYWARD_TEST_PEERS", &interpreters.peers);
        cargo
    };
    steps.step("build", || program::run(cargo().args(["build", "--workspace", "--all-targets"])))?;
    if filter.is_none() {
        steps.step("examples in the documentation", || {
            program::run(cargo().args(["test", "--quiet", "--workspace", "--doc"]))
        })?;
    }
    steps.last("tests", || {
        let mut suite = cargo();
        choose_runner(&mut suite);
        program::run(suite.args(filter))
    })
}

/// nextest gives every test a process and a time limit; cargo's own runner serves where it is missing.
fn choose_runner(cargo: &mut Command) {
    if program::succeeds(Command::new("cargo-nextest").args(["nextest", "--version"])) {
        cargo.args(["nextest", "run", "--workspace"]);
    } else {
        println!("    cargo-nextest is not installed: using cargo test");
        cargo.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
}
