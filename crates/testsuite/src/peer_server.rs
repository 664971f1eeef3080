use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::python::from_environment;
use crate::{PATIENCE, Program};

/// A server of `peers/`, for what sshd does not do.
#[derive(Debug)]
pub struct PeerServer {
    program: Program,
    addr: SocketAddr,
    host_key: String,
}

impl PeerServer {
    /// Starts `peers/SCRIPT.py`, which says `listening PORT HOSTKEY`, and ends with its standard input.
    #[track_caller]
    pub fn start(script: &str, environment: &[(&str, &str)]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script).with_extension("py");
        let mut python = Command::new(from_environment("KEYWARD_TEST_PEERS"));
        python.arg("-B").arg(file).envs(environment.iter().copied());
        let program = Program::start_tied(&mut python);
        let ready = |line: &str| {
            let (port, host_key) = line.strip_prefix("listening ")?.split_once(' ')?;
            Some((port.parse::<u16>().unwrap(), host_key.to_owned()))
        };
        let found = program.find_line("the server listens", PATIENCE, ready);
        let (port, host_key) = found.unwrap_or_else(|| panic!("no server: {}", program.log().join("\n")));
        Self { program, addr: (Ipv4Addr::LOCALHOST, port).into(), host_key }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its host key as one line: type, base64.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    pub fn log(&self) -> Vec<String> {
        self.program.log()
    }
}
