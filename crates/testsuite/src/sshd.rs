use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::account::privileged;
use crate::ports::free_port;
use crate::{Input, KeyPair, PATIENCE, Program, run};

/// Stops the server when the pipe to us closes, however we end.
pub(crate) const WITH_OUR_LIFETIME: &str = r#""$@" & server=$!; read -r _; kill "$server"; wait "$server""#;

/// Debian's sshd on a free port of the loopback, with its own host key, for the user who runs the test.
#[derive(Debug)]
pub struct Sshd {
    addr: SocketAddr,
    folder: TempDir,
    host_key: KeyPair,
    key: KeyPair,
    program: Program,
}

impl Sshd {
    #[track_caller]
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines for its configuration. The first value of a keyword wins, and these come first.
    #[track_caller]
    pub fn with(configuration: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-sshd-").tempdir().unwrap();
        // sshd reads the authorised keys as the account that logs in.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let host_key = KeyPair::generate(folder.path(), "host_key", "ed25519");
        let key = KeyPair::generate(folder.path(), "user_key", "ed25519");
        fs::write(folder.path().join("authorized_keys"), key.public() + "\n").unwrap();
        // sshd's own chroot; it goes away with Debian's service.
        run(privileged("mkdir").args(["-p", "-m", "755", "/run/sshd"]), Input::Nothing).must_succeed();
        let (addr, program) = listen(folder.path(), configuration);
        Self { addr, folder, host_key, key, program }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The name of the account that [`Self::key`] opens.
    pub fn user(&self) -> String {
        run(Command::new("id").arg("-un"), Input::Nothing).text().trim_end().to_owned()
    }

    /// A key that every account's login accepts.
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// Its host key as one line: type, base64, comment.
    pub fn host_key(&self) -> String {
        self.host_key.public()
    }

    /// Its folder, readable for all; the caller may put files there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self) -> Vec<String> {
        self.program.log()
    }

    /// How many clients have connected so far.
    pub fn connections(&self) -> usize {
        self.log().iter().filter(|line| line.starts_with("Connection from ")).count()
    }

    /// How many logins succeeded so far.
    pub fn logins(&self) -> usize {
        self.log().iter().filter(|line| line.starts_with("Accepted ") && line.contains(" for ")).count()
    }
}

/// Another program may take the port between our asking for a free one and sshd's taking it: then again.
#[track_caller]
fn listen(folder: &Path, configuration: &str) -> (SocketAddr, Program) {
    for _ in 0..5 {
        let addr = (Ipv4Addr::LOCALHOST, free_port()).into();
        let file = folder.join("sshd_config");
        fs::write(&file, configuration.to_owned() + "\n" + &base_configuration(folder, addr)).unwrap();
        let mut command = privileged("sh");
        command.args(["-c", WITH_OUR_LIFETIME, "sh", "/usr/sbin/sshd", "-D", "-e", "-f"]).arg(&file);
        let program = Program::start_tied(&mut command);
        let ready = |line: &str| match line {
            line if line.starts_with("Server listening on ") => Some(true),
            line if line.contains("Cannot bind any address") => Some(false),
            line if line.contains("fatal") || line.contains("not found") => panic!("sshd: {line}"),
            _ => None,
        };
        if program.find_line("sshd listens", PATIENCE, ready) == Some(true) {
            return (addr, program);
        }
    }
    panic!("sshd found no free port in five tries");
}

fn base_configuration(folder: &Path, addr: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "Port {}\n\
         ListenAddress {}\n\
         HostKey {folder}/host_key\n\
         AuthorizedKeysFile {folder}/authorized_keys\n\
         StrictModes no\n\
         PidFile none\n\
         UsePAM no\n\
         PermitRootLogin yes\n\
         PasswordAuthentication yes\n\
         KbdInteractiveAuthentication no\n\
         UseDNS no\n\
         PrintMotd no\n\
         MaxStartups 200\n\
         MaxSessions 200\n\
         AcceptEnv KWT_*\n\
         Subsystem sftp /usr/lib/openssh/sftp-server\n\
         LogLevel VERBOSE\n",
        addr.port(),
        addr.ip(),
    )
}
