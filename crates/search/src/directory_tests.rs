use tantivy::Directory;
use tantivy::directory::{INDEX_WRITER_LOCK, TerminatingWrite};
use zeroize::Zeroizing;

use super::*;
use crate::file_writer::CHUNK;

fn key(byte: u8) -> IndexKey {
    IndexKey::new(Zeroizing::new([byte; IndexKey::BYTES]))
}

fn open(path: &Path) -> EncryptedDirectory {
    EncryptedDirectory::open(path.join("index"), key(1)).unwrap()
}

fn written(directory: &EncryptedDirectory, name: &str, bytes: &[u8]) -> PathBuf {
    let mut writer = directory.open_write(Path::new(name)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.terminate().unwrap();
    directory.path.join(name)
}

/// No two pieces of it are alike.
fn text(length: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| format!("line {n} of secrets\n").into_bytes()).take(length).collect()
}

fn read(directory: &EncryptedDirectory, name: &str) -> io::Result<Vec<u8>> {
    let file = directory.read(Path::new(name))?;
    Ok(file.read_bytes(0..file.len())?.to_vec())
}

fn why(result: io::Result<Vec<u8>>) -> FileError {
    let error = result.unwrap_err();
    error.get_ref().and_then(|error| error.downcast_ref::<FileError>()).unwrap().clone()
}

#[test]
fn what_is_written_is_read_in_any_range_whatever_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let lengths = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7];
    for (n, length) in lengths.into_iter().enumerate() {
        let (name, text) = (format!("file{n}"), text(length));
        written(&directory, &name, &text);
        let file = directory.get_file_handle(Path::new(&name)).unwrap();
        assert_eq!(file.len(), length);
        let mut places = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, length / 2, length];
        places.sort_unstable();
        let places = places.iter().filter(|place| **place <= length);
        for (start, end) in places.clone().flat_map(|start| places.clone().map(move |end| (*start, *end))) {
            match file.read_bytes(start..end) {
                Ok(bytes) => assert_eq!(bytes.as_slice(), &text[start..end]),
                Err(error) => assert!(start > end, "{start}..{end}: {error}"),
            }
        }
        assert!(file.read_bytes(0..length + 1).is_err());
    }
}

#[test]
fn no_file_holds_plain_text() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    written(&directory, "a.term", &text(3 * CHUNK));
    directory.atomic_write(Path::new("meta.json"), b"secrets of the last commit").unwrap();
    assert_eq!(directory.atomic_read(Path::new("meta.json")).unwrap(), b"secrets of the last commit");
    let files: Vec<_> = fs::read_dir(&directory.path).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(7).any(|bytes| bytes == b"secrets"), "{file:?}");
    }
}

#[test]
fn the_same_text_is_never_encrypted_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let both = ["a", "b"].map(|name| fs::read(written(&directory, name, &text(100))).unwrap());
    assert!(!both[0].windows(16).any(|bytes| both[1].windows(16).any(|other| other == bytes)));
}

#[test]
fn a_byte_that_was_changed_is_an_error_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let path = written(&directory, "a.pos", &text(2 * CHUNK + 30));
    let bytes = fs::read(&path).unwrap();
    // Every byte of the head and of the last chunk, and some of the others.
    let places = (0..100).chain((100..bytes.len() - 60).step_by(997)).chain(bytes.len() - 60..bytes.len());
    for place in places {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(read(&directory, "a.pos").is_err(), "byte {place}");
    }
    let mut changed = bytes.clone();
    changed[100] ^= 1;
    fs::write(&path, changed).unwrap();
    assert_eq!(why(read(&directory, "a.pos")), FileError::Changed { name: "a.pos".into(), chunk: 0 });
}

#[test]
fn a_file_that_was_cut_or_made_longer_is_an_error_wherever_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let path = written(&directory, "a.pos", &text(2 * CHUNK + 30));
    let bytes = fs::read(&path).unwrap();
    let sealed = CHUNK + crate::key::TAG_LEN;
    let head = bytes.len() - 2 * sealed - 30 - crate::key::TAG_LEN;
    let near = |place: usize| place.saturating_sub(17)..(place + 18).min(bytes.len());
    for length in [0, head, head + sealed, head + 2 * sealed, bytes.len()].into_iter().flat_map(near) {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(read(&directory, "a.pos").is_err(), "{length} bytes");
    }
    for more in 1..40 {
        fs::write(&path, [bytes.as_slice(), &vec![0; more]].concat()).unwrap();
        assert!(read(&directory, "a.pos").is_err(), "{more} bytes more");
    }
}

#[test]
fn files_and_chunks_in_the_place_of_others_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    let path = written(&directory, "a.pos", &text(3 * CHUNK));
    let bytes = fs::read(&path).unwrap();
    fs::write(directory.path.join("b.pos"), &bytes).unwrap();
    assert_eq!(why(read(&directory, "b.pos")), FileError::Changed { name: "b.pos".into(), chunk: 2 });

    let sealed = CHUNK + crate::key::TAG_LEN;
    let (head, chunks) = bytes.split_at(bytes.len() - 3 * sealed);
    let [first, second, third] = [0, 1, 2].map(|n| &chunks[n * sealed..(n + 1) * sealed]);
    fs::write(&path, [head, second, first, third].concat()).unwrap();
    assert!(read(&directory, "a.pos").is_err());
}

#[test]
fn another_key_and_another_file_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    written(&directory, "a.idx", &text(10));
    fs::write(directory.path.join("b.idx"), text(1000)).unwrap();
    let other = EncryptedDirectory::open(dir.path().join("index"), key(2)).unwrap();
    assert_eq!(why(read(&other, "a.idx")), FileError::WrongKey { name: "a.idx".into() });
    assert_eq!(why(read(&directory, "b.idx")), FileError::NotOurs { name: "b.idx".into() });
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    for name in ["../a", "/tmp/a", "a/b", "..", ".", ""] {
        assert!(directory.open_write(Path::new(name)).is_err(), "{name:?}");
        assert!(directory.atomic_write(Path::new(name), b"x").is_err(), "{name:?}");
        assert!(directory.delete(Path::new(name)).is_err(), "{name:?}");
    }
}

#[test]
fn one_writer_has_the_lock_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (directory, other) = (open(dir.path()), open(dir.path()));
    let lock = directory.acquire_lock(&INDEX_WRITER_LOCK).unwrap();
    assert!(matches!(other.acquire_lock(&INDEX_WRITER_LOCK), Err(LockError::LockBusy)));
    drop(lock);
    other.acquire_lock(&INDEX_WRITER_LOCK).unwrap();
}

#[test]
fn a_file_that_is_there_is_never_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let directory = open(dir.path());
    written(&directory, "a.idx", b"first");
    let again = directory.open_write(Path::new("a.idx"));
    assert!(matches!(again, Err(OpenWriteError::FileAlreadyExists(_))));
    let file = directory.get_file_handle(Path::new("a.idx")).unwrap();
    directory.delete(Path::new("a.idx")).unwrap();
    assert_eq!(file.read_bytes(0..5).unwrap().as_slice(), b"first");
    assert!(!directory.exists(Path::new("a.idx")).unwrap());
    assert!(matches!(directory.delete(Path::new("a.idx")), Err(DeleteError::FileDoesNotExist(_))));
}
