//! Writing a trail as the session goes.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::block::{BlockHeader, HEADER_LEN, Kind, MAX_EVENT, ZSTD};
use crate::codec::{put_data, put_data_head, put_event};
use crate::end::End;
use crate::error::TrailError;
use crate::event::Event;
use crate::file::TrailFile;
use crate::header::Header;
use crate::pack;

/// A buffer of this length becomes a block.
const BLOCK_LEN: usize = 64 * 1024;
/// Data of this length becomes a block of its own, which is made without a copy of the data. So a buffer stays below
/// twice a block.
const LONG_DATA: usize = 32 * 1024;
/// Longer data becomes several events.
const MAX_DATA: usize = 256 * 1024;

/// A trail being written.
///
/// Events gather in a buffer, which becomes a block when it holds 64 KiB, and at each [`flush`](Self::flush): call
/// that at least once a second. A flushed writer owns no buffer. Dropping a writer without
/// [`finish`](Self::finish) leaves a trail that reads as unfinished and lacks what was not flushed.
pub struct Writer<W> {
    out: W,
    /// Empty, or room for a block's header and events behind it.
    buffer: Vec<u8>,
    sequence: u64,
    /// Microseconds since the start: the first event in the buffer, and the last event of all.
    first: u64,
    last: u64,
    written: u64,
    /// After a failed write a block may stand half written: nothing may follow it.
    failed: bool,
}

impl Writer<TrailFile> {
    /// Creates the file, for its owner only (mode 0600), and writes the header.
    ///
    /// # Errors
    /// Also when the file exists: a recording is never written over.
    pub fn create(path: &Path, header: &Header) -> Result<Self, TrailError> {
        let file = TrailFile::create(path);
        Self::new(file.map_err(|source| TrailError::Create { path: path.to_owned(), source })?, header)
    }
}

impl<W: Write> Writer<W> {
    /// Begins a trail on `out`, which needs no buffer of its own, by writing the header to it.
    pub fn new(mut out: W, header: &Header) -> Result<Self, TrailError> {
        let bytes = header.encode()?;
        out.write_all(&bytes).and_then(|()| out.flush()).map_err(TrailError::Write)?;
        let written = bytes.len() as u64;
        Ok(Self { out, buffer: Vec::new(), sequence: 0, first: 0, last: 0, written, failed: false })
    }

    /// Notes an event, `at` after the start of the session. A time before the event noted last counts as that one's.
    ///
    /// Blocks on the output when the buffer is full. Data may be of any length; long data is not copied.
    ///
    /// # Errors
    /// After [`TrailError::Write`] the trail takes nothing more. [`TrailError::EventTooLong`] leaves the event out and
    /// the trail usable.
    pub fn write(&mut self, at: Duration, event: &Event<'_>) -> Result<(), TrailError> {
        let at = micros(at).max(self.last);
        let Event::Data { channel, direction, stream, bytes } = event else {
            return self.append(at, |buffer, delta| put_event(buffer, delta, event));
        };
        if bytes.is_empty() {
            return Ok(());
        }
        let way = (*direction, *stream);
        for piece in bytes.chunks(MAX_DATA) {
            if piece.len() >= LONG_DATA {
                self.put_long(at, |head| put_data_head(head, 0, *channel, way, piece.len()), piece)?;
            } else {
                self.append(at, |buffer, delta| put_data(buffer, delta, *channel, way, piece))?;
            }
        }
        Ok(())
    }

    /// Hands everything noted so far to the operating system, and frees the buffer.
    pub fn flush(&mut self) -> Result<(), TrailError> {
        self.emit()?;
        self.buffer = Vec::new();
        self.guarded(|writer| writer.out.flush())
    }

    /// Ends the trail and gives the output back, for example to sync it to the disk.
    pub fn finish(mut self, at: Duration, end: &End) -> Result<W, TrailError> {
        self.emit()?;
        self.last = self.last.max(micros(at));
        self.first = self.last;
        let mut block = vec![0; HEADER_LEN];
        block.extend_from_slice(&end.encode());
        self.guarded(|writer| writer.put_block(Kind::End, &mut block, &[]))?;
        self.guarded(|writer| writer.out.flush())?;
        Ok(self.out)
    }

    /// Bytes of events that a crash would lose now.
    pub fn buffered(&self) -> usize {
        self.buffer.len().saturating_sub(HEADER_LEN)
    }

