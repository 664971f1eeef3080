//! `keyward plugin verify`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use keyward_plugin::{Bundle, BundleError, UnpackedBundle};
use keyward_store::{BundleSummary, Store};
use serde_json::json;

use super::{WRONG, load, open_to_look, shown};
use crate::data_dir::DataDir;

/// How one bundle was found.
struct Finding {
    bundle: BundleSummary,
    is_unpacked: bool,
    /// `None`: it is what was uploaded.
    error: Option<String>,
}

/// Looks at every version that the store has: old ones may be owed the ends of sessions.
pub(crate) async fn verify(policy: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let policy = load(policy).await?;
    let store = open_to_look(&policy).await?;
    let data = DataDir(policy.node.data_dir);
    let mut findings = Vec::new();
    for bundle in store.all_bundles().await? {
        findings.push(look_at(&store, &data.bundles(), bundle).await?);
    }
    if json {
        let rows: Vec<_> = findings.iter().map(as_json).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        findings.iter().for_each(show);
        if findings.is_empty() {
            println!("No bundle is in the store yet.");
        }
    }
    let is_sound = findings.iter().all(|finding| finding.error.is_none());
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(WRONG) })
}

async fn look_at(store: &Store, bundles: &Path, bundle: BundleSummary) -> anyhow::Result<Finding> {
    let stored = store.bundle_by_checksum(&bundle.checksum).await?;
    let stored = stored.with_context(|| format!("{} {} has gone meanwhile", bundle.name, bundle.version))?;
    let root = bundles.join(&stored.checksum);
    let is_unpacked = root.symlink_metadata().is_ok();
    let compared = tokio::task::spawn_blocking(move || match is_unpacked {
        true => UnpackedBundle::open_verified(&root, &stored.archive, &stored.checksum).map(drop),
        false => Bundle::check_archive(&stored.archive, &stored.checksum),
    })
    .await?;
    Ok(Finding { bundle, is_unpacked, error: compared.err().map(|error| with_causes(&error)) })
}

fn with_causes(error: &BundleError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let Finding { bundle, is_unpacked, error } = finding;
    json!({
        "name": bundle.name,
        "version": bundle.version,
        "sha256": bundle.checksum,
        "unpacked": is_unpacked,
        "ok": error.is_none(),
        "error": error,
    })
}

fn show(finding: &Finding) {
    let Finding { bundle, is_unpacked, error } = finding;
    let found = match (error, is_unpacked) {
        (Some(error), _) => format!("CHANGED: {}", shown(error)),
        (None, true) => "as it was uploaded".to_owned(),
        (None, false) => "as it was uploaded, not unpacked yet".to_owned(),
    };
    println!("{} {}  {found}", bundle.name, shown(&bundle.version));
}
