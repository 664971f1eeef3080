//! What is typed and shown in a channel, judged by the rules of a content policy, without I/O: bytes and the time go in,
//! and out comes how many of the bytes may be passed on, and what was found in them.
//!
//! On a terminal a command is what the screen shows when Enter is pressed, so that neither history nor completion nor
//! editing goes around a rule; see [`Judge`].

mod console;
mod entered;
mod extent;
mod finding;
mod held;
mod judge;
mod keys;
mod lines;
mod modes;
mod noted;
mod pastes;
mod screen;
mod utf8;
mod waits;

pub use finding::{CannotJudge, Finding, Place};
pub use judge::{Judge, Output, Passed, Released, command};
pub use modes::Modes;
