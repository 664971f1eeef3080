//! What becomes of an unpacked bundle behind the gateway's back.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn archive() -> Vec<u8> {
    bundle_with([
        Part::file("lib/deep/a.py", "a = 1\n"),
        Part::folder("empty/"),
        Part { mode: 0o100_755, ..Part::file("tool", "#!/bin/sh\n") },
    ])
}

/// What is said of a bundle after `change` was made in its root.
fn after(change: impl FnOnce(&Path)) -> String {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("otp");
    let unpacked = Bundle::unpack(&archive(), &root).unwrap();
    let checksum = &unpacked.bundle.checksum;
    assert_eq!(UnpackedBundle::open_verified(&root, &archive(), checksum).unwrap(), unpacked);
    change(&root);
    let error = UnpackedBundle::open_verified(&root, &archive(), checksum).unwrap_err().to_string();
    error.strip_prefix(&format!("{}/", root.display())).unwrap_or(&error).to_owned()
}

#[test]
fn a_changed_added_or_missing_file_is_named() {
    let said = [
        (
            after(|root| fs::write(root.join("lib/deep/a.py"), "a = 2\n").unwrap()),
            "lib/deep/a.py has another content",
        ),
        (
            after(|root| fs::write(root.join("lib/deep/a.py"), "a = 1\n#").unwrap()),
            "lib/deep/a.py has another content",
        ),
        (
            after(|root| fs::write(root.join("lib/deep/a.py"), "a").unwrap()),
            "lib/deep/a.py has another content",
        ),
        (after(|root| fs::remove_file(root.join("tool")).unwrap()), "tool is gone"),
        (after(|root| fs::remove_dir_all(root.join("lib")).unwrap()), "lib/deep/a.py is gone"),
        (after(|root| fs::remove_dir(root.join("empty")).unwrap()), "empty is gone"),
        (after(|root| fs::write(root.join("empty/b.py"), "").unwrap()), "empty/b.py was added"),
        (after(|root| fs::create_dir(root.join("lib/__pycache__")).unwrap()), "lib/__pycache__ was added"),
        (after(|root| fs::write(root.join("MANIFEST"), "name: x").unwrap()), "MANIFEST has another content"),
        (
            after(|root| fs::write(root.join(".keyward-sha256"), "0".repeat(64)).unwrap()),
            ".keyward-sha256 has another",
        ),
        (after(|root| fs::write(root.join("sitecustomize.py"), "").unwrap()), "sitecustomize.py was added"),
    ];
    for (text, expected) in said {
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn a_link_or_other_rights_are_a_change_though_the_content_is_the_same() {
    let linked = after(|root| {
        fs::rename(root.join("tool"), root.join("../tool")).unwrap();
        symlink("../tool", root.join("tool")).unwrap();
    });
    assert!(linked.starts_with("tool was replaced by something else"), "{linked}");
    let folder = after(|root| {
        fs::rename(root.join("lib"), root.join("../lib")).unwrap();
        symlink("../lib", root.join("lib")).unwrap();
    });
    assert!(folder.starts_with("lib was replaced by something else"), "{folder}");
    let mode = |mode| {
        move |root: &Path| fs::set_permissions(root.join("tool"), Permissions::from_mode(mode)).unwrap()
    };
    assert!(after(mode(0o777)).starts_with("tool has the mode 0777"));
    assert!(after(mode(0o4755)).starts_with("tool has the mode 4755"));
}

#[test]
fn the_archive_of_another_bundle_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let unpacked = Bundle::unpack(&archive(), &parent.path().join("otp")).unwrap();
    let mut damaged = archive();
    *damaged.last_mut().unwrap() ^= 1;
    for other in [bundle_with([]), damaged] {
        let checksum = &unpacked.bundle.checksum;
        let error = UnpackedBundle::open_verified(&unpacked.root, &other, checksum).unwrap_err().to_string();
        assert!(error.contains(checksum) && error.contains("upload the bundle again"), "{error}");
    }
}
