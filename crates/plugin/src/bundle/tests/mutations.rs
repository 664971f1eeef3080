//! 10,000 archives that were tampered with: none panics, none of the refused ones leaves a file.

use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// Bundles as people make them: packed ones, and one stored, whose content can be found in the archive.
static REAL: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let example =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins").join(name);
    [
        pack_folder(&example("totp")).unwrap(),
        pack_folder(&example("plain_aa")).unwrap(),
        bundle_with([
            Part::folder("lib/"),
            Part::file("lib/a.py", "x = 1\n"),
            Part { mode: 0o100_755, ..Part::file("tool", "#!/bin/sh\n") },
            Part::file("default.cfg", "[a]\n"),
        ]),
    ]
});

/// Numbers at the ends of what a field holds, and at the limits.
const NUMBERS: [u32; 12] =
    [0, 1, 8, 0x7f, 0xff, 0xffff, 0x1_0000, 20 << 20, 200 << 20, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff];

const NAMES: [&str; 24] = [
    "../x",
    "../../x",
    "/x",
    "/tmp/x",
    "lib/../../x",
    "lib/..",
    "..",
    ".",
    "",
    "lib",
    "lib/",
    "lib/a.py",
    "lib//b",
    "C:\\x",
    "a\\b",
    "a\0b",
    "a\nb",
    "MANIFEST",
    "main.py",
    "main.py/",
    "MANIFEST/x",
    ".keyward-sha256",
    ".keyward-sha256/x",
    "\u{202e}yp.niam",
];

/// One thing that is done to the bytes of an archive.
#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Bit(Index, u8),
    /// A field of four bytes at `offset` of the header that begins with this signature.
    Field(&'static [u8], Index, usize, u32),
    /// A part is copied over another.
    Copy(Index, Index, u8),
    Cut(Index),
    Behead(Index),
    /// Something before, after or in the middle.
    Insert(Index, Vec<u8>),
}

const SIGNATURES: [&[u8]; 4] = [b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"];

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (at(), 0_u8..8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        (select(&SIGNATURES[..]), at(), 4_usize..44, prop_oneof![select(&NUMBERS[..]), any::<u32>()])
            .prop_map(|(signature, which, offset, value)| Change::Field(signature, which, offset, value)),
        (at(), at(), 1_u8..64).prop_map(|(from, to, length)| Change::Copy(from, to, length)),
        at().prop_map(Change::Cut),
        at().prop_map(Change::Behead),
        (at(), vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

fn apply(archive: &mut Vec<u8>, change: Change) {
    if archive.is_empty() {
        return;
    }
    let length = archive.len();
    match change {
        Change::Byte(at, byte) => archive[at.index(length)] = byte,
        Change::Bit(at, bit) => archive[at.index(length)] ^= 1 << bit,
        Change::Field(signature, which, offset, value) => {
            let found = archive.windows(4).enumerate().filter(|(_, window)| *window == signature);
            let headers: Vec<usize> = found.map(|(at, _)| at).collect();
            if headers.is_empty() {
                return;
            }
            let at = headers[which.index(headers.len())] + offset;
            if let Some(field) = archive.get_mut(at..at + 4) {
                field.copy_from_slice(&value.to_le_bytes());
            }
        }
        Change::Copy(from, to, bytes) => {
            let (from, to) = (from.index(length), to.index(length));
            let bytes = usize::from(bytes).min(length - from).min(length - to);
            archive.copy_within(from..from + bytes, to);
        }
        Change::Cut(at) => archive.truncate(at.index(length)),
        Change::Behead(at) => drop(archive.drain(..at.index(length))),
        Change::Insert(at, bytes) => {
            let at = at.index(length + 1);
            archive.splice(at..at, bytes);
        }
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec()),
        "[a-c./\\\\:]{0,12}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..20),
    ]
}

/// An entry that is what it says it is, but for one or two things.
fn part() -> impl Strategy<Value = Part> {
    let odd = |of: BoxedStrategy<u32>| prop_oneof![3 => Just(None), 1 => of.prop_map(Some)];
    let numbers = || select(&NUMBERS[..]).boxed();
    (
        name(),
        vec(any::<u8>(), 0..60),
        prop_oneof![4 => Just(0), 1 => any::<u16>()],
        prop_oneof![4 => Just(0), 2 => Just(8), 1 => any::<u16>()],
        prop_oneof![4 => Just(0o100_644), 1 => Just(0o120_777), 1 => Just(0o104_755), 1 => any::<u32>()],
        odd(numbers()),
        odd(any::<u32>().boxed()),
        prop_oneof![3 => Just(None), 1 => name().prop_map(Some)],
    )
        .prop_map(|(name, content, flags, method, mode, declared, crc, local_name)| Part {
            name,
            content,
            flags,
            method,
            mode: mode & 0xffff,
            declared,
            crc,
            local_name,
        })
}

fn archive() -> impl Strategy<Value = Vec<u8>> {
    let tampered = (0..REAL.len(), vec(change(), 1..5)).prop_map(|(which, changes)| {
        let mut archive = REAL[which].clone();
        changes.into_iter().for_each(|change| apply(&mut archive, change));
        archive
    });
    let made = vec(part(), 1..4).prop_map(bundle_with);
    let both = (vec(part(), 0..3), vec(change(), 1..4)).prop_map(|(parts, changes)| {
        let mut archive = bundle_with(parts);
        changes.into_iter().for_each(|change| apply(&mut archive, change));
        archive
    });
    let noise = vec(any::<u8>(), 0..200);
    prop_oneof![8 => tampered, 6 => made, 3 => both, 1 => noise]
}

/// Every path below `root`.
fn below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in root.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_archive_panics_or_leaves_a_file_when_refused(archive in archive()) {
        // In memory, for each bundle that is taken is synced to its disk.
        let parent = tempfile::tempdir_in("/dev/shm").unwrap();
        let folder = parent.path().join("two/down");
        std::fs::create_dir_all(&folder).unwrap();
        let into = folder.join("bundle");
        let inspected = Bundle::inspect(&archive);
        let unpacked = Bundle::unpack(&archive, &into);
        prop_assert_eq!(inspected.is_ok(), unpacked.is_ok(), "{:?} {:?}", inspected, unpacked);
        if let Err(error) = unpacked {
            let message = error.to_string();
            prop_assert!(!message.contains(char::is_control) && message.len() < 4000, "{:?}", message);
        }
        for path in below(parent.path()) {
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            if path.starts_with(&into) {
                prop_assert!(inspected.is_ok(), "{} of a refused bundle", path.display());
                prop_assert!(metadata.is_dir() || metadata.is_file(), "{}", path.display());
                prop_assert!(mode == 0o755 || mode == 0o644 && metadata.is_file(), "{} {:o}", path.display(), mode);
            } else {
                prop_assert!(folder.starts_with(&path), "{} is outside", path.display());
            }
        }
        prop_assert_eq!(into.exists(), inspected.is_ok());
    }
}

#[test]
fn what_the_mutations_begin_with_is_taken() {
    for archive in REAL.iter() {
        assert_eq!(Bundle::inspect(archive).unwrap().python, PythonMajor::Three);
    }
}
