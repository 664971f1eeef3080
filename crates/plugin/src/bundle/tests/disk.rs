//! Bundles on the disk: unpacking, opening, packing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::ApiVersion;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_bundle_is_unpacked_as_it_was_packed() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("otp");
    let archive = bundle_with([
        Part::folder("empty/"),
        Part::file("lib/deep/a.py", "a = 1\n"),
        Part { mode: 0o106_777, ..Part::file("tool", "#!/bin/sh\n") },
        Part { mode: 0, ..Part::file("ä.txt", "") },
    ]);
    let unpacked = Bundle::unpack(&archive, &root).unwrap();
    assert_eq!(unpacked.bundle, Bundle::inspect(&archive).unwrap());
    assert_eq!(unpacked.root, root);
    assert_eq!(fs::read_to_string(root.join("lib/deep/a.py")).unwrap(), "a = 1\n");
    assert!(root.join("empty").is_dir());
    for folder in ["", "lib", "lib/deep", "empty", "tool"] {
        assert_eq!(mode(&root.join(folder)), 0o755, "{folder}");
    }
    for file in ["MANIFEST", "main.py", "ä.txt", "lib/deep/a.py"] {
        assert_eq!(mode(&root.join(file)), 0o644, "{file}");
    }
    assert_eq!(parent.path().read_dir().unwrap().count(), 1);
}

#[test]
fn an_unpacked_bundle_opens_as_what_it_was() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("otp");
    let archive = bundle_with([Part::file("default.cfg", "[a]\n")]);
    let unpacked = Bundle::unpack(&archive, &root).unwrap();
    assert_eq!(UnpackedBundle::open(&root).unwrap(), unpacked);
    fs::write(root.join("MANIFEST"), "name: x").unwrap();
    assert!(UnpackedBundle::open(&root).unwrap_err().to_string().starts_with("MANIFEST"));
    fs::remove_file(root.join("MANIFEST")).unwrap();
    symlink("/etc/passwd", root.join("MANIFEST")).unwrap();
    assert!(UnpackedBundle::open(&root).unwrap_err().to_string().contains("is a link"));
    assert!(UnpackedBundle::open(parent.path()).unwrap_err().to_string().contains("was not unpacked"));
}

#[test]
fn what_is_there_is_never_overwritten() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("otp");
    fs::create_dir(&root).unwrap();
    let error = Bundle::unpack(&bundle_with([]), &root).unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(root.read_dir().unwrap().count(), 0);
    let dangling = parent.path().join("dangling");
    symlink("/nowhere", &dangling).unwrap();
    assert!(matches!(Bundle::unpack(&bundle_with([]), &dangling), Err(BundleError::Exists(_))));
    assert_eq!(parent.path().read_dir().unwrap().count(), 2);
}

#[test]
fn a_missing_parent_is_named() {
    let error = Bundle::unpack(&bundle_with([]), Path::new("/nowhere/otp")).unwrap_err();
    assert_eq!(error.to_string(), "cannot make a directory in /nowhere");
}

fn example_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    fs::create_dir_all(folder.path().join("lib/__pycache__")).unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    write("main.py", MAIN);
    write("MANIFEST", MANIFEST);
    write("lib/b.py", "b = 1\n");
    write("lib/__pycache__/b.pyc", "cache");
    write(".git/config", "x");
    write(".hidden", "x");
    folder
}

#[test]
fn a_folder_is_packed_without_caches_and_hidden_files() {
    let folder = example_folder();
    let archive = pack_folder(folder.path()).unwrap();
    let names: Vec<String> =
        Archive::open(&archive).unwrap().entries().iter().map(|e| e.path.clone()).collect();
    assert_eq!(names, ["MANIFEST", "lib/b.py", "main.py"]);
    assert!(Bundle::inspect(&archive).is_ok());
}

#[test]
fn the_same_files_give_the_same_archive() {
    let (one, other) = (example_folder(), example_folder());
    fs::set_permissions(other.path().join("main.py"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(pack_folder(one.path()).unwrap(), pack_folder(other.path()).unwrap());
}

#[test]
fn a_link_is_not_packed() {
    let folder = example_folder();
    symlink("/etc/passwd", folder.path().join("lib/secret.py")).unwrap();
    let error = pack_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("lib/secret.py is a link"), "{error}");
}

#[test]
fn an_archive_is_read_from_a_file_or_a_folder() {
    let folder = example_folder();
    let packed = read_archive(folder.path()).unwrap();
    let file = folder.path().join("otp.zip");
    fs::write(&file, &packed).unwrap();
    assert_eq!(read_archive(&file).unwrap(), packed);
    assert!(matches!(read_archive(Path::new("/dev/null")), Err(BundleError::NotAFile(_))));
    assert_eq!(read_archive(Path::new("/nowhere")).unwrap_err().to_string(), "cannot read /nowhere");
    fs::File::create(&file).unwrap().set_len(Bundle::MAX_ARCHIVE_BYTES).unwrap();
    assert!(matches!(read_archive(&file), Err(BundleError::TooLarge { .. })));
}

#[test]
fn the_example_plugins_are_good_bundles() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins");
    let mut names = Vec::new();
    let entries = fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
    for folder in entries.filter(|path| path.is_dir()) {
        let bundle = Bundle::inspect(&pack_folder(&folder).unwrap()).unwrap();
        assert_eq!(bundle.warnings, [], "{}", bundle.manifest.name);
        assert_eq!(bundle.python, PythonMajor::Three);
        assert!(bundle.default_configuration.is_some());
        assert!(ApiVersion::HOST.accepts(bundle.manifest.api));
        names.push(bundle.manifest.name.to_string());
    }
    names.sort();
    let expected = [
        "FixedCredentials",
        "KvVault",
        "LdapGroups",
        "OtpDemo",
        "PlainAa",
        "RadiusMfa",
        "Ticketing",
        "Totp",
        "VaultDemo",
    ];
    assert_eq!(names, expected);
}

#[test]
fn several_folders_are_packed_as_one_and_share_no_name() {
    let [plugin, packages] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for (folder, file) in [(&plugin, "main.py"), (&packages, "idna/__init__.py")] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    // The author's tests stay at home; a package may have a folder of that name.
    for folder in ["tests", "lib/tests"] {
        fs::create_dir_all(plugin.path().join(folder)).unwrap();
        fs::write(plugin.path().join(folder).join("x.py"), "").unwrap();
    }
    let packed = pack_folders(&[plugin.path(), packages.path()]).unwrap();
    let archive = Archive::open(&packed).unwrap();
    let names: Vec<&str> = archive.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(names, ["idna/__init__.py", "lib/tests/x.py", "main.py"]);

    fs::write(packages.path().join("main.py"), "").unwrap();
    let error = pack_folders(&[plugin.path(), packages.path()]).unwrap_err().to_string();
    assert_eq!(error, "entry \"main.py\": the name is there twice");
}
