//! `keyward plugin`.

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::bail;
use keyward_plugin::{ApiVersion, Bundle, read_archive};
use keyward_store::{PutBundle, Store, StoredBundle};
use serde_json::json;

use super::served::Served;
use super::{call, load, open_to_look, shown, verify};
use crate::args::Plugin;
use crate::kit;
use crate::place;

/// The gateway that runs has refused what was uploaded.
const REFUSED: u8 = 1;

pub(crate) async fn plugin(command: Plugin) -> anyhow::Result<ExitCode> {
    match command {
        Plugin::New(arguments) => kit::new(&arguments),
        Plugin::Check(arguments) => kit::check(arguments).await,
        Plugin::Pack(arguments) => kit::pack(arguments).await,
        Plugin::Bench(arguments) => kit::bench(arguments).await,
        Plugin::Watch(arguments) => kit::watch(arguments).await,
        Plugin::Call(arguments) => call::call(*arguments).await,
        Plugin::Scenario(arguments) => kit::scenario(arguments).await,
        Plugin::Upload { bundle, policy } => upload_and_wait(&bundle, &policy).await,
        Plugin::Verify { policy, json } => verify::verify(&policy, json).await,
        Plugin::List { policy, json } => list(&policy, json).await,
    }
}

/// Uploads, and tells what a gateway that runs makes of it.
async fn upload_and_wait(path: &Path, policy: &Path) -> anyhow::Result<ExitCode> {
    let policy = load(policy).await?;
    let data_dir = &policy.node.data_dir;
    let store = place::open_beside(&policy.node).await?;
    let (bundle, put) = upload(&store, path).await?;
    let (name, version) = (&bundle.manifest.name, shown(&bundle.manifest.version));
    let what = match put {
        PutBundle::New => "is in the store",
        PutBundle::Updated => "is updated",
        PutBundle::Same => "is in the store already, byte for byte",
    };
    println!("{name} {version} {what}.");
    if !Store::is_served(data_dir).await? {
        println!("No gateway runs on {}: the next one takes it.", data_dir.display());
        return Ok(ExitCode::SUCCESS);
    }
    let Some(served) = Served::wait(&store, data_dir, name, &bundle.checksum).await? else {
        println!("The gateway has not taken it yet: `keyward plugin list` tells when it has.");
        return Ok(ExitCode::SUCCESS);
    };
    let lines = served.lines(name);
    if lines.is_empty() {
        println!("No [[plugin]] of the gateway that runs has this bundle: name it in the policy document.");
    }
    lines.iter().for_each(|line| println!("{line}."));
    Ok(if served.has_refused(name, &bundle.checksum) { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
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

/// Why a bundle that wants `api` does not run where `host` is offered.
pub(crate) fn api_refusal(api: ApiVersion, host: ApiVersion) -> Option<String> {
    (!host.accepts(api)).then(|| {
        format!(
            "MANIFEST: api: {api} does not run where {host} is offered: the major must be the same and the minor no higher"
        )
    })
}

async fn list(policy: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let policy = load(policy).await?;
    let data_dir = &policy.node.data_dir;
    let (bundles, served) = match place::exists(&policy.node) {
        true => {
            let store = open_to_look(&policy).await?;
            (store.bundles().await?, Served::look(&store, data_dir).await?)
        }
        false => (Vec::new(), None),
    };
    if json {
        let rows: Vec<_> = bundles
            .iter()
            .map(|b| {
                let instances = served.as_ref().map(|served| served.as_json(&b.name));
                json!({"name": b.name, "version": b.version, "api": b.api, "type": b.kind, "sha256": b.checksum,
                    "instances": instances})
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(ExitCode::SUCCESS);
    }
    if bundles.is_empty() {
        println!(
            "No bundle is in the store yet: `keyward plugin upload BUNDLE --policy ...` puts one there."
        );
    }
    for bundle in &bundles {
        println!("{:<24} {:<12} {:<16} API {}", bundle.name, bundle.version, bundle.kind, bundle.api);
        let lines = served.iter().flat_map(|served| served.lines(&bundle.name));
        lines.for_each(|line| println!("    {line}"));
    }
    if served.is_none() {
        println!("No gateway runs on {}.", data_dir.display());
    }
    Ok(ExitCode::SUCCESS)
}
