//! Workers: one process for each hook call, forked ahead of need (contract section 3).
//!
//! ```text
//! PluginHost ── Instance ── keeper (a task) ── template (a process) ──fork──▶ worker (a process)
//!                  └── call ───────────────────── takes a worker, gives it one call, kills what is left of it
//! ```

mod admission;
mod budget;
mod call;
mod confinement;
mod error;
mod frame;
mod host;
mod instance;
mod keeper;
mod launch;
mod lines;
mod pool;
mod printing;
mod process;
mod report;
mod spawn;
mod template;
mod user;
mod way;
mod worker;
mod worker_files;

pub use confinement::{Gap, Network, Reachable, ReachableHost};
pub use error::PluginError;
pub use host::{HostConfig, PluginHost};
pub use instance::{Bounds, Instance, InstanceConfig, Start};
pub use report::{Call, CallError, CallErrorKind, CallReport, Exit, LogLine, Stream, Watch};

#[cfg(test)]
mod hostile_frames;
