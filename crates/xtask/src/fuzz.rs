use std::fs;

use anyhow::{Context, Result, bail};

use crate::step::Steps;
use crate::workspace::Workspace;
use crate::{packages, program};

/// libFuzzer's own library is C++.
const CPLUSPLUS: [&str; 1] = ["g++"];
/// The fuzzed programs, one for each kind of hostile bytes.
const PROGRAMS: [&str; 1] = ["trail"];
/// What libFuzzer learns by: which edges a run took, and what was compared with what.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Fuzzes for some minutes, beginning with what earlier runs have found worth keeping. Ends at the first finding, whose file is named.
pub(crate) fn fuzz(workspace: &Workspace, steps: &Steps, arguments: &[String]) -> Result<()> {
    const USAGE: &str =
        "usage: cargo xtask fuzz [PROGRAM [MINUTES]]; the only program is trail, 10 minutes are the default";
    let (name, minutes) = match arguments {
        [] => ("trail", 10),
        [name] => (name.as_str(), 10),
        [name, minutes] => {
            (name.as_str(), minutes.parse::<u64>().ok().filter(|minutes| *minutes > 0).context(USAGE)?)
        }
        _ => bail!(USAGE),
    };
    if !PROGRAMS.contains(&name) {
        bail!(USAGE);
    }
    steps.step("packages", || packages::ensure(&[&packages::BUILD, &CPLUSPLUS]))?;
    let (crate_, target) = (workspace.root.join("fuzz"), workspace.target.join("fuzz"));
    steps.step("build", || {
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--release", "--locked", "--target", TARGET, "--bin", name]);
        cargo.arg("--manifest-path").arg(crate_.join("Cargo.toml"));
        program::run(cargo.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", COVERAGE))
    })?;
    let (corpus, findings) = (target.join("corpus").join(name), target.join("findings").join(""));
    for folder in [&corpus, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    steps.step(name, || {
        let mut fuzzer = std::process::Command::new(target.join(TARGET).join("release").join(name));
        fuzzer.args(["-max_len=16384", "-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1"]);
        fuzzer.arg(format!("-max_total_time={}", minutes * 60));
        fuzzer.arg(format!("-artifact_prefix={}", findings.display()));
        program::run(fuzzer.arg(&corpus).arg(crate_.join("seeds")))
    })
}
