//! What has been read and not been used yet.

use zeroize::Zeroize;

use crate::pool::Pool;

/// A buffer that grows with the traffic, and owns no memory while the peer is silent. What is in it may have been
/// decrypted there.
#[derive(Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read brought much: so will the next one.
    is_bulk: bool,
}

/// For a keystroke, an answer.
const SMALLEST: usize = 4 * 1024;
/// For a bulk transfer: one system call for several packets, and small enough for a processor's cache.
const LARGEST: usize = 256 * 1024;

/// All of [`LARGEST`].
static IDLE: Pool<Vec<u8>> = Pool::new(16);

impl Input {
    pub(crate) fn unread(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// So many bytes have been used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Overwrites so many bytes, which have been used.
    pub(crate) fn wipe(&mut self, count: usize) {
        let end = (self.start + count).min(self.end);
        self.bytes.get_mut(self.start..end).unwrap_or_default().zeroize();
    }

    /// Room to read into. A packet of `wanted` bytes will fit when it has all arrived.
    pub(crate) fn room(&mut self, wanted: usize) -> &mut [u8] {
        let unread = self.len();
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, unread);
        }
        if self.is_bulk && self.bytes.len() < LARGEST {
            let mut large = IDLE.take().unwrap_or_else(|| vec![0; LARGEST]);
            if let (Some(start), Some(unread)) = (large.get_mut(..unread), self.bytes.get(..unread)) {
                start.copy_from_slice(unread);
            }
            self.bytes = large;
        }
        // One byte more: the room is never empty, and a read of nothing means the end.
        let least = wanted.max(unread + 1).max(SMALLEST);
        if self.bytes.len() < least {
            self.bytes.resize(least, 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes of [`room`](Self::room) were filled.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        self.is_bulk = count >= SMALLEST;
    }

    /// What has been used included.
    #[cfg(test)]
    pub(super) fn all(&self) -> &[u8] {
        &self.bytes
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives the memory back if nothing is unread.
    pub(crate) fn rest(&mut self) {
        if self.len() > 0 {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.len() == LARGEST {
            IDLE.give(bytes);
        }
        (self.start, self.end) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(input: &mut Input, bytes: &[u8]) {
        input.room(0)[..bytes.len()].copy_from_slice(bytes);
        input.filled(bytes.len());
    }

    #[test]
    fn what_was_put_in_comes_out_in_order() {
        let mut input = Input::default();
        put(&mut input, b"abcdef");
        input.consume(2);
        put(&mut input, b"gh");
        assert_eq!(input.unread(), b"cdefgh");
        input.consume(99);
        assert_eq!(input.len(), 0);
    }

    #[test]
    fn it_grows_when_a_read_fills_it_and_owns_nothing_when_it_rests() {
        let mut input = Input::default();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let size = input.room(0).len();
            sizes.push(size);
            input.filled(size);
            input.consume(size);
            input.rest();
            assert_eq!(input.bytes.capacity(), 0);
        }
        assert_eq!(sizes, [SMALLEST, LARGEST, LARGEST]);
        put(&mut input, b"a keystroke");
        input.consume(11);
        input.rest();
        assert_eq!(input.room(0).len(), SMALLEST);
    }

    #[test]
    fn what_is_unread_moves_to_the_larger_memory() {
        let mut input = Input::default();
        let text: Vec<u8> = (0..SMALLEST).map(|at| at as u8).collect();
        put(&mut input, &text);
        input.consume(100);
        assert_eq!(input.room(0).len(), LARGEST - (SMALLEST - 100));
        assert_eq!(input.unread(), &text[100..]);
    }

    #[test]
    fn a_large_packet_finds_room() {
        let mut input = Input::default();
        put(&mut input, b"abc");
        assert!(input.room(300_000).len() >= 300_000 - 3);
        assert_eq!(input.unread(), b"abc");
    }
}
