//! What the commands do that are not the gateway.

mod approve;
mod call;
mod config;
mod environment;
mod fetch;
mod hold;
mod index;
mod past;
mod plugin;
mod policy;
mod search;
mod served;
mod session;
mod store;
mod terminate;
mod trail;
mod user;
mod verify;
mod who;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use keyward_policy::Policy;
use keyward_store::Store;

pub(crate) use call::read_arguments;
pub(crate) use config::config;
pub(crate) use environment::environment;
pub(crate) use plugin::{api_refusal, plugin, upload};
pub(crate) use policy::{check, load, load_file};
pub(crate) use session::session;
pub(crate) use store::store;
pub(crate) use trail::trail;
pub(crate) use user::{Quiet, user};

use crate::place;

/// Wrong usage, a wrong bundle or document.
pub(crate) const WRONG: u8 = 2;

/// The store of a gateway, for a command that only looks. Looking must not make one, least of all one that belongs to
/// the wrong user.
pub(crate) async fn open_to_look(policy: &Policy) -> anyhow::Result<Store> {
    let data = &policy.node.data_dir;
    if !place::exists(&policy.node) {
        bail!(
            "{} has no store yet: no gateway has run with this policy document, and no plugin was uploaded",
            data.display()
        );
    }
    place::open_beside(&policy.node).await
}

/// Text from a stranger on its way to a terminal: what could act on it is escaped, or show its characters in another order.
pub(crate) fn shown(text: &str) -> String {
    let acts = |c: char| c.is_control() || is_bidi(c);
    text.chars()
        .flat_map(|c| if acts(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// `1 recording`, `2 recordings`.
pub(crate) fn counted(n: impl Display, what: &str) -> String {
    let n = n.to_string();
    format!("{n} {what}{}", if n == "1" { "" } else { "s" })
}

/// Marks, embeddings, overrides and isolates (Unicode UAX 9).
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Prints an error with its causes, once.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("keyward: {error:#}");
    ExitCode::from(WRONG)
}

/// A program by its bare name, where a shell would find it.
pub(crate) fn on_path(program: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file()).with_context(
        || format!("no {program} is on the PATH: name one with --environment python3=/path/to/python"),
    )
}

/// An interpreter as a person names it: a bare name is looked for as a shell would.
fn interpreter(python: PathBuf) -> anyhow::Result<PathBuf> {
    match python.to_str() {
        Some(name) if !name.contains('/') => on_path(name),
        Some(_) | None => Ok(python),
    }
}
