//! Keyward: a privileged session gateway that runs SPS plugins unmodified.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks to its terminal"
)]

mod args;
mod command;
mod configuration;
mod data_dir;
mod demo;
mod document;
mod gateway;
mod kit;
mod listen;
mod master_key;
mod object_store;
mod place;
mod plugins;
mod progress;
mod retention;
mod search_index;
mod shards;
mod updates;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::read();
    end_quietly_when_nobody_reads();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return command::failed(&anyhow::Error::new(error).context("no runtime could be started"));
        }
    };
    match runtime.block_on(dispatch(args)) {
        Ok(status) => status,
        Err(error) => command::failed(&error),
    }
}

async fn dispatch(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Run { policy } => {
            log_to_stderr("info");
            gateway::run(&policy).await
        }
        Command::Check { policy } => command::check(&policy),
        Command::Config(config) => command::config(config).await,
        Command::Plugin(plugin) => {
            log_to_stderr("error");
            command::plugin(plugin).await
        }
        Command::Environment(environment) => command::environment(environment).await,
        Command::Store(store) => command::store(store).await,
        Command::Session(session) => command::session(session).await,
        Command::Trail(trail) => command::trail(trail).await,
        Command::User(user) => command::user(user),
        Command::Demo { check, environment } => {
            log_to_stderr("error");
            demo::run(check, environment).await
        }
    }
}

/// As of `keyward session list | head`: whoever reads no further has what they wanted. Rust's programs get no SIGPIPE, and
/// `println!` panics.
fn end_quietly_when_nobody_reads() {
    /// As a shell tells of SIGPIPE.
    const BROKEN_PIPE: i32 = 128 + 13;
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to stdout: Broken pipe") {
            std::process::exit(BROKEN_PIPE);
        }
        usual(panic);
    }));
}

/// `RUST_LOG` changes what is logged, as in any Rust program.
fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
