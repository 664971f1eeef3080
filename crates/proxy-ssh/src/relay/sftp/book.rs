//! What the relay knows of one sftp channel: requests that wait for their answers, and what is open.

use std::collections::HashMap;

use keyward_policy::{FileOperation, FileRules};
use keyward_ssh::sftp::{Fault, status};
use keyward_trail::{FileEvent, FileOutcome};

use super::opened::{Mode, Opened, Opening};
use super::path;

/// Requests that wait for an answer. OpenSSH's client has 64.
const MOST_WAITING: usize = 4096;
/// Files and folders that are open, or are about to be.
const MOST_OPEN: usize = 1024;
/// Bytes of paths and handles that are kept for both.
const MOST_BYTES: usize = 256 * 1024;
/// Bytes of paths in what is refused of one message. A message has few of its own, but each path that it names may have
/// a long start.
const MOST_REFUSED: usize = 1024 * 1024;

/// In which order a server reads the names of a symbolic link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LinkOrder {
    /// As OpenSSH does, other than the draft: first what the link leads to.
    TargetFirst,
    Unknown,
}

#[derive(Debug)]
pub(super) struct Book {
    pub(super) rules: FileRules,
    pub(super) order: LinkOrder,
    /// Where relative paths begin, once the target has said so.
    pub(super) start: Option<Vec<u8>>,
    waiting: HashMap<u32, Waiting>,
    handles: HashMap<Box<[u8]>, FileId>,
    open: HashMap<FileId, Opened>,
    opening: usize,
    bytes: usize,
    next: u64,
    /// Operations that have ended, to be recorded.
    pub(super) done: Vec<FileEvent<'static>>,
    /// Bytes of paths in those of them that never went on, for which [`MOST_BYTES`] does not hold.
    refused: usize,
}

/// The relay's own name for what is open: a handle may be given again when it was closed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct FileId(u64);

/// What an answer will be about.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A request that was not let through: whatever the target says, the client hears this.
    Refused(u32),
    Open(Box<Opening>),
    /// From this place of the file.
    Read(FileId, u64),
    Write(FileId),
    Close(FileId),
    /// Where relative paths begin.
    Start,
    /// To be recorded with its outcome.
    Operation(Box<FileEvent<'static>>),
    Nothing,
}

impl Book {
    pub(super) fn new(rules: FileRules, order: LinkOrder) -> Self {
        Self {
            rules,
            order,
            start: None,
            waiting: HashMap::new(),
            handles: HashMap::new(),
            open: HashMap::new(),
            opening: 0,
            bytes: 0,
            next: 0,
            done: Vec::new(),
            refused: 0,
        }
    }

    /// Whether there is room for one more request, and for what a record will tell of it.
    pub(super) fn has_turn(&self) -> Result<(), Fault> {
        match self.waiting.len() < MOST_WAITING && self.refused < MOST_REFUSED {
            true => Ok(()),
            false => Err(Fault::TooManyRequests),
        }
    }

    /// A request goes on under this number. It [has a turn](Self::has_turn).
    pub(super) fn expect(&mut self, number: u32, waiting: Waiting) -> Result<(), Fault> {
        self.bytes += waiting.bytes();
        self.opening += usize::from(matches!(waiting, Waiting::Open(_)));
        match self.waiting.insert(number, waiting) {
            None => Ok(()),
            Some(_) => Err(Fault::SameNumber),
        }
    }

    pub(super) fn waits(&self, number: u32) -> Option<&Waiting> {
        self.waiting.get(&number)
    }

    /// The answer has come.
    pub(super) fn answered(&mut self, number: u32) -> Result<Waiting, Fault> {
        let waiting = self.waiting.remove(&number).ok_or(Fault::Unasked)?;
        self.bytes -= waiting.bytes();
        self.opening -= usize::from(matches!(waiting, Waiting::Open(_)));
        Ok(waiting)
    }

    /// An operation has ended before it went on.
    pub(super) fn turned_away(&mut self, event: FileEvent<'static>) {
        self.refused += event_bytes(&event);
        self.done.push(event);
    }

