//! PostgreSQL's server, with databases of a test's own.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::authority::Authority;
use super::ports::free_port;

/// A running PostgreSQL on loopback and on a socket in its own folder, as the user that Debian's package has made. Over
/// TCP it asks for [`Self::PASSWORD`], over the socket for nothing.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    server: Child,
    port: u16,
}

impl Postgres {
    /// Who owns the databases.
    pub const USER: &str = "keyward";
    pub const PASSWORD: &str = "p0stgres-s3cret";
    /// A database that is there from the start.
    pub const DATABASE: &str = "postgres";

    #[track_caller]
    pub fn start() -> Self {
        Self::with(None)
    }

    /// Speaks TLS as `127.0.0.1`, over TCP that alone.
    #[track_caller]
    pub fn with_tls(authority: &Authority) -> Self {
        Self::with(Some(authority))
    }

    #[track_caller]
    fn with(authority: Option<&Authority>) -> Self {
        let folder = tempfile::Builder::new().prefix("kwt-postgres-").tempdir().unwrap();
        prepare(folder.path(), authority);
        for _ in 0..5 {
            let port = free_port();
            let mut server = launch(folder.path(), port);
            if is_ready(&mut server, folder.path(), port) {
                return Self { folder, server, port };
            }
            // Another program took the port after we had found it free.
        }
        panic!("PostgreSQL did not start in five tries: {}", log(folder.path()));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// What `pg_dump` writes of a database; texts in binary columns can be read in it.
    #[track_caller]
    pub fn dump(&self, database: &str) -> Vec<u8> {
        let mut dump = program("pg_dump");
        dump.env("PGOPTIONS", "-c bytea_output=escape").args(["-U", Self::USER, "-h"]).arg(self.socket());
        let done = dump.args(["-p", &self.port.to_string(), "-d", database]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// What `psql` prints of the rows.
    #[track_caller]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let mut psql = program("psql");
        psql.args(["-AtX", "-v", "ON_ERROR_STOP=1", "-U", Self::USER, "-h"]).arg(self.socket());
        psql.args(["-p", &self.port.to_string(), "-d", database, "-c", statement]);
        let done = psql.output().unwrap();
        assert!(done.status.success(), "{statement}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// What it has said since it was started last.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    /// Ends it at once, with all connections, as a crash would.
    pub fn stop(&mut self) {
        let mut stop = as_its_user("pg_ctl");
        stop.args(["stop", "-s", "-w", "-m", "immediate", "-D"]).arg(self.folder.path().join("data"));
        let _ = stop.output();
        let _ = self.server.wait();
    }

    /// Starts it again after [`Self::stop`], on the same port.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.server = launch(self.folder.path(), self.port);
        let ready = is_ready(&mut self.server, self.folder.path(), self.port);
        assert!(ready, "PostgreSQL did not start again: {}", self.log());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn prepare(folder: &Path, authority: Option<&Authority>) {
    let password = folder.join("password");
    fs::write(&password, Postgres::PASSWORD).unwrap();
    give_away(folder);
    give_away(&password);
    let mut initdb = as_its_user("initdb");
    initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust"]);
    initdb.args(["--auth-host=scram-sha-256", "-U", Postgres::USER, "--pwfile"]).arg(&password);
    let made = initdb.arg("-D").arg(folder.join("data")).output().unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let Some(authority) = authority else { return };
    for (from, name) in
        [(authority.server_certificate(), "server.crt"), (authority.server_key(), "server.key")]
    {
        let to = folder.join("data").join(name);
        fs::write(&to, fs::read(from).unwrap()).unwrap();
        fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        give_away(&to);
    }
    let data = folder.join("data");
    fs::write(data.join("postgresql.auto.conf"), "ssl = on\n").unwrap();
    fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all all scram-sha-256\n").unwrap();
}

fn launch(folder: &Path, port: u16) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut server = as_its_user("postgres");
    server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    // What a test writes need not outlast the machine.
    server.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    server.spawn().unwrap()
}

/// Waits until it takes connections; `false` when it has ended before.
fn is_ready(server: &mut Child, folder: &Path, port: u16) -> bool {
    for _ in 0..1000 {
        let mut question = program("pg_isready");
        question.arg("-q").arg("-h").arg(folder).args(["-p", &port.to_string()]);
        if question.status().unwrap().success() {
            return true;
        }
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("PostgreSQL takes no connections on port {port} after 20 seconds");
}

/// Its programs lie where no search path leads, by their version.
fn program(name: &str) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .unwrap_or_else(|error| panic!("PostgreSQL is needed (apt-get install postgresql): {error}"));
    let mut found: Vec<PathBuf> = versions.map(|version| version.unwrap().path()).collect();
    found.retain(|version| version.join("bin").join(name).exists());
    let newest = found.iter().max().unwrap_or_else(|| panic!("no PostgreSQL here has {name}"));
    Command::new(newest.join("bin").join(name))
}

/// It refuses to run as root.
fn as_its_user(name: &str) -> Command {
    let mut command = program(name);
    command.current_dir("/");
    if let Some((user, group)) = its_user() {
        command.uid(user).gid(group);
    }
    command
}

/// `None`: we are somebody else than root already.
fn its_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let line = line.expect("the user postgres is needed (apt-get install postgresql)");
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().unwrap());
    Some((numbers.next().unwrap(), numbers.next().unwrap()))
}

fn give_away(path: &Path) {
    if let Some((user, group)) = its_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}
