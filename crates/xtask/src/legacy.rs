//! A Python 2.7 for the tests. Debian has none since version 12: where the machine has none of its own either, that of
//! Debian 11 is unpacked below the target folder. Nothing of it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{packages, program, python};

const FOLDER: &str = "python2.7";
const SUITE: &str = "bullseye";
/// The interpreter, its standard library, and the libraries that `ssl` and `ctypes` need of that Debian.
const PACKAGES: [&str; 5] =
    ["python2.7-minimal", "libpython2.7-minimal", "libpython2.7-stdlib", "libssl1.1", "libffi7"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const ARCHIVE: &str = "http://deb.debian.org/debian/";
/// What it must be able to import to run and to be given packages.
const PROOF: &str = "import sys, ssl, ctypes, zlib, _multiprocessing; assert sys.version_info[:2] == (2, 7)";

/// Its path: the machine's, or the unpacked one.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = python::interpreters_2().into_iter().find(|path| proves(path)) {
        return Ok(found);
    }
    let folder = workspace.target.join(FOLDER);
    let python = folder.join("root/usr/bin/python2.7");
    if !proves(&python) {
        println!("    no Python 2.7 on this machine: unpacking that of Debian 11 below {}", folder.display());
        unpack(&folder, &python).context(
            "the tests need a Python 2.7: put one on the PATH as python2.7, or make Debian's `bullseye` reachable for apt",
        )?;
    }
    Ok(python)
}

fn proves(python: &Path) -> bool {
    program::succeeds(Command::new(python).args(["-E", "-s", "-c", PROOF]))
}

fn unpack(folder: &Path, python: &Path) -> Result<()> {
    packages::ensure(&[&["patchelf"]])?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let (debs, root) = (folder.join("debs"), folder.join("root"));
    for made in [&debs, &root, &folder.join("lists/partial"), &folder.join("cache/archives/partial")] {
        fs::create_dir_all(made)?;
    }
    let source = format!("deb [signed-by={KEYRING}] {} {SUITE} main\n", archive());
    fs::write(folder.join("sources.list"), source)?;
    program::run(apt(folder).args(["update", "--quiet=2"]))?;
    program::run(apt(folder).args(["download", "--quiet=2"]).args(PACKAGES).current_dir(&debs))?;
    for deb in fs::read_dir(&debs)? {
        program::run(Command::new("dpkg-deb").arg("--extract").arg(deb?.path()).arg(&root))?;
    }
    for done in [debs, folder.join("lists"), folder.join("cache")] {
        fs::remove_dir_all(done)?;
    }
    lead_to_own_libraries(python, &root)?;
    if !proves(python) {
        bail!("{} was unpacked and does not run", python.display());
    }
    Ok(())
}

/// apt with lists and a cache of its own, so that the machine's stay as they are.
fn apt(folder: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    let own = |key: &str, path: &Path| format!("{key}={}", path.display());
    for option in [
        own("Dir::Etc::SourceList", &folder.join("sources.list")),
        own("Dir::Etc::SourceParts", Path::new("/dev/null")),
        own("Dir::State::Lists", &folder.join("lists")),
        own("Dir::Cache", &folder.join("cache")),
        // The folder need not be open for apt's own user.
        format!("APT::Sandbox::User={}", env::var("USER").unwrap_or_else(|_| "root".to_owned())),
    ] {
        apt.args(["-o", &option]);
    }
    apt
}

/// Where this machine gets its own Debian from, if it says.
fn archive() -> String {
    let mut question = Command::new("apt-get");
    question.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]);
    let answer = program::read(&mut question).unwrap_or_default();
    let own = answer.lines().find(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    own.unwrap_or(ARCHIVE).to_owned()
}

/// The libraries of its own Debian are found by the path that the program itself names: plugins start with a clean
/// environment, in which no variable could name them.
fn lead_to_own_libraries(python: &Path, root: &Path) -> Result<()> {
    let mut folders = Vec::new();
    for parent in ["usr/lib", "lib"] {
        let Ok(entries) = fs::read_dir(root.join(parent)) else { continue };
        let libraries = entries.flatten().map(|entry| entry.path());
        folders.extend(libraries.filter(|path| path.to_string_lossy().ends_with("-linux-gnu")));
    }
    let path = env::join_paths(folders)?;
    program::run(Command::new("patchelf").args(["--force-rpath", "--set-rpath"]).arg(path).arg(python))
}
