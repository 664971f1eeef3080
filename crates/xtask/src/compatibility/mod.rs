//! Which test proves which rule of the plugin contract: `docs/plugin-compatibility.toml` says it, and the page
//! `docs/plugin-compatibility.md` is written from it. The checks see that nothing of either has come loose.

mod catalogue;
mod contract;
mod page;
mod table;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::ci::sources::Sources;
use crate::workspace::Workspace;
use table::{Count, Table};

const TABLE: &str = "docs/plugin-compatibility.toml";
const PAGE: &str = "docs/plugin-compatibility.md";
const CONTRACT: &str = "docs/plugin-contract.md";

/// Writes the page anew. Fails, and writes nothing, when the table names a test that is not there, has a rule
/// without a test that does not say so, or leaves out a part of the contract.
pub(crate) fn compatibility(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("usage: cargo xtask compatibility");
    }
    let checked = check(&Sources::read(&workspace.root)?);
    let (page, count) = match checked {
        Ok(checked) => checked,
        Err(findings) => bail!("{TABLE} does not hold:\n  {}", findings.join("\n  ")),
    };
    fs::write(workspace.root.join(PAGE), page).context(PAGE)?;
    println!("{PAGE}: {count}");
    Ok(())
}

/// What `cargo xtask ci` asks: all of the above, and that the page is the one that would be written.
pub(crate) fn findings(sources: &Sources) -> Vec<String> {
    match check(sources) {
        Err(findings) => findings,
        Ok((page, _)) if sources.text(PAGE) == Some(&page) => Vec::new(),
        Ok(_) => vec![format!("{PAGE} is not what {TABLE} says: run cargo xtask compatibility")],
    }
}

/// The page as it should be, or what is wrong with the table.
fn check(sources: &Sources) -> Result<(String, Count), Vec<String>> {
    let text = |path: &str| sources.text(path).ok_or_else(|| vec![format!("{path} is missing")]);
    let table = Table::read(text(TABLE)?).map_err(|error| vec![format!("{TABLE}: {error}")])?;
    let catalogue = catalogue::read(sources);
    let mut findings = table.findings(&catalogue);
    findings.extend(contract::uncovered(&contract::parts(text(CONTRACT)?), &table));
    match findings.is_empty() {
        true => Ok((page::page(&table, &catalogue), table.count())),
        false => Err(findings),
    }
}
