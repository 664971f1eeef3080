//! Reading a trail.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::time::Duration;

use crate::auditor_key::AuditorKey;
use crate::block::Kind;
use crate::blocks::{Block, Blocks};
use crate::chained::{Joint, Next};
use crate::end::{End, Ending};
use crate::error::{Damage, TrailError};
use crate::event::{ChannelId, Event};
use crate::header::Header;
use crate::hidden_input::{HiddenInput, InputCipher};
use crate::index::Index;
use crate::signature::VerifyingKey;
use crate::span::Span;

/// A trail being read: an iterator over its events, in order, with their times since the start of the session.
///
/// A file that breaks off is no error: the events of all whole blocks are given, then [`ending`](Self::ending) says
/// [`Ending::Unfinished`]. The first error ends the iteration. Signatures are held against the signer that the file names.
/// Events are given before the signature that covers them is read: [`signed_until`](Self::signed_until) says afterwards
/// how far they are to be believed.
pub struct Reader<R> {
    header: Header,
    left_out: Option<TrailError>,
    /// Of hidden input, where the reader has the key.
    input: Option<InputCipher>,
    blocks: Blocks<R>,
    span: Span,
    /// Microseconds since the start: where the blocks before end.
    time: u64,
    signer: VerifyingKey,
    /// Up to when what was read is signed, and whether blocks were read behind that.
    signed_until: Option<Duration>,
    unsigned: bool,
    /// Those that were read of, as far as they are kept.
    channels: BTreeSet<ChannelId>,
    state: State,
    /// The block of the index that was read last, until somebody asks.
    passed: Option<Index>,
    /// Where to go on when more has been written. `None`: nobody will ask.
    growing: Option<Mark>,
}

/// More are not kept: a recording may name any number of them.
const MOST_CHANNELS: usize = 256;

/// A place between two blocks of a trail, and what was known there: reading can go on from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark {
    pub(crate) joint: Joint,
    /// Microseconds since the start: where the blocks before end.
    pub(crate) time: u64,
    pub(crate) signed_until: Option<Duration>,
    pub(crate) unsigned: bool,
}

enum State {
    Reading,
    /// The session's end was read; what may follow is for newer versions.
    EndSeen {
        at: Duration,
        end: End,
        sealed: bool,
    },
    Ended(Ending),
    Failed,
}

impl Reader<BufReader<File>> {
    pub fn open(path: &Path, keys: &[AuditorKey]) -> Result<Self, TrailError> {
        let file = File::open(path).map_err(|source| TrailError::Open { path: path.to_owned(), source })?;
        Self::new(BufReader::new(file), keys)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header. `source` is read in small pieces: give it a buffer. `keys`: whatever the reader has; none for a
    /// trail that is not encrypted.
    ///
    /// # Errors
    /// Where these keys open nothing that the trail holds: says whose would. If they open what was shown and not what was
    /// typed, or the other way, the rest is left out.
    pub fn new(mut source: R, keys: &[AuditorKey]) -> Result<Self, TrailError> {
        let begun = Header::read(&mut source)?;
        let (ciphers, left_out) = begun.protected.open(keys, &begun.root)?;
        let input = begun.protected.open_input(keys, &begun.root)?;
        let blocks = Blocks::new(source, &begun, ciphers)?;
        let (header, signer, span) = (begun.header, begun.protected.signer, Span::default());
        let (time, signed_until, unsigned, state) = (0, None, false, State::Reading);
        let (channels, growing) = (BTreeSet::new(), None);
        Ok(Self {
            header,
            left_out,
            input,
            blocks,
            span,
            time,
            signer,
            signed_until,
            unsigned,
            channels,
            state,
            passed: None,
            growing,
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Who has signed it, by what it says of itself: true once [`signed_until`](Self::signed_until) says anything.
    pub fn signer(&self) -> VerifyingKey {
        self.signer
    }

    /// Up to when the signer has signed what was read so far. `None`: not even the header, so anybody can have made it.
    pub fn signed_until(&self) -> Option<Duration> {
        self.signed_until
    }

    /// Whether something was read that the last signature before does not cover.
    pub fn has_unsigned(&self) -> bool {
        self.unsigned
    }

    /// The channels that were opened in what was read so far; the first 256.
    pub fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.channels.iter().copied()
    }

    /// Why a part of the events is not given, where it is so: it takes other keys.
    pub fn left_out(&self) -> Option<&TrailError> {
        self.left_out.as_ref()
    }

    /// What stands behind the last event. `None` before that was reached, and after an error.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => Some(ending),
            State::Reading | State::EndSeen { .. } | State::Failed => None,
        }
    }

    /// The last block of the index that was come by since this was asked.
    pub(crate) fn take_passed(&mut self) -> Option<Index> {
        self.passed.take()
    }

    /// What reads blocks, and where it stands.
    pub(crate) fn parts(&mut self) -> (&mut Blocks<R>, Joint) {
        let back = self.blocks.joint();
        (&mut self.blocks, back)
    }

    /// Channels that were opened in what was not read.
    pub(crate) fn note_channels(&mut self, channels: impl Iterator<Item = ChannelId>) {
        self.channels.extend(channels.take(MOST_CHANNELS.saturating_sub(self.channels.len())));
    }

    /// Microseconds since the start, of the end of the block that is being read.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// Where reading stands, if that is between two blocks.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let is_between = self.span.is_empty() && matches!(self.state, State::Reading);
        let (time, signed_until, unsigned) = (self.time, self.signed_until, self.unsigned);
        is_between.then(|| Mark { joint: self.blocks.joint(), time, signed_until, unsigned })
    }

