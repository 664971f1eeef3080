//! The protection of packets (RFC 4253 section 6).
//!
//! A [`Sealer`] protects the packets of one direction, an [`Opener`] checks and reads them. Both work where the
//! packet is, and allocate nothing for it.

mod aead;
mod algorithm;
mod block;
mod chacha;
mod frame;
mod mac;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use aws_lc_rs::aead::chacha20_poly1305_openssh::{OpeningKey, SealingKey};
use bytes::BytesMut;

use aead::{Gcm, TAG};
pub use algorithm::{Cipher, Mac};
use frame::{Aligned, Frame};
use mac::Macced;

/// Bytes of `packet_length`.
const LENGTH: usize = 4;

/// Bytes before the payload: `packet_length` and `padding_length`.
pub(crate) const HEAD: usize = 5;

/// Bytes after the payload at most: padding and MAC. A buffer with this room is not moved by [`Sealer::seal`].
pub(crate) const TAIL: usize = 19 + 64;

/// Longest `packet_length` accepted (as OpenSSH: 256 KiB).
pub(crate) const MAX_PACKET: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CipherError {
    #[error("a packet has a length that the protocol does not allow")]
    Length,
    #[error("a packet is not what its sender sealed")]
    Forged,
    #[error("a packet has a padding that does not fit")]
    Padding,
    #[error("a packet has no payload")]
    Empty,
    #[error("a payload is too long for one packet")]
    TooLong,
    #[error("a cipher was chosen that needs a MAC, and none was chosen")]
    NoMac,
    #[error("a key or an initial vector does not fit its algorithm")]
    Key,
    #[error("the crypto library failed")]
    Library,
}

/// The keys of one direction (RFC 4253 section 7.2). Each is exactly as long as its algorithm says.
pub(crate) struct Keys<'a> {
    pub iv: &'a [u8],
    pub key: &'a [u8],
    /// Not looked at for an AEAD cipher.
    pub mac: &'a [u8],
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Protects the packets that go one way.
pub(crate) struct Sealer {
    frame: Frame,
    padding: Padding,
    protection: Sealing,
}

enum Sealing {
    Plain,
    Gcm(Gcm),
    ChaCha(Box<SealingKey>),
    Macced(Box<Macced>),
}

/// What padding is filled with. A keystream hides zeros as well as anything; in CBC mode the last block is the
/// next packet's initial vector and should not repeat.
#[derive(Clone, Copy)]
enum Padding {
    Zeros,
    Random,
}

impl Sealer {
    /// Before the first `SSH_MSG_NEWKEYS`.
    pub(crate) fn plain() -> Self {
        Self { frame: Frame::PLAIN, padding: Padding::Zeros, protection: Sealing::Plain }
    }

    /// `mac` is not looked at for an AEAD cipher.
    pub(crate) fn new(cipher: Cipher, mac: Option<Mac>, keys: &Keys<'_>) -> Result<Self, CipherError> {
        let protection = match cipher {
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => Sealing::Gcm(Gcm::new(cipher, keys)?),
            Cipher::ChaCha20Poly1305 => Sealing::ChaCha(chacha::sealing_key(keys)?),
            _ => Sealing::Macced(Macced::sealer(cipher, mac.ok_or(CipherError::NoMac)?, keys)?),
        };
        let padding = if cipher.is_cbc() { Padding::Random } else { Padding::Zeros };
        Ok(Self { frame: frame_of(cipher, mac)?, padding, protection })
    }

    /// Makes a packet of `buffer[start..]`: [`HEAD`] bytes of room and the payload.
    ///
    /// Fills in the head, appends padding and tag, encrypts in place. `sequence` is the packet's number in this
    /// direction. After an error the buffer's end is of no use.
    pub(crate) fn seal(
        &mut self,
        sequence: u32,
        buffer: &mut BytesMut,
        start: usize,
    ) -> Result<(), CipherError> {
        let end = self.frame(buffer, start)?;
        buffer.resize(end + self.frame.tail(), 0);
        let packet = buffer.get_mut(start..).ok_or(CipherError::Empty)?;
        match &mut self.protection {
            Sealing::Plain => Ok(()),
            Sealing::Gcm(gcm) => gcm.seal(packet),
            Sealing::ChaCha(key) => chacha::seal(key, sequence, packet),
            Sealing::Macced(macced) => macced.seal(sequence, packet),
        }
    }

    /// Writes the head and the padding; returns where the packet ends.
    fn frame(&self, buffer: &mut BytesMut, start: usize) -> Result<usize, CipherError> {
        let unpadded = buffer.len();
        let room = unpadded.checked_sub(start).ok_or(CipherError::Empty)?;
        let payload = room.checked_sub(HEAD).filter(|&length| length > 0).ok_or(CipherError::Empty)?;
        let padding = self.frame.padding(payload);
        let length = HEAD - LENGTH + payload + usize::from(padding);
        if length > MAX_PACKET {
            return Err(CipherError::TooLong);
        }
        let packet_length = u32::try_from(length).map_err(|_| CipherError::TooLong)?;
        let end = unpadded + usize::from(padding);
        buffer.resize(end, 0);
        if let Padding::Random = self.padding {
            let padding = buffer.get_mut(unpadded..).unwrap_or_default();
            aws_lc_rs::rand::fill(padding).map_err(|_| CipherError::Library)?;
        }
        let head = buffer.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut::<HEAD>);
        let [a, b, c, d] = packet_length.to_be_bytes();
        *head.ok_or(CipherError::Empty)?.0 = [a, b, c, d, padding];
        Ok(end)
    }
}

