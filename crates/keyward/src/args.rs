//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Privileged session gateway: people reach servers through it and never see a server's password.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway by a policy document, until SIGTERM
    Run {
        /// The policy document (TOML)
        policy: PathBuf,
    },
    /// Check a policy document and say everything that is wrong with it
    Check {
        /// The policy document (TOML)
        policy: PathBuf,
    },
    /// Check, try and upload plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// Make the Python environments that plugins run in
    #[command(subcommand)]
    Environment(Environment),
    /// Look at sessions, with each hook call that was made for them
    #[command(subcommand)]
    Session(Session),
    /// Play and export recordings
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
pub(crate) enum Plugin {
    /// Check a bundle by the rules of the plugin contract
    Check {
        /// A bundle (.zip), or the folder of one
        bundle: PathBuf,
        /// Judge as a product of this API version would
        #[arg(long, value_name = "X.Y")]
        as_api: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Call one hook of a plugin, as the gateway would
    Call(Box<PluginCall>),
    /// Put a bundle into the gateway's store; the same name again is an update
    Upload {
        /// A bundle (.zip), or the folder of one
        bundle: PathBuf,
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
    },
    /// Compare every bundle of the gateway's store, and what is unpacked of it, with what was uploaded
    Verify {
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// List the bundles in the gateway's store
    List {
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct PluginCall {
    /// A bundle (.zip), or the folder of one
    pub(crate) bundle: PathBuf,
    /// The hook: authenticate, authorize, session_ended, get_password_list, ...
    pub(crate) hook: String,
    /// The configuration text; without it the bundle's default.cfg
    #[arg(long, value_name = "FILE")]
    pub(crate) configuration: Option<PathBuf>,
    /// The hook's arguments by name, a JSON object; `-` is standard input. What it leaves out is None
    #[arg(long, value_name = "FILE|-")]
    pub(crate) args: Option<PathBuf>,
    /// The policy document whose credential stores, user lists, CA lists and settings serve the call
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The Python to run it with, by the name of its environment: python3=/path/to/python
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) environment: Option<String>,
    /// The plugin's state directory, kept between calls; without it a temporary one
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Seconds that the call may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) time_limit: u64,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Environment {
    /// Make an environment with the Plugin SDK and the modules that plugins may expect
    Create {
        /// The name that policy documents use, such as python3
        name: String,
        /// Where to make it; must not exist yet
        dir: PathBuf,
        /// The interpreter to make it from
        #[arg(long, default_value = "python3")]
        python: PathBuf,
    },
    /// Say what an interpreter offers to plugins
    Check {
        /// The interpreter of the environment
        python: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// The newest sessions
    List {
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Have session_ended called again, within seconds, where the gateway's death cut the call off
    Repeat {
        /// The session's id, or the unique part of it
        id: String,
        /// The plugin instance
        instance: String,
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
    },
    /// Everything about one session: facts, decisions, hook calls with their log lines
    Show {
        /// The session's id, or the unique part of it
        id: String,
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trail {
    /// Show a recording as it was
    Play {
        file: PathBuf,
        /// How many times as fast
        #[arg(long, default_value = "1")]
        speed: String,
        /// Shorten pauses to this many seconds
        #[arg(long, value_name = "SECONDS")]
        max_idle: Option<f64>,
        /// One channel only
        #[arg(long)]
        channel: Option<u32>,
    },
    /// Write a recording in another format
    Export {
        file: PathBuf,
        #[arg(long = "as", value_name = "FORMAT")]
        format: ExportFormat,
        /// The channel; without it the first that was opened
        #[arg(long)]
        channel: Option<u32>,
        /// Where to; standard output without it
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    /// asciicast v2, for asciinema and its players
    Asciicast,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Read a password from standard input and print the `password` line for the policy document
    Hash,
}