    /// Bytes handed to the output so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn append(&mut self, at: u64, put: impl FnOnce(&mut Vec<u8>, u64)) -> Result<(), TrailError> {
        if self.failed {
            return Err(TrailError::Stopped);
        }
        if self.buffer.is_empty() {
            self.buffer.resize(HEADER_LEN, 0);
        }
        let before = self.buffer.len();
        let begins = before == HEADER_LEN;
        put(&mut self.buffer, if begins { 0 } else { at - self.last });
        let length = self.buffer.len() - before;
        if length > MAX_EVENT {
            self.buffer.truncate(before);
            return Err(TrailError::EventTooLong(length));
        }
        if begins {
            self.first = at;
        }
        self.last = at;
        if self.buffered() >= BLOCK_LEN { self.emit() } else { Ok(()) }
    }

    /// Makes a block of one event, after what came before it.
    fn put_long(
        &mut self,
        at: u64,
        put_head: impl FnOnce(&mut Vec<u8>),
        data: &[u8],
    ) -> Result<(), TrailError> {
        self.emit()?;
        (self.first, self.last) = (at, at);
        let mut head = vec![0; HEADER_LEN];
        put_head(&mut head);
        self.guarded(|writer| writer.put_block(Kind::Events, &mut head, data))
    }

    /// Makes a block of the buffer, which keeps its memory: more is likely to follow.
    fn emit(&mut self) -> Result<(), TrailError> {
        if self.buffered() == 0 {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.buffer);
        let put = self.guarded(|writer| writer.put_block(Kind::Events, &mut block, &[]));
        block.clear();
        self.buffer = block;
        put
    }

    /// Writes one block; `block` is room for its header and its payload as far as `tail`.
    fn put_block(&mut self, kind: Kind, block: &mut [u8], tail: &[u8]) -> io::Result<()> {
        let plain = block.get(HEADER_LEN..).unwrap_or_default();
        let mut header = BlockHeader {
            kind,
            flags: ZSTD,
            stored: 0,
            plain: (plain.len() + tail.len()) as u32,
            authentication: 0,
            sequence: self.sequence,
            first: self.first,
            last: self.last,
            checksum: 0,
        };
        let out = &mut self.out;
        let written = match pack::compress(plain, tail, |packed| write_block(out, &mut header, packed, &[])) {
            Some(written) => written?,
            None => {
                header.flags = 0;
                write_block(&mut self.out, &mut header, block, tail)?
            }
        };
        self.sequence += 1;
        self.written += written;
        Ok(())
    }

    /// Does I/O, once, and never again after a failure.
    fn guarded(&mut self, io: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<(), TrailError> {
        if self.failed {
            return Err(TrailError::Stopped);
        }
        io(self).map_err(|error| {
            self.failed = true;
            TrailError::Write(error)
        })
    }
}

/// Puts the header into its room and writes it all. Gives the number of bytes.
fn write_block(
    out: &mut impl Write,
    header: &mut BlockHeader,
    block: &mut [u8],
    tail: &[u8],
) -> io::Result<u64> {
    let (room, payload) = block.split_first_chunk_mut().ok_or(io::ErrorKind::InvalidInput)?;
    header.stored = (payload.len() + tail.len()) as u32;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(payload);
    checksum.update(tail);
    header.checksum = checksum.finalize();
    *room = header.encode();
    out.write_all(block)?;
    out.write_all(tail)?;
    Ok((block.len() + tail.len()) as u64)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Sizes only: the buffer holds what people type.
impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("buffered", &self.buffer.len().saturating_sub(HEADER_LEN))
            .field("sequence", &self.sequence)
            .field("written", &self.written)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ChannelId, Direction, Stream};
    use crate::noise::noise;
    use crate::reader::Reader;
    use crate::samples::{data, end, header};

    fn writer() -> Writer<Vec<u8>> {
        Writer::new(Vec::new(), &header()).unwrap()
    }

    #[test]
    fn an_idle_writer_owns_no_buffer() {
        let mut writer = writer();
        writer.write(Duration::ZERO, &data(&[7; 20_000])).unwrap();
        assert!(writer.buffered() > 20_000);
        writer.flush().unwrap();
        assert_eq!((writer.buffered(), writer.buffer.capacity()), (0, 0));
        assert!(size_of::<Writer<TrailFile>>() <= 128);
    }

    #[test]
    fn a_full_buffer_becomes_a_block_by_itself() {
        let mut writer = writer();
        let before = writer.written();
        writer.write(Duration::ZERO, &data(&[7; BLOCK_LEN])).unwrap();
        assert_eq!(writer.buffered(), 0);
        assert!(writer.written() > before);
        assert_eq!(writer.written(), writer.out.len() as u64);
    }

    #[test]
    fn the_buffer_stays_below_two_blocks_whatever_is_written() {
        let mut writer = writer();
        for length in [1, BLOCK_LEN - 100, 10 * BLOCK_LEN] {
            writer.write(Duration::ZERO, &data(&vec![7; length])).unwrap();
            assert!(writer.buffer.capacity() <= 2 * BLOCK_LEN + 256, "{}", writer.buffer.capacity());
        }
    }

    #[test]
    fn long_data_becomes_blocks_without_a_buffer_and_keeps_its_place() {
        let pieces = [noise(10), noise(LONG_DATA), vec![7; MAX_DATA + LONG_DATA], noise(LONG_DATA - 1)];
        let mut writer = writer();
        for (n, piece) in pieces.iter().enumerate() {
            writer.write(Duration::from_millis(n as u64), &data(piece)).unwrap();
            assert!(writer.buffer.capacity() <= LONG_DATA + 256);
        }
        let trail = writer.finish(Duration::from_secs(1), &end()).unwrap();
        assert!(trail.len() < LONG_DATA * 5 / 2, "the even piece is stored compressed");
        let (mut read, mut times) = (Vec::new(), Vec::new());
        for record in Reader::new(trail.as_slice()).unwrap() {
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
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer =
            Writer { out: Full, buffer: vec![], sequence: 0, first: 0, last: 0, written: 0, failed: false };
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
        assert!(format!("{writer:?}").starts_with("Writer { buffered: 12, sequence: 0, "));
    }
}
