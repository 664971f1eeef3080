//! `keyward config edit`.

use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use keyward_model::Secret;
use keyward_store::PutConfiguration;
use tempfile::NamedTempFile;

use super::apply::read_document;
use super::{Revisions, difference};
use crate::args::Change;

/// What somebody writes, until it is a revision.
struct Draft {
    file: NamedTempFile,
    /// The revision that it was made from.
    base: u32,
    original: Secret,
}

/// Has an editor change the newest revision, again and again until it is sound or the person gives up. What another one
/// has changed meanwhile is merged with it. What was written is never lost.
pub(super) async fn edit(change: &Change) -> anyhow::Result<()> {
    let revisions = Revisions::change(&change.policy).await?;
    let mut draft = Draft::of(&revisions).await?;
    loop {
        let text = draft.edit()?;
        if text.expose() == draft.original.expose() {
            println!("Nothing is changed.");
            return Ok(());
        }
        if let Err(error) = revisions.place.parse(text.expose(), "what you wrote") {
            eprintln!("{error:#}");
            draft.again()?;
            continue;
        }
        difference::print(&draft.original, &text, &difference::revision(draft.base), "what you wrote");
        match revisions.put(&text, change, Some(draft.base)).await? {
            PutConfiguration::Made(number) => return revisions.wait(number).await,
            PutConfiguration::Same(number) => {
                println!("Revision {number} is the same.");
                return Ok(());
            }
            PutConfiguration::Outdated(newest) => {
                let newer = revisions.told_of(newest).await?;
                println!("{newer} has come meanwhile.");
                draft.merge(&revisions, &text).await?;
            }
        }
    }
}

impl Draft {
    /// In the data directory, where the store is that has the same secrets.
    async fn of(revisions: &Revisions) -> anyhow::Result<Self> {
        let (base, original) = revisions.newest().await?;
        let folder = &revisions.node.data_dir;
        let file = tempfile::Builder::new().prefix("keyward-edit-").suffix(".toml").tempfile_in(folder);
        let file = file.with_context(|| format!("no file can be made in {}", folder.display()))?;
        let draft = Self { file, base, original };
        draft.write(draft.original.expose())?;
        Ok(draft)
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        std::fs::write(self.file.path(), text)
            .with_context(|| format!("{} cannot be written", self.file.path().display()))
    }

    fn edit(&mut self) -> anyhow::Result<Secret> {
        let edited = run_editor(self.file.path()).and_then(|()| read_document(self.file.path()));
        edited.or_else(|error| self.give_up(&error.to_string()))
    }

    /// Asks whether to go on. `Ok`: it goes on.
    fn again(&mut self) -> anyhow::Result<()> {
        eprint!("Edit it again? [Y/n] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        let heard = std::io::stdin().lock().read_line(&mut answer)?;
        match answer.trim() {
            "" | "y" | "Y" | "yes" if heard > 0 => Ok(()),
            _ => self.give_up("nothing is changed"),
        }
    }

    /// Takes over what the newest revision has changed, and has the person look at it.
    async fn merge(&mut self, revisions: &Revisions, mine: &Secret) -> anyhow::Result<()> {
        let (newest, theirs) = revisions.newest().await?;
        let merged = match diffy::merge(self.original.expose(), mine.expose(), theirs.expose()) {
            Ok(merged) => {
                println!("Its changes are elsewhere than yours, and are merged with them.");
                merged
            }
            Err(marked) => {
                println!("It changes the same lines: both are between marks.");
                marked
            }
        };
        self.write(&merged)?;
        (self.base, self.original) = (newest, theirs);
        self.again()
    }

    /// Keeps what was written, and says where.
    fn give_up<T>(&mut self, why: &str) -> anyhow::Result<T> {
        self.file.disable_cleanup(true);
        bail!("{why}. What you wrote is in {}: it may hold secrets", self.file.path().display())
    }
}

/// By way of a shell, for people have editors with arguments.
#[expect(clippy::disallowed_methods, reason = "the person's own editor, for their own command")]
fn run_editor(file: &Path) -> anyhow::Result<()> {
    let named = |name: &str| std::env::var_os(name).filter(|editor| !editor.is_empty());
    let editor: OsString = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".into());
    let mut command = OsString::from(&editor);
    command.push(" \"$1\"");
    let done = std::process::Command::new("/bin/sh").arg("-c").arg(command).arg("sh").arg(file).status();
    let editor = PathBuf::from(editor);
    let done = done.with_context(|| format!("{} cannot be run", editor.display()))?;
    if !done.success() {
        bail!("the editor {} ended with {done}", editor.display());
    }
    Ok(())
}
