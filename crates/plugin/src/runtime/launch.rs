//! What starts a template: its command, its environment, and the first frame.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use keyward_model::{InstanceName, Secret};
use serde_json::{Value, json};
use tokio::process::Command;

use super::confinement::{Companions, Kernel, Rules};
use super::spawn::confine;
use super::user::User;
use crate::hook::Hook;
use crate::{PluginKind, PythonMajor};

/// The version of the frames between the gateway and its workers.
pub(super) const PROTOCOL_VERSION: u64 = 1;
/// How long an import may take, in seconds.
pub(super) const IMPORT_SECONDS: u64 = 60;

pub(super) struct Launch {
    pub(super) name: InstanceName,
    pub(super) kind: PluginKind,
    pub(super) python: PathBuf,
    pub(super) language: PythonMajor,
    /// The Python side's `__main__.py`.
    pub(super) main: PathBuf,
    pub(super) root: PathBuf,
    pub(super) entry: String,
    /// May hold secrets.
    pub(super) configuration: Secret,
    pub(super) state_dir: PathBuf,
    pub(super) ephemeral_dir: PathBuf,
    pub(super) temp: PathBuf,
    pub(super) rules: Rules,
    pub(super) kernel: Arc<Kernel>,
    pub(super) user: Option<User>,
    pub(super) warm: bool,
    /// What `BoxConfig` answers without asking.
    pub(super) settings: Value,
}

impl Launch {
    /// A command with the environment of contract section 2 and nothing else, and what goes with it.
    ///
    /// # Errors
    /// When the confinement cannot be made: it is never left out.
    #[expect(clippy::disallowed_methods, reason = "the one place where plugins are started")]
    pub(super) fn command(&self, control: RawFd) -> io::Result<(Command, Companions)> {
        let (confinement, companions) = self.rules.prepare(&self.kernel)?;
        let mut command = Command::new(&self.python);
        // Python 2 has no `-I`: the Python side itself takes its folder off the search path.
        command.args(match self.language {
            PythonMajor::Three => ["-I", "-B", "-u", "-X", "utf8"].as_slice(),
            PythonMajor::Two => ["-E", "-s", "-B", "-u"].as_slice(),
        });
        command.arg(&self.main).arg(control.to_string());
        command.env_clear();
        command.env("LANG", "C.UTF-8").env("PATH", self.path());
        command.env("SCB_PLUGIN_STATE_DIRECTORY", &self.state_dir);
        command.env("EPHEMERAL_PLUGIN_STATE_DIRECTORY", &self.ephemeral_dir);
        command.env("TMPDIR", &self.temp);
        command.current_dir(&self.root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        confine(&mut command, confinement, control);
        Ok((command, companions))
    }

    /// The environment's own programs come before the system's.
    fn path(&self) -> String {
        let own = self.python.parent().and_then(|dir| dir.to_str()).filter(|dir| dir.starts_with('/'));
        [own.unwrap_or_default(), "/usr/local/bin:/usr/bin:/bin"].join(":").trim_start_matches(':').to_owned()
    }

    pub(super) fn first_frame(&self) -> Value {
        let hooks = Hook::ALL.into_iter().filter(|hook| hook.belongs_to(self.kind)).map(Hook::name);
        json!({
            "version": PROTOCOL_VERSION,
            "warm": self.warm,
            "root": self.root,
            "entry": self.entry,
            "configuration": self.configuration.expose(),
            "import_limit": IMPORT_SECONDS,
            "hooks": hooks.collect::<Vec<_>>(),
            "known": Hook::family(self.kind),
            "box": self.settings,
            "network": if self.rules.doors.is_some() { "asked" } else { "open" },
        })
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch").field("name", &self.name).field("warm", &self.warm).finish_non_exhaustive()
    }
}
