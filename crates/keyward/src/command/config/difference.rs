//! What differs between two documents: `keyward config diff`, and what the commands that change something show.

use std::path::Path;

use anyhow::bail;
use diffy::DiffOptions;
use keyward_model::Secret;

use super::Revisions;
use super::apply::read_document;
use crate::command::{counted, shown};

pub(super) async fn with_file(policy: &Path, file: &Path) -> anyhow::Result<()> {
    let document = read_document(file)?;
    let (newest, before) = Revisions::look(policy).await?.newest().await?;
    print(&before, &document, &revision(newest), &file.display().to_string());
    Ok(())
}

pub(super) async fn of_revisions(policy: &Path, from: Option<u32>, to: Option<u32>) -> anyhow::Result<()> {
    let revisions = Revisions::look(policy).await?;
    let newest = revisions.store.newest_configuration().await?;
    let (from, to) = match (from, to, newest) {
        (None, None, 0) => bail!("there is no configuration yet"),
        (None, to, _) => (newest - 1, to.unwrap_or(newest)),
        (Some(from), to, _) => (from, to.unwrap_or(newest)),
    };
    let before = if from == 0 { Secret::new(String::new()) } else { revisions.document(from).await? };
    let after = revisions.document(to).await?;
    print(&before, &after, &revision(from), &revision(to));
    Ok(())
}

pub(super) fn revision(number: u32) -> String {
    match number {
        0 => "nothing".to_owned(),
        number => format!("revision {number}"),
    }
}

/// Prints a unified diff, which is empty where nothing differs.
pub(super) fn print(before: &Secret, after: &Secret, before_is: &str, after_is: &str) {
    if before.expose() == after.expose() {
        println!("{after_is} is the same as {before_is}.");
        return;
    }
    if before.expose().is_empty() {
        println!("{after_is} is the first document: {}.", counted(after.expose().lines().count(), "line"));
        return;
    }
    let mut options = DiffOptions::new();
    options.set_original_filename(before_is.to_owned()).set_modified_filename(after_is.to_owned());
    for line in options.create_patch(before.expose(), after.expose()).to_string().lines() {
        println!("{}", shown(line).replace("\\t", "\t"));
    }
}
