//! Writing a trail as the session goes.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::block::HEADER_LEN;
use crate::block_writer::{Batch, BlockWriter};
use crate::codec::{put_data, put_data_head, put_event};
use crate::end::End;
use crate::error::TrailError;
use crate::event::{ChannelId, Direction, Event, Stream};
use crate::file::{Output, TrailFile};
use crate::finished::Finished;
use crate::gathered::Gathered;
use crate::header::Header;
use crate::hidden_input::follows;
use crate::indexer::Indexer;
use crate::protection::Protection;
use crate::recipient::KeyError;
use crate::timestamp::{Sealed, Timestamp};

/// A buffer of this length becomes a block.
const BLOCK_LEN: usize = 64 * 1024;
/// Data of this length becomes a block of its own, which goes into no buffer. So a buffer stays below
/// twice a block.
const LONG_DATA: usize = 32 * 1024;
/// Longer data becomes several events.
const MAX_DATA: usize = 256 * 1024;
/// A trail being written.
///
/// Events gather in a buffer, which becomes a block when it holds 64 KiB, and at each [`flush`](Self::flush): call
/// that at least once a second, and [`seal`](Self::seal) at least every ten seconds while something comes. A flushed
/// writer owns no buffer. Dropping a writer without [`finish`](Self::finish) leaves a trail that reads as unfinished and
/// lacks what was not flushed.
pub struct Writer<W> {
    blocks: BlockWriter<W>,
    shown: Gathered,
    /// `None` where what is typed goes the way of what is shown.
    typed: Option<Box<Gathered>>,
    /// Microseconds since the start, of the last event of all, and whether that was typed.
    last: u64,
    last_was_typed: bool,
    /// Draws what is shown, for key frames.
    index: Box<Indexer>,
}

impl Writer<TrailFile> {
    /// Creates the file, for its owner only (mode 0600), and writes the header.
    ///
    /// # Errors
    /// Also when the file exists: a recording is never written over.
    pub fn create(path: &Path, header: &Header, protection: &Protection) -> Result<Self, TrailError> {
        let file = TrailFile::create(path);
        let file = file.map_err(|source| TrailError::Create { path: path.to_owned(), source })?;
        Self::new(file, header, protection)
    }
}

impl<W: Output> Writer<W> {
    /// Begins a trail on `out`, which needs no buffer of its own, by writing the header to it, signed.
    pub fn new(out: W, header: &Header, protection: &Protection) -> Result<Self, TrailError> {
        let blocks = BlockWriter::begin(out, header, protection)?;
        let typed = protection.typed.is_some().then(Box::default);
        let index = Box::new(Indexer::new(blocks.joint().link));
        Ok(Self { blocks, shown: Gathered::default(), typed, last: 0, last_was_typed: false, index })
    }

    /// Notes an event, `at` after the start of the session. A time before the event noted last counts as that one's.
    ///
    /// Blocks on the output when the buffer is full. Data may be of any length; long data is not copied.
    ///
    /// # Errors
    /// After [`TrailError::Write`] the trail takes nothing more. [`TrailError::EventTooLong`] leaves the event out and
    /// the trail usable.
    pub fn write(&mut self, at: Duration, event: &Event<'_>) -> Result<(), TrailError> {
        let typed = self.typed.is_some() && is_typed(event);
        let at = self.time(micros(at), typed);
        let Event::Data { channel, direction, stream, bytes } = event else {
            self.append(typed, at, 0, |buffer, delta| put_event(buffer, delta, event))?;
            self.index.note(at, event);
            return Ok(());
        };
        if bytes.is_empty() {
            return Ok(());
        }
        let way = (*direction, *stream);
        for piece in bytes.chunks(MAX_DATA) {
            if piece.len() >= LONG_DATA {
                let put_head = |head: &mut Vec<u8>| put_data_head(head, 0, *channel, way, piece.len());
                self.put_long(typed, at, put_head, piece)?;
            } else {
                let put = |buffer: &mut Vec<u8>, delta| put_data(buffer, delta, *channel, way, piece);
                self.append(typed, at, piece.len(), put)?;
            }
        }
        // What is left out of the recording is not drawn either.
        self.index.note(at, event);
        Ok(())
    }

    /// Notes what was typed on a terminal that did not show it, as the protection says; `begins`: it is the first of its
    /// line. As [`write`](Self::write) otherwise.
    pub fn write_hidden(
        &mut self,
        at: Duration,
        channel: ChannelId,
        bytes: &[u8],
        begins: bool,
    ) -> Result<(), TrailError> {
        let (records, mark) = match self.blocks.hidden_input() {
            None => (true, Some(follows(bytes))),
            Some(way) => {
                let mark = way.mark(channel, bytes, begins);
                (way.records(), mark.map_err(|_| TrailError::Key(KeyError::Library))?)
            }
        };
        if let Some(input) = mark {
            self.write(at, &Event::Hidden { channel, input })?;
        }
        if !records {
            return Ok(());
        }
        let (direction, stream) = (Direction::FromClient, Stream::Main);
        self.write(at, &Event::Data { channel, direction, stream, bytes: bytes.into() })
    }

