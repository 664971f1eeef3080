//! What a crash leaves: the disk takes some steps of a writer, and none after them.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tantivy::collector::Count;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, TerminatingWrite, WatchCallback, WatchHandle,
    WritePtr,
};
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Schema, TEXT};
use tantivy::{Index, IndexWriter, Term, doc};
use zeroize::Zeroizing;

use crate::{EncryptedDirectory, IndexKey};

/// Of one writer's thread: the least that the library takes.
const MEMORY: usize = 15_000_000;

/// A directory whose process dies after a number of steps that change the disk.
#[derive(Clone, Debug)]
struct Crashing {
    directory: EncryptedDirectory,
    left: Arc<AtomicUsize>,
}

impl Crashing {
    fn step(&self) -> io::Result<()> {
        step(&self.left)
    }
}

fn step(left: &AtomicUsize) -> io::Result<()> {
    let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    taken.map(drop).map_err(|_| io::Error::other("crashed"))
}

struct CrashingWriter(WritePtr, Arc<AtomicUsize>);

impl Write for CrashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        step(&self.1)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl TerminatingWrite for CrashingWriter {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        step(&self.1)?;
        self.0.terminate_ref(token)
    }
}

impl Directory for Crashing {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.directory.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let failed = |error| DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() };
        self.step().map_err(failed)?;
        self.directory.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.directory.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.step().map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))?;
        let writer = self.directory.open_write(path)?;
        Ok(BufWriter::new(Box::new(CrashingWriter(writer, self.left.clone()))))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.directory.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        if let Err(error) = self.step() {
            // The crash may come before the new file has its name.
            std::fs::write(self.directory.path().join("meta.json.new"), b"half")?;
            return Err(error);
        }
        self.directory.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.step()?;
        self.directory.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.directory.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.directory.watch(callback)
    }
}

fn directory(path: &Path) -> EncryptedDirectory {
    let key = IndexKey::new(Zeroizing::new([7; IndexKey::BYTES]));
    EncryptedDirectory::open(path.join("index"), key).unwrap()
}

fn schema() -> Schema {
    let mut schema = Schema::builder();
    schema.add_text_field("text", TEXT);
    schema.build()
}

/// Commits one document more, and takes the first away with the third.
fn add(directory: impl Directory, n: u64) -> tantivy::Result<()> {
    let index = Index::open_or_create(directory, schema())?;
    let text = index.schema().get_field("text")?;
    let mut writer: IndexWriter = index.writer_with_num_threads(1, MEMORY)?;
    writer.add_document(doc!(text => format!("every number{n}")))?;
    if n == 2 {
        writer.delete_term(Term::from_field_text(text, "number0"));
    }
    writer.commit()?;
    writer.wait_merging_threads()
}

fn found(directory: impl Directory, word: &str) -> usize {
    let index = Index::open(directory).unwrap();
    let text = index.schema().get_field("text").unwrap();
    let query = TermQuery::new(Term::from_field_text(text, word), IndexRecordOption::Basic);
    index.reader().unwrap().searcher().search(&query, &Count).unwrap()
}

#[test]
fn a_crash_between_any_two_writes_leaves_an_index_that_opens_and_goes_on() {
    let before = tempfile::tempdir().unwrap();
    for n in 0..2 {
        add(directory(before.path()), n).unwrap();
    }
    for steps in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let directory = directory(dir.path());
        for entry in std::fs::read_dir(before.path().join("index")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
        }
        let left = Arc::new(AtomicUsize::new(steps));
        let crashing = Crashing { directory: directory.clone(), left: left.clone() };
        let ended = add(crashing, 2);
        // The third is there, and the first gone, or neither.
        let is_there = found(directory.clone(), "number2");
        assert_eq!(found(directory.clone(), "number0"), 1 - is_there, "after {steps} steps");
        assert_eq!(found(directory.clone(), "every"), 2, "after {steps} steps");

        add(directory.clone(), 3).unwrap();
        assert_eq!(found(directory, "every"), 3, "after {steps} steps");
        if ended.is_ok() && left.load(Ordering::SeqCst) > 0 {
            assert!(steps > 5 && is_there == 1, "{steps} steps");
            return;
        }
    }
}

#[test]
fn an_index_holds_no_word_of_its_documents_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let directory = directory(dir.path());
    add(directory.clone(), 0).unwrap();
    assert_eq!(found(directory.clone(), "every"), 1);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for word in ["every", "number0", "segment"] {
            assert!(!bytes.windows(word.len()).any(|bytes| bytes == word.as_bytes()), "{word}");
        }
    }
}
