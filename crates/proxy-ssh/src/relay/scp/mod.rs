//! The protocol of scp before it spoke sftp: lines that name files and folders, the bytes of files, and an answer to each
//! from the side that writes them. It has no specification; OpenSSH's scp is what others follow.
//!
//! Nothing is held: a line does nothing before its end, so a packet goes on once all of it has been judged.

mod command;
mod place;
mod reply;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use keyward_policy::{FileOperation, FileRules};
use keyward_ssh::sftp::Sum;
use keyward_trail::{FileEvent, FileOutcome};

pub(crate) use command::{Command, Role};
use place::{Places, Record};
use reply::{Replies, Reply};

use super::sftp::digest;

/// Follows one channel.
#[derive(Debug)]
pub(crate) struct Watcher {
    rules: FileRules,
    command: Command,
    places: Places,
    reading: Reading,
    line: Vec<u8>,
    replies: Replies,
    /// What the answers will be about.
    waiting: VecDeque<About>,
    /// The answer about the end of a file that has come before the end: PuTTY answers once it has all its bytes.
    early: Option<Reply>,
    /// Folders whose answer has not come.
    folders: VecDeque<FileEvent<'static>>,
    moving: Option<Moving>,
    done: Vec<FileEvent<'static>>,
}

/// Why a channel cannot go on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ScpFault {
    #[error("{operation} of {path} is not allowed here")]
    NotAllowed { operation: FileOperation, path: String },
    #[error("a line is no line of scp")]
    Line,
    #[error("a line or a path is too long")]
    TooLong,
    #[error("something came before its turn")]
    OutOfTurn,
}

/// What comes next from the side that has the files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    Line,
    /// So many bytes of a file.
    Data(u64),
    /// Whether the file was read without an error.
    Status,
    /// Why it was not.
    Complaint,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum About {
    /// The start, a time, the end of a folder.
    Other,
    FolderBegins,
    FileBegins,
    FileEnds,
}

/// A file on its way.
#[derive(Debug)]
struct Moving {
    event: FileEvent<'static>,
    sum: Sum,
}

/// A line's bytes. OpenSSH cuts longer ones than 2,047, and takes the rest for another line.
const LONGEST_LINE: usize = 1024;
/// Answers that have not come. Well-behaved sides wait for each.
const MOST_WAITING: usize = 1024;

impl Watcher {
    pub(crate) fn new(command: Command, rules: FileRules) -> Self {
        Self {
            rules,
            places: Places::new(&command),
            command,
            reading: Reading::Line,
            line: Vec::new(),
            replies: Replies::default(),
            waiting: [About::Other].into(),
            early: None,
            folders: VecDeque::new(),
            moving: None,
            done: Vec::new(),
        }
    }

    /// Data of the client. After an error the channel cannot go on, and this data neither.
    pub(crate) fn up(&mut self, data: &[u8]) -> Result<(), ScpFault> {
        match self.command.role {
            Role::Upload => self.source(data),
            Role::Download => self.sink(data),
        }
    }

    /// Data of the target. After an error the channel cannot go on, and this data neither.
    pub(crate) fn down(&mut self, data: &[u8]) -> Result<(), ScpFault> {
        match self.command.role {
            Role::Upload => self.sink(data),
            Role::Download => self.source(data),
        }
    }

