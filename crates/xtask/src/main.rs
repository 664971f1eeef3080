//! The project's commands. `cargo xtask` without an argument lists them.

#![expect(clippy::disallowed_methods, reason = "starting other programs is what these commands are for")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "they speak to the person who typed them")]

mod bench;
mod ci;
mod compatibility;
mod demo;
mod fuzz;
mod legacy;
mod packages;
mod program;
mod python;
mod step;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::step::Steps;
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [--check]        build the release and show a session through it; --check drives it by itself
  test [FILTER]         install what the tests need, check, build, run; with FILTER only the tests of that name
  ci                    the checks alone: format, lints, invariants
  compatibility         write docs/plugin-compatibility.md: each rule of the plugin contract with its tests
  bench [hooks|ssh|trail]  measure, and print a table beside the targets
  fuzz [trail [MINUTES]]   look for bytes that a reader does not bear";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else { bail!("no command given\n{USAGE}") };
    let steps = Steps::default();
    match command.as_str() {
        "demo" => demo::demo(&Workspace::find()?, &steps, rest),
        "test" => test::test(&Workspace::find()?, &steps, rest),
        "ci" => ci::ci(&Workspace::find()?, &steps),
        "compatibility" => compatibility::compatibility(&Workspace::find()?, rest),
        "bench" => bench::bench(&Workspace::find()?, &steps, rest),
        "fuzz" => fuzz::fuzz(&Workspace::find()?, &steps, rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command {other:?}\n{USAGE}"),
    }
}
