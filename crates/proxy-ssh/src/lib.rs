//! SSH: a server towards the client, a client towards the target, and the session's stages in between.
//!
//! [`SshProxy`] serves accepted connections; [`HostKeys`] are the keys by which clients recognise the gateway;
//! [`DemoTarget`] is a server to try the gateway on.

mod algorithms;
mod authentication;
mod client;
mod command;
mod demo_target;
mod early;
mod error;
mod issue;
mod jump;
mod keys;
mod login;
mod one_time;
mod peer;
mod private_key;
mod prompt;
mod relay;
mod server;
mod shown_key;
mod signatures;
mod socket;
mod talk;
mod try_agent;
mod user_agent;

pub use demo_target::DemoTarget;
pub use error::SshError;
pub use issue::authority_fault;
pub use keys::HostKeys;
pub use private_key::key_fault;
pub use server::SshProxy;
