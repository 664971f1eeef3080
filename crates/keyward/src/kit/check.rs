//! `keyward plugin check`: what a gateway would make of a bundle, now and later.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use keyward_plugin::{ApiVersion, AtHand, Bundle, BundleError, read_archive};
use serde_json::{Value, json};

use super::workshop::{Interpreters, policy};
use crate::args::PluginCheck;
use crate::command::{WRONG, api_refusal, shown};

/// A bundle, examined.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) bundle: Result<Bundle, BundleError>,
    /// Why a gateway would not take it.
    pub(crate) refusal: Option<String>,
    pub(crate) warnings: Vec<String>,
    /// What was not looked at, and why.
    pub(crate) left_out: Option<String>,
}

pub(crate) async fn check(arguments: PluginCheck) -> anyhow::Result<ExitCode> {
    let PluginCheck { bundle: path, as_api, json, policy: document, environment } = arguments;
    let host = as_api.as_deref().map_or(Ok(ApiVersion::HOST), str::parse)?;
    let interpreters = Interpreters::new(environment, policy(document.as_deref()).await?.as_ref());
    let checked = examine(&path, host, &interpreters).await?;
    if json {
        println!("{}", checked.as_json());
    } else {
        checked.show(&path);
    }
    Ok(if checked.refusal.is_some() { ExitCode::from(WRONG) } else { ExitCode::SUCCESS })
}

/// Examines the bundle at `path`, a folder or an archive. None of its code is run.
///
/// # Errors
/// An interpreter that was named and is none.
pub(crate) async fn examine(
    path: &Path,
    host: ApiVersion,
    interpreters: &Interpreters,
) -> anyhow::Result<Checked> {
    let bundle = read_archive(path).and_then(|archive| Bundle::inspect(&archive));
    let refusal = match &bundle {
        Ok(bundle) => api_refusal(bundle.manifest.api, host),
        Err(error) => Some(chain(error)),
    };
    let mut checked = Checked { bundle, refusal, warnings: Vec::new(), left_out: None };
    checked.look(path, interpreters).await?;
    Ok(checked)
}

impl Checked {
    async fn look(&mut self, path: &Path, interpreters: &Interpreters) -> anyhow::Result<()> {
        let Ok(bundle) = &self.bundle else { return Ok(()) };
        self.warnings = bundle.warnings.iter().map(ToString::to_string).collect();
        let environment = match interpreters.find(bundle.python).await {
            Ok(environment) => environment,
            Err(error) if interpreters.is_named() => return Err(error),
            Err(error) => {
                self.left_out = Some(format!("the source was not looked at: {error:#}"));
                return Ok(());
            }
        };
        let scratch = tempfile::tempdir().context("a temporary folder is needed")?;
        let unpacked = Bundle::unpack(&read_archive(path)?, &scratch.path().join("bundle"))?;
        let at_hand = if interpreters.is_named() { AtHand::Installed } else { AtHand::Promised };
        match environment.look_into(&unpacked, at_hand).await {
            Ok(found) => self.warnings.extend(found.iter().map(ToString::to_string)),
            Err(error) => self.left_out = Some(format!("the source was not looked at: {}", chain(&error))),
        }
        Ok(())
    }
}

impl Checked {
    fn as_json(&self) -> Value {
        let bundle = self.bundle.as_ref().ok();
        json!({
            "ok": self.refusal.is_none(),
            "error": self.refusal,
            "name": bundle.map(|b| b.manifest.name.as_str()),
            "type": bundle.map(|b| b.manifest.kind.as_str()),
            "version": bundle.map(|b| b.manifest.version.as_str()),
            "api": bundle.map(|b| b.manifest.api.to_string()),
            "description": bundle.map(|b| b.manifest.description.as_str()),
            "entry_point": bundle.and_then(|b| b.manifest.entry_point.as_deref()),
            "scb_min_version": bundle.and_then(|b| b.manifest.min_version.as_deref()),
            "scb_max_version": bundle.and_then(|b| b.manifest.max_version.as_deref()),
            "sha256": bundle.map(|b| b.checksum.as_str()),
            "warnings": bundle.map(|_| &self.warnings),
            "left_out": self.left_out,
        })
    }

    pub(crate) fn show(&self, path: &Path) {
        if let Ok(bundle) = &self.bundle {
            let manifest = &bundle.manifest;
            println!(
                "{} {} ({}, API {})",
                manifest.name,
                manifest.version,
                manifest.kind.as_str(),
                manifest.api
            );
            println!("{}", shown(manifest.description.trim()));
        }
        for warning in &self.warnings {
            println!("warning: {}", shown(warning));
        }
        if let Some(left_out) = &self.left_out {
            println!("note: {}", shown(left_out));
        }
        match &self.refusal {
            None => println!("{} {}.", path.display(), self.praise()),
            Some(text) => eprintln!("keyward: {}: {}", path.display(), shown(text)),
        }
    }
}

impl Checked {
    fn praise(&self) -> String {
        match self.warnings.len() {
            0 => "is a sound bundle".to_owned(),
            1 => "would be taken by a gateway, with the warning above".to_owned(),
            n => format!("would be taken by a gateway, with the {n} warnings above"),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
