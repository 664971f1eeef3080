//! The kit for people who write plugins: what they write runs by the code that runs in the gateway.

mod explain;
mod place;
mod scenario;
mod workshop;

pub(crate) use scenario::scenario;
