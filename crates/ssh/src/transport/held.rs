//! Messages that wait for the end of a key exchange.

use zeroize::Zeroizing;

/// In plain text, so they are wiped.
#[derive(Default)]
pub(super) struct Held {
    messages: Vec<Zeroizing<Vec<u8>>>,
    bytes: usize,
}

impl Held {
    pub(super) fn push(&mut self, parts: &[&[u8]]) {
        let message = Zeroizing::new(parts.concat());
        self.bytes += message.len();
        self.messages.push(message);
    }

    /// Bytes of all that waits.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of them, in their order.
    pub(super) fn release(&mut self) -> Vec<Zeroizing<Vec<u8>>> {
        std::mem::take(self).messages
    }
}
