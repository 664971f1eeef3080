//! The folder that files are written to, and names that are safe in it.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, bail};
use rustix::fs::{Mode, OFlags, RenameFlags, openat, renameat_with};

/// The index beside the files.
pub(super) const INDEX: &str = "files.json";
/// What the name of a file ends with as long as it is not known to be whole.
const PARTIAL: &str = ".partial";
/// A name's bytes without what is put behind it; file systems take 255.
const LONGEST: usize = 200;
/// Files of one export. What is more is in the index alone.
const MOST_FILES: usize = 65_536;
/// Files that are being written; each is a descriptor of this process.
const MOST_OPEN: usize = 256;
/// Bytes that nobody moved, between what was moved, in all files: so many, and as many as moved.
const MOST_IN_HOLES: u64 = 1 << 30;

/// A folder with nothing in it but what this export wrote.
///
/// INVARIANT: all files are made and renamed by one name below `folder`, never through a link and never over another file.
pub(super) struct Folder {
    folder: OwnedFd,
    taken: HashSet<String>,
    numbers: HashMap<String, u32>,
    files: usize,
    open: usize,
    pub(super) allowance: Allowance,
}

/// How many bytes in holes there may still be.
pub(super) struct Allowance {
    left: u64,
}

impl Allowance {
    pub(super) fn moved(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes as u64);
    }

    /// Whether there may be so many bytes more that nobody moved.
    pub(super) fn takes(&mut self, hole: u64) -> bool {
        self.left.checked_sub(hole).map(|left| self.left = left).is_some()
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: MOST_IN_HOLES }
    }
}

impl Folder {
    /// Makes the folder, for its owner alone, or takes one that is empty.
    pub(super) fn make(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let mut entries = fs::read_dir(path).with_context(|| format!("{shown} cannot be read"))?;
                if entries.next().is_some() {
                    bail!("{shown} is not empty: name a folder that is, or one that is to be made (--into)");
                }
            }
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be made")),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty());
        Ok(Self {
            folder: folder.with_context(|| format!("{shown} cannot be opened"))?,
            taken: HashSet::from([INDEX.to_owned()]),
            numbers: HashMap::new(),
            files: 0,
            open: 0,
            allowance: Allowance::default(),
        })
    }

    pub(super) fn index(&self) -> anyhow::Result<File> {
        self.create(INDEX)
    }

    /// A file for what has this path on the target, with the name that it gets once it is whole. `None`: there are too
    /// many.
    pub(super) fn file(&mut self, path: &[u8]) -> anyhow::Result<Option<(String, File)>> {
        if self.files >= MOST_FILES || self.open >= MOST_OPEN {
            return Ok(None);
        }
        let name = self.free(safe(path));
        let file = self.create(&partial(&name))?;
        (self.files, self.open) = (self.files + 1, self.open + 1);
        Ok(Some((name, file)))
    }

    /// A file was written to its end.
    pub(super) fn closed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn is_whole(&self, name: &str) -> anyhow::Result<()> {
        let (from, folder) = (partial(name), &self.folder);
        renameat_with(folder, &from, folder, name, RenameFlags::NOREPLACE)
            .with_context(|| format!("{from} cannot be renamed to {name}"))
    }

    fn create(&self, name: &str) -> anyhow::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR);
        Ok(File::from(made.with_context(|| format!("{name} cannot be created in the folder"))?))
    }

    /// Reserves the name, or the first one with a number behind it that is free.
    fn free(&mut self, name: String) -> String {
        let mut free = name.clone();
        loop {
            if !self.taken.contains(&free) && !self.taken.contains(&partial(&free)) {
                self.taken.extend([free.clone(), partial(&free)]);
                return free;
            }
            let number = self.numbers.entry(name.clone()).or_insert(1);
            *number += 1;
            free = format!("{name}.{number}");
        }
    }
}

pub(super) fn partial(name: &str) -> String {
    format!("{name}{PARTIAL}")
}

/// The last part of a path, with nothing in it that a terminal, a shell's option or a folder could take for more than a
/// name.
fn safe(path: &[u8]) -> String {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let mut name = String::new();
    for letter in String::from_utf8_lossy(last).chars() {
        let letter = if letter.is_alphanumeric() || " ._-+=@,()".contains(letter) { letter } else { '_' };
        if name.len() + letter.len_utf8() > LONGEST {
            break;
        }
        let is_first = name.is_empty();
        name.push(if is_first && "-. ".contains(letter) { '_' } else { letter });
    }
    if name.is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn no_name_is_more_than_a_name() {
        let long = "x".repeat(4000);
        let names = [
            "/etc/passwd",
            "../../up",
            "..",
            ".",
            "",
            "/",
            "a/",
            "-rf",
            ".ssh",
            "a\nb\x1b[1m",
            "a\\b",
            "\u{202e}c",
            &long,
        ];
        for name in names {
            let safe = safe(name.as_bytes());
            assert!(!safe.is_empty() && safe.len() <= LONGEST, "{name:?}");
            assert!(!safe.contains(['/', '\\', '\n', '\x1b', '\u{202e}']), "{safe:?}");
            assert!(!safe.starts_with(['.', '-']), "{safe:?}");
        }
        assert_eq!(safe(b"/srv/a b.txt"), "a b.txt");
        assert_eq!(safe(b"a/\xff"), "_");
    }

    #[test]
    fn names_that_are_taken_get_numbers() {
        let place = tempfile::tempdir().unwrap();
        let mut folder = Folder::make(&place.path().join("new")).unwrap();
        let mut name = |path: &[u8]| folder.file(path).unwrap().unwrap().0;
        assert_eq!([name(b"a"), name(b"/x/a"), name(b"a.2")], ["a", "a.2", "a.2.2"]);
        assert_eq!([name(b"b.partial"), name(b"b")], ["b.partial", "b.2"]);
        assert_eq!(name(b"files.json"), "files.json.2");
    }

    #[test]
    fn files_are_their_owners_alone_and_nothing_is_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new");
        let mut folder = Folder::make(&path).unwrap();
        let (name, file) = folder.file(b"a").unwrap().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        symlink("/etc/passwd", path.join("a")).unwrap();
        assert!(folder.is_whole(&name).is_err());
        symlink(place.path().join("elsewhere"), path.join("b.partial")).unwrap();
        assert!(folder.file(b"b").is_err());
        assert!(!place.path().join("elsewhere").exists());
        assert!(Folder::make(&path).is_err(), "it is not empty");
    }
}
