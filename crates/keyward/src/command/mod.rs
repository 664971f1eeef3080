//! What the commands do that are not the gateway.

mod call;
mod environment;
mod plugin;
mod policy;
mod session;
mod trail;
mod user;

use std::process::ExitCode;

pub(crate) use environment::environment;
pub(crate) use plugin::{plugin, upload};
pub(crate) use policy::{check, load};
pub(crate) use session::session;
pub(crate) use trail::trail;
pub(crate) use user::user;

/// Wrong usage, a wrong bundle or document.
pub(crate) const WRONG: u8 = 2;

/// Text from a stranger on its way to a terminal: what could act on it is escaped.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// Prints an error with its causes, once.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("keyward: {error:#}");
    ExitCode::from(WRONG)
}
