//! Files in a recorded channel of scp's own protocol.
//!
//! The gateway followed it when it was recorded, and what could not be followed did not go on. So this only finds the bytes.

use std::collections::VecDeque;

use keyward_trail::Direction;

use super::Place;
use super::output::{Between, Output};

/// Answers that have not come; the gateway lets through no more.
const MOST_WAITING: usize = 1024;
const LONGEST_LINE: usize = 1024;

#[derive(Debug)]
pub(super) struct Scp {
    /// Where the files come from.
    source: Direction,
    reading: Reading,
    line: Vec<u8>,
    waiting: VecDeque<Answers>,
    /// The answer about a file's end came before the end: PuTTY answers once it has all bytes.
    early: bool,
    /// Within a complaint of the side that writes.
    complains: bool,
    moving: Option<Output>,
    at: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    Line,
    Data(u64),
    Status,
    Complaint,
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
        let words = command.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).skip(1);
        let flags = words.take_while(|word| word.starts_with(b"-") && *word != b"--");
        let flags: Vec<u8> = flags.flatten().copied().collect();
        let source = match (flags.contains(&b't'), flags.contains(&b'f')) {
            (true, false) => Direction::FromClient,
            (false, true) => Direction::ToClient,
            _ => return None,
        };
        let waiting = VecDeque::from([Answers::Other]);
        let (reading, line, early, complains) = (Reading::Line, Vec::new(), false, false);
        Some(Self { source, reading, line, waiting, early, complains, moving: None, at: 0 })
    }

    /// Data of either side. The error says why the channel is not followed any more.
    pub(super) fn feed(
        &mut self,
        direction: Direction,
        data: &[u8],
        place: &mut Place,
    ) -> anyhow::Result<Result<(), &'static str>> {
        if direction == self.source { self.source(data, place) } else { self.sink(data, place) }
    }

    fn source(&mut self, mut data: &[u8], place: &mut Place) -> anyhow::Result<Result<(), &'static str>> {
        while let Some((&first, rest)) = data.split_first() {
            data = match self.reading {
                Reading::Data(left) => {
                    let count = usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
                    let (piece, rest) = data.split_at(count);
                    if let Some(moving) = &mut self.moving {
                        moving.put(&mut place.folder, self.at, piece)?;
                    }
                    self.at = self.at.saturating_add(count as u64);
                    let left = left.saturating_sub(count as u64);
                    self.reading = if left == 0 { Reading::Status } else { Reading::Data(left) };
                    rest
                }
                Reading::Status if first == 0 => {
                    self.file_ends(place)?;
                    rest
                }
                Reading::Status => {
                    self.lack("its source could not read all of it");
                    self.reading = Reading::Complaint;
                    rest
                }
                Reading::Line | Reading::Complaint => {
                    let end = data.iter().position(|&byte| byte == b'\n');
                    let (piece, rest) = data.split_at(end.map_or(data.len(), |end| end + 1));
                    if self.line.len() + piece.len() > LONGEST_LINE {
                        return Ok(Err("a line is too long"));
                    }
                    self.line.extend_from_slice(piece);
                    if end.is_some() {
                        let line = std::mem::take(&mut self.line);
                        if let Err(why) = self.whole_line(&line, place)? {
                            return Ok(Err(why));
                        }
                    }
                    rest
                }
            };
        }
        Ok(Ok(()))
    }

    fn whole_line(&mut self, line: &[u8], place: &mut Place) -> anyhow::Result<Result<(), &'static str>> {
        if self.reading == Reading::Complaint {
            self.file_ends(place)?;
            return Ok(Ok(()));
        }
        if self.waiting.len() >= MOST_WAITING {
            return Ok(Err("too many lines have no answer"));
        }
        let answers = match line.split_first() {
            Some((b'C', rest)) => {
                let Some((name, size)) = file_line(rest) else { return Ok(Err("a line is no line of scp")) };
                self.end(place, "it was not finished")?;
                let operation = match self.source {
                    Direction::FromClient => "upload",
                    Direction::ToClient => "download",
                };
                let about = place.about("scp", operation, name.to_vec());
                self.moving = Some(Output::begin(&mut place.folder, about, Between::Unknown)?);
                self.at = 0;
                self.reading = if size == 0 { Reading::Status } else { Reading::Data(size) };
                Answers::FileBegins
            }
            Some((b'D' | b'E' | b'T', _)) => Answers::Other,
            // An error of the source, which nobody answers.
            Some((1 | 2, _)) => return Ok(Ok(())),
            _ => return Ok(Err("a line is no line of scp")),
        };
        self.waiting.push_back(answers);
        Ok(Ok(()))
    }

    fn file_ends(&mut self, place: &mut Place) -> anyhow::Result<()> {
        self.reading = Reading::Line;
        if !std::mem::take(&mut self.early) {
            self.waiting.push_back(Answers::Other);
        }
        self.finish_moving(place)
    }

    /// From the side that writes the files: a zero byte for each yes, else a line.
    fn sink(&mut self, data: &[u8], place: &mut Place) -> anyhow::Result<Result<(), &'static str>> {
        for &byte in data {
            let is_no = match (self.complains, byte) {
                (false, 0) => false,
                (true, b'\n') => true,
                _ => {
                    self.complains = true;
                    continue;
                }
            };
            self.complains = false;
            match self.waiting.pop_front() {
                Some(Answers::FileBegins) if is_no => {
                    self.reading = Reading::Line;
                    self.end(place, "it was not taken")?;
                }
                Some(_) => {}
                None if matches!(self.reading, Reading::Status | Reading::Complaint) => self.early = true,
                None => {}
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

/// Mode, size and name of a file.
fn file_line(rest: &[u8]) -> Option<(&[u8], u64)> {
    let mut words = rest.strip_suffix(b"\n").unwrap_or(rest).splitn(3, |&byte| byte == b' ');
    let (_mode, size, name) = (words.next()?, words.next()?, words.next()?);
    Some((name, std::str::from_utf8(size).ok()?.parse().ok()?))
}
