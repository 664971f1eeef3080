//! `keyward check`.

use std::path::Path;
use std::process::ExitCode;

use keyward_policy::Policy;

use crate::gateway::check_supported;

/// Calls sound what `keyward run` would run, and nothing else.
pub(crate) fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let policy = load(path)?;
    check_supported(&policy)?;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    println!(
        "{} is sound: {}, {}, {}.",
        path.display(),
        count(policy.connections.len(), "connection"),
        count(policy.plugins.len(), "plugin instance"),
        count(policy.users.len(), "local user"),
    );
    Ok(ExitCode::SUCCESS)
}

/// The document, or every problem that it has.
pub(crate) fn load(path: &Path) -> anyhow::Result<Policy> {
    let mut policy = Policy::load(path)?;
    // Workers run in a folder of their own, from which a relative path would lead elsewhere.
    policy.node.data_dir = std::path::absolute(policy.node.data_dir)?;
    Ok(policy)
}
