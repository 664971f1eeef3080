//! The kit for people who write plugins: what they write runs by the code that runs in the gateway.

mod bench;
mod check;
mod explain;
mod new;
mod pack;
mod place;
mod scenario;
mod watch;
mod workshop;

pub(crate) use bench::bench;
pub(crate) use check::check;
pub(crate) use explain::Failure;
pub(crate) use new::new;
pub(crate) use pack::pack;
pub(crate) use place::Place;
pub(crate) use scenario::scenario;
pub(crate) use watch::watch;
pub(crate) use workshop::{Interpreters, Piece, Workshop, policy};
