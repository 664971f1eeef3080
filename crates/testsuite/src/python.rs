use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Input, KeyPair, Run, run};

/// The interpreter with the plugin SDK.
#[track_caller]
pub fn plugin_python() -> PathBuf {
    from_environment("KEYWARD_TEST_PYTHON")
}

/// Paramiko as a client: each case is a script in `peers/`, which prints what it saw.
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
        run(&mut python, Input::Nothing)
    }
}

#[track_caller]
pub(crate) fn from_environment(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(path) => path.into(),
        None => panic!("{name} is not set: run the tests with `cargo xtask test`"),
    }
}