    /// Reads on until a signature, an end or an error tells whether what was read is signed, over at most that many
    /// blocks. Their events are passed over.
    pub fn settle(&mut self, most: usize) {
        for _ in 0..most {
            let is_reading = matches!(self.state, State::Reading | State::EndSeen { .. });
            if !(self.unsigned && is_reading) {
                return;
            }
            self.span.clear();
            if self.next_block().is_err() {
                self.state = State::Failed;
            }
        }
    }

    /// The next event; `None` when there is none, and the state says why.
    fn advance(&mut self) -> Result<Option<(Duration, Event<'static>)>, TrailError> {
        loop {
            if let Some((at, event, place)) = self.span.next()? {
                if let Event::Open { channel, .. } = &event
                    && self.channels.len() < MOST_CHANNELS
                {
                    self.channels.insert(*channel);
                }
                return Ok(Some((at, self.unseal(event).map_err(|damage| place.error(damage))?)));
            }
            if !self.next_block()? {
                return Ok(None);
            }
        }
    }

    /// Opens hidden input that the reader has the key for.
    fn unseal(&self, event: Event<'static>) -> Result<Event<'static>, Damage> {
        match (event, &self.input) {
            (Event::Hidden { channel, input: HiddenInput::Sealed { number, text } }, Some(cipher)) => {
                let text = cipher.open(number, channel, &text).map_err(|_| Damage::Encryption)?;
                Ok(Event::Hidden { channel, input: HiddenInput::Opened(text.into()) })
            }
            (event, _) => Ok(event),
        }
    }

    /// `false`: there is none.
    fn next_block(&mut self) -> Result<bool, TrailError> {
        if self.growing.is_some() {
            self.growing = self.mark().or(self.growing);
        }
        match self.blocks.next()? {
            Next::Block(block) => {
                self.enter(block)?;
                return Ok(!matches!(self.state, State::Ended(_)));
            }
            Next::Cut(place) if matches!(self.state, State::EndSeen { sealed: true, .. }) => {
                return Err(place.error(Damage::AfterEnd));
            }
            Next::End | Next::Cut(_) => {}
        }
        self.end();
        Ok(false)
    }

    fn enter(&mut self, block: Block) -> Result<(), TrailError> {
        let place = block.place;
        self.note(&block)?;
        self.unsigned |= block.kind != Kind::Seal;
        match block.kind {
            Kind::Unknown(_) | Kind::Timestamp => Ok(()),
            Kind::Index => {
                self.passed = Index::decode(&block.plain).ok();
                Ok(())
            }
            Kind::Seal => {
                (self.signed_until, self.unsigned) = (Some(Duration::from_micros(block.last)), false);
                Ok(())
            }
            Kind::End => {
                let end = End::decode(&block.plain).map_err(|damage| place.error(damage))?;
                let at = Duration::from_micros(block.last);
                self.state = State::EndSeen { at, end, sealed: false };
                self.time = block.last;
                Ok(())
            }
            Kind::Events => self.enter_span(block),
        }
    }

    /// Takes note of what a block means for those before it.
    fn note(&mut self, block: &Block) -> Result<(), TrailError> {
        match (block.kind, &mut self.state) {
            (Kind::Events | Kind::End, State::EndSeen { .. }) => {
                return Err(block.place.error(Damage::AfterEnd));
            }
            (kind, State::EndSeen { sealed, .. }) => *sealed = kind == Kind::Seal,
            (_, State::Reading | State::Ended(_) | State::Failed) => {}
        }
        match block.kind {
            Kind::Unknown(_) | Kind::Index => Ok(()),
            Kind::Events | Kind::End | Kind::Seal | Kind::Timestamp if block.first < self.time => {
                Err(block.place.error(Damage::Time))
            }
            Kind::Events | Kind::End | Kind::Seal | Kind::Timestamp => Ok(()),
        }
    }

    /// A block, and the one that belongs to it.
    fn enter_span(&mut self, block: Block) -> Result<(), TrailError> {
        self.span.clear();
        let (begins, mut ends) = (self.time, block.last);
        let (with_next, typed, place) = (block.with_next, block.typed, block.place);
        self.span.add(block)?;
        if with_next {
            if !typed {
                return Err(place.error(Damage::Together));
            }
            // At the end of the file the other one is still to be written; the next look finds that again.
            let other = self.blocks.next()?;
            if self.growing.is_some() && !matches!(other, Next::Block(_)) {
                self.span.clear();
                self.end();
                return Ok(());
            }
            if let Next::Block(other) = other {
                let belongs = other.kind == Kind::Events && !other.typed && !other.with_next;
                if !belongs {
                    return Err(other.place.error(Damage::Together));
                }
                if other.first < begins {
                    return Err(other.place.error(Damage::Time));
                }
                ends = ends.max(other.last);
                self.span.add(other)?;
            }
        }
        self.time = ends;
        Ok(())
    }

    fn end(&mut self) {
        self.state = State::Ended(match std::mem::replace(&mut self.state, State::Failed) {
            State::EndSeen { at, end, sealed: true } => Ending::Finished { at, end },
            State::EndSeen { .. } | State::Reading | State::Ended(_) | State::Failed => Ending::Unfinished,
        });
    }
}

impl<R: Read + Seek> Reader<R> {
    /// The recording may be one that is still written: [`resume`](Self::resume) will be asked. Said before anything is read.
    pub fn expect_more(&mut self) {
        self.growing = self.mark();
    }

    /// Goes on where the file broke off, as its writer may have written more by now. `false`: there is nothing to go on
    /// with, since the recording has its end, or cannot be read.
    pub fn resume(&mut self) -> Result<bool, TrailError> {
        match (&self.state, self.growing) {
            (State::Ended(Ending::Unfinished), Some(mark)) => self.go(&mark).map(|()| true),
            (State::Reading | State::EndSeen { .. }, Some(_)) => Ok(true),
            (State::Ended(_) | State::Failed, _) | (_, None) => Ok(false),
        }
    }

    /// Goes on from there, whatever was read before.
    pub(crate) fn go(&mut self, mark: &Mark) -> Result<(), TrailError> {
        self.blocks.go(mark.joint)?;
        self.span.clear();
        self.passed = None;
        (self.time, self.signed_until, self.unsigned) = (mark.time, mark.signed_until, mark.unsigned);
        self.state = State::Reading;
        Ok(())
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
