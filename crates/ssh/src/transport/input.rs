//! What has been read and not been used yet.

use zeroize::Zeroize;

/// A buffer that grows with the traffic, and owns no memory while the peer is silent. What is in it may have been
/// decrypted there.
#[derive(Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read filled it: there is more where that came from.
    is_short: bool,
}

/// For the first bytes after a silence: a keystroke, an answer.
const SMALLEST: usize = 4 * 1024;
/// For a bulk transfer: one system call for several packets, and small enough for a processor's cache.
const LARGEST: usize = 256 * 1024;

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
        let size = match self.bytes.len() {
            0 => SMALLEST,
            size if self.is_short => (size * 2).min(LARGEST).max(size),
            size => size,
        };
        // One byte more: the room is never empty, and a read of nothing means the end.
        self.bytes.resize(size.max(wanted).max(unread + 1), 0);
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes of [`room`](Self::room) were filled.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        self.is_short = self.end == self.bytes.len();
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
        if self.len() == 0 {
            *self = Self::default();
        }
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
    fn it_grows_while_reads_fill_it_and_owns_nothing_when_it_rests() {
        let mut input = Input::default();
        let mut sizes = Vec::new();
        for _ in 0..10 {
            let size = input.room(0).len();
            sizes.push(size);
            input.filled(size);
            input.consume(size);
        }
        assert_eq!(sizes[..3], [SMALLEST, 2 * SMALLEST, 4 * SMALLEST]);
        assert_eq!(sizes.last(), Some(&LARGEST));
        input.rest();
        assert_eq!(input.bytes.capacity(), 0);
    }

    #[test]
    fn a_large_packet_finds_room() {
        let mut input = Input::default();
        put(&mut input, b"abc");
        assert!(input.room(300_000).len() >= 300_000 - 3);
        assert_eq!(input.unread(), b"abc");
    }
}
