//! Events on their way into a block.

use zeroize::Zeroize;

use crate::block::{HEADER_LEN, MAX_EVENT};
use crate::block_writer::{Batch, BlockWriter};
use crate::cipher::TAG_LEN;
use crate::error::TrailError;
use crate::file::Output;

/// The most bytes of a data event in front of its data: four numbers and a byte.
const EVENT_HEAD: usize = 48;

/// Events that wait to become a block.
#[derive(Default)]
pub(crate) struct Gathered {
    /// Empty, or room for a block's header and events behind it.
    buffer: Vec<u8>,
    /// Microseconds since the start: the first event in the buffer, and the last one.
    first: u64,
    last: u64,
}

impl Gathered {
    /// Bytes of events that wait.
    pub(crate) fn length(&self) -> usize {
        self.buffer.len().saturating_sub(HEADER_LEN)
    }

    /// Makes room for an event with so many bytes of data, and for the tag of its block. A vector that grows by itself
    /// leaves a copy behind.
    pub(crate) fn make_room(&mut self, data: usize) {
        let needed = self.buffer.len() + HEADER_LEN + EVENT_HEAD + data + TAG_LEN;
        if self.buffer.capacity() < needed {
            let mut larger = Vec::with_capacity(needed.next_power_of_two());
            larger.extend_from_slice(&self.buffer);
            self.buffer.zeroize();
            self.buffer = larger;
        }
    }

    /// Adds the event that `put` writes, given the microseconds since the one before it in the block.
    ///
    /// # Errors
    /// [`TrailError::EventTooLong`] leaves it out.
    pub(crate) fn append(&mut self, at: u64, put: impl FnOnce(&mut Vec<u8>, u64)) -> Result<(), TrailError> {
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
        Ok(())
    }

    /// Makes a block of what waits; the buffer keeps its memory.
    pub(crate) fn emit<W: Output>(
        &mut self,
        blocks: &mut BlockWriter<W>,
        typed: bool,
        with_next: bool,
    ) -> Result<(), TrailError> {
        if self.length() == 0 {
            return Ok(());
        }
        let (first, last, block) = (self.first, self.last, &mut self.buffer);
        let put = blocks.events(Batch { typed, with_next, first, last, block, tail: &[] });
        if blocks.is_secret(typed) {
            // Also where the write has failed, or a compressed copy was written.
            self.buffer.zeroize();
        } else {
            self.buffer.clear();
        }
        put
    }

    /// Gives the memory back, after [`emit`](Self::emit).
    pub(crate) fn free(&mut self) {
        self.buffer = Vec::new();
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

/// A session that ends in an error has not written it.
impl Drop for Gathered {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::put_data;
    use crate::event::{ChannelId, Direction, Stream};

    #[test]
    fn the_buffer_of_what_is_encrypted_does_not_grow_by_itself() {
        let mut gathered = Gathered::default();
        for (n, length) in [1, 50, 700, 1, 32_767, 32_767].into_iter().enumerate() {
            gathered.make_room(length);
            let room = gathered.buffer.capacity();
            let way = (Direction::FromClient, Stream::Main);
            let channel = ChannelId(u32::MAX);
            let put = |buffer: &mut Vec<u8>, delta| put_data(buffer, delta, channel, way, &vec![7; length]);
            gathered.append(u64::MAX >> (6 - n), put).unwrap();
            assert!(gathered.buffer.len() + TAG_LEN <= room && gathered.buffer.capacity() == room);
        }
    }
}
