//! Reading a trail.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

use crate::block::Kind;
use crate::blocks::{Block, Blocks, Next, Place};
use crate::codec::take_event;
use crate::end::{End, Ending};
use crate::error::{Damage, TrailError};
use crate::event::Event;
use crate::header::Header;
use crate::wire::Cursor;

/// A trail being read: an iterator over its events, in order, with their times since the start of the session.
///
/// A file that breaks off is no error: the events of all whole blocks are given, then [`ending`](Self::ending) says
/// [`Ending::Unfinished`]. The first error ends the iteration; what came before it is intact.
pub struct Reader<R> {
    header: Header,
    blocks: Blocks<R>,
    /// The events of the block at hand.
    events: Vec<u8>,
    /// How many bytes of `events` were read.
    read: usize,
    place: Place,
    /// Microseconds since the start: of the last event given, and of the last one in the block.
    time: u64,
    block_ends: u64,
    state: State,
}

enum State {
    Reading,
    /// The session's end was read; what may follow is for newer versions.
    EndSeen {
        at: Duration,
        end: End,
    },
    Ended(Ending),
    Failed,
}

impl Reader<BufReader<File>> {
    pub fn open(path: &Path) -> Result<Self, TrailError> {
        let file = File::open(path).map_err(|source| TrailError::Open { path: path.to_owned(), source })?;
        Self::new(BufReader::new(file))
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header. `source` is read in small pieces: give it a buffer.
    pub fn new(mut source: R) -> Result<Self, TrailError> {
        let (header, length) = Header::read(&mut source)?;
        let blocks = Blocks::new(source, length)?;
        let (events, place) = (Vec::new(), Place::default());
        Ok(Self { header, blocks, events, read: 0, place, time: 0, block_ends: 0, state: State::Reading })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What stands behind the last event. `None` before that was reached, and after an error.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => Some(ending),
            State::Reading | State::EndSeen { .. } | State::Failed => None,
        }
    }

    /// The next event; `None` when there is none, and the state says why.
    fn advance(&mut self) -> Result<Option<(Duration, Event<'static>)>, TrailError> {
        loop {
            if let Some(event) = self.next_in_block().map_err(|damage| self.place.error(damage))? {
                return Ok(Some((Duration::from_micros(self.time), event)));
            }
            match self.blocks.next()? {
                Next::Block(block) => self.enter(block)?,
                Next::End => {
                    self.end(Ending::Unfinished);
                    return Ok(None);
                }
                Next::Cut(place) => {
                    if matches!(self.state, State::EndSeen { .. }) {
                        return Err(place.error(Damage::AfterEnd));
                    }
                    self.end(Ending::Unfinished);
                    return Ok(None);
                }
            }
        }
    }

    /// The next event of the block at hand that this version knows.
    fn next_in_block(&mut self) -> Result<Option<Event<'static>>, Damage> {
        loop {
            let mut events = Cursor::new(self.events.get(self.read..).unwrap_or_default());
            if events.is_empty() {
                return if self.time == self.block_ends { Ok(None) } else { Err(Damage::Time) };
            }
            let (delta, event) = take_event(&mut events)?;
            self.read = self.events.len() - events.len();
            self.time = self.time.checked_add(delta).filter(|t| *t <= self.block_ends).ok_or(Damage::Time)?;
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn enter(&mut self, block: Block) -> Result<(), TrailError> {
        let place = block.place;
        match block.kind {
            Kind::Unknown(_) => return Ok(()),
            Kind::Events | Kind::End if matches!(self.state, State::EndSeen { .. }) => {
                return Err(place.error(Damage::AfterEnd));
            }
            Kind::Events | Kind::End if block.first < self.time => return Err(place.error(Damage::Time)),
            Kind::Events => {
                self.events = block.plain;
                self.read = 0;
            }
            Kind::End => {
                let end = End::decode(&block.plain).map_err(|damage| place.error(damage))?;
                self.state = State::EndSeen { at: Duration::from_micros(block.last), end };
                self.events = Vec::new();
            }
        }
        self.place = place;
        self.time = block.first;
        self.block_ends = block.last;
        Ok(())
    }

    fn end(&mut self, otherwise: Ending) {
        self.state = State::Ended(match std::mem::replace(&mut self.state, State::Failed) {
            State::EndSeen { at, end } => Ending::Finished { at, end },
            State::Reading | State::Ended(_) | State::Failed => otherwise,
        });
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<(Duration, Event<'static>), TrailError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.state {
            State::Ended(_) | State::Failed => None,
            State::Reading | State::EndSeen { .. } => {
                self.advance().inspect_err(|_| self.state = State::Failed).transpose()
            }
        }
    }
}

/// Without the events, which hold what people type.
impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("session", &self.header.session).finish_non_exhaustive()
    }
}
