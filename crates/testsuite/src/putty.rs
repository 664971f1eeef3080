use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::{Input, KeyPair, Run, run, shell};

/// PuTTY's command line clients, with a home of their own.
#[derive(Debug)]
pub struct Putty {
    folder: TempDir,
    addr: SocketAddr,
    login: String,
    /// Fingerprints of the keys that the host shows: the clients ask no one.
    host_keys: Vec<String>,
    certificate: Option<PathBuf>,
}

impl Putty {
    #[track_caller]
    pub fn with_key(addr: SocketAddr, login: &str, key: &KeyPair) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-putty-").tempdir().unwrap();
        let mut convert = Command::new("puttygen");
        convert.arg(key.path()).args(["-O", "private", "-o"]).arg(folder.path().join("key.ppk"));
        run(convert.env("HOME", folder.path()), Input::Nothing).must_succeed();
        Self { folder, addr, login: login.to_owned(), host_keys: fingerprints(addr), certificate: None }
    }

    /// Shows the certificate that lies beside the key.
    #[track_caller]
    pub fn with_certificate(addr: SocketAddr, login: &str, key: &KeyPair) -> Self {
        let mut name = key.path().as_os_str().to_owned();
        name.push("-cert.pub");
        Self { certificate: Some(name.into()), ..Self::with_key(addr, login, key) }
    }

    /// `plink`, `psftp` or `pscp`, with what they need to get in; the host's name for them is `target`.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-batch", "-P", &self.addr.port().to_string(), "-i"]);
        command.arg(self.folder.path().join("key.ppk")).env("HOME", self.folder.path());
        if let Some(certificate) = &self.certificate {
            command.arg("-cert").arg(certificate);
        }
        for key in &self.host_keys {
            command.args(["-hostkey", key]);
        }
        command
    }

    #[track_caller]
    pub fn plink(&self, remote: &str, input: Input) -> Run {
        let login = ["-ssh", "-l", &self.login, &self.addr.ip().to_string(), remote];
        run(self.command("plink").args(login), input)
    }

    /// plink as a client of a server behind this host, which is its jump host and shows its own keys there. The server has
    /// a name, since plink goes to local addresses by itself.
    #[track_caller]
    pub fn plink_behind(&self, server: SocketAddr, remote: &str) -> Run {
        let words = |command: &Command| {
            let quoted = command.get_args().map(|word| format!("'{}'", word.display()));
            quoted.collect::<Vec<_>>().join(" ")
        };
        let mut jump = self.command("plink");
        jump.args(["-l", &self.login, "-nc", &server.to_string(), &self.addr.ip().to_string()]);
        let through = format!("plink {}", words(&jump));
        let mut plink = Command::new("plink");
        plink
            .args(["-batch", "-P", &server.port().to_string(), "-i"])
            .arg(self.folder.path().join("key.ppk"));
        self.host_keys.iter().for_each(|key| {
            plink.args(["-hostkey", key]);
        });
        plink.args(["-proxycmd", &through, "-ssh", "-l", &self.login, "db", remote]);
        plink.env("HOME", self.folder.path());
        run(&mut plink, Input::Nothing)
    }

    /// plink that forwards an agent with this key, in a file as OpenSSH has it.
    #[track_caller]
    pub fn plink_with_agent(&self, key: &str, remote: &str) -> Run {
        let mut command = Command::new("ssh-agent");
        command.args(["sh", "-c", r#"ssh-add -q "$1" && shift && exec "$@""#, "sh", key]);
        let plink = self.command("plink");
        command.arg(plink.get_program()).args(plink.get_args()).env("HOME", self.folder.path());
        command.args(["-A", "-ssh", "-l", &self.login, &self.addr.ip().to_string(), remote]);
        run(&mut command, Input::Nothing)
    }

    /// plink for a terminal, where it asks and shows.
    pub fn talking(&self, remote: &str) -> Command {
        let mut command = Command::new("env");
        command.arg(format!("HOME={}", self.folder.path().display()));
        command.args(["plink", "-no-antispoof", "-P", &self.addr.port().to_string(), "-i"]);
        command.arg(self.folder.path().join("key.ppk"));
        for key in &self.host_keys {
            command.args(["-hostkey", key]);
        }
        command.args(["-ssh", "-l", &self.login, &self.addr.ip().to_string(), remote]);
        command
    }

    /// Runs the commands of a psftp script.
    #[track_caller]
    pub fn psftp(&self, script: &str) -> Run {
        let login = ["-l", &self.login, &self.addr.ip().to_string()];
        run(self.command("psftp").args(["-b", "/dev/stdin"]).args(login), Input::Bytes(script.into()))
    }

    /// Copies with pscp; `-sftp` or `-scp` chooses the protocol. `HOST:` in front of a path is the remote side.
    #[track_caller]
    pub fn pscp(&self, protocol: &str, from: &str, to: &str) -> Run {
        let place = |path: &str| path.replacen("HOST:", &format!("{}@{}:", self.login, self.addr.ip()), 1);
        run(self.command("pscp").args([protocol, &place(from), &place(to)]), Input::Nothing)
    }
}

#[track_caller]
fn fingerprints(addr: SocketAddr) -> Vec<String> {
    let script = r#"ssh-keyscan -T 20 -p "$2" "$1" 2>/dev/null | ssh-keygen -lf - | cut -d' ' -f2"#;
    let found = shell(script, &[&addr.ip().to_string(), &addr.port().to_string()]).text();
    found.lines().map(str::to_owned).collect()
}
