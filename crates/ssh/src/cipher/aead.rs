//! AES-GCM as SSH uses it (RFC 5647, with the names and rules of OpenSSH PROTOCOL section 1.6).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{Cipher, CipherError, Keys, LENGTH};

/// Bytes of tag, of AES-GCM and of ChaCha20-Poly1305.
pub(super) const TAG: usize = 16;

/// A key and the nonce of the next packet. `packet_length` is authenticated, but readable.
pub(super) struct Gcm {
    key: LessSafeKey,
    fixed: [u8; 4],
    /// RFC 5647 section 7.1: starts with what the key exchange gave, one more for each packet.
    invocation: u64,
}

impl Gcm {
    pub(super) fn new(cipher: Cipher, keys: &Keys<'_>) -> Result<Self, CipherError> {
        let algorithm = if cipher == Cipher::Aes128Gcm { &AES_128_GCM } else { &AES_256_GCM };
        let (&fixed, invocation) = keys.iv.split_first_chunk().ok_or(CipherError::Key)?;
        let invocation = u64::from_be_bytes(invocation.try_into().map_err(|_| CipherError::Key)?);
        let key = UnboundKey::new(algorithm, keys.key).map_err(|_| CipherError::Key)?;
        Ok(Self { key: LessSafeKey::new(key), fixed, invocation })
    }

    /// `packet` ends with room for the tag.
    pub(super) fn seal(&mut self, packet: &mut [u8]) -> Result<(), CipherError> {
        let nonce = self.next_nonce();
        let (length, text, tag) = parts(packet)?;
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(length), text)
            .map_err(|_| CipherError::Library)?;
        tag.copy_from_slice(sealed.as_ref());
        Ok(())
    }

    /// `packet` ends with its tag.
    pub(super) fn open(&mut self, packet: &mut [u8]) -> Result<(), CipherError> {
        let nonce = self.next_nonce();
        let (length, text, tag) = parts(packet)?;
        self.key
            .open_in_place_separate_tag(nonce, Aad::from(length), tag, text)
            .map_err(|_| CipherError::Forged)?;
        Ok(())
    }

    fn next_nonce(&mut self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        let (fixed, invocation) = nonce.split_at_mut(self.fixed.len());
        fixed.copy_from_slice(&self.fixed);
        invocation.copy_from_slice(&self.invocation.to_be_bytes());
        // Comes round after 2^64 packets; keys are renewed long before.
        self.invocation = self.invocation.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }
}

type Parts<'a> = ([u8; LENGTH], &'a mut [u8], &'a mut [u8; TAG]);

fn parts(packet: &mut [u8]) -> Result<Parts<'_>, CipherError> {
    let (length, rest) = packet.split_first_chunk_mut().ok_or(CipherError::Length)?;
    let (text, tag) = rest.split_last_chunk_mut().ok_or(CipherError::Length)?;
    Ok((*length, text, tag))
}
