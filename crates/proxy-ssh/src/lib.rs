//! SSH: a server towards the client, a client towards the target, and the session's stages in between.
//!
//! [`SshProxy`] serves accepted connections; [`HostKeys`] are the keys by which clients recognise the gateway;
//! [`DemoTarget`] is a server to try the gateway on.

mod algorithms;
mod auth;
mod backlog;
mod client;
mod command;
mod demo_target;
mod error;
mod front;
mod gate;
mod keys;
mod login;
mod one_time;
mod opened;
mod private_key;
mod relay;
mod server;
mod stream;
mod talk;
mod upstream;

pub use demo_target::DemoTarget;
pub use error::SshError;
pub use keys::HostKeys;
pub use private_key::key_fault;
pub use server::SshProxy;
