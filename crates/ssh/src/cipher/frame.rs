//! The form of a packet (RFC 4253 section 6): `packet_length`, `padding_length`, payload, padding, MAC.

use std::ops::Range;

use super::{CipherError, HEAD, LENGTH, MAX_PACKET};

/// RFC 4253 section 6: "There MUST be at least four bytes of padding".
const MIN_PADDING: usize = 4;

/// How the packets of one direction are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    block: u8,
    /// Bytes of tag or MAC.
    tail: u8,
    /// Whether padding aligns the packet with its `packet_length`, or what follows that only.
    aligned: Aligned,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Aligned {
    WithLength,
    WithoutLength,
}

impl Frame {
    pub(super) const PLAIN: Self = Self { block: 8, tail: 0, aligned: Aligned::WithLength };

    pub(super) fn new(block: usize, tail: usize, aligned: Aligned) -> Result<Self, CipherError> {
        let byte = |length| u8::try_from(length).map_err(|_| CipherError::Length);
        Ok(Self { block: byte(block)?, tail: byte(tail)?, aligned })
    }

    pub(super) fn tail(self) -> usize {
        self.tail.into()
    }

    /// What the packet, or what follows its length, is a multiple of.
    pub(super) fn block(self) -> usize {
        self.block.into()
    }

    /// Bytes of padding after a payload of `payload` bytes.
    pub(super) fn padding(self, payload: usize) -> u8 {
        let over = (self.counted(HEAD) + payload) % self.block();
        // Less than a block, which fits.
        let padding = self.block - u8::try_from(over).unwrap_or(0);
        if usize::from(padding) < MIN_PADDING { padding + self.block } else { padding }
    }

    /// Bytes of the packet whose `packet_length` these bytes are, with its length and its tail.
    pub(super) fn packet_len(self, packet_length: [u8; LENGTH]) -> Result<usize, CipherError> {
        let length = usize::try_from(u32::from_be_bytes(packet_length)).map_err(|_| CipherError::Length)?;
        // A padding length, one byte of payload, and padding. Aligned, that is the RFC's minimum or more.
        let is_allowed = (1 + 1 + MIN_PADDING..=MAX_PACKET).contains(&length);
        if is_allowed && self.counted(LENGTH + length).is_multiple_of(self.block()) {
            Ok(LENGTH + length + self.tail())
        } else {
            Err(CipherError::Length)
        }
    }

    /// Where the payload is in `packet`, which is decrypted and has no tail.
    pub(super) fn payload(packet: &[u8]) -> Result<Range<usize>, CipherError> {
        let padding = usize::from(*packet.get(LENGTH).ok_or(CipherError::Length)?);
        if padding < MIN_PADDING {
            return Err(CipherError::Padding);
        }
        let end = packet.len().checked_sub(padding).ok_or(CipherError::Padding)?;
        match end.checked_sub(HEAD) {
            None => Err(CipherError::Padding),
            Some(0) => Err(CipherError::Empty),
            Some(_) => Ok(HEAD..end),
        }
    }

    /// What alignment counts of the first `length` bytes of a packet.
    fn counted(self, length: usize) -> usize {
        match self.aligned {
            Aligned::WithLength => length,
            Aligned::WithoutLength => length - LENGTH,
        }
    }
}