    /// Hands everything noted so far to the operating system, and frees the buffers.
    pub fn flush(&mut self) -> Result<(), TrailError> {
        self.emit()?;
        self.gathered().for_each(Gathered::free);
        self.index.flush(self.last);
        self.blocks.flush()
    }

    /// The same, signed by the node's key: from here on nobody can change what was noted so far, or deny it.
    pub fn seal(&mut self) -> Result<(), TrailError> {
        self.emit()?;
        if let Some(block) = self.index.block(self.last, self.blocks.joint()) {
            self.put_index(block)?;
        }
        if self.blocks.is_unsealed() {
            self.blocks.seal(self.last)?;
        }
        self.flush()
    }

    /// The seal that everything before it can have a timestamp by. `None` where something was written since.
    pub fn sealed(&self) -> Option<Sealed> {
        self.blocks.sealed()
    }

    /// Notes a timestamp of a seal of this trail, whatever was written since. The next seal signs it.
    pub fn timestamp(&mut self, timestamp: &Timestamp) -> Result<(), TrailError> {
        self.emit()?;
        self.blocks.timestamp(self.last, timestamp)
    }

    /// Ends the trail, signed, and gives the output back, for example to sync it to the disk.
    pub fn finish(self, at: Duration, end: &End) -> Result<W, TrailError> {
        Ok(self.end(at, end)?.into_inner())
    }

    /// Ends the trail, signed.
    pub fn end(mut self, at: Duration, end: &End) -> Result<Finished<W>, TrailError> {
        self.emit()?;
        if let Some(block) = self.index.last_block(self.last, self.blocks.joint()) {
            self.put_index(block)?;
        }
        let at = micros(at).max(self.last);
        self.blocks.end(at, end)?;
        self.blocks.seal(at)?;
        self.blocks.flush()?;
        Ok(Finished::new(self.blocks, at))
    }

    /// Where it writes to: nothing else may be written there.
    pub fn output(&self) -> &W {
        self.blocks.output()
    }

    /// Bytes of events that a crash would lose now.
    pub fn buffered(&self) -> usize {
        self.shown.length() + self.typed.as_ref().map_or(0, |typed| typed.length())
    }

    /// Bytes handed to the output so far.
    pub fn written(&self) -> u64 {
        self.blocks.written()
    }

    /// A key frame at each seal that has something new.
    #[cfg(test)]
    pub(crate) fn frame_often(&mut self) {
        self.index.often();
    }

    /// Key frames show this, and the recording does not.
    #[cfg(test)]
    pub(crate) fn pretend(&mut self, event: &Event<'_>) {
        self.index.note(self.last, event);
    }

    fn put_index(&mut self, mut block: Zeroizing<Vec<u8>>) -> Result<(), TrailError> {
        self.blocks.index(self.last, &mut block)
    }

    /// Never before the last event, and never the same time for two streams: a reader puts them in order by it.
    fn time(&self, at: u64, typed: bool) -> u64 {
        if at <= self.last && typed != self.last_was_typed {
            return self.last.saturating_add(1);
        }
        at.max(self.last)
    }

    fn gathered(&mut self) -> impl Iterator<Item = &mut Gathered> {
        self.typed.as_deref_mut().into_iter().chain([&mut self.shown])
    }

    /// Notes an event that holds so many bytes of data.
    fn append(
        &mut self,
        typed: bool,
        at: u64,
        data: usize,
        put: impl FnOnce(&mut Vec<u8>, u64),
    ) -> Result<(), TrailError> {
        let secret = self.blocks.is_secret(typed);
        if self.blocks.has_failed() {
            return Err(TrailError::Stopped);
        }
        let gathered = match &mut self.typed {
            Some(apart) if typed => apart,
            Some(_) | None => &mut self.shown,
        };
        if secret {
            gathered.make_room(data);
        }
        gathered.append(at, put)?;
        let full = gathered.length() >= BLOCK_LEN;
        (self.last, self.last_was_typed) = (at, typed);
        if full { self.emit() } else { Ok(()) }
    }

    /// Makes a block of one event, after what came before it.
    fn put_long(
        &mut self,
        typed: bool,
        at: u64,
        put_head: impl FnOnce(&mut Vec<u8>),
        data: &[u8],
    ) -> Result<(), TrailError> {
        self.emit()?;
        (self.last, self.last_was_typed) = (at, typed);
        let mut head = vec![0; HEADER_LEN];
        put_head(&mut head);
        let (block, tail) = (&mut head, data);
        self.blocks.events(Batch { typed, with_next: false, first: at, last: at, block, tail })
    }

    /// Makes blocks of the buffers, which keep their memory: more is likely to follow.
    fn emit(&mut self) -> Result<(), TrailError> {
        let with_next = self.shown.length() > 0;
        if let Some(apart) = &mut self.typed {
            apart.emit(&mut self.blocks, true, with_next)?;
        }
        self.shown.emit(&mut self.blocks, false, false)
    }
}

