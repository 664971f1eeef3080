//! The command line.

mod config;
mod plugin;
mod session;
mod store;
mod trail;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use self::config::{Change, Config};
pub(crate) use self::plugin::{
    NewKind, Plugin, PluginBench, PluginCall, PluginCheck, PluginNew, PluginPack, PluginScenario, PluginWatch,
};
pub(crate) use self::session::{
    DecideSession, DeleteRecording, FetchRecording, HoldRecording, IndexSessions, Kind, ReleaseRecording,
    SearchSessions, Session, TerminateSession,
};
pub(crate) use self::store::{Previous, StoreCommand};
pub(crate) use self::trail::{ExportFormat, Keys, Part, Signer, Trail, TrailRetention, TrailVerify};

/// Privileged session gateway: people reach servers through it and never see a server's password.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Those of this process. Ends it where they are wrong, and where only help was asked for.
    pub(crate) fn read() -> Self {
        if let Some(seconds) = written_apart(std::env::args_os()) {
            let wrong =
                format!("write '--skip-idle={seconds}': apart from its option, '{seconds}' would be a file");
            Self::command().error(ErrorKind::InvalidValue, wrong).exit();
        }
        Self::parse()
    }
}

/// Seconds that stand behind `--skip-idle` as a word of their own. Since the option needs none, they would be taken for the
/// recording, and the recording for one word too many.
fn written_apart(words: impl Iterator<Item = OsString>) -> Option<String> {
    let mut behind = words.take_while(|word| word != "--").skip_while(|word| word != "--skip-idle").skip(1);
    behind.next()?.into_string().ok().filter(|word| word.parse::<f64>().is_ok())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway by a policy document, until SIGTERM
    Run {
        /// The policy document (TOML), or a file whose [node] says that it is in the store
        policy: PathBuf,
    },
    /// Check a policy document and say everything that is wrong with it
    Check {
        /// The policy document (TOML)
        policy: PathBuf,
    },
    /// Look at the configuration and change it, where it is kept in the store
    #[command(subcommand)]
    Config(Config),
    /// Check, try and upload plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// Make the Python environments that plugins run in
    #[command(subcommand)]
    Environment(Environment),
    /// Look at sessions, with each hook call that was made for them, and hold or delete their recordings
    #[command(subcommand)]
    Session(Session),
    /// Look after the gateway's store
    #[command(subcommand)]
    Store(StoreCommand),
    /// Play, export and verify recordings
    #[command(subcommand)]
    Trail(Trail),
    /// Help with local users
    #[command(subcommand)]
    User(User),
    /// Run a gateway with example plugins and a target of its own, to try it all out
    Demo {
        /// Log in by itself with the system's ssh, check everything, and exit
        #[arg(long)]
        check: bool,
        /// Python of an environment to use, instead of making one
        #[arg(long, value_name = "PYTHON")]
        environment: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Environment {
    /// Make an environment with the Plugin SDK and the modules that plugins may expect
    ///
    /// pip installs them from a list of exact versions with their hashes. python-ldap is built on this machine; what
    /// that needs and is missing is named.
    Create {
        /// The name that policy documents use: python3, python2 or a name of your own
        name: String,
        /// Where to make it; must not exist yet
        dir: PathBuf,
        /// The interpreter to make it from; without it python3, and python2.7 for one named python2
        #[arg(long)]
        python: Option<PathBuf>,
    },
    /// List the environments of a gateway
    List {
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Say what an environment offers to plugins, and import each module that they may expect
    Check {
        /// The interpreter of the environment, or with --policy its name
        environment: PathBuf,
        /// The policy document of the gateway
        #[arg(long)]
        policy: Option<PathBuf>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Read a password from standard input and print the `password` line for the policy document
    Hash,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_at_their_option() {
        let apart = |line: &str| written_apart(line.split(' ').map(OsString::from));
        assert_eq!(apart("keyward trail play --skip-idle 5 FILE").as_deref(), Some("5"));
        assert_eq!(apart("keyward trail play FILE --skip-idle 0.5").as_deref(), Some("0.5"));
        for right in [
            "--skip-idle FILE",
            "--skip-idle=5 FILE",
            "FILE --skip-idle",
            "--skip-idle -- 5",
            "FILE",
            "-- --skip-idle 5",
        ] {
            assert_eq!(apart(&format!("keyward trail play {right}")), None, "{right}");
        }
    }
}
