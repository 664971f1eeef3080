//! One file that was moved, as it is put together.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::folder::Folder;
use super::pieces::Pieces;

/// What a file is, apart from its bytes.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) channel: u32,
    /// When it was opened, since the start of the session.
    pub(super) at: Duration,
    pub(super) protocol: &'static str,
    /// `upload` or `download`.
    pub(super) operation: &'static str,
    /// As the client wrote it.
    pub(super) path: Vec<u8>,
}

/// What is between the bytes that were moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Between {
    /// The file was empty before: zeros.
    Zeros,
    /// What the file had there before, which nobody knows.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Output {
    about: About,
    between: Between,
    /// `None`: there were too many files.
    file: Option<(String, File)>,
    /// The file's byte that is the first one here.
    start: u64,
    end: u64,
    moved: u64,
    pieces: Pieces,
    lacks: Option<&'static str>,
}

/// A file to which nothing is added any more.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) about: About,
    /// What it gets if it is whole. `None`: there is no file.
    pub(super) name: Option<String>,
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) sha256: Option<[u8; 32]>,
    /// Why it is not whole; `None`: as far as the protocol shows, it is.
    pub(super) lacks: Option<&'static str>,
}

impl Output {
    pub(super) fn begin(folder: &mut Folder, about: About, between: Between) -> anyhow::Result<Self> {
        let file = folder.file(&about.path)?;
        let lacks = file.is_none().then_some("too many files, or too many at one time");
        let (pieces, start, end, moved) = (Pieces::default(), 0, 0, 0);
        Ok(Self { about, between, file, start, end, moved, pieces, lacks })
    }

    /// Bytes of the file from `at` on. What lies too far from the rest is left out, and the file is not whole.
    pub(super) fn put(&mut self, folder: &mut Folder, at: u64, bytes: &[u8]) -> anyhow::Result<()> {
        let Some((name, file)) = &self.file else { return Ok(()) };
        if bytes.is_empty() {
            return Ok(());
        }
        folder.allowance.moved(bytes.len());
        self.moved += bytes.len() as u64;
        // A transfer that goes on where another one ended.
        if self.moved == bytes.len() as u64 && self.between == Between::Unknown && !folder.allowance.takes(at)
        {
            self.start = at;
            self.lacks.get_or_insert("what comes before its start was not moved");
        }
        let Some(from) = at.checked_sub(self.start) else {
            self.lacks.get_or_insert("bytes before its start are left out");
            return Ok(());
        };
        let hole = from.saturating_sub(self.end);
        let end = from.checked_add(bytes.len() as u64).filter(|_| hole == 0 || folder.allowance.takes(hole));
        let Some(end) = end else {
            self.lacks.get_or_insert("bytes that are far from all others are left out");
            return Ok(());
        };
        file.write_all_at(bytes, from).with_context(|| format!("{name} cannot be written"))?;
        self.end = self.end.max(end);
        if self.pieces.add(from, end).is_err() {
            self.lacks.get_or_insert("its pieces are too many");
        }
        Ok(())
    }

    /// The file was cut, or made longer.
    pub(super) fn resized(&mut self, folder: &mut Folder, size: u64) -> anyhow::Result<()> {
        let Some((name, file)) = &self.file else { return Ok(()) };
        let size = size.saturating_sub(self.start);
        if size > self.end && !folder.allowance.takes(size - self.end) {
            self.lacks.get_or_insert("it was made longer by more than can be shown");
            return Ok(());
        }
        file.set_len(size).with_context(|| format!("{name} cannot be written"))?;
        self.pieces.cut(size);
        self.end = size;
        Ok(())
    }

    /// The first reason counts.
    pub(super) fn lack(&mut self, why: &'static str) {
        self.lacks.get_or_insert(why);
    }

    /// The file's last byte that was moved, and one more.
    pub(super) fn end(&self) -> u64 {
        self.start + self.end
    }

    pub(super) fn end_here(mut self, folder: &mut Folder) -> anyhow::Result<Ended> {
        if self.between == Between::Unknown && !self.pieces.are_all_of(self.end) {
            self.lack("not all of it was moved");
        }
        let mut ended = Ended {
            about: self.about,
            name: None,
            start: self.start,
            size: self.end,
            sha256: None,
            lacks: self.lacks,
        };
        if let Some((name, file)) = self.file {
            folder.closed();
            ended.sha256 = Some(sum(file).with_context(|| format!("{name} cannot be read"))?);
            ended.name = Some(name);
        }
        Ok(ended)
    }
}

/// Of the file as it is, since its bytes may have come in any order.
fn sum(mut file: File) -> io::Result<[u8; 32]> {
    file.seek(SeekFrom::Start(0))?;
    let (mut sum, mut buffer) = (Sha256::new(), vec![0; 256 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sum.finalize().into()),
            count => sum.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(between: Between, pieces: &[(u64, &[u8])]) -> (Ended, Vec<u8>) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new");
        let mut folder = Folder::make(&path).unwrap();
        let (channel, at, path_there) = (0, Duration::ZERO, b"/srv/x".to_vec());
        let about = About { channel, at, protocol: "sftp", operation: "upload", path: path_there };
        let mut output = Output::begin(&mut folder, about, between).unwrap();
        for (at, bytes) in pieces {
            output.put(&mut folder, *at, bytes).unwrap();
        }
        let ended = output.end_here(&mut folder).unwrap();
        (ended, std::fs::read(path.join("x.partial")).unwrap())
    }

    #[test]
    fn pieces_in_any_order_and_over_each_other_make_the_file() {
        let (ended, bytes) = put(Between::Unknown, &[(4, b"efgh"), (0, b"abXX"), (2, b"cd")]);
        assert_eq!((ended.lacks, bytes.as_slice()), (None, b"abcdefgh".as_slice()));
        assert_eq!(ended.sha256, Some(Sha256::digest(b"abcdefgh").into()));
    }

    #[test]
    fn what_was_not_moved_is_zeros_only_where_the_file_was_empty() {
        let pieces: &[(u64, &[u8])] = &[(0, b"ab"), (4, b"c")];
        assert_eq!(put(Between::Zeros, pieces).0.lacks, None);
        let (ended, bytes) = put(Between::Unknown, pieces);
        assert_eq!((ended.lacks.is_some(), bytes.as_slice()), (true, b"ab\0\0c".as_slice()));
    }

    #[test]
    fn an_offset_beyond_all_that_was_moved_makes_no_file_of_that_size() {
        for far in [1 << 40, 1 << 60, i64::MAX as u64, u64::MAX] {
            for between in [Between::Zeros, Between::Unknown] {
                let (ended, bytes) = put(between, &[(0, b"ab"), (far, b"c")]);
                assert!(ended.lacks.is_some(), "{far}");
                assert_eq!(bytes, b"ab", "{far}");
            }
        }
    }

    #[test]
    fn a_transfer_that_goes_on_far_behind_the_start_begins_there() {
        let (ended, bytes) = put(Between::Unknown, &[(1 << 40, b"ab"), ((1 << 40) + 2, b"c"), (0, b"no")]);
        assert_eq!((ended.start, ended.lacks.is_some()), (1 << 40, true));
        assert_eq!(bytes, b"abc");
    }
}