    /// What has ended since the last look.
    pub(crate) fn done(&mut self) -> Vec<FileEvent<'static>> {
        std::mem::take(&mut self.done)
    }

    /// The channel has ended.
    pub(crate) fn finish(&mut self) {
        self.ended(FileOutcome::Unfinished);
        let folders = self.folders.drain(..);
        self.done.extend(folders.map(|event| FileEvent { outcome: FileOutcome::Unfinished, ..event }));
    }

    /// From the side that has the files.
    fn source(&mut self, mut data: &[u8]) -> Result<(), ScpFault> {
        while let Some((&first, rest)) = data.split_first() {
            // Whoever does not wait may have its data taken for lines, so then nothing could be judged.
            if self.rules.judge() && !self.waiting.is_empty() {
                return Err(ScpFault::OutOfTurn);
            }
            data = match self.reading {
                Reading::Line | Reading::Complaint => self.piece_of_line(data)?,
                Reading::Data(left) => self.piece_of_file(data, left),
                Reading::Status => {
                    if first == 0 {
                        self.file_ends()?;
                    } else {
                        self.reading = Reading::Complaint;
                    }
                    rest
                }
            };
        }
        Ok(())
    }

    fn piece_of_file<'d>(&mut self, data: &'d [u8], left: u64) -> &'d [u8] {
        let end = usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
        let (piece, rest) = data.split_at(end);
        if let Some(moving) = &mut self.moving {
            moving.sum.update(piece);
        }
        self.reading = match left.saturating_sub(piece.len() as u64) {
            0 => Reading::Status,
            left => Reading::Data(left),
        };
        rest
    }

    fn piece_of_line<'d>(&mut self, data: &'d [u8]) -> Result<&'d [u8], ScpFault> {
        let end = data.iter().position(|&byte| byte == b'\n');
        let (piece, rest) = data.split_at(end.map_or(data.len(), |end| end + 1));
        // Before its end: what waits for one could be another protocol.
        let begins = self.line.is_empty() && self.reading == Reading::Line;
        if begins && !piece.first().is_some_and(|first| b"CDET\x01\x02".contains(first)) {
            return Err(ScpFault::Line);
        }
        if self.line.len() + piece.len() > LONGEST_LINE {
            return Err(ScpFault::TooLong);
        }
        self.line.extend_from_slice(piece);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            match self.reading {
                Reading::Complaint => self.complained(line)?,
                _ => self.whole_line(line)?,
            }
        }
        Ok(rest)
    }

    /// The file could not be read to its end. Its other side answers all the same.
    fn complained(&mut self, line: &[u8]) -> Result<(), ScpFault> {
        if let Some(moving) = &mut self.moving {
            moving.event.outcome = FileOutcome::Failed(words(line));
        }
        self.file_ends()
    }

    fn file_ends(&mut self) -> Result<(), ScpFault> {
        self.reading = Reading::Line;
        match self.early.take() {
            Some(reply) => self.answered(About::FileEnds, reply),
            None => self.expect(About::FileEnds),
        }
    }

    fn whole_line(&mut self, line: &[u8]) -> Result<(), ScpFault> {
        match Record::parse(line).ok_or(ScpFault::Line)? {
            Record::Times => self.expect(About::Other),
            Record::End => {
                self.places.leave().ok_or(ScpFault::OutOfTurn)?;
                self.expect(About::Other)
            }
            // Nobody answers to it.
            Record::Error(text) => {
                let event = self.places.event(self.operation(), None);
                self.done.push(FileEvent { outcome: FileOutcome::Failed(words(text)), ..event });
                Ok(())
            }
            Record::Folder(name) => {
                let operation = match self.command.role {
                    Role::Upload => FileOperation::MakeDirectory,
                    Role::Download => FileOperation::List,
                };
                self.judge(operation, name)?;
                self.folders.push_back(self.places.event(operation, Some(name)));
                self.places.enter(name).ok_or(ScpFault::TooLong)?;
                self.expect(About::FolderBegins)
            }
            Record::File { name, size } => {
                let operation = self.operation();
                self.judge(operation, name)?;
                self.ended(FileOutcome::Unfinished);
                let mut sum = Sum::default();
                sum.at(0);
                self.moving = Some(Moving { event: self.places.event(operation, Some(name)), sum });
                self.reading = if size == 0 { Reading::Status } else { Reading::Data(size) };
                self.expect(About::FileBegins)
            }
        }
    }

    fn operation(&self) -> FileOperation {
        match self.command.role {
            Role::Upload => FileOperation::Upload,
            Role::Download => FileOperation::Download,
        }
    }

    /// All places where something of this name may lie must be allowed.
    fn judge(&mut self, operation: FileOperation, name: &[u8]) -> Result<(), ScpFault> {
        let may = |place: &Vec<u8>| self.rules.allow(operation, place);
        if !self.rules.judge() || self.places.of(name).is_some_and(|places| places.iter().all(may)) {
            return Ok(());
        }
        let event = self.places.event(operation, Some(name));
        let path = String::from_utf8_lossy(&event.path).escape_debug().to_string();
        self.done.push(FileEvent { outcome: FileOutcome::Refused, ..event });
        Err(ScpFault::NotAllowed { operation, path })
    }

    fn expect(&mut self, about: About) -> Result<(), ScpFault> {
        if self.waiting.len() >= MOST_WAITING {
            return Err(ScpFault::OutOfTurn);
        }
        self.waiting.push_back(about);
        Ok(())
    }

    /// From the side that writes the files.
    fn sink(&mut self, data: &[u8]) -> Result<(), ScpFault> {
        for &byte in data {
            if self.rules.judge() && self.replies.begins() && byte > 2 {
                return Err(ScpFault::Line);
            }
            let Some(reply) = self.replies.feed(byte)? else { continue };
            match self.waiting.pop_front() {
                Some(about) => self.answered(about, reply)?,
                None if self.is_at_the_end_of_a_file() && self.early.is_none() => self.early = Some(reply),
                None if self.rules.judge() => return Err(ScpFault::OutOfTurn),
                None => {}
            }
        }
        Ok(())
    }

    /// All of its bytes have come.
    fn is_at_the_end_of_a_file(&self) -> bool {
        matches!(self.reading, Reading::Status | Reading::Complaint)
    }

    fn answered(&mut self, about: About, reply: Reply) -> Result<(), ScpFault> {
        match (about, reply) {
            (About::FolderBegins, Reply::Yes) => self.done.extend(self.folders.pop_front()),
            // It is not entered: what comes next is beside it.
            (About::FolderBegins, Reply::No(why)) => {
                self.places.leave();
                let event = self.folders.pop_front();
                let outcome = FileOutcome::Failed(words(&why));
                self.done.extend(event.map(|event| FileEvent { outcome, ..event }));
            }
            (About::FileBegins, Reply::No(why)) => {
                // It takes no data, so none may have come.
                if self.moving.as_ref().is_some_and(|moving| moving.sum.bytes() > 0) {
                    return Err(ScpFault::OutOfTurn);
                }
                self.reading = Reading::Line;
                self.ended(FileOutcome::Failed(words(&why)));
            }
            (About::FileEnds, Reply::No(why)) => self.ended(FileOutcome::Failed(words(&why))),
            (About::FileEnds, Reply::Yes) => self.ended(FileOutcome::Done),
            (About::Other | About::FileBegins, _) => {}
        }
        Ok(())
    }

    fn ended(&mut self, outcome: FileOutcome<'static>) {
        let Some(Moving { event, sum }) = self.moving.take() else { return };
        let outcome = match event.outcome {
            FileOutcome::Done => outcome,
            before => before,
        };
        self.done.push(FileEvent { outcome, size: Some(sum.bytes()), digest: Some(digest(sum)), ..event });
    }
}

/// A complaint of either side, for a record.
fn words(text: &[u8]) -> std::borrow::Cow<'static, str> {
    const MOST: usize = 200;
    let text = text.trim_ascii_start();
    String::from_utf8_lossy(text.get(..MOST).unwrap_or(text)).into_owned().into()
}
