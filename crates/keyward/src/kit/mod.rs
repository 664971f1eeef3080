//! The kit for people who write plugins: what they write runs by the code that runs in the gateway.

mod explain;
mod new;
mod place;
mod scenario;
mod workshop;

pub(crate) use explain::Failure;
pub(crate) use new::new;
pub(crate) use place::Place;
pub(crate) use scenario::scenario;
pub(crate) use workshop::{Interpreters, Piece, Workshop, policy};
