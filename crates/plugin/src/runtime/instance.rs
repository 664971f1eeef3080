//! A plugin instance: a bundle with a configuration of its own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use keyward_model::{InstanceName, Secret};
use tokio_util::sync::DropGuard;

use super::admission::Admission;
use super::confinement::{Allowance, Disk, Doors, Network, Tasks};
use super::pool::Pool;
use super::{Call, CallReport, Watch, call};
use crate::hook::Hook;
use crate::service::Services;
use crate::{Environment, Manifest, PluginKind, UnpackedBundle};

/// What an instance is made of.
pub struct InstanceConfig {
    pub name: InstanceName,
    pub bundle: UnpackedBundle,
    /// Handed to the constructor, unparsed.
    pub configuration: String,
    pub environment: Environment,
    pub start: Start,
    /// How many workers wait for a call.
    pub idle_workers: usize,
    /// Address space of each process, and what a call with all that it starts holds in memory, in bytes.
    pub memory_limit: u64,
    /// Processes and threads of each call, which the gateway counts ten times a second. Where the instance has a user of
    /// its own, the kernel holds all its calls together to as many, and the call that takes the places of others is
    /// ended.
    pub processes: u32,
    /// `SCB_PLUGIN_STATE_DIRECTORY`, kept; made with mode 0750.
    pub state_dir: PathBuf,
    /// `EPHEMERAL_PLUGIN_STATE_DIRECTORY`, emptied at the first load of the instance.
    pub ephemeral_dir: PathBuf,
    /// `TMPDIR`, emptied at the first load of the instance.
    pub temp: PathBuf,
    pub bounds: Bounds,
}

/// What a plugin may use besides memory and processes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Processor time of each process, in seconds. A template that has used it up is replaced.
    pub cpu_seconds: u64,
    /// The largest file that is written, in bytes.
    pub file_size: u64,
    /// What state and temporary directories hold together, in bytes. A call that goes past it is killed, and no other
    /// begins until there is room.
    pub disk: u64,
    pub network: Network,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { cpu_seconds: 600, file_size: 256 << 20, disk: 1 << 30, network: Network::Open }
    }
}

impl fmt::Debug for InstanceConfig {
    /// The configuration may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceConfig")
            .field("name", &self.name)
            .field("root", &self.bundle.root)
            .field("environment", &self.environment.name)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// Where the plugin is imported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// Once, in a template that workers are forked from.
    Warm,
    /// In each call.
    Cold,
}

/// A plugin that can be called. A clone is the same instance; the last one to be dropped stops its processes.
#[derive(Clone)]
pub struct Instance(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) name: InstanceName,
    pub(super) manifest: Manifest,
    pub(super) checksum: String,
    pub(super) kind: PluginKind,
    pub(super) warm: bool,
    /// The hooks of the class, where it is imported.
    pub(super) hooks: Option<Vec<String>>,
    pub(super) pool: Arc<Pool>,
    pub(super) services: Arc<Services>,
    pub(super) admission: Arc<Admission>,
    pub(super) allowance: Allowance,
    pub(super) tasks: Tasks,
    pub(super) disk: Disk,
    pub(super) doors: Option<Arc<Doors>>,
    pub(super) _keeper: DropGuard,
}

impl Instance {
    pub fn name(&self) -> &InstanceName {
        &self.0.name
    }

    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// SHA-256 of the bundle's archive, in hexadecimal.
    pub fn checksum(&self) -> &str {
        &self.0.checksum
    }

    /// Whether workers are forked from an interpreter that has imported the plugin.
    pub fn is_warm(&self) -> bool {
        self.0.warm
    }

    /// Whether the plugin's class has the hook. `None`: not known before a call, since the instance starts cold.
    pub fn has_hook(&self, hook: Hook) -> Option<bool> {
        self.0.hooks.as_ref().map(|hooks| hooks.iter().any(|name| name == hook.name()))
    }

    /// Whether `other` is a clone of this one, and not the same plugin loaded again.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Another version serves what comes from now on: this one keeps no idle workers, and after a while without a call
    /// no template either. It can be called as before, and a call then takes longer.
    pub fn retire(&self) {
        self.0.pool.retire();
    }

    /// How many workers wait for a call.
    pub fn idle_workers(&self) -> usize {
        self.0.pool.idle()
    }

    /// Calls a hook. Cancel-safe: dropping the future kills the call's processes at once.
    ///
    /// Nothing is refused by an `Err`: what went wrong is in the report, beside what the plugin printed.
    pub async fn call(&self, call: Call) -> CallReport {
        self.call_hiding(call, &[]).await
    }

    /// The same, with `secrets` (answers to hidden prompts) masked in what the plugin prints and raises. The gateway
    /// password among the arguments, and credentials in the result, are masked in any case. Cancel-safe as
    /// [`Self::call`].
    pub async fn call_hiding(&self, call: Call, secrets: &[Secret]) -> CallReport {
        self.call_watched(call, secrets, &Watch::default()).await
    }

    /// The same, where `watch` has the report of a call whose future is dropped. Cancel-safe as [`Self::call`].
    pub async fn call_watched(&self, call: Call, secrets: &[Secret], watch: &Watch) -> CallReport {
        call::perform(&self.0, call, secrets, watch).await
    }
}

impl Inner {
    pub(super) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    pub(super) fn kind_name(&self) -> &'static str {
        kind_name(self.kind)
    }
}

/// The word of the MANIFEST.
pub(super) fn kind_name(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Aa => "aa",
        PluginKind::CredentialStore => "credentialstore",
        PluginKind::SigningCa => "signingca",
        PluginKind::ConfigurationSync => "configuration_sync",
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.0.name)
            .field("warm", &self.0.warm)
            .finish_non_exhaustive()
    }
}
