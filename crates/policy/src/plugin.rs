//! Plugin instances and Python environments.

use std::fmt;
use std::path::PathBuf;

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
            .field("retry_interrupted", retry_interrupted)
            .field("follow_updates", follow_updates)
            .finish_non_exhaustive()
    }
}
