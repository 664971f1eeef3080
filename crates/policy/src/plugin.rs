//! Plugin instances and Python environments.

use std::fmt;
use std::path::PathBuf;

use crate::HostPattern;
use keyward_model::{InstanceName, PluginName};

/// A bundle with a configuration of its own: `[[plugin]]`.
#[derive(Clone)]
pub struct PluginInstance {
    pub name: InstanceName,
    pub bundle: PluginName,
    /// What the plugin's constructor gets (contract section 3). It often holds secrets, so `Debug` hides it.
    pub configuration: String,
    /// The name of an environment; `None`: the MANIFEST chooses `python3` or `python2`.
    pub environment: Option<String>,
    pub start: PluginStart,
    /// Workers that are forked ahead of need.
    pub idle_workers: usize,
    /// Bytes that a worker may have.
    pub memory_limit: u64,
    /// Processes and threads that a worker may have.
    pub processes: u32,
    /// Processor time that each process of the plugin may use, in seconds.
    pub cpu_seconds: u64,
    /// Bytes that its state and temporary directories may hold together.
    pub disk_limit: u64,
    /// What it may connect to. `None`: anything.
    pub network: Option<Vec<HostPattern>>,
    /// Whether a `session_ended` that the gateway's death interrupted is called again by itself.
    pub retry_interrupted: bool,
    /// Whether sessions that run take newer versions as they come, in place of keeping the one they began with.
    pub follow_updates: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PluginStart {
    /// Workers are forked from an interpreter that has imported the plugin.
    Warm,
    /// Each call starts an interpreter: for plugins that start threads at import.
    Cold,
}

/// A named interpreter: `[[environment]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PythonEnvironment {
    pub name: String,
    pub python: PathBuf,
}

impl fmt::Debug for PluginInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            bundle,
            configuration: _,
            environment,
            start,
            idle_workers,
            memory_limit,
            processes,
            cpu_seconds,
            disk_limit,
            network,
            retry_interrupted,
            follow_updates,
        } = self;
        f.debug_struct("PluginInstance")
            .field("name", name)
            .field("bundle", bundle)
            .field("environment", environment)
            .field("start", start)
            .field("idle_workers", idle_workers)
            .field("memory_limit", memory_limit)
            .field("processes", processes)
            .field("cpu_seconds", cpu_seconds)
            .field("disk_limit", disk_limit)
            .field("network", network)
            .field("retry_interrupted", retry_interrupted)
            .field("follow_updates", follow_updates)
            .finish_non_exhaustive()
    }
}
