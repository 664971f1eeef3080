use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Input, KeyPair, Program, Run, run};

/// The interpreter with the plugin SDK.
#[track_caller]
pub fn plugin_python() -> PathBuf {
    from_environment("KEYWARD_TEST_PYTHON")
}

/// A Python 2.7: the one that `cargo xtask test` names, or pyenv's where tests are started by hand.
#[track_caller]
pub fn python2() -> PathBuf {
    if let Some(named) = std::env::var_os("KEYWARD_TEST_PYTHON2") {
        return named.into();
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let found = home.join(".pyenv/versions/2.7.18/bin/python2.7");
    assert!(found.exists(), "KEYWARD_TEST_PYTHON2 is not set: run the tests with `cargo xtask test`");
    found
}

/// A program of the peers' environment: `ansible-playbook`, `ssh-audit`.
#[track_caller]
pub fn peers_program(name: &str) -> PathBuf {
    from_environment("KEYWARD_TEST_PEERS").with_file_name(name)
}

/// Paramiko or AsyncSSH as a client: each case is a script in `peers/`, which prints what it saw.
#[derive(Debug)]
pub struct Paramiko<'a> {
    pub addr: SocketAddr,
    pub login: &'a str,
    pub key: &'a KeyPair,
}

impl Paramiko<'_> {
    /// Runs `peers/SCRIPT.py`; it finds `connect()` in `peers/client.py` and `arguments` in its `sys.argv`.
    #[track_caller]
    pub fn run(&self, script: &str, arguments: &[&str]) -> Run {
        run(&mut self.command(script, arguments), Input::Nothing)
    }

    /// The same, for one that goes on beside the test.
    #[track_caller]
    pub fn start(&self, script: &str, arguments: &[&str]) -> Program {
        Program::start_tied(&mut self.command(script, arguments))
    }

    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script).with_extension("py");
        let mut python = Command::new(from_environment("KEYWARD_TEST_PEERS"));
        python
            .arg("-B")
            .arg(file)
            .args(arguments)
            .env("PEER_HOST", self.addr.ip().to_string())
            .env("PEER_PORT", self.addr.port().to_string())
            .env("PEER_LOGIN", self.login)
            .env("PEER_KEY", self.key.path());
        python
    }
}

#[track_caller]
pub(crate) fn from_environment(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(path) => path.into(),
        None => panic!("{name} is not set: run the tests with `cargo xtask test`"),
    }
}
