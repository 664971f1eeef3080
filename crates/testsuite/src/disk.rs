use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::account::privileged;
use crate::{Input, run};

/// A file system in memory that is soon full.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    #[track_caller]
    pub(crate) fn mount(data: &Path, folder: &str, kib: u32) -> Self {
        let place = if folder.is_empty() { data.to_owned() } else { data.join(folder) };
        DirBuilder::new().recursive(true).mode(0o700).create(&place).unwrap();
        let owner = rustix::process::geteuid().as_raw();
        let options = format!("size={kib}k,mode=700,uid={owner}");
        let mut mount = privileged("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "keyward-test"]).arg(&place);
        run(&mut mount, Input::Nothing).must_succeed();
        Self { place }
    }
}

impl Drop for SmallDisk {
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
