//! The command line.

mod session;

use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};

pub(crate) use self::session::{
    DecideSession, DeleteRecording, FetchRecording, HoldRecording, IndexSessions, Kind, ReleaseRecording,
    SearchSessions, Session, TerminateSession,
};

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
    /// Look at sessions, with each hook call that was made for them, and hold or delete their recordings
    #[command(subcommand)]
    Session(Session),
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
pub(crate) enum Plugin {
    /// Begin a plugin: a folder with a working one, and tests that it passes
    New(PluginNew),
    /// Check a bundle by the rules of the plugin contract, and warn about what will hurt later
    Check(PluginCheck),
    /// Call one hook of a plugin, as the gateway would
    Call(Box<PluginCall>),
    /// Play whole sessions by script, and compare what happens with what should
    Scenario(PluginScenario),
    /// Make the .zip of a plugin, the same bytes for the same files
    Pack(PluginPack),
    /// Measure how long each hook takes, cold and warm
    Bench(PluginBench),
    /// Check a plugin and play its scenarios again at each save, until Ctrl-C
    Watch(PluginWatch),
    /// Put a bundle into the gateway's store, and tell what a running gateway makes of it; the same name again is an update
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
    /// List the bundles in the gateway's store, with what a running gateway has made of them
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

#[derive(Debug, clap::Args)]
pub(crate) struct PluginCheck {
    /// A bundle (.zip), or the folder of one
    pub(crate) bundle: PathBuf,
    /// Judge as a product of this API version would
    #[arg(long, value_name = "X.Y")]
    pub(crate) as_api: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The policy document that names environments
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The Python whose packages count, by the name of its environment: python3=/path/to/python
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) environment: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PluginPack {
    /// The plugin's folder
    pub(crate) folder: PathBuf,
    /// Packages to put into it: a requirements file of pip, each with its exact version
    #[arg(long, short, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,
    /// Where to; NAME-VERSION.zip without it
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The Python that the packages are for, by the name of its environment: python3=/path/to/python
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) environment: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PluginBench {
    /// A bundle (.zip), or the folder of one
    pub(crate) bundle: PathBuf,
    /// Only this hook; may be given again
    #[arg(long = "hook", value_name = "HOOK")]
    pub(crate) hooks: Vec<String>,
    /// Warm calls of each hook
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) calls: u32,
    /// Cold calls of each hook
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) cold_calls: u32,
    /// The configuration text; without it the bundle's default.cfg
    #[arg(long, value_name = "FILE")]
    pub(crate) configuration: Option<PathBuf>,
    /// Arguments by name, a JSON object, in the place of those of an invented session; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) args: Option<PathBuf>,
    /// The policy document whose credential stores, user lists, CA lists and settings serve the calls
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The Python to run it with, by the name of its environment: python3=/path/to/python
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) environment: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PluginWatch {
    /// The plugin's folder
    pub(crate) folder: PathBuf,
    /// Put VALUE into the place of each @KEY@ of the scenarios
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The policy document that names environments
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The Python to run it with, by the name of its environment: python3=/path/to/python
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) environment: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PluginNew {
    /// The plugin's name, as its MANIFEST will have it: a letter, then letters, digits and underscores
    pub(crate) name: String,
    /// What it decides: who may go where (aa), or with which credential (credentialstore)
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: NewKind,
    /// Without the Plugin SDK: the standard library only
    #[arg(long)]
    pub(crate) plain: bool,
    /// The folder to make, in place of one with the plugin's name
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum NewKind {
    Aa,
    Credentialstore,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PluginScenario {
    /// Scenario files (TOML), or folders: a plugin's, whose tests/*.toml are meant, or one of scenarios
    #[arg(required_unless_present = "record")]
    pub(crate) files: Vec<PathBuf>,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Put VALUE into the place of each @KEY@ of the files
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Write a new scenario from a session that you have now, in this terminal
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "junit", "set", "update", "quiet"])]
    pub(crate) record: Option<PathBuf>,
    /// The plugin of a new scenario; without it the nearest folder above FILE that has a MANIFEST
    #[arg(long, value_name = "BUNDLE", requires = "record")]
    pub(crate) bundle: Option<PathBuf>,
    /// Keep the transcripts of today as those that `[expect] transcript` names
    #[arg(long)]
    pub(crate) update: bool,
    /// Print the transcripts of those only that do not pass
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// The policy document that names environments
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The Python to run plugins with, by the name of its environment: python3=/path/to/python
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) environment: Option<String>,
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
pub(crate) enum Trail {
    /// Show a recording as it was
    ///
    /// On a terminal, keys steer it: space pauses, left and right go back and forward ten seconds, End goes to the end, + and - change the
    /// speed, q ends it. The recording cannot reach the terminal: what it shows is drawn, without titles, clipboards and
    /// questions that a terminal would answer. A file or a program gets exactly what was shown.
    Play {
        /// The recording
        file: PathBuf,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        signer: Signer,
        /// Watch a session that is still open, less than a second behind: begins with the screen as it is now, or at --from,
        /// and ends with the session
        #[arg(long, short)]
        follow: bool,
        /// How many times as fast
        #[arg(long, default_value = "1")]
        speed: String,
        /// Shorten pauses to this many seconds
        #[arg(long, value_name = "SECONDS", conflicts_with = "skip_idle")]
        max_idle: Option<f64>,
        /// Skip what is longer than this of a pause
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
        skip_idle: Option<f64>,
        /// Begin at this moment: since the session's start as in `12m30s`, or a time of the clock as in `14:05` (this
        /// machine's time zone, on or after the day of the session's start) or `2026-01-31T14:05:00Z`
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Read and check all that comes before a moment, instead of going by the key frames of the recording
        #[arg(long)]
        read_all: bool,
        /// One channel only
        #[arg(long)]
        channel: Option<u32>,
    },
    /// Write a recording in another format
    Export {
        /// The recording
        file: PathBuf,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        signer: Signer,
        #[arg(long = "as", value_name = "FORMAT")]
        format: ExportFormat,
        /// In an asciicast what was typed too, but for what the terminal did not show (`--as hidden-input`)
        #[arg(long)]
        with_input: bool,
        /// The channel; without it all of them (as text and as a picture on one screen), in an asciicast the first that was
        /// opened
        #[arg(long)]
        channel: Option<u32>,
        #[command(flatten)]
        part: Part,
        /// Where to; standard output without it
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// For `--as files`, the folder that they are written to; it is made, or must be empty
        #[arg(long, value_name = "FOLDER", required_if_eq("format", "files"), conflicts_with_all = ["output", "with_input"])]
        into: Option<PathBuf>,
    },
    /// Say whether a recording is as the gateway wrote it: intact, truncated or changed, and where
    ///
    /// This takes no key of an auditor, and nothing of the gateway but its signer's public key, as `keyward trail signer`
    /// prints it there. At the gateway, --policy also compares with what its ledger keeps of each recording: one that was
    /// cut back to where it still fits together, replaced by another, or that is missing or unknown is told as that. Ends with status 0 for an intact recording, 1 for one without its end, 3 for one that was changed,
    /// that nobody or that another key has signed, and 2 where nothing could be checked: a missing file, a wrong argument,
    /// a file that is no recording or of a version that is not known.
    Verify(TrailVerify),
    /// Say which recordings would be deleted now, and why, without deleting any
    ///
    /// By the policy document as it is, whether the gateway has read it again or not.
    Retention(TrailRetention),
    /// Make an auditor's key: the private half into a file, the public one for the policy document is printed
    NewKey {
        /// Must not exist yet
        file: PathBuf,
    },
    /// Print the public key that a gateway's recordings can be verified with
    Signer {
        /// The policy document of the gateway
        #[arg(long)]
        policy: PathBuf,
        /// Make another key first, where the one of before is lost: recordings from then on have another signer
        #[arg(long)]
        replace_lost: bool,
    },
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").args(["file", "policy"]).required(true).multiple(true)))]
pub(crate) struct TrailVerify {
    /// The recording; without it, with --policy, all recordings of the gateway
    pub(crate) file: Option<PathBuf>,
    /// The policy document of the gateway, to compare with its ledger, which also knows the signers
    #[arg(long)]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signer: Signer,
    /// Believe the timestamps of an authority whose certificate comes from one in this file (PEM): a recording without
    /// such a one, or whose times do not fit it, has status 3, and one with a timestamp of a part only has status 1
    #[arg(long, value_name = "FILE")]
    pub(crate) timestamped_by: Option<PathBuf>,
    /// Go without --signed-by: whoever has made the file can have signed it
    #[arg(long, conflicts_with_all = ["signed_by", "policy"])]
    pub(crate) any_signer: bool,
    /// Say it of each block, or of each recording
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrailRetention {
    /// The policy document of the gateway
    #[arg(long)]
    pub(crate) policy: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Say that this machine's clock is right, after the gateway did not look for more than a week: recordings are deleted
    /// by age again
    #[arg(long, conflicts_with = "json")]
    pub(crate) clock_is_right: bool,
}

/// The keys of an encrypted recording.
#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    /// A file with the private key of an auditor: as `keyward trail new-key` or age-keygen writes it, or that of a
    /// certificate in PEM. May be given again
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Who should have signed a recording.
#[derive(Debug, clap::Args)]
pub(crate) struct Signer {
    /// The public key that must have signed it, as `keyward trail signer` prints it at the gateway, or a file of it
    #[arg(long, value_name = "KEY|FILE")]
    pub(crate) signed_by: Option<String>,
}

/// What of a session is drawn.
#[derive(Debug, clap::Args)]
pub(crate) struct Part {
    /// As a picture: begin with the screen at this moment, written as for `keyward trail play --from`
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// As a picture: end at this moment
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// As a picture: skip what is longer than this of a pause
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    pub(crate) skip_idle: Option<f64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// asciicast v2, for asciinema and its players
    #[value(alias = "asciicast")]
    AsciicastV2,
    /// asciicast v3, for asciinema 3 and later
    AsciicastV3,
    /// What was new on the screen, with times
    Text,
    /// The typed commands as the screen shows them, each as JSON in a line of its own
    Commands,
    /// What was typed and not shown, as passwords are, each line as JSON
    HiddenInput,
    /// An animated picture of the screen, which browsers play
    Svg,
    /// The files that were moved by sftp and scp, into a folder (`--into`), with `files.json` that says what each one is
    Files,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Read a password from standard input and print the `password` line for the policy document
    Hash,
}
