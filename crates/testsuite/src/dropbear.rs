use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::account::privileged;
use crate::ports::free_port;
use crate::script::script;
use crate::sshd::WITH_OUR_LIFETIME;
use crate::{Account, Input, KeyPair, PATIENCE, Program, Run, run};

/// Dropbear's client with one key. It believes any host key: its list of known ones is the account's own.
#[derive(Debug)]
pub struct Dbclient {
    folder: TempDir,
    login: String,
    host: String,
}

impl Dbclient {
    #[track_caller]
    pub fn with_key(addr: SocketAddr, login: &str, key: &KeyPair) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-dbclient-").tempdir().unwrap();
        let converted = folder.path().join("key");
        let mut convert = Command::new("dropbearconvert");
        convert.args(["openssh", "dropbear"]).arg(key.path()).arg(&converted);
        run(&mut convert, Input::Nothing).must_succeed();
        let text = format!(
            "#!/bin/sh\nexec dbclient -y -y -i '{}' -p {} \"$@\"\n",
            converted.display(),
            addr.port()
        );
        let client = Self { folder, login: login.to_owned(), host: addr.ip().to_string() };
        script(&client.program(), &text);
        client
    }

    /// A program that takes the arguments of `dbclient`.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("dbclient")
    }

    /// The login name and the host, in the form that rsync wants.
    pub fn destination(&self) -> String {
        format!("{}@{}", self.login, self.host)
    }

    /// `dbclient` with options and a command to run; no command is a shell.
    pub fn command(&self, options: &[&str], remote: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(options).args(["-l", &self.login, &self.host]).args(remote);
        command
    }

    /// Runs a remote command to its end.
    #[track_caller]
    pub fn exec_with(&self, remote: &str, input: Input) -> Run {
        run(&mut self.command(&[], &[remote]), input)
    }
}

/// Dropbear on a free port of the loopback, with its own host key, and an account that it lets in.
#[derive(Debug)]
pub struct Dropbear {
    pub account: Account,
    addr: SocketAddr,
    host_key: String,
    key: KeyPair,
    folder: TempDir,
    _program: Program,
}

impl Dropbear {
    #[track_caller]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-dropbear-").tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let account = Account::create();
        let key = KeyPair::generate(folder.path(), "user_key", "ed25519");
        account.authorize(&key);
        let host_key = host_key(&folder.path().join("host_key"));
        let (addr, program) = listen(folder.path());
        Self { account, addr, host_key, key, folder, _program: program }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The key that opens the account.
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// Its host key as one line: type, base64, comment.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// Its folder, readable for all; the caller may put files there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

#[track_caller]
fn host_key(file: &Path) -> String {
    let mut generate = Command::new("dropbearkey");
    let said = run(generate.args(["-t", "ed25519", "-f"]).arg(file), Input::Nothing).text();
    let public = said.lines().find(|line| line.starts_with("ssh-ed25519 "));
    public.unwrap_or_else(|| panic!("dropbearkey shows no key: {said}")).to_owned()
}

/// Another program may take the port between our asking for a free one and dropbear's taking it: then again.
#[track_caller]
fn listen(folder: &Path) -> (SocketAddr, Program) {
    for _ in 0..5 {
        let addr: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()).into();
        let mut command = privileged("sh");
        command.args(["-c", WITH_OUR_LIFETIME, "sh", "dropbear", "-F", "-E", "-P", "", "-p"]);
        command.arg(addr.to_string()).arg("-r").arg(folder.join("host_key"));
        let program = Program::start_tied(&mut command);
        let ready = |line: &str| match line {
            line if line.contains("Not backgrounding") => Some(true),
            line if line.contains("No listening ports available") => Some(false),
            line if line.contains("not found") => panic!("dropbear: {line}"),
            _ => None,
        };
        if program.find_line("dropbear listens", PATIENCE, ready) == Some(true) {
            return (addr, program);
        }
    }
    panic!("dropbear found no free port in five tries");
}
