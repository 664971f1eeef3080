//! `keyward plugin watch`: checks a plugin and plays its scenarios again at each save.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use keyward_plugin::{ApiVersion, Manifest};

use super::check::examine;
use super::scenario::{Run, Verbosity};
use super::workshop::{Interpreters, policy};
use crate::args::PluginWatch;

/// How often the folder is looked at. A notification of the kernel would come sooner, and not on every file system.
const GLANCE: Duration = Duration::from_millis(300);
/// More files than a bundle may have are not a plugin.
const MOST_FILES: usize = 20_000;

pub(crate) async fn watch(arguments: PluginWatch) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    if !folder.join(Manifest::FILE).is_file() {
        bail!(
            "{} has no MANIFEST: give the folder of a plugin, as `keyward plugin new` makes one",
            folder.display()
        );
    }
    tokio::select! {
        result = again_and_again(&arguments) => result,
        // What runs is dropped, and with it its processes and folders.
        signal = tokio::signal::ctrl_c() => {
            signal?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn again_and_again(arguments: &PluginWatch) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    let policy = policy(arguments.policy.as_deref()).await?;
    let interpreters = Interpreters::new(arguments.environment.clone(), policy.as_ref());
    loop {
        let before = glance(folder)?;
        once(arguments, &interpreters).await?;
        println!("Waiting for the next save in {}; Ctrl-C ends.", folder.display());
        wait_for_change(folder, before).await?;
        println!("\n{}\n", "-".repeat(60));
    }
}

async fn once(arguments: &PluginWatch, interpreters: &Interpreters) -> anyhow::Result<()> {
    let folder = &arguments.folder;
    let checked = examine(folder, ApiVersion::HOST, interpreters).await?;
    checked.show(folder);
    println!();
    // A wrong bundle fails in each scenario for the same reason.
    if checked.refusal.is_some() || !folder.join("tests").is_dir() {
        return Ok(());
    }
    let run = Run::new(&arguments.set, interpreters, Verbosity::Failures)?;
    match run.play_all(std::slice::from_ref(folder)).await {
        Ok(cases) => run.conclude(&cases),
        Err(error) => println!("{error:#}\n"),
    }
    Ok(())
}

/// Comes back when the folder is other than `before`, and has been quiet since: an editor saves in several steps.
async fn wait_for_change(folder: &Path, before: Glance) -> anyhow::Result<()> {
    let mut last = before.clone();
    loop {
        tokio::time::sleep(GLANCE).await;
        let now = glance(folder)?;
        if now != before && now == last {
            return Ok(());
        }
        last = now;
    }
}

/// Time and size of each file.
type Glance = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// A file that vanishes while it is looked at is not there.
fn glance(folder: &Path) -> anyhow::Result<Glance> {
    let mut seen = Glance::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name == "__pycache__" || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                waiting.push(entry.path());
            } else {
                seen.insert(entry.path(), (metadata.modified().ok(), metadata.len()));
            }
        }
        if seen.len() > MOST_FILES {
            bail!("there are more than {MOST_FILES} files below {}: that is no plugin", folder.display());
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_tells_a_change_a_new_file_and_one_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("main.py", "1");
        let first = glance(folder.path()).unwrap();
        assert_eq!(glance(folder.path()).unwrap(), first);
        file("main.py", "12");
        let second = glance(folder.path()).unwrap();
        assert_ne!(second, first);
        file("other.py", "");
        assert_ne!(glance(folder.path()).unwrap(), second);
        std::fs::remove_file(folder.path().join("other.py")).unwrap();
        assert_eq!(glance(folder.path()).unwrap(), second);
        file(".main.py.swp", "an editor's own");
        assert_eq!(glance(folder.path()).unwrap(), second);
    }
}
