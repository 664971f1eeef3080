//! The words that every other crate speaks: ids, names, addresses, secrets, verdicts, the login string.
//!
//! Nothing here does I/O, and nothing depends on an async runtime.

mod address;
mod login;
mod name;
mod pairs;
mod protocol;
mod requested;
mod secret;
mod session_id;
mod time;
mod verdict;

pub use address::{ClientAddr, Host, TargetAddr};
pub use login::{Grammar, LoginError, LoginString, TargetMode};
pub use name::{ConnectionName, InstanceName, NameError, PluginName};
pub use pairs::KeyValuePairs;
pub use protocol::{Protocol, UnknownProtocol};
pub use requested::Requested;
pub use secret::Secret;
pub use session_id::{SessionId, SessionIdError};
pub use time::UnixMillis;
pub use verdict::{UnknownVerdict, Verdict};
