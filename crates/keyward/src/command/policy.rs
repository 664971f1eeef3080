//! `keyward check`.

use std::path::Path;
use std::process::ExitCode;

use keyward_policy::{ConfigurationPlace, Policy};

use super::counted;
use crate::configuration::StoredPlace;
use crate::gateway::check_supported;
use crate::place;

/// Calls sound what `keyward run` would run, and nothing else.
pub(crate) fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let policy = load_file(path)?;
    if policy.node.configuration == ConfigurationPlace::Store {
        println!(
            "{} is sound: its policy is in the store of {}.",
            path.display(),
            policy.node.data_dir.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    policy.check_runnable()?;
    check_supported(&policy)?;
    println!(
        "{} is sound: {}, {}, {}.",
        path.display(),
        counted(policy.connections.len(), "connection"),
        counted(policy.plugins.len(), "plugin instance"),
        counted(policy.users.len(), "local user"),
    );
    Ok(ExitCode::SUCCESS)
}

/// The policy of a gateway, by the file that it runs with: that of the file, or the one in the store that is in force, or
/// the newest there where none is yet. Where the store has none, the policy allows nothing.
pub(crate) async fn load(path: &Path) -> anyhow::Result<Policy> {
    let file = load_file(path)?;
    let is_stored = file.node.configuration == ConfigurationPlace::Store;
    if !is_stored || !place::exists(&file.node) {
        return Ok(file);
    }
    let store = place::open_beside(&file.node).await?;
    let number = match store.configuration_in_force().await? {
        0 => store.newest_configuration().await?,
        in_force => in_force,
    };
    match number {
        0 => Ok(file),
        number => StoredPlace::new(path, &file.node).read(&store, number).await,
    }
}

/// The file alone, or every problem that it has.
pub(crate) fn load_file(path: &Path) -> anyhow::Result<Policy> {
    let mut policy = Policy::load(path)?;
    // Workers run in a folder of their own, from which a relative path would lead elsewhere.
    policy.node.data_dir = std::path::absolute(policy.node.data_dir)?;
    Ok(policy)
}
