//! `keyward plugin` on the command line.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

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
