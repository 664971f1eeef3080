//! Why a plugin cannot be set up.

use std::io;
use std::path::PathBuf;

use keyward_model::InstanceName;

use super::Gap;

/// By whose fault a plugin instance cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The plugin's: it cannot be imported.
    #[error("plugin instance {instance} cannot be imported: {message}")]
    Import { instance: InstanceName, message: String, traceback: String },
    /// The plugin's: its import does not end.
    #[error("plugin instance {instance} did not finish its import within {seconds} s")]
    ImportTimeout { instance: InstanceName, seconds: u64 },
    /// The plugin's: its interpreter died during the import.
    #[error("plugin instance {instance} ended its interpreter during the import: {how}")]
    ImportDied { instance: InstanceName, how: String },
    /// The configuration's: this kind of plugin is not called yet.
    #[error("plugin instance {instance} is of type {kind}, which is not supported yet")]
    KindNotSupported { instance: InstanceName, kind: String },
    /// The configuration's: the bundle needs another interpreter.
    #[error("plugin instance {instance} needs {needs}, and environment {environment} is {has}")]
    WrongPython { instance: InstanceName, environment: String, needs: String, has: String },
    /// The configuration's: an LDAP server policy that cannot be used.
    #[error("LDAP server policy {name:?}: {fault}")]
    LdapServer { name: String, fault: String },
    /// The environment's.
    #[error("interpreter {python} cannot be started as user {user}, who must be able to reach it: {source}")]
    Interpreter { python: PathBuf, user: u32, source: io::Error },
    /// The environment's: plugins with users of their own do not reach the data folder.
    #[error(
        "the users of plugins cannot pass {folder} on the way to the data folder: let them (`chmod o+x {folder}`), \
         or put the data folder elsewhere"
    )]
    Barred { folder: PathBuf },
    /// The configuration's: more instances than users.
    #[error(
        "no user is left for plugin instance {instance}: all {count} from {base} on are other instances'; \
         set `plugin-user-base` to where more are free"
    )]
    NoUser { instance: InstanceName, base: u32, count: u32 },
    /// The configuration's: what the plugin may read holds what it must not.
    #[error(
        "the data folder lies in {folder}, which plugin instance {instance} may read: \
         put the data folder, or the environment, elsewhere"
    )]
    Exposed { instance: InstanceName, folder: PathBuf },
    /// The environment's: a restriction that cannot be kept is not pretended.
    #[error(
        "plugin instance {instance} has a `network` list, and this kernel cannot keep it: \
         that takes Linux 5.6 or later with seccomp, on x86-64 or aarch64"
    )]
    NetworkOpen { instance: InstanceName },
    /// The environment's: the policy wants plugins confined in every way, and this machine cannot.
    #[error("plugins cannot be confined as `strict = true` wants: {}", list(.0))]
    Unconfined(Vec<Gap>),
    /// The environment's.
    #[error("{what} {path}: {source}")]
    File { what: &'static str, path: PathBuf, source: io::Error },
    /// The environment's: files, processes or memory ran out.
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
    /// The interpreter speaks, but not our protocol.
    #[error("the interpreter of plugin instance {instance} broke the worker protocol: {what}")]
    Protocol { instance: InstanceName, what: String },
    #[error("the plugin host is shut down")]
    ShutDown,
}

fn list(gaps: &[Gap]) -> String {
    gaps.iter().map(Gap::to_string).collect::<Vec<_>>().join("; ")
}