    /// What has ended since the last look.
    pub(super) fn take_done(&mut self) -> Vec<FileEvent<'static>> {
        self.refused = 0;
        std::mem::take(&mut self.done)
    }

    /// Whether there is room for paths of so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= MOST_BYTES
    }

    /// Whether one more may be opened.
    pub(super) fn may_open(&self) -> bool {
        self.open.len() + self.opening < MOST_OPEN
    }

    /// The target has opened it. A folder is as good as read.
    pub(super) fn opened(&mut self, handle: &[u8], opening: Opening) -> Result<(), Fault> {
        if opening.mode == Mode::Folder {
            self.done.push(event("list", opening.path.clone(), None));
        }
        let id = FileId(self.next);
        self.next += 1;
        self.bytes += opening.path.len();
        if self.handles.insert(handle.into(), id).is_some() {
            return Err(Fault::SameHandle);
        }
        self.open.insert(id, Opened::new(opening));
        Ok(())
    }

    /// The target has not.
    pub(super) fn not_opened(&mut self, opening: Opening, code: u32) {
        let event = event(opening.mode.operation(), opening.path, None);
        self.done.push(FileEvent { outcome: outcome(code), ..event });
    }

    pub(super) fn by_handle(&mut self, handle: &[u8]) -> Option<(FileId, &mut Opened)> {
        let id = *self.handles.get(handle)?;
        self.open.get_mut(&id).map(|opened| (id, opened))
    }

    pub(super) fn by_id(&mut self, id: FileId) -> Option<&mut Opened> {
        self.open.get_mut(&id)
    }

    /// A file gets another size, under whichever handles it is open.
    pub(super) fn resized(&mut self, path: &[u8], size: u64) {
        let of_it = self.open.values_mut().filter(|opened| opened.opening.path == path);
        for opened in of_it {
            opened.written.resized(size);
        }
    }

    /// The client uses the handle no more; the target may give it again.
    pub(super) fn give_up(&mut self, handle: &[u8]) -> Option<FileId> {
        self.handles.remove(handle)
    }

    /// The target has closed it.
    pub(super) fn closed(&mut self, id: FileId, outcome: FileOutcome<'static>) {
        let Some(opened) = self.open.remove(&id) else { return };
        self.bytes -= opened.opening.path.len();
        self.done.extend(opened.events(outcome));
    }

    /// The channel has ended: what has not is recorded as that.
    pub(super) fn finish(&mut self) {
        for (_, waiting) in self.waiting.drain() {
            if let Waiting::Operation(event) = waiting {
                self.done.push(FileEvent { outcome: FileOutcome::Unfinished, ..*event });
            }
        }
        for (_, opened) in self.open.drain() {
            self.done.extend(opened.events(FileOutcome::Unfinished));
        }
        self.handles.clear();
    }

    /// Where a path leads, as the policy has it.
    pub(super) fn place(&self, path: &[u8]) -> Option<Vec<u8>> {
        path::absolute(path, self.start.as_deref())
    }

    /// Whether an operation is allowed. What cannot be judged is not.
    pub(super) fn may(&self, operation: FileOperation, place: Option<&[u8]>) -> bool {
        !self.rules.judge() || place.is_some_and(|place| self.rules.allow(operation, place))
    }
}

impl Waiting {
    fn bytes(&self) -> usize {
        match self {
            Self::Open(opening) => opening.path.len(),
            Self::Operation(event) => event_bytes(event),
            Self::Refused(_)
            | Self::Read(..)
            | Self::Write(_)
            | Self::Close(_)
            | Self::Start
            | Self::Nothing => 0,
        }
    }
}

/// Bytes of paths.
pub(super) fn event_bytes(event: &FileEvent<'_>) -> usize {
    event.path.len() + event.other.as_ref().map_or(0, |other| other.len())
}

/// What a status of the target means for a record.
pub(super) fn outcome(code: u32) -> FileOutcome<'static> {
    match code {
        status::OK => FileOutcome::Done,
        code => FileOutcome::Failed(status::words(code).into()),
    }
}

/// An operation that has no size.
pub(super) fn event(operation: &'static str, path: Vec<u8>, other: Option<Vec<u8>>) -> FileEvent<'static> {
    FileEvent {
        operation: operation.into(),
        path: path.into(),
        other: other.map(Into::into),
        flags: 0,
        size: None,
        outcome: FileOutcome::Done,
        digest: None,
    }
}
