//! Files in a recorded channel of sftp.
//!
//! The recording has what the client sent, before the gateway judged it: what was refused has an answer that says so.

mod opened;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use keyward_ssh::sftp::{Answer, Cutter, Fault, Heads, Packet, Request, answer_head, request_head, status};
use keyward_trail::Direction;

use self::opened::Opened;
use super::Place;

/// Types of packets: the first one of a client, attributes as an answer (draft-ietf-secsh-filexfer-02 section 3).
const INIT: u8 = 1;
const ATTRS: u8 = 105;
/// The gateway lets through no more of either.
const MOST_WAITING: usize = 4096;
const MOST_OPEN: usize = 1024;
/// Bytes of paths that wait for an answer or are open.
const MOST_PATHS: usize = 512 * 1024;
/// Clients ask for a file's size right before they fetch it, or for those of a whole folder.
const MOST_SIZES: usize = 256;
/// The longest path whose size is kept.
const LONGEST_SIZED: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Sftp {
    up: Cutter,
    down: Cutter,
    book: Book,
}

#[derive(Debug, Default)]
struct Book {
    waiting: HashMap<u32, Waiting>,
    paths: usize,
    handles: HashMap<Box<[u8]>, u64>,
    open: HashMap<u64, Opened>,
    next: u64,
    /// Sizes of paths that the target told.
    sizes: VecDeque<(Vec<u8>, u64)>,
    /// Where the bytes go that come next, in either direction.
    writing: Option<(u64, u64)>,
    reading: Option<(u64, u64)>,
}

#[derive(Debug)]
enum Waiting {
    Open { path: Vec<u8>, flags: u32, at: Duration },
    Read { id: u64, offset: u64 },
    Write { id: u64 },
    Close { id: u64 },
    Size { path: Vec<u8> },
    SizeOf { id: u64 },
}

struct Up<'a>(&'a mut Book, &'a mut Place);
struct Down<'a>(&'a mut Book, &'a mut Place);

impl Sftp {
    /// Data of either side. The error says why the channel is not followed any more.
    pub(super) fn feed(
        &mut self,
        direction: Direction,
        data: &[u8],
        place: &mut Place,
    ) -> anyhow::Result<Result<(), Fault>> {
        let mut piece = data.to_vec();
        let fed = match direction {
            Direction::FromClient => self.up.feed(&mut piece, &mut Up(&mut self.book, place)),
            Direction::ToClient => self.down.feed(&mut piece, &mut Down(&mut self.book, place)),
        };
        place.settled()?;
        Ok(fed.map(|_| ()))
    }

    /// The channel has ended.
    pub(super) fn finish(&mut self, place: &mut Place) -> anyhow::Result<()> {
        self.book.handles.clear();
        let mut ids: Vec<u64> = self.book.open.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().try_for_each(|id| self.book.close(id, Some("it was not closed"), place))
    }
}

impl Book {
    fn expect(&mut self, number: u32, waiting: Waiting) -> Result<(), Fault> {
        self.paths += waiting.bytes();
        if self.waiting.len() >= MOST_WAITING || self.paths > MOST_PATHS {
            return Err(Fault::TooManyRequests);
        }
        match self.waiting.insert(number, waiting) {
            None => Ok(()),
            Some(_) => Err(Fault::SameNumber),
        }
    }

    fn answered(&mut self, number: u32) -> Option<Waiting> {
        let waiting = self.waiting.remove(&number)?;
        self.paths = self.paths.saturating_sub(waiting.bytes());
        Some(waiting)
    }

    fn by_handle(&mut self, handle: &[u8]) -> Option<(u64, &mut Opened)> {
        let id = *self.handles.get(handle)?;
        self.open.get_mut(&id).map(|opened| (id, opened))
    }

