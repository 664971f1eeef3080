//! The policy document as a file that people and programs change while the gateway runs.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks. A change counts when two looks in a row have seen the same, so it takes effect within a second.
const PERIOD: Duration = Duration::from_millis(250);

/// Looks whether the document is another one than that which was read.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    /// What was read, or given to be read.
    read: Option<Stamp>,
    /// What the last look saw.
    seen: Option<Stamp>,
}

impl Watched {
    /// From before the document is read: what changes meanwhile is a change then.
    pub(crate) fn new(path: &Path) -> Self {
        let now = std::fs::metadata(path).ok().map(|found| Stamp::of(&found));
        Self { path: path.to_owned(), read: now, seen: now }
    }

    /// Waits until the document was changed and nobody writes it any more: half of a document may be a sound one. A
    /// document that is gone is waited for. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let now = tokio::fs::metadata(&self.path).await.ok().map(|found| Stamp::of(&found));
            let is_settled = now.is_some() && now == self.seen;
            self.seen = now;
            if is_settled && now != self.read {
                self.read = now;
                return;
            }
        }
    }

    /// It is being read as it is, for another reason.
    pub(crate) async fn is_read(&mut self) {
        self.read = tokio::fs::metadata(&self.path).await.ok().map(|found| Stamp::of(&found));
    }
}

/// What no write and no other file in its place leaves as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            file: (found.dev(), found.ino()),
            length: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn is_changed(document: &mut Watched) -> bool {
        tokio::time::timeout(PERIOD * 8, document.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn what_was_read_is_no_change_and_each_change_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        fs::write(&path, "one").unwrap();
        let mut document = Watched::new(&path);
        assert!(!is_changed(&mut document).await, "nobody has changed it");
        fs::write(&path, "two").unwrap();
        document.changed().await;
        assert!(!is_changed(&mut document).await, "it was told before");
        fs::write(&path, "six").unwrap();
        document.is_read().await;
        assert!(!is_changed(&mut document).await, "it was read meanwhile");
    }

    #[tokio::test]
    async fn another_file_in_its_place_is_a_change_and_a_gap_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("policy.toml"), folder.path().join("new.toml"));
        fs::write(&path, "same").unwrap();
        fs::write(&new, "same").unwrap();
        let mut document = Watched::new(&path);
        fs::remove_file(&path).unwrap();
        assert!(!is_changed(&mut document).await, "there is nothing to read");
        fs::rename(&new, &path).unwrap();
        document.changed().await;
    }

    #[tokio::test]
    async fn nothing_is_told_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        fs::write(&path, "").unwrap();
        let mut document = Watched::new(&path);
        let mut text = String::new();
        let writing = async {
            for _ in 0..20 {
                text.push_str("line\n");
                fs::write(&path, &text).unwrap();
                tokio::time::sleep(PERIOD / 5).await;
            }
        };
        tokio::select! {
            biased;
            () = document.changed() => panic!("told while it was written"),
            () = writing => {}
        }
        document.changed().await;
    }
}
