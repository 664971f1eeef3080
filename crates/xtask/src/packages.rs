//! Debian packages: asks dpkg first, and apt only for what is missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program;

/// What a build needs beside the Rust toolchain: SQLite and aws-lc are compiled from their C sources.
pub(crate) const BUILD: [&str; 2] = ["gcc", "libc6-dev"];
/// What the demo shows: a stock client, an interpreter for the plugins, and what builds python-ldap for it.
pub(crate) const DEMO: [&str; 6] =
    ["openssh-client", "python3", "python3-venv", "python3-dev", "libldap2-dev", "libsasl2-dev"];
/// The peers of the tests and of the benchmark.
pub(crate) const PEERS: [&str; 33] = [
    "openssh-server",
    "openssh-client",
    "openssh-sftp-server",
    // A security key in software.
    "openssh-tests",
    "putty-tools",
    "freeradius",
    "oathtool",
    "openssl",
    "slapd",
    "postgresql",
    "ncat",
    // What sshd needs to forward a screen.
    "xauth",
    "rsync",
    "git",
    "dropbear-bin",
    // Built on libssh2.
    "curl",
    "sshfs",
    "mosh",
    // Interactive programs, and the terminal that they are looked at on.
    "tmux",
    // A player of recordings.
    "asciinema",
    // A browser, which looks at pictures of recordings.
    "chromium",
    "fonts-dejavu-core",
    "vim",
    "less",
    "zsh",
    "procps",
    // A disk that does not answer.
    "e2fsprogs",
    "ncurses-base",
    "python3",
    "python3-venv",
    // What builds python-ldap.
    "python3-dev",
    "libldap2-dev",
    "libsasl2-dev",
];

/// Debian's own switch against starting an SSH server when the package is installed.
const KEEP_SSHD_OFF: &str = "/etc/ssh/sshd_not_to_be_run";

/// systemd's switch against starting a service that is installed.
const KEEP_RADIUS_OFF: &str = "/etc/systemd/system/freeradius.service";

/// The answer to the package's own question, with which it makes no directory and so starts no LDAP server.
const KEEP_SLAPD_OFF: &str = "slapd slapd/no_configuration boolean true";

/// What the package's own program reads before it makes a cluster and starts a server for it.
const KEEP_POSTGRES_OFF: &str = "/etc/postgresql-common/createcluster.d/keyward-tests.conf";

/// Installs those of `lists` that are missing.
pub(crate) fn ensure(lists: &[&[&str]]) -> Result<()> {
    let wanted = lists.concat();
    if !program::succeeds(Command::new("dpkg-query").arg("--version")) {
        println!("    this is no Debian: see to it yourself that these are there: {}", wanted.join(" "));
        return Ok(());
    }
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("    missing: {}", missing.join(" "));
    install(&missing).with_context(|| {
        format!(
            "cannot install packages; do it by hand and run this again: apt-get install {}",
            missing.join(" ")
        )
    })
}

fn installed(name: &str) -> bool {
    let mut question = Command::new("dpkg-query");
    question.args(["--show", "--showformat", "${db:Status-Status}", name]);
    program::read(&mut question).is_ok_and(|status| status == "installed")
}

fn install(missing: &[&str]) -> Result<()> {
    if missing.contains(&"openssh-server") && !Path::new(KEEP_SSHD_OFF).exists() {
        // The tests start servers of their own on loopback: this machine is not to offer one to the network.
        println!("    making {KEEP_SSHD_OFF}, so that the package opens no SSH server on this machine");
        program::run(as_root("install")?.args(["-D", "/dev/null", KEEP_SSHD_OFF]))?;
    }
    if missing.contains(&"freeradius") && !Path::new(KEEP_RADIUS_OFF).exists() {
        println!("    making {KEEP_RADIUS_OFF}, so that the package opens no RADIUS server on this machine");
        program::run(as_root("mkdir")?.args(["-p", "/etc/systemd/system"]))?;
        program::run(as_root("ln")?.args(["-s", "/dev/null", KEEP_RADIUS_OFF]))?;
    }
    if missing.contains(&"postgresql") && !Path::new(KEEP_POSTGRES_OFF).exists() {
        println!("    making {KEEP_POSTGRES_OFF}, so that the package starts no database on this machine");
        let make = "mkdir -p \"${0%/*}\" && echo 'create_main_cluster = false' > \"$0\"";
        program::run(as_root("sh")?.args(["-c", make, KEEP_POSTGRES_OFF]))?;
    }
    program::run(as_root("apt-get")?.args(["update", "--quiet=2"]))?;
    if missing.contains(&"slapd") {
        println!(
            "    answering {KEEP_SLAPD_OFF:?}, so that the package starts no LDAP server on this machine"
        );
        program::run(as_root("sh")?.args(["-c", "echo \"$0\" | debconf-set-selections", KEEP_SLAPD_OFF]))?;
    }
    let mut apt = as_root("env")?;
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--quiet=2", "--yes"]);
    program::run(apt.arg("--no-install-recommends").args(missing))
}

fn as_root(name: &str) -> Result<Command> {
    if program::read(Command::new("id").arg("-u"))?.trim() == "0" {
        return Ok(Command::new(name));
    }
    if !program::succeeds(Command::new("sudo").arg("--version")) {
        bail!("installing needs root, and there is no sudo");
    }
    let mut command = Command::new("sudo");
    command.arg(name);
    Ok(command)
}