    fn ask(
        &mut self,
        number: u32,
        request: Request<'_>,
        place: &mut Place,
    ) -> anyhow::Result<Result<(), Fault>> {
        let waiting = match request {
            Request::Open { path, flags } => {
                Some(Waiting::Open { path: path.to_vec(), flags, at: place.now })
            }
            Request::Close { handle } => self.handles.remove(handle).map(|id| Waiting::Close { id }),
            Request::Read { handle, offset } => {
                self.by_handle(handle).map(|(id, _)| Waiting::Read { id, offset })
            }
            Request::Write { handle, offset, .. } => {
                let place_of = self.by_handle(handle).map(|(id, opened)| (id, opened.place_of(offset)));
                self.writing = place_of;
                place_of.map(|(id, _)| Waiting::Write { id })
            }
            Request::Look { path } => Some(Waiting::Size { path: path.to_vec() }),
            Request::LookAt { handle } => self.by_handle(handle).map(|(id, _)| Waiting::SizeOf { id }),
            Request::SetAttributesOf { handle, changes } => {
                if let (Some((_, opened)), Some(size)) = (self.by_handle(handle), changes.size) {
                    opened.resize(size, place)?;
                }
                None
            }
            Request::SetAttributes { path, changes } => {
                if let Some(size) = changes.size {
                    let mut of_it = self.open.values_mut().filter(|opened| opened.path == path);
                    of_it.try_for_each(|opened| opened.resize(size, place))?;
                }
                None
            }
            Request::Copy { to, .. } => {
                if let Some(written) = self.by_handle(to).and_then(|(_, opened)| opened.written.as_mut()) {
                    written.lack("part of it was copied on the target");
                }
                None
            }
            _ => None,
        };
        Ok(waiting.map_or(Ok(()), |waiting| self.expect(number, waiting)))
    }

