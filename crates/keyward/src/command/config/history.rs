//! `keyward config history`.

use std::path::Path;

use keyward_store::ConfigurationRevision;
use serde_json::{Value, json};

use super::Revisions;
use crate::command::session::time;
use crate::command::shown;

pub(super) async fn history(policy: &Path, limit: usize, json: bool) -> anyhow::Result<()> {
    let store = Revisions::look(policy).await?.store;
    let in_force = store.configuration_in_force().await?;
    let mut all = store.configurations().await?;
    all.truncate(limit);
    if json {
        let rows: Vec<Value> = all.iter().map(|revision| row(revision, in_force)).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    if all.is_empty() {
        println!("There is no configuration yet.");
    }
    for revision in &all {
        let ConfigurationRevision { number, made, author, comment, .. } = revision;
        let state = state(revision, in_force);
        println!(
            "{number:>4}  {}  {:<11}  {}  {}",
            time(*made),
            state,
            shown(author),
            shown(comment.as_deref().unwrap_or_default()),
        );
        for line in revision.refused.iter().flat_map(|reason| reason.lines()) {
            println!("      {}", shown(line));
        }
    }
    Ok(())
}

fn state(revision: &ConfigurationRevision, in_force: u32) -> &'static str {
    match revision {
        _ if revision.number == in_force => "in force",
        ConfigurationRevision { refused: Some(_), .. } => "refused",
        ConfigurationRevision { in_force_since: Some(_), .. } => "was in force",
        _ if revision.number > in_force => "waits",
        _ => "passed over",
    }
}

fn row(revision: &ConfigurationRevision, in_force: u32) -> Value {
    let ConfigurationRevision { number, made, author, comment, in_force_since, refused } = revision;
    json!({
        "number": number,
        "made": time(*made),
        "author": author,
        "comment": comment,
        "state": state(revision, in_force),
        "in_force_since": in_force_since.map(time),
        "refused": refused,
    })
}