/// Whether an event goes to those who may read what is typed.
fn is_typed(event: &Event<'_>) -> bool {
    matches!(event, Event::Data { direction: Direction::FromClient, .. } | Event::Hidden { .. })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Sizes only: the buffer holds what people type.
impl<W: Output> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("buffered", &self.buffered())
            .field("sequence", &self.blocks.sequence())
            .field("written", &self.written())
            .field("failed", &self.blocks.has_failed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;
    use crate::block::MAX_EVENT;
    use crate::noise::noise;
    use crate::reader::Reader;
    use crate::samples::{data, end, header, signed};

    fn writer() -> Writer<Vec<u8>> {
        Writer::new(Vec::new(), &header(), &signed()).unwrap()
    }

    #[test]
    fn an_idle_writer_owns_no_buffer() {
        let mut writer = writer();
        writer.write(Duration::ZERO, &data(&[7; 20_000])).unwrap();
        assert!(writer.buffered() > 20_000);
        writer.flush().unwrap();
        assert_eq!((writer.buffered(), writer.shown.capacity()), (0, 0));
        assert!(size_of::<Writer<TrailFile>>() <= 200);
    }

    #[test]
    fn a_full_buffer_becomes_a_block_by_itself() {
        let mut writer = writer();
        let before = writer.written();
        writer.write(Duration::ZERO, &data(&[7; BLOCK_LEN])).unwrap();
        assert_eq!(writer.buffered(), 0);
        assert!(writer.written() > before);
        assert_eq!(writer.written(), writer.blocks.into_inner().len() as u64);
    }

    #[test]
    fn the_buffer_stays_below_two_blocks_whatever_is_written() {
        let mut writer = writer();
        for length in [1, BLOCK_LEN - 100, 10 * BLOCK_LEN] {
            writer.write(Duration::ZERO, &data(&vec![7; length])).unwrap();
            assert!(writer.shown.capacity() <= 2 * BLOCK_LEN + 256, "{}", writer.shown.capacity());
        }
    }

    #[test]
    fn long_data_becomes_blocks_without_a_buffer_and_keeps_its_place() {
        let pieces = [noise(10), noise(LONG_DATA), vec![7; MAX_DATA + LONG_DATA], noise(LONG_DATA - 1)];
        let mut writer = writer();
        for (n, piece) in pieces.iter().enumerate() {
            writer.write(Duration::from_millis(n as u64), &data(piece)).unwrap();
            assert!(writer.shown.capacity() <= LONG_DATA + 256);
        }
        let trail = writer.finish(Duration::from_secs(1), &end()).unwrap();
        assert!(trail.len() < LONG_DATA * 5 / 2, "the even piece is stored compressed");
        let (mut read, mut times) = (Vec::new(), Vec::new());
        for record in Reader::new(trail.as_slice(), &[]).unwrap() {
            let (at, Event::Data { bytes, .. }) = record.unwrap() else { panic!() };
            read.extend_from_slice(&bytes);
            times.push(at.as_millis());
        }
        assert!(read == pieces.concat());
        assert_eq!(times, [0, 1, 2, 2, 3]);
    }

    #[test]
    fn an_event_that_is_too_long_leaves_the_trail_usable() {
        let mut writer = writer();
        let name = "x".repeat(MAX_EVENT);
        let error = writer.write(Duration::ZERO, &Event::Signal { channel: ChannelId(0), name: name.into() });
        assert!(matches!(error, Err(TrailError::EventTooLong(_))));
        assert_eq!(writer.buffered(), 0);
        writer.write(Duration::ZERO, &data(b"still here")).unwrap();
        writer.flush().unwrap();
    }

    #[test]
    fn after_a_failed_write_nothing_more_is_taken() {
        /// Has room for what one writes while it is created.
        struct Full(bool);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
            }
            fn flush(&mut self) -> io::Result<()> {
                self.0 = true;
                Ok(())
            }
        }
        impl Output for Full {}
        let mut writer = Writer::new(Full(false), &header(), &signed()).unwrap();
        writer.write(Duration::ZERO, &data(b"lost")).unwrap();
        assert!(matches!(writer.flush(), Err(TrailError::Write(_))));
        assert!(matches!(writer.write(Duration::ZERO, &data(b"x")), Err(TrailError::Stopped)));
        assert!(matches!(writer.flush(), Err(TrailError::Stopped)));
    }

    #[test]
    fn what_is_buffered_does_not_reach_debug() {
        let mut writer = writer();
        let bytes = b"hunter2".into();
        let (channel, direction, stream) = (ChannelId(0), Direction::FromClient, Stream::Main);
        writer.write(Duration::ZERO, &Event::Data { channel, direction, stream, bytes }).unwrap();
        assert!(format!("{writer:?}").starts_with("Writer { buffered: 12, sequence: 1, "));
    }
}
