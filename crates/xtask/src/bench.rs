use std::process::Command;

use anyhow::{Result, bail};

use crate::step::Steps;
use crate::workspace::Workspace;
use crate::{packages, program, python};

/// The programs that measure, as cargo examples: each prints its own table with the targets beside it.
const HOOKS: &str = "hook_latency";
const SSH: &str = "ssh_bench";
const TRAIL: &str = "trail_bench";
const SEARCH: &str = "search_bench";

/// Measures the release build; what follows the name of a program are its own arguments. The programs lie beside the crate that they measure or whose fixtures they use.
pub(crate) fn bench(workspace: &Workspace, steps: &Steps, arguments: &[String]) -> Result<()> {
    let what_recording_adds = ["512".to_owned(), "recording".to_owned()];
    let programs: &[(&str, &[String])] = match arguments {
        [] => &[(HOOKS, &[]), (SSH, &[]), (TRAIL, &[]), (SEARCH, &[])],
        [one, own @ ..] if one == "hooks" && own.len() <= 2 => &[(HOOKS, own)],
        [one, own @ ..] if one == "ssh" => &[(SSH, own)],
        [one, own @ ..] if one == "trail" => &[(TRAIL, own), (SSH, &what_recording_adds)],
        [one, own @ ..] if one == "search" && own.len() <= 1 => &[(SEARCH, own)],
        _ => bail!(
            "usage: cargo xtask bench [hooks [CALLS [SECONDS]] | ssh [MIB [PART...]] | trail [FILE...] | search [SESSIONS]]"
        ),
    };
    steps.step("packages", || packages::ensure(&[&packages::BUILD, &packages::PEERS]))?;
    let interpreters = steps.step("Python environments", || python::ensure(workspace))?;
    steps.step("release build", || program::run(&mut build(workspace, programs)))?;
    for (name, own) in programs {
        steps.step(name, || {
            let mut measure = Command::new(workspace.target.join("release/examples").join(name));
            measure
                .args(*own)
                .env("KEYWARD_BIN", workspace.target.join("release/keyward"))
                .env("KEYWARD_TEST_PYTHON", &interpreters.plugins)
                .env("KEYWARD_TEST_PEERS", &interpreters.peers);
            program::run(&mut measure)
        })?;
    }
    Ok(())
}

fn build(workspace: &Workspace, programs: &[(&str, &[String])]) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--workspace", "--bin", "keyward"]);
    for (name, _) in programs {
        cargo.args(["--example", name]);
    }
    cargo
}
