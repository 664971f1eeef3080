//! `keyward plugin pack`: the `.zip` of a plugin, the same bytes for the same files.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use keyward_plugin::{ApiVersion, Bundle, PythonMajor, pack_folders};

use super::workshop::Interpreters;
use crate::args::PluginPack;
use crate::command::{api_refusal, shown};

pub(crate) async fn pack(arguments: PluginPack) -> anyhow::Result<ExitCode> {
    let PluginPack { folder, requirements, output, environment } = arguments;
    if !folder.is_dir() {
        bail!("{} is no folder: give the one that has the plugin's MANIFEST", folder.display());
    }
    let vendored = tempfile::tempdir().context("a temporary folder is needed")?;
    let mut folders: Vec<&Path> = vec![&folder];
    if let Some(requirements) = &requirements {
        let environment = Interpreters::new(environment, None).find(PythonMajor::Three).await?;
        environment.vendor(requirements, vendored.path()).await?;
        folders.push(vendored.path());
    }
    let archive = pack_folders(&folders).with_context(|| folder.display().to_string())?;
    let bundle = Bundle::inspect(&archive).with_context(|| folder.display().to_string())?;
    if let Some(refusal) = api_refusal(bundle.manifest.api, ApiVersion::HOST) {
        bail!("{}: {refusal}", folder.display());
    }
    for warning in &bundle.warnings {
        eprintln!("warning: {}", shown(&warning.to_string()));
    }
    let manifest = &bundle.manifest;
    let version: String = manifest.version.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let output = output.unwrap_or_else(|| PathBuf::from(format!("{}-{version}.zip", manifest.name)));
    write(&output, &archive)?;
    println!("{}: {} {}, {} bytes", output.display(), manifest.name, manifest.version, archive.len());
    println!("sha256 {}", bundle.checksum);
    Ok(ExitCode::SUCCESS)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Whole or not at all, in the place of an earlier one.
fn write(path: &Path, archive: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = || format!("{} cannot be written", path.display());
    let mut draft = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .with_context(failed)?;
    draft.write_all(archive).with_context(failed)?;
    draft.persist(path).with_context(failed)?;
    Ok(())
}
