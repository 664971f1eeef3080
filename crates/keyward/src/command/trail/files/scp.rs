//! Files in a recorded channel of scp's own protocol.
//!
//! The gateway followed it when it was recorded, and what could not be followed did not go on. So this only finds the bytes.

use std::collections::VecDeque;

use keyward_ssh::scp::{CommandLine, Fault, Piece, Record, Replies, Reply, Role, Source};
use keyward_trail::Direction;

use super::Place;
use super::output::{Between, Output};

/// Answers that have not come; the gateway lets through no more.
const MOST_WAITING: usize = 1024;

#[derive(Debug)]
pub(super) struct Scp {
    role: Role,
    source: Source,
    replies: Replies,
    waiting: VecDeque<Answers>,
    /// The answer about a file's end came before the end: PuTTY answers once it has all bytes.
    early: bool,
    moving: Option<Output>,
    at: u64,
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answers {
    FileBegins,
    Other,
}

impl Scp {
    /// `None`: the command is not one of scp's two sides.
    pub(super) fn new(command: &[u8]) -> Option<Self> {
        let role = CommandLine::parse(command)?.role;
        let (source, replies, waiting) = (Source::default(), Replies::default(), [Answers::Other].into());
        Some(Self { role, source, replies, waiting, early: false, moving: None, at: 0 })
    }

    /// Data of either side. The error says why the channel is not followed any more.
    pub(super) fn feed(
        &mut self,
        direction: Direction,
        data: &[u8],
        place: &mut Place,
    ) -> anyhow::Result<Result<(), Fault>> {
        match (self.role, direction) {
            (Role::Upload, Direction::FromClient) | (Role::Download, Direction::ToClient) => {
                self.source(data, place)
            }
            (Role::Upload, Direction::ToClient) | (Role::Download, Direction::FromClient) => {
                self.sink(data, place)
            }
        }
    }

    fn source(&mut self, mut data: &[u8], place: &mut Place) -> anyhow::Result<Result<(), Fault>> {
        loop {
            let (piece, rest) = match self.source.next(data) {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(Ok(())),
                Err(fault) => return Ok(Err(fault)),
            };
            data = rest;
            match piece {
                Piece::PartOfLine => {}
                Piece::Record(record) => {
                    if let Err(fault) = self.named(record, place)? {
                        return Ok(Err(fault));
                    }
                }
                Piece::Bytes(bytes) => {
                    if let Some(moving) = &mut self.moving {
                        moving.put(&mut place.folder, self.at, bytes)?;
                    }
                    self.at = self.at.saturating_add(bytes.len() as u64);
                }
                Piece::FileEnds => self.file_ends(place)?,
                Piece::FileFails(_) => {
                    self.lack("its source could not read all of it");
                    self.file_ends(place)?;
                }
            }
        }
    }

    fn named(&mut self, record: Record, place: &mut Place) -> anyhow::Result<Result<(), Fault>> {
        if self.waiting.len() >= MOST_WAITING {
            return Ok(Err(Fault::OutOfTurn));
        }
        let answers = match record {
            Record::File { name, .. } => {
                self.end(place, "it was not finished")?;
                let operation = match self.role {
                    Role::Upload => "upload",
                    Role::Download => "download",
                };
                let about = place.about("scp", operation, name);
                self.moving = Some(Output::begin(&mut place.folder, about, Between::Unknown)?);
                self.at = 0;
                Answers::FileBegins
            }
            Record::Folder(_) | Record::End | Record::Times => Answers::Other,
            // An error of the source, which nobody answers.
            Record::Error(_) => return Ok(Ok(())),
        };
        self.waiting.push_back(answers);
        Ok(Ok(()))
    }

    fn file_ends(&mut self, place: &mut Place) -> anyhow::Result<()> {
        if !std::mem::take(&mut self.early) {
            self.waiting.push_back(Answers::Other);
        }
        self.finish_moving(place)
    }

    /// From the side that writes the files.
    fn sink(&mut self, data: &[u8], place: &mut Place) -> anyhow::Result<Result<(), Fault>> {
        for &byte in data {
            let reply = match self.replies.feed(byte) {
                Ok(Some(reply)) => reply,
                Ok(None) => continue,
                Err(fault) => return Ok(Err(fault)),
            };
            match (self.waiting.pop_front(), reply) {
                (Some(Answers::FileBegins), Reply::No(_)) => {
                    self.source.leave_file();
                    self.end(place, "it was not taken")?;
                }
                (None, _) if self.source.is_at_the_end_of_a_file() => self.early = true,
                (Some(_) | None, _) => {}
            }
        }
        Ok(Ok(()))
    }

    fn lack(&mut self, why: &'static str) {
        if let Some(moving) = &mut self.moving {
            moving.lack(why);
        }
    }

    fn end(&mut self, place: &mut Place, why: &'static str) -> anyhow::Result<()> {
        self.lack(why);
        self.finish_moving(place)
    }

    fn finish_moving(&mut self, place: &mut Place) -> anyhow::Result<()> {
        self.moving.take().map_or(Ok(()), |moving| place.ended(moving))
    }

    /// The channel has ended.
    pub(super) fn finish(&mut self, place: &mut Place) -> anyhow::Result<()> {
        self.end(place, "it was not finished")
    }
}
