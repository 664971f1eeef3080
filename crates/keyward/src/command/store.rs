//! `keyward store`.

use std::path::Path;
use std::process::ExitCode;

use keyward_policy::MasterKeySource;
use keyward_store::{Rotation, Store};

use super::load_file;
use crate::args::{Previous, StoreCommand};
use crate::{master_key, place};

pub(crate) async fn store(command: StoreCommand) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::RotateMasterKey { policy, previous, reseal } => {
            rotate(&policy, previous, reseal).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate(policy: &Path, previous: Previous, reseal: bool) -> anyhow::Result<()> {
    let node = load_file(policy)?.node;
    if !place::exists(&node) {
        anyhow::bail!("{} has no store yet, and so no key to rotate", node.data_dir.display());
    }
    let previous = match source(previous) {
        Some(source) => Some(master_key::read(&source).await?),
        None => None,
    };
    let parts = place::parts(&node).await?;
    match Store::rotate_master_key(parts.place(&node), previous.as_ref()).await? {
        Rotation::Rotated => {
            println!("The master key is rotated. Copies of the store from before need the key before.")
        }
        Rotation::Same => println!("The store has this master key already."),
    }
    if reseal {
        let sealed = Store::reseal(parts.place(&node)).await?;
        println!("{sealed} secrets are sealed with a new data key.");
    }
    Ok(())
}

fn source(previous: Previous) -> Option<MasterKeySource> {
    let Previous { from_file, from_environment, from_command } = previous;
    let command = (!from_command.is_empty()).then_some(MasterKeySource::Command(from_command));
    from_file.map(MasterKeySource::File).or(from_environment.map(MasterKeySource::Environment)).or(command)
}
