//! The block ciphers in counter mode (RFC 4344 section 4) and in CBC mode (RFC 4253 section 6.3).

use aes::cipher::array::Array;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, StreamCipher};
use ctr::Ctr128BE;

use super::{Cipher, CipherError, Keys};

/// Encrypts or decrypts in place; what one call gets continues what the last call got.
pub(super) trait Transform: Send + Sync {
    /// `data` is whole blocks. Fails, with `data` as it was, where it is not.
    fn apply(&mut self, data: &mut [u8]) -> Result<(), CipherError>;
}

pub(super) fn encryption(cipher: Cipher, keys: &Keys<'_>) -> Result<Box<dyn Transform>, CipherError> {
    Ok(match cipher {
        Cipher::Aes128Cbc => Box::new(Encryption(keyed::<cbc::Encryptor<aes::Aes128Enc>>(keys)?)),
        Cipher::Aes192Cbc => Box::new(Encryption(keyed::<cbc::Encryptor<aes::Aes192Enc>>(keys)?)),
        Cipher::Aes256Cbc => Box::new(Encryption(keyed::<cbc::Encryptor<aes::Aes256Enc>>(keys)?)),
        Cipher::TripleDesCbc => Box::new(Encryption(keyed::<cbc::Encryptor<des::TdesEde3>>(keys)?)),
        _ => return counter(cipher, keys),
    })
}

pub(super) fn decryption(cipher: Cipher, keys: &Keys<'_>) -> Result<Box<dyn Transform>, CipherError> {
    Ok(match cipher {
        Cipher::Aes128Cbc => Box::new(Decryption(keyed::<cbc::Decryptor<aes::Aes128Dec>>(keys)?)),
        Cipher::Aes192Cbc => Box::new(Decryption(keyed::<cbc::Decryptor<aes::Aes192Dec>>(keys)?)),
        Cipher::Aes256Cbc => Box::new(Decryption(keyed::<cbc::Decryptor<aes::Aes256Dec>>(keys)?)),
        Cipher::TripleDesCbc => Box::new(Decryption(keyed::<cbc::Decryptor<des::TdesEde3>>(keys)?)),
        _ => return counter(cipher, keys),
    })
}

/// The same in both directions. The AEAD ciphers are no streams of blocks.
fn counter(cipher: Cipher, keys: &Keys<'_>) -> Result<Box<dyn Transform>, CipherError> {
    Ok(match cipher {
        Cipher::Aes128Ctr => Box::new(Keystream(keyed::<Ctr128BE<aes::Aes128Enc>>(keys)?)),
        Cipher::Aes192Ctr => Box::new(Keystream(keyed::<Ctr128BE<aes::Aes192Enc>>(keys)?)),
        Cipher::Aes256Ctr => Box::new(Keystream(keyed::<Ctr128BE<aes::Aes256Enc>>(keys)?)),
        Cipher::Aes128Gcm | Cipher::Aes256Gcm | Cipher::ChaCha20Poly1305 => return Err(CipherError::Key),
        Cipher::Aes128Cbc | Cipher::Aes192Cbc | Cipher::Aes256Cbc | Cipher::TripleDesCbc => {
            return Err(CipherError::Key);
        }
    })
}

fn keyed<C: KeyIvInit>(keys: &Keys<'_>) -> Result<C, CipherError> {
    C::new_from_slices(keys.key, keys.iv).map_err(|_| CipherError::Key)
}

struct Keystream<C>(C);
struct Encryption<C>(C);
struct Decryption<C>(C);

impl<C: StreamCipher + Send + Sync> Transform for Keystream<C> {
    fn apply(&mut self, data: &mut [u8]) -> Result<(), CipherError> {
        self.0.try_apply_keystream(data).map_err(|_| CipherError::Library)
    }
}

impl<C: BlockModeEncrypt + Send + Sync> Transform for Encryption<C> {
    fn apply(&mut self, data: &mut [u8]) -> Result<(), CipherError> {
        let (blocks, rest) = Array::slice_as_chunks_mut(data);
        if !rest.is_empty() {
            return Err(CipherError::Length);
        }
        self.0.encrypt_blocks(blocks);
        Ok(())
    }
}

impl<C: BlockModeDecrypt + Send + Sync> Transform for Decryption<C> {
    fn apply(&mut self, data: &mut [u8]) -> Result<(), CipherError> {
        let (blocks, rest) = Array::slice_as_chunks_mut(data);
        if !rest.is_empty() {
            return Err(CipherError::Length);
        }
        self.0.decrypt_blocks(blocks);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3686 section 6, test vector 2: its nonce, vector and counter are the first counter block.
    #[test]
    fn counter_mode_is_that_of_the_rfc() {
        let key = 0x7E24_0678_17FA_E0D7_43D6_CE1F_3253_9163_u128;
        let iv = 0x006C_B6DB_C054_3B59_DA48_D90B_0000_0001_u128;
        let keys = Keys { iv: &iv.to_be_bytes(), key: &key.to_be_bytes(), mac: &[] };
        let mut text: Vec<u8> = (0..0x20).collect();
        encryption(Cipher::Aes128Ctr, &keys).unwrap().apply(&mut text).unwrap();
        let sealed =
            [0x5104_A106_168A_72D9_790D_41EE_8EDA_D388_u128, 0xEB2E_1EFC_46DA_57C8_FCE6_30DF_9141_BE28];
        assert_eq!(text, sealed.map(u128::to_be_bytes).concat());
    }

    #[test]
    fn part_of_a_block_is_refused() {
        let keys = Keys { iv: &[1; 16], key: &[2; 16], mac: &[] };
        let mut data = [3; 17];
        for mut transform in [encryption, decryption].map(|make| make(Cipher::Aes128Cbc, &keys).unwrap()) {
            assert_eq!(transform.apply(&mut data), Err(CipherError::Length));
        }
        assert_eq!(data, [3; 17]);
    }
}
