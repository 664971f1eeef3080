//! Which files a plugin may read and write: landlock rules (landlock(7)).

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};

/// What the rules are written for; an older kernel takes the part of them that it knows.
const WRITTEN_FOR: ABI = ABI::V6;

/// Programs and libraries: read and execute.
const SYSTEM: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// What the C library, TLS libraries and interpreters read. The folder itself is not open: other programs keep their
/// secrets there, and so may the gateway.
const SETTINGS: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/krb5.conf",
    "/etc/krb5.conf.d",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ldap/ldap.conf",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/networks",
    "/etc/nsswitch.conf",
    "/etc/openldap/ldap.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
    // What /etc/resolv.conf is often a link to; it is replaced as a file, so its folder is named.
    "/run/NetworkManager/resolv.conf",
    "/run/resolvconf",
    "/run/systemd/resolve",
    "/var/lib/ca-certificates",
    // A process sees itself there. Of others, the kernel shows those only that it might trace, which is none outside.
    "/proc",
    "/sys/devices/system/cpu",
    "/dev/random",
    "/dev/urandom",
];

/// Those of [`SETTINGS`] that are replaced while a machine runs.
const REPLACED: &[&str] = &[
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/resolv.conf",
];

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full"];

/// Device and number of each file.
pub(in crate::runtime) type Stamp = Vec<Option<(u64, u64)>>;

/// The files of one plugin instance.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Reach {
    /// The bundle, the environment, the worker's own side, trusted CAs.
    pub(in crate::runtime) read: Vec<PathBuf>,
    /// State and temporary directories.
    pub(in crate::runtime) write: Vec<PathBuf>,
}

impl Reach {
    /// A ruleset to restrict a process with. What does not exist now is not reached later either.
    pub(super) fn ruleset(&self) -> io::Result<Option<OwnedFd>> {
        self.build().map(Into::into).map_err(io::Error::other)
    }

    fn build(&self) -> Result<RulesetCreated, landlock::RulesetError> {
        let read_and_run = AccessFs::from_read(WRITTEN_FOR);
        let read = read_and_run & !AccessFs::Execute;
        Ruleset::default()
            .handle_access(AccessFs::from_all(WRITTEN_FOR))?
            .scope(Scope::from_all(WRITTEN_FOR))?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, read_and_run))?
            .add_rules(path_beneath_rules(&self.read, read_and_run))?
            .add_rules(path_beneath_rules(SETTINGS, read))?
            .add_rules(path_beneath_rules(
                DEVICES,
                AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate,
            ))?
            .add_rules(path_beneath_rules(&self.write, AccessFs::from_all(WRITTEN_FOR)))
    }

    /// What stands for the files that the rules were made of. Another answer later: one of them was replaced (as
    /// `/etc/resolv.conf` is when the network changes), and the rules do not open the new one.
    pub(in crate::runtime) fn stamp(&self) -> Stamp {
        let settings = REPLACED.iter().map(Path::new);
        let identity = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        settings.chain(self.read.iter().map(PathBuf::as_path)).map(identity).collect()
    }

    /// The folder of those that may be read in which `data` lies: everything in it could be read.
    pub(in crate::runtime) fn exposes(&self, data: &Path) -> Option<PathBuf> {
        let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
        let system = SYSTEM.iter().map(PathBuf::from);
        let all = system.chain(self.read.iter().cloned()).filter_map(|folder| fs::canonicalize(folder).ok());
        all.into_iter().find(|folder| data.starts_with(folder))
    }
}

/// Where an interpreter and its packages lie: the prefix of each link on the way to it, and of the interpreter that
/// a virtual environment (PEP 405) was made from.
pub(in crate::runtime) fn environment_folders(python: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut next = Some(python.to_owned());
    // As many links as the kernel follows.
    for _ in 0..40 {
        let Some(path) = next else { break };
        next = fs::read_link(&path).ok().and_then(|link| Some(path.parent()?.join(link)));
        let Some(prefix) = prefix(&path) else { continue };
        if let Some(home) = home(&prefix) {
            folders.extend(home.parent().map(Path::to_owned));
            folders.push(home);
        }
        folders.push(prefix);
    }
    if let Ok(real) = fs::canonicalize(python) {
        folders.extend(prefix(&real));
    }
    folders.retain(|folder| folder.parent().is_some());
    folders.sort();
    folders.dedup();
    folders
}

/// `/opt/python` for `/opt/python/bin/python3`; the file alone where it is in no `bin`.
fn prefix(python: &Path) -> Option<PathBuf> {
    let folder = python.parent()?;
    Some(if folder.ends_with("bin") { folder.parent()?.to_owned() } else { python.to_owned() })
}

fn home(prefix: &Path) -> Option<PathBuf> {
    let settings = fs::read_to_string(prefix.join("pyvenv.cfg")).ok()?;
    let (_, home) =
        settings.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "home")?;
    Some(PathBuf::from(home.trim())).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_virtual_environment_reaches_the_interpreter_that_it_was_made_from() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("pythons/3.11");
        let venv = dir.path().join("venv");
        for folder in [&base, &venv] {
            fs::create_dir_all(folder.join("bin")).unwrap();
        }
        fs::write(base.join("bin/python3.11"), "").unwrap();
        symlink("python3.11", base.join("bin/python3")).unwrap();
        symlink(base.join("bin/python3"), venv.join("bin/python")).unwrap();
        fs::write(venv.join("pyvenv.cfg"), format!("home = {}\n", base.join("bin").display())).unwrap();
        let folders = environment_folders(&venv.join("bin/python"));
        assert!(folders.contains(&base) && folders.contains(&venv), "{folders:?}");
        assert!(!folders.iter().any(|folder| dir.path().starts_with(folder)), "{folders:?}");
    }

    #[test]
    fn an_interpreter_in_the_root_opens_no_more_than_itself() {
        assert!(environment_folders(Path::new("/bin/python-that-is-not-there")).is_empty());
        let alone = environment_folders(Path::new("/srv/python-that-is-not-there"));
        assert_eq!(alone, [PathBuf::from("/srv/python-that-is-not-there")]);
    }

    #[test]
    fn a_data_folder_below_what_may_be_read_is_found_out() {
        let dir = tempfile::tempdir().unwrap();
        let (venv, data) = (dir.path().join("venv"), dir.path().join("venv/data"));
        fs::create_dir_all(&data).unwrap();
        let reach = Reach { read: vec![venv.clone()], write: Vec::new() };
        assert_eq!(reach.exposes(&data), Some(fs::canonicalize(&venv).unwrap()));
        assert_eq!(reach.exposes(dir.path()), None);
    }
}
