//! `keyward plugin new`: a plugin to begin with, which passes its own tests at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use keyward_model::PluginName;

use crate::args::{NewKind, PluginNew};

/// A file of a template: where it goes and what is in it. `@NAME@` stands for the plugin's name.
type File = (&'static str, &'static str);

macro_rules! template {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!($folder, "/", $file)))),+]
    };
}

const AA: &[File] = template!("aa": "MANIFEST", "main.py", "default.cfg", "tests/right_word.toml", "tests/wrong_word.toml", "tests/other_server.toml");
const AA_PLAIN: &[File] = template!("aa_plain": "MANIFEST", "main.py", "default.cfg", "tests/right_word.toml", "tests/wrong_word.toml", "tests/other_server.toml");
const STORE: &[File] = template!("credentialstore": "MANIFEST", "main.py", "default.cfg", "tests/found.toml", "tests/nothing_found.toml");
const STORE_PLAIN: &[File] = template!("credentialstore_plain": "MANIFEST", "main.py", "default.cfg", "tests/found.toml", "tests/nothing_found.toml");

pub(crate) fn new(arguments: &PluginNew) -> anyhow::Result<ExitCode> {
    let name = PluginName::try_from(arguments.name.as_str())?;
    let folder = arguments.dir.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    let template = match (arguments.kind, arguments.plain) {
        (NewKind::Aa, false) => AA,
        (NewKind::Aa, true) => AA_PLAIN,
        (NewKind::Credentialstore, false) => STORE,
        (NewKind::Credentialstore, true) => STORE_PLAIN,
    };
    write(template, &name, &folder)?;
    let shown = folder.display();
    println!("{shown} has a plugin to begin with:\n");
    for (file, _) in template {
        println!("  {file}");
    }
    let needs = if arguments.plain { "" } else { " (they need an environment with the Plugin SDK)" };
    println!(
        "\nChange main.py, and let its tests tell you what that does{needs}:\n\n  \
         keyward plugin scenario {shown}    plays tests/*.toml once\n  \
         keyward plugin watch {shown}       plays them again each time that you save\n  \
         keyward plugin check {shown}       says what a gateway would make of it\n  \
         keyward plugin pack {shown}        makes the .zip to upload"
    );
    if !arguments.plain {
        println!(
            "\nAn environment: `keyward environment create python3 FOLDER` makes one; name it with\n\
             --environment python3=FOLDER/bin/python, or once in the variable KEYWARD_ENVIRONMENT."
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes all files or none: a folder that is there already is left alone.
fn write(template: &[File], name: &PluginName, folder: &Path) -> anyhow::Result<()> {
    if folder.symlink_metadata().is_ok() {
        bail!("{} is there already: choose another name, or another folder with --dir", folder.display());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = tempfile::Builder::new()
        .prefix(".keyward-new-")
        .tempdir_in(parent)
        .with_context(|| format!("{} cannot be written to", parent.display()))?;
    for (file, text) in template {
        let path = draft.path().join(file);
        fs::create_dir_all(path.parent().unwrap_or(draft.path()))?;
        fs::write(&path, text.replace("@NAME@", name.as_str()))
            .with_context(|| path.display().to_string())?;
    }
    fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o755))?;
    fs::rename(draft.path(), folder).with_context(|| folder.display().to_string())?;
    // The folder has its name now: nothing is left to remove.
    let _ = draft.keep();
    Ok(())
}
