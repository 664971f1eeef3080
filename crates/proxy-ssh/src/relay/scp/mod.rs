//! A channel of scp's own protocol, followed, judged and recorded; the codec is `ssh`'s.
//!
//! Nothing is held: a line does nothing before its end, so a packet goes on once all of it has been judged.

mod command;
mod place;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use keyward_policy::{FileOperation, FileRules};
use keyward_ssh::scp::{Fault, Piece, Record, Replies, Reply, Role, Source};
use keyward_ssh::sftp::Sum;
use keyward_trail::{FileEvent, FileOutcome};

pub(crate) use command::Command;
use place::Places;

use super::sftp::digest;

/// Follows one channel.
#[derive(Debug)]
pub(crate) struct Watcher {
    rules: FileRules,
    command: Command,
    places: Places,
    source: Source,
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
    #[error(transparent)]
    Protocol(#[from] Fault),
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

/// Answers that have not come. Well-behaved sides wait for each.
const MOST_WAITING: usize = 1024;

impl Watcher {
    pub(crate) fn new(command: Command, rules: FileRules) -> Self {
        Self {
            rules,
            places: Places::new(&command),
            command,
            source: Source::default(),
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
        while !data.is_empty() {
            // Whoever does not wait may have its data taken for lines, so then nothing could be judged.
            if self.rules.judge() && !self.waiting.is_empty() {
                return Err(Fault::OutOfTurn.into());
            }
            let Some((piece, rest)) = self.source.next(data)? else { break };
            data = rest;
            match piece {
                Piece::PartOfLine => {}
                Piece::Record(record) => self.named(record)?,
                Piece::Bytes(bytes) => {
                    if let Some(moving) = &mut self.moving {
                        moving.sum.update(bytes);
                    }
                }
                Piece::FileEnds => self.file_ends()?,
                // Its other side answers all the same.
                Piece::FileFails(why) => {
                    if let Some(moving) = &mut self.moving {
                        moving.event.outcome = FileOutcome::Failed(words(&why));
                    }
                    self.file_ends()?;
                }
            }
        }
        Ok(())
    }

    fn file_ends(&mut self) -> Result<(), ScpFault> {
        match self.early.take() {
            Some(reply) => self.answered(About::FileEnds, reply),
            None => self.expect(About::FileEnds),
        }
    }

    fn named(&mut self, record: Record) -> Result<(), ScpFault> {
        match record {
            Record::Times => self.expect(About::Other),
            Record::End => {
                self.places.leave().ok_or(Fault::OutOfTurn)?;
                self.expect(About::Other)
            }
            // Nobody answers to it.
            Record::Error(text) => {
                let event = self.places.event(self.operation(), None);
                self.done.push(FileEvent { outcome: FileOutcome::Failed(words(&text)), ..event });
                Ok(())
            }
            Record::Folder(name) => {
                let operation = match self.command.role {
                    Role::Upload => FileOperation::MakeDirectory,
                    Role::Download => FileOperation::List,
                };
                self.judge(operation, &name)?;
                self.folders.push_back(self.places.event(operation, Some(&name)));
                self.places.enter(&name).ok_or(Fault::TooLong)?;
                self.expect(About::FolderBegins)
            }
            Record::File { name, .. } => {
                let operation = self.operation();
                self.judge(operation, &name)?;
                self.ended(FileOutcome::Unfinished);
                let mut sum = Sum::default();
                sum.at(0);
                self.moving = Some(Moving { event: self.places.event(operation, Some(&name)), sum });
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
            return Err(Fault::OutOfTurn.into());
        }
        self.waiting.push_back(about);
        Ok(())
    }

    /// From the side that writes the files.
    fn sink(&mut self, data: &[u8]) -> Result<(), ScpFault> {
        for &byte in data {
            if self.rules.judge() && self.replies.begins() && byte > 2 {
                return Err(Fault::Line.into());
            }
            let Some(reply) = self.replies.feed(byte)? else { continue };
            match self.waiting.pop_front() {
                Some(about) => self.answered(about, reply)?,
                None if self.source.is_at_the_end_of_a_file() && self.early.is_none() => {
                    self.early = Some(reply)
                }
                None if self.rules.judge() => return Err(Fault::OutOfTurn.into()),
                None => {}
            }
        }
        Ok(())
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
                    return Err(Fault::OutOfTurn.into());
                }
                self.source.leave_file();
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
