//! A block cipher with a MAC beside it (RFC 4253 section 6.4; `-etm`: OpenSSH PROTOCOL section 1.5).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use super::block::{self, Transform};
use super::{Cipher, CipherError, Keys, LENGTH, Mac};

/// One direction of a connection.
pub(super) struct Macced {
    transform: Box<dyn Transform>,
    key: hmac::Key,
    is_etm: bool,
    /// Where the length is encrypted with the rest, what must be decrypted to read it; else zero.
    block: usize,
}

impl Macced {
    pub(super) fn sealer(cipher: Cipher, mac: Mac, keys: &Keys<'_>) -> Result<Box<Self>, CipherError> {
        Self::new(block::encryption(cipher, keys)?, cipher, mac, keys)
    }

    pub(super) fn opener(cipher: Cipher, mac: Mac, keys: &Keys<'_>) -> Result<Box<Self>, CipherError> {
        Self::new(block::decryption(cipher, keys)?, cipher, mac, keys)
    }

    fn new(
        transform: Box<dyn Transform>,
        cipher: Cipher,
        mac: Mac,
        keys: &Keys<'_>,
    ) -> Result<Box<Self>, CipherError> {
        if keys.mac.len() != mac.key_len() {
            return Err(CipherError::Key);
        }
        let algorithm = match mac {
            Mac::HmacSha256Etm | Mac::HmacSha256 => hmac::HMAC_SHA256,
            Mac::HmacSha512Etm | Mac::HmacSha512 => hmac::HMAC_SHA512,
            Mac::HmacSha1Etm | Mac::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        let block = if mac.is_etm() { 0 } else { cipher.block_len() };
        Ok(Box::new(Self {
            transform,
            key: hmac::Key::new(algorithm, keys.mac),
            is_etm: mac.is_etm(),
            block,
        }))
    }

    /// `packet` ends with room for the MAC.
    pub(super) fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        let (text, tag) = self.parts(packet)?;
        if self.is_etm {
            self.transform.apply(text.get_mut(LENGTH..).ok_or(CipherError::Length)?)?;
            tag.copy_from_slice(self.mac(sequence, text).as_ref());
        } else {
            tag.copy_from_slice(self.mac(sequence, text).as_ref());
            self.transform.apply(text)?;
        }
        Ok(())
    }

    /// Bytes that `reveal` must get.
    pub(super) fn head_len(&self) -> usize {
        self.block.max(LENGTH)
    }

    pub(super) fn hides_length(&self) -> bool {
        self.block > 0
    }

    /// Decrypts the beginning of a packet as far as its length needs it.
    pub(super) fn reveal(&mut self, head: &mut [u8]) -> Result<(), CipherError> {
        self.transform.apply(head.get_mut(..self.block).ok_or(CipherError::Length)?)
    }

    /// `packet` ends with its MAC, and its beginning is as `reveal` left it.
    pub(super) fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        let (text, tag) = self.parts(packet)?;
        if self.is_etm {
            self.verify(sequence, text, tag)?;
            self.transform.apply(text.get_mut(LENGTH..).ok_or(CipherError::Length)?)
        } else {
            self.transform.apply(text.get_mut(self.block..).ok_or(CipherError::Length)?)?;
            self.verify(sequence, text, tag)
        }
    }

    fn parts<'p>(&self, packet: &'p mut [u8]) -> Result<(&'p mut [u8], &'p mut [u8]), CipherError> {
        let end = packet.len().checked_sub(self.key.algorithm().tag_len()).ok_or(CipherError::Length)?;
        packet.split_at_mut_checked(end).ok_or(CipherError::Length)
    }

    fn verify(&self, sequence: u32, text: &[u8], tag: &[u8]) -> Result<(), CipherError> {
        verify_slices_are_equal(self.mac(sequence, text).as_ref(), tag).map_err(|_| CipherError::Forged)
    }

    fn mac(&self, sequence: u32, text: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&sequence.to_be_bytes());
        context.update(text);
        context.sign()
    }
}
