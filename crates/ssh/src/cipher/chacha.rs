//! ChaCha20-Poly1305 of OpenSSH (PROTOCOL.chacha20poly1305): the length is encrypted by a key of its own,
//! the sequence number is the nonce.

use aws_lc_rs::aead::chacha20_poly1305_openssh::{KEY_LEN, OpeningKey, SealingKey};

use super::aead::TAG;
use super::{CipherError, Keys, LENGTH};

pub(super) fn sealing_key(keys: &Keys<'_>) -> Result<Box<SealingKey>, CipherError> {
    Ok(Box::new(SealingKey::new(material(keys)?)))
}

pub(super) fn opening_key(keys: &Keys<'_>) -> Result<Box<OpeningKey>, CipherError> {
    Ok(Box::new(OpeningKey::new(material(keys)?)))
}

fn material<'a>(keys: &Keys<'a>) -> Result<&'a [u8; KEY_LEN], CipherError> {
    keys.key.try_into().map_err(|_| CipherError::Key)
}

/// `packet` ends with room for the tag.
pub(super) fn seal(key: &SealingKey, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
    let (text, tag) = parts(packet)?;
    key.seal_in_place(sequence, text, tag);
    Ok(())
}

/// The length stays encrypted in the packet: the tag covers it so.
pub(super) fn packet_length(key: &OpeningKey, sequence: u32, length: [u8; LENGTH]) -> [u8; LENGTH] {
    key.decrypt_packet_length(sequence, length)
}

/// `packet` ends with its tag.
pub(super) fn open(key: &OpeningKey, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
    let (text, tag) = parts(packet)?;
    key.open_in_place(sequence, text, tag).map_err(|_| CipherError::Forged)?;
    Ok(())
}

/// The library counts on a whole length being there.
fn parts(packet: &mut [u8]) -> Result<(&mut [u8], &mut [u8; TAG]), CipherError> {
    let (text, tag) = packet.split_last_chunk_mut().ok_or(CipherError::Length)?;
    if text.len() < LENGTH { Err(CipherError::Length) } else { Ok((text, tag)) }
}