/// Checks and reads the packets that come one way.
pub(crate) struct Opener {
    frame: Frame,
    protection: Opening,
}

enum Opening {
    Plain,
    Gcm(Gcm),
    ChaCha(Box<OpeningKey>),
    Macced(Box<Macced>),
}

impl Opener {
    /// Before the first `SSH_MSG_NEWKEYS`.
    pub(crate) fn plain() -> Self {
        Self { frame: Frame::PLAIN, protection: Opening::Plain }
    }

    /// `mac` is not looked at for an AEAD cipher.
    pub(crate) fn new(cipher: Cipher, mac: Option<Mac>, keys: &Keys<'_>) -> Result<Self, CipherError> {
        let protection = match cipher {
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => Opening::Gcm(Gcm::new(cipher, keys)?),
            Cipher::ChaCha20Poly1305 => Opening::ChaCha(chacha::opening_key(keys)?),
            _ => Opening::Macced(Macced::opener(cipher, mac.ok_or(CipherError::NoMac)?, keys)?),
        };
        Ok(Self { frame: frame_of(cipher, mac)?, protection })
    }

    /// Bytes that must have arrived before [`packet_len`](Self::packet_len) can be asked: 4, or a cipher block
    /// where the length is encrypted with the rest.
    pub(crate) fn head_len(&self) -> usize {
        match &self.protection {
            Opening::Plain | Opening::Gcm(_) | Opening::ChaCha(_) => LENGTH,
            Opening::Macced(macced) => macced.head_len(),
        }
    }

    /// Length of the whole packet on the wire, tag or MAC included.
    ///
    /// Call once per packet with its first [`head_len`](Self::head_len) bytes, which it may decrypt in place.
    /// Refuses lengths below the RFC's minimum, above [`MAX_PACKET`], and not a multiple of the block. After an
    /// error the connection cannot go on.
    pub(crate) fn packet_len(&mut self, sequence: u32, head: &mut [u8]) -> Result<usize, CipherError> {
        if let Opening::Macced(macced) = &mut self.protection {
            macced.reveal(head)?;
        }
        let &length = head.first_chunk().ok_or(CipherError::Length)?;
        // Whoever changes an encrypted length shall not learn from the error what it became.
        let hidden = |length| self.frame.packet_len(length).map_err(|_| CipherError::Forged);
        match &self.protection {
            Opening::Plain | Opening::Gcm(_) => self.frame.packet_len(length),
            Opening::ChaCha(key) => hidden(chacha::packet_length(key, sequence, length)),
            Opening::Macced(macced) if macced.hides_length() => hidden(length),
            Opening::Macced(_) => self.frame.packet_len(length),
        }
    }

    /// Verifies, then decrypts the whole packet in place; returns where its payload is.
    ///
    /// `packet` is as long as `packet_len` said, and begins with what that call left. Refuses a padding that does
    /// not fit or is below 4, and an empty payload. After an error the connection cannot go on.
    pub(crate) fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<Range<usize>, CipherError> {
        match &mut self.protection {
            Opening::Plain => self.check_length(packet)?,
            Opening::Gcm(gcm) => gcm.open(packet)?,
            Opening::ChaCha(key) => chacha::open(key, sequence, packet)?,
            Opening::Macced(macced) => macced.open(sequence, packet)?,
        }
        let end = packet.len().checked_sub(self.frame.tail()).ok_or(CipherError::Length)?;
        Frame::payload(packet.get(..end).unwrap_or_default())
    }

    /// Nothing else ties a plain packet to its length.
    fn check_length(&self, packet: &[u8]) -> Result<(), CipherError> {
        let &length = packet.first_chunk().ok_or(CipherError::Length)?;
        if self.frame.packet_len(length)? == packet.len() { Ok(()) } else { Err(CipherError::Length) }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("frame", &self.frame).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("frame", &self.frame).finish_non_exhaustive()
    }
}

/// Only a MAC over the text encrypts the length as part of the text, and so aligns it too.
fn frame_of(cipher: Cipher, mac: Option<Mac>) -> Result<Frame, CipherError> {
    if cipher.is_aead() {
        return Frame::new(cipher.block_len(), TAG, Aligned::WithoutLength);
    }
    let mac = mac.ok_or(CipherError::NoMac)?;
    let aligned = if mac.is_etm() { Aligned::WithoutLength } else { Aligned::WithLength };
    Frame::new(cipher.block_len(), mac.key_len(), aligned)
}
