//! `keyward plugin`.

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::bail;
use keyward_plugin::{ApiVersion, Bundle, BundleError, read_archive};
use keyward_store::{PutBundle, Store, StoredBundle};
use serde_json::json;

use super::{WRONG, call, load, open_to_look, shown, verify};
use crate::args::Plugin;

pub(crate) async fn plugin(command: Plugin) -> anyhow::Result<ExitCode> {
    match command {
        Plugin::Check { bundle, as_api, json } => check(&bundle, as_api.as_deref(), json),
        Plugin::Call(arguments) => call::call(*arguments).await,
        Plugin::Upload { bundle, policy } => {
            let policy = load(&policy)?;
            let store = Store::open_beside(&policy.gateway.data_dir).await?;
            let (bundle, put) = upload(&store, &bundle).await?;
            let what = match put {
                PutBundle::New => "is in the store",
                PutBundle::Updated => "is updated",
                PutBundle::Same => "is in the store already, byte for byte",
            };
            println!("{} {} {what}.", bundle.manifest.name, bundle.manifest.version);
            println!("A gateway that is running takes it within seconds, for the sessions to come.");
            Ok(ExitCode::SUCCESS)
        }
        Plugin::Verify { policy, json } => verify::verify(&policy, json).await,
        Plugin::List { policy, json } => list(&policy, json).await,
    }
}

/// Checks a bundle and puts it into the store; a refused one leaves nothing behind.
pub(crate) async fn upload(store: &Store, path: &Path) -> anyhow::Result<(Bundle, PutBundle)> {
    let archive = read_archive(path)?;
    let bundle = Bundle::inspect(&archive)?;
    if let Some(refusal) = api_refusal(bundle.manifest.api, ApiVersion::HOST) {
        bail!("{}: {refusal}", path.display());
    }
    for warning in &bundle.warnings {
        eprintln!("warning: {}", shown(&warning.to_string()));
    }
    let manifest = &bundle.manifest;
    let put = store
        .put_bundle(&StoredBundle {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            api: manifest.api.to_string(),
            kind: manifest.kind.as_str().to_owned(),
            checksum: bundle.checksum.clone(),
            archive,
            uploaded: SystemTime::now().into(),
        })
        .await?;
    Ok((bundle, put))
}

fn check(path: &Path, as_api: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let host = match as_api {
        Some(version) => version.parse()?,
        None => ApiVersion::HOST,
    };
    let checked = read_archive(path).and_then(|archive| Bundle::inspect(&archive));
    let refusal = match &checked {
        Ok(bundle) => api_refusal(bundle.manifest.api, host),
        Err(error) => Some(error_text(error)),
    };
    if json {
        println!("{}", as_json(&checked, refusal.as_deref()));
    } else {
        show(path, &checked, refusal.as_deref());
    }
    Ok(if refusal.is_some() { ExitCode::from(WRONG) } else { ExitCode::SUCCESS })
}

fn api_refusal(api: ApiVersion, host: ApiVersion) -> Option<String> {
    (!host.accepts(api)).then(|| {
        format!(
            "MANIFEST: api: {api} does not run where {host} is offered: the major must be the same and the minor no higher"
        )
    })
}

fn error_text(error: &BundleError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn as_json(checked: &Result<Bundle, BundleError>, refusal: Option<&str>) -> serde_json::Value {
    let bundle = checked.as_ref().ok();
    json!({
        "ok": refusal.is_none(),
        "error": refusal,
        "name": bundle.map(|b| b.manifest.name.as_str()),
        "type": bundle.map(|b| b.manifest.kind.as_str()),
        "version": bundle.map(|b| b.manifest.version.as_str()),
        "api": bundle.map(|b| b.manifest.api.to_string()),
        "description": bundle.map(|b| b.manifest.description.as_str()),
        "entry_point": bundle.and_then(|b| b.manifest.entry_point.as_deref()),
        "scb_min_version": bundle.and_then(|b| b.manifest.min_version.as_deref()),
        "scb_max_version": bundle.and_then(|b| b.manifest.max_version.as_deref()),
        "sha256": bundle.map(|b| b.checksum.as_str()),
        "warnings": bundle.map(|b| b.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()),
    })
}

fn show(path: &Path, checked: &Result<Bundle, BundleError>, refusal: Option<&str>) {
    if let Ok(bundle) = checked {
        let manifest = &bundle.manifest;
        println!("{} {} ({}, API {})", manifest.name, manifest.version, manifest.kind.as_str(), manifest.api);
        println!("{}", shown(manifest.description.trim()));
        for warning in &bundle.warnings {
            println!("warning: {}", shown(&warning.to_string()));
        }
    }
    match refusal {
        None => println!("{} is a sound bundle.", path.display()),
        Some(text) => eprintln!("keyward: {}: {}", path.display(), shown(text)),
    }
}

async fn list(policy: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let policy = load(policy)?;
    let bundles = match policy.gateway.data_dir.join(Store::DATABASE).exists() {
        true => open_to_look(&policy).await?.bundles().await?,
        false => Vec::new(),
    };
    if json {
        let rows: Vec<_> = bundles
            .iter()
            .map(|b| json!({"name": b.name, "version": b.version, "api": b.api, "type": b.kind, "sha256": b.checksum}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    if bundles.is_empty() {
        println!(
            "No bundle is in the store yet: `keyward plugin upload BUNDLE --policy ...` puts one there."
        );
    }
    for bundle in bundles {
        println!("{:<24} {:<12} {:<16} API {}", bundle.name, bundle.version, bundle.kind, bundle.api);
    }
    Ok(ExitCode::SUCCESS)
}
