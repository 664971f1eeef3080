//! Files and folders that a client has open.

use keyward_ssh::sftp::{Sum, Summed, open, status};
use keyward_trail::{FileDigest, FileEvent, FileOutcome};

/// How something is to be opened.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// As a record shows it.
    pub(super) path: Vec<u8>,
    pub(super) mode: Mode,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    Folder,
    /// With the bits of `SSH_FXP_OPEN`.
    File(u32),
}

impl Mode {
    /// A file that is not opened for writing is opened for reading, whatever the client says: servers read no bits as
    /// that too.
    pub(super) fn reads(self) -> bool {
        matches!(self, Self::File(flags) if flags & open::READ != 0 || flags & open::WRITE == 0)
    }

    /// What it is opened for, in one word.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Folder => "list",
            Self::File(_) if self.writes() => "upload",
            Self::File(_) => "download",
        }
    }

    pub(super) fn writes(self) -> bool {
        const ANY: u32 = open::WRITE | open::APPEND | open::CREATE | open::TRUNCATE;
        matches!(self, Self::File(flags) if flags & ANY != 0)
    }
}

/// What is open, and what has moved so far.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) opening: Opening,
    pub(super) read: Sum,
    pub(super) written: Sum,
    /// What the target has said of a read or a write that failed.
    pub(super) failed: Option<u32>,
}

/// Servers then write at the end, whatever place a client names.
const APPENDED: &str = "the file was opened to append to it";

impl Opened {
    pub(super) fn new(opening: Opening) -> Self {
        let mut written = Sum::default();
        if matches!(opening.mode, Mode::File(flags) if flags & open::APPEND != 0) {
            written.spoil(APPENDED);
        }
        Self { opening, read: Sum::default(), written, failed: None }
    }

    /// Takes note of how a read or a write ended.
    pub(super) fn told(&mut self, code: u32) {
        if !matches!(code, status::OK | status::EOF) {
            self.failed.get_or_insert(code);
        }
    }

    /// What was done with it, at its end. Folders were read when they were opened.
    pub(super) fn events(self, outcome: FileOutcome<'static>) -> impl Iterator<Item = FileEvent<'static>> {
        let Self { opening: Opening { path, mode }, read, written, failed } = self;
        let outcome = match (outcome, failed) {
            (FileOutcome::Done, Some(code)) => FileOutcome::Failed(status::words(code).into()),
            (outcome, _) => outcome,
        };
        let down = mode.reads() && (read.bytes() > 0 || !mode.writes());
        let moved = [("upload", mode.writes(), written), ("download", down, read)];
        moved.into_iter().filter(|(_, is, _)| *is).map(move |(operation, _, sum)| FileEvent {
            operation: operation.into(),
            path: path.clone().into(),
            other: None,
            flags: match mode {
                Mode::File(flags) => flags,
                Mode::Folder => 0,
            },
            size: Some(sum.bytes()),
            outcome: outcome.clone(),
            digest: Some(digest(sum)),
        })
    }
}

pub(crate) fn digest(sum: Sum) -> FileDigest<'static> {
    match sum.finish() {
        Summed::Sha256(digest) => FileDigest::Sha256(digest),
        Summed::Without(why) => FileDigest::Without(why.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_read_or_written_follows_from_all_the_bits() {
        use open::{APPEND, CREATE, READ, TRUNCATE, WRITE};
        let may = |flags| (Mode::File(flags).reads(), Mode::File(flags).writes());
        assert_eq!(may(READ), (true, false));
        assert_eq!(may(0), (true, false));
        assert_eq!(may(WRITE), (false, true));
        assert_eq!(may(WRITE | CREATE | TRUNCATE), (false, true));
        assert_eq!(may(READ | WRITE), (true, true));
        assert_eq!(may(READ | TRUNCATE), (true, true));
        assert_eq!(may(CREATE), (true, true));
        assert_eq!(may(APPEND), (true, true));
    }
}
