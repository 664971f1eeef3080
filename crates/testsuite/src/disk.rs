use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::account::privileged;
use crate::{Input, run};

/// A file system of its own for a folder of a gateway.
#[derive(Debug)]
pub(crate) struct Disk {
    place: PathBuf,
}

impl Disk {
    /// In memory, and soon full.
    #[track_caller]
    pub(crate) fn small(data: &Path, folder: &str, kib: u32) -> Self {
        let place = place(data, folder);
        let options = format!("size={kib}k,mode=700,uid={}", rustix::process::geteuid().as_raw());
        let mut mount = privileged("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "keyward-test"]).arg(&place);
        run(&mut mount, Input::Nothing).must_succeed();
        Self { place }
    }

    /// In a file (ext4 on a loop device), for [`Frozen`].
    #[track_caller]
    pub(crate) fn in_a_file(data: &Path, folder: &str) -> Self {
        let (place, image) = (place(data, folder), data.join("disk"));
        File::create(&image).unwrap().set_len(64 * 1024 * 1024).unwrap();
        let owner = format!(
            "root_owner={}:{}",
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw()
        );
        let mut make = privileged("mkfs.ext4");
        run(make.args(["-q", "-E", &owner]).arg(&image), Input::Nothing).must_succeed();
        let mut mount = privileged("mount");
        run(mount.args(["-o", "loop"]).arg(&image).arg(&place), Input::Nothing).must_succeed();
        Self { place }
    }
}

#[track_caller]
fn place(data: &Path, folder: &str) -> PathBuf {
    let place = if folder.is_empty() { data.to_owned() } else { data.join(folder) };
    DirBuilder::new().recursive(true).mode(0o700).create(&place).unwrap();
    place
}

/// A file system that takes nothing, as that of a disk which does not answer: who writes to it waits (fsfreeze(8)) until
/// this is dropped.
#[derive(Debug)]
pub struct Frozen {
    place: PathBuf,
}

impl Frozen {
    /// The one that is mounted at `place`.
    #[track_caller]
    pub fn freeze(place: &Path) -> Self {
        run(privileged("fsfreeze").arg("--freeze").arg(place), Input::Nothing).must_succeed();
        Self { place: place.to_owned() }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let thawed = run(privileged("fsfreeze").arg("--unfreeze").arg(&self.place), Input::Nothing);
        if !thawed.status.success() && !std::thread::panicking() {
            panic!("cannot unfreeze {}: {}", self.place.display(), thawed.stderr);
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the gateway may still have files open on it.
        let unmounted = run(privileged("umount").arg("--lazy").arg(&self.place), Input::Nothing);
        if !unmounted.status.success() && !std::thread::panicking() {
            panic!("cannot unmount {}: {}", self.place.display(), unmounted.stderr);
        }
    }
}

/// Takes all the room that is left on the disk of `folder`, until the file that it gives is removed.
#[track_caller]
pub fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("filler");
    let mut file = File::create(&path).unwrap();
    for piece in [64 * 1024, 1] {
        let noise = vec![7; piece];
        loop {
            match file.write_all(&noise) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("cannot fill {}: {error}", folder.display()),
            }
        }
    }
    assert!(fs::metadata(&path).unwrap().len() > 0);
    path
}
