use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::script::script;
use crate::{Askpass, Input, KeyPair, Run, run};

/// The stock OpenSSH client, without anyone's configuration, agent or known hosts.
#[derive(Debug)]
pub struct SshClient {
    folder: TempDir,
    login: String,
    environment: Vec<(&'static str, PathBuf)>,
}

impl SshClient {
    /// Logs in at `addr` with `key` only; asks nothing.
    pub fn with_key(addr: SocketAddr, login: &str, key: &KeyPair) -> Self {
        let key = key.path().display();
        Self::new(addr, login, &format!("-o BatchMode=yes -o PreferredAuthentications=publickey -i '{key}'"))
    }

    /// Logs in at `addr` by answering what is asked: passwords and keyboard-interactive prompts.
    pub fn with_answers(addr: SocketAddr, login: &str, askpass: &Askpass) -> Self {
        let options =
            "-o PreferredAuthentications=keyboard-interactive,password -o NumberOfPasswordPrompts=1";
        let mut client = Self::new(addr, login, options);
        client.environment.push(("SSH_ASKPASS", askpass.program()));
        client.environment.push(("SSH_ASKPASS_REQUIRE", "force".into()));
        client
    }

    /// As most people have it: shows a key, answers what is asked, and prints every message.
    pub fn of_a_person(addr: SocketAddr, login: &str, key: Option<&KeyPair>, askpass: &Askpass) -> Self {
        let key = match key {
            Some(key) => format!("-i '{}'", key.path().display()),
            None => "-o PubkeyAuthentication=no".to_owned(),
        };
        let options = format!("-o LogLevel=INFO -o NumberOfPasswordPrompts=1 {key}");
        let mut client = Self::new(addr, login, &options);
        client.environment.push(("SSH_ASKPASS", askpass.program()));
        client.environment.push(("SSH_ASKPASS_REQUIRE", "force".into()));
        client
    }

    fn new(addr: SocketAddr, login: &str, options: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-ssh-").tempdir().unwrap();
        let known = folder.path().join("known_hosts");
        let text = format!(
            "#!/bin/sh\nexec ssh -F none {options} -p {} -o HostName={} -o IdentitiesOnly=yes -o LogLevel=ERROR \
             -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile='{}' -o ConnectTimeout=20 \"$@\"\n",
            addr.port(),
            addr.ip(),
            known.display(),
        );
        let client = Self { folder, login: login.to_owned(), environment: Vec::new() };
        script(&client.program(), &text);
        client
    }

    /// A program that takes the arguments of `ssh`: for `-S`, `-e`, `GIT_SSH` and pipelines.
    /// Whatever host it is given, it goes to this client's address.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("ssh")
    }

    /// Its folder, for files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The login name and any host, in the form that scp, rsync and git want.
    pub fn destination(&self) -> String {
        format!("{}@target", self.login)
    }

    /// `ssh` with options and a command to run; no command is a shell.
    pub fn command(&self, options: &[&str], remote: &[&str]) -> Command {
        let mut ssh = Command::new(self.program());
        ssh.args(options).args(["-l", &self.login, "target"]).args(remote);
        ssh.env_remove("SSH_AUTH_SOCK").envs(self.environment.iter().map(|(name, value)| (name, value)));
        ssh
    }

    /// Runs a remote command to its end.
    #[track_caller]
    pub fn exec(&self, remote: &str) -> Run {
        self.exec_with(remote, Input::Nothing)
    }

    /// Runs a remote command with something to read.
    #[track_caller]
    pub fn exec_with(&self, remote: &str, input: Input) -> Run {
        run(&mut self.command(&[], &[remote]), input)
    }

    /// Runs a script on a remote terminal.
    #[track_caller]
    pub fn terminal(&self, script: &str) -> Run {
        run(&mut self.command(&["-tt"], &[]), Input::Bytes(script.as_bytes().to_vec()))
    }
}
