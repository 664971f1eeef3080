//! What must hold for every change. Each check has a name; all of them are run before the first is reported.

mod crates;
mod metadata;
mod python;
pub(crate) mod sources;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::compatibility;
use crate::program;
use crate::step::Steps;
use crate::workspace::Workspace;
use metadata::Metadata;
use sources::Sources;

pub(crate) fn ci(workspace: &Workspace, steps: &Steps) -> Result<()> {
    steps.step("invariants", || invariants(workspace))?;
    steps.step("format", || program::run(workspace.cargo().args(["fmt", "--all", "--check"])))?;
    steps.step("lints", || {
        let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        program::run(workspace.cargo().args(clippy))
    })
}

/// What a check looks at.
struct Subject {
    metadata: Metadata,
    sources: Sources,
    /// The tool that knows what each Python had.
    vermin: PathBuf,
}

/// One line for each place that breaks the rule; none when it holds.
type Findings = Vec<String>;

/// A rule, in the words of `ARCHITECTURE.md`, and what looks whether it holds.
type Check = (&'static str, fn(&Subject) -> Result<Findings>);

const CHECKS: [Check; 15] = [
    ("crates depend on each other as the design says, and no proxy on another", crates::arrows),
    ("model, wire, ssh, content, trail and search do without tokio", crates::without_tokio),
    ("session does without protocol libraries", crates::session_without_protocols),
    ("plugin does not know session", crates::plugin_without_session),
    ("ssh-key, IronRDP, sqlx, axum and ldap3 each serve one crate", crates::one_user_each),
    ("the program links one crypto library, and no OpenSSL", crates::one_crypto_library),
    ("every dependency comes from crates.io", crates::one_registry),
    ("every crate takes the workspace's lints, plugin with its exception", sources::lints),
    ("unsafe code is in one module of plugin", sources::one_unsafe_module),
    ("nothing unfinished is left behind", sources::left_overs),
    ("no file names paths of one machine", sources::machine_paths),
    ("the Python side compiles with every Python 3 of this machine", python::compiles),
    ("the Python side imports nothing but the standard library", python::standard_library_only),
    ("what Python 2 runs of the Python side keeps to 2.6, the rest to 3.6", python::oldest_versions),
    (
        "each rule of the plugin contract names the tests that prove it, in docs/plugin-compatibility.md",
        rules,
    ),
];

fn rules(subject: &Subject) -> Result<Findings> {
    Ok(compatibility::findings(&subject.sources))
}

fn invariants(workspace: &Workspace) -> Result<()> {
    let subject = Subject {
        metadata: Metadata::read(workspace)?,
        sources: Sources::read(&workspace.root)?,
        vermin: crate::python::vermin(workspace)?,
    };
    let mut broken = 0;
    for (rule, check) in CHECKS {
        let findings = check(&subject)?;
        println!("    {} {rule}", if findings.is_empty() { "ok  " } else { "FAIL" });
        for finding in &findings {
            println!("         {finding}");
        }
        broken += usize::from(!findings.is_empty());
    }
    if broken > 0 {
        bail!("{broken} of {} invariants do not hold", CHECKS.len());
    }
    Ok(())
}