    fn answer(
        &mut self,
        number: u32,
        answer: Answer<'_>,
        place: &mut Place,
    ) -> anyhow::Result<Result<(), Fault>> {
        let Some(waiting) = self.answered(number) else { return Ok(Ok(())) };
        match (waiting, answer) {
            (Waiting::Open { path, flags, at }, Answer::Handle(handle)) => {
                if self.open.len() >= MOST_OPEN {
                    return Ok(Err(Fault::TooManyRequests));
                }
                let known = self.sizes.iter().rev().find(|(of, _)| *of == path).map(|(_, size)| *size);
                self.paths += path.len();
                let opened = Opened::new(path, flags, at, known, place)?;
                self.next += 1;
                self.open.insert(self.next, opened);
                if self.handles.insert(handle.into(), self.next).is_some() {
                    return Ok(Err(Fault::SameHandle));
                }
            }
            (Waiting::Read { id, offset }, Answer::Data(_)) => self.reading = Some((id, offset)),
            (Waiting::Read { id, offset }, Answer::Status(code)) => {
                if let Some(opened) = self.open.get_mut(&id) {
                    match code {
                        status::EOF => opened.eof = Some(opened.eof.map_or(offset, |eof| eof.min(offset))),
                        _ => opened.failed = true,
                    }
                }
            }
            (Waiting::Write { id }, answer) => {
                if let Some(opened) = self.open.get_mut(&id) {
                    opened.failed |= answer != Answer::Status(status::OK);
                }
            }
            (Waiting::Close { id }, answer) => {
                let failed =
                    (answer != Answer::Status(status::OK)).then_some("the target could not close it");
                self.close(id, failed, place)?;
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    /// The target told a size.
    fn told(&mut self, number: u32, size: u64) {
        match self.answered(number) {
            Some(Waiting::Size { path }) if path.len() <= LONGEST_SIZED => {
                if self.sizes.len() >= MOST_SIZES {
                    self.sizes.pop_front();
                }
                self.sizes.push_back((path, size));
            }
            Some(Waiting::SizeOf { id }) => {
                if let Some(opened) = self.open.get_mut(&id) {
                    opened.size = Some(size);
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, id: u64, lacks: Option<&'static str>, place: &mut Place) -> anyhow::Result<()> {
        let Some(opened) = self.open.remove(&id) else { return Ok(()) };
        self.paths = self.paths.saturating_sub(opened.path.len());
        opened.end(lacks, place)
    }

    fn put(&mut self, direction: Direction, piece: &[u8], place: &mut Place) -> anyhow::Result<()> {
        let to = match direction {
            Direction::FromClient => &mut self.writing,
            Direction::ToClient => &mut self.reading,
        };
        let Some((id, at)) = to else { return Ok(()) };
        let (id, offset) = (*id, *at);
        *at = offset.saturating_add(piece.len() as u64);
        let Some(opened) = self.open.get_mut(&id) else { return Ok(()) };
        let output = match direction {
            Direction::FromClient => &mut opened.written,
            Direction::ToClient => {
                if opened.read.is_none() {
                    opened.read = Some(opened.begin_reading(place)?);
                }
                &mut opened.read
            }
        };
        match output {
            Some(output) => output.put(&mut place.folder, offset, piece),
            None => Ok(()),
        }
    }
}

impl Waiting {
    fn bytes(&self) -> usize {
        match self {
            Self::Open { path, .. } | Self::Size { path } => path.len(),
            Self::Read { .. } | Self::Write { .. } | Self::Close { .. } | Self::SizeOf { .. } => 0,
        }
    }
}

impl Heads for Up<'_> {
    fn wanted(&self, so_far: &[u8]) -> Result<usize, Fault> {
        request_head(so_far)
    }

    fn head(&mut self, head: &mut [u8]) -> Result<(), Fault> {
        self.0.writing = None;
        let packet = Packet::begin(head)?.ok_or(Fault::OutOfTurn)?;
        if packet.kind == INIT {
            return Ok(());
        }
        let (number, rest) = packet.numbered()?.ok_or(Fault::OutOfTurn)?;
        let asked = self.0.ask(number, Request::parse(packet.kind, rest)?, self.1);
        self.1.note(asked).unwrap_or(Ok(()))
    }

    fn body(&mut self, piece: &mut [u8], _left: usize) {
        let put = self.0.put(Direction::FromClient, piece, self.1);
        self.1.note(put);
    }
}

impl Heads for Down<'_> {
    fn wanted(&self, so_far: &[u8]) -> Result<usize, Fault> {
        /// Length, type, number, bits, size.
        const SIZED: usize = 4 + 1 + 4 + 4 + 8;
        match Packet::begin(so_far)? {
            Some(packet) if packet.kind == ATTRS => Ok(packet.whole.min(SIZED)),
            _ => answer_head(so_far, |_| false),
        }
    }

    fn head(&mut self, head: &mut [u8]) -> Result<(), Fault> {
        self.0.reading = None;
        let packet = Packet::begin(head)?.ok_or(Fault::OutOfTurn)?;
        if Answer::version(&packet).is_some() {
            return Ok(());
        }
        let (number, rest) = packet.numbered()?.ok_or(Fault::OutOfTurn)?;
        if packet.kind == ATTRS {
            if let Some(size) = size(rest) {
                self.0.told(number, size);
            }
            return Ok(());
        }
        let answered = self.0.answer(number, Answer::parse(packet.kind, rest)?, self.1);
        self.1.note(answered).unwrap_or(Ok(()))
    }

    fn body(&mut self, piece: &mut [u8], _left: usize) {
        let put = self.0.put(Direction::ToClient, piece, self.1);
        self.1.note(put);
    }
}

/// Of attributes: some bits, of which the lowest announces a size (draft section 5).
fn size(attributes: &[u8]) -> Option<u64> {
    let (bits, rest) = attributes.split_first_chunk::<4>()?;
    let size = rest.first_chunk::<8>().copied().map(u64::from_be_bytes);
    size.filter(|_| u32::from_be_bytes(*bits) & 1 != 0)
}
