//! Step 10: the target's host key is known, or trusted at first sight where the policy allows; never changed.

use std::time::SystemTime;

use keyward_policy::HostKeyCheck;
use keyward_store::{HostKeyTrust, StoreError};

use crate::Connected;

#[derive(Debug, thiserror::Error)]
pub enum HostKeyProblem {
    #[error("no key is known for it, and the policy does not trust on first use")]
    Unknown,
    #[error(
        "it offers a key other than the one that is known: either the server was set up anew, or somebody is in between"
    )]
    Changed,
    #[error("it was not checked")]
    Unchecked,
    #[error("the known keys cannot be read")]
    Ledger(#[from] StoreError),
}

pub(crate) async fn known_types(stage: &Connected) -> Result<Vec<String>, HostKeyProblem> {
    let kind = |key: &str| key.split_ascii_whitespace().next().map(str::to_owned);
    Ok(known(stage).await?.iter().filter_map(|key| kind(key)).collect())
}

pub(crate) async fn check(stage: &Connected, key: &str) -> Result<(), HostKeyProblem> {
    let known = known(stage).await?;
    if known.iter().any(|known| same(known, key)) {
        stage.accept_host_key();
        return Ok(());
    }
    if !known.is_empty() {
        return Err(HostKeyProblem::Changed);
    }
    match stage.core.connection.host_key_check {
        HostKeyCheck::Known => Err(HostKeyProblem::Unknown),
        HostKeyCheck::TrustOnFirstUse => {
            trust(stage, key).await?;
            stage.accept_host_key();
            Ok(())
        }
    }
}

async fn trust(stage: &Connected, key: &str) -> Result<(), HostKeyProblem> {
    let (target, now) = (&stage.target, SystemTime::now().into());
    let names: Vec<String> = names(stage).collect();
    match stage.core.shared.store.trust_host_key(&names, target.addr.port(), key, now).await? {
        HostKeyTrust::Trusted => {
            tracing::warn!(session = %stage.core.id, %target, key, "host key trusted on first use");
            Ok(())
        }
        // Another session was first, and it saw another key.
        HostKeyTrust::OtherKnown => Err(HostKeyProblem::Changed),
    }
}

/// The policy's own keys for the target, and else those of the ledger: by its name, or by its address where
/// nothing is known by name. Another spelling of a target is no way around what is known of it.
async fn known(stage: &Connected) -> Result<Vec<String>, HostKeyProblem> {
    let target = &stage.target;
    let of_policy: Vec<String> = stage
        .core
        .connection
        .known_host_keys
        .iter()
        .filter(|known| {
            known.pattern.matches(target.hostname.as_deref(), target.addr.ip(), target.addr.port())
        })
        .map(|known| known.key.clone())
        .collect();
    if !of_policy.is_empty() {
        return Ok(of_policy);
    }
    for name in names(stage) {
        let kept = stage.core.shared.store.host_keys(&name, target.addr.port()).await?;
        if !kept.is_empty() {
            return Ok(kept.into_iter().map(|record| record.key).collect());
        }
    }
    Ok(Vec::new())
}

/// What keys of the target are kept under: the name that was looked up, and the address.
fn names(stage: &Connected) -> impl Iterator<Item = String> {
    let target = &stage.target;
    target.hostname.clone().into_iter().chain(std::iter::once(target.addr.ip().to_string()))
}

fn same(known: &str, key: &str) -> bool {
    known.split_ascii_whitespace().take(2).eq(key.split_ascii_whitespace().take(2))
}
