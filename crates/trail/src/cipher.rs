//! The encryption of blocks, and the file key that it begins with.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::chain::Link;

/// Bytes that encryption adds to a block.
pub(crate) const TAG_LEN: usize = 16;
pub(crate) const KEY_LEN: usize = 32;

const BLOCKS: &[u8] = b"keyward trail 2 blocks";
const COMMITMENT: &[u8] = b"keyward trail 2 commitment";

/// What the key of all blocks of a stream is made of. Wiped when dropped; no file ever holds it but for auditors.
pub(crate) struct FileKey(Zeroizing<[u8; KEY_LEN]>);

impl FileKey {
    pub(crate) fn random() -> Result<Self, Unspecified> {
        Ok(Self(random()?))
    }

    /// Takes it apart: all of the shares give it again, fewer say nothing about it.
    pub(crate) fn shares(&self, count: usize) -> Result<Vec<Zeroizing<[u8; KEY_LEN]>>, Unspecified> {
        let mut shares = (1..count).map(|_| random()).collect::<Result<Vec<_>, _>>()?;
        shares.push(exclusive_or(shares.iter().chain([&self.0])));
        Ok(shares)
    }

    pub(crate) fn of_shares(shares: &[Zeroizing<[u8; KEY_LEN]>]) -> Self {
        Self(exclusive_or(shares.iter()))
    }

    /// Tells whether a file key is the one that was meant, and nothing else about it.
    pub(crate) fn commitment(&self) -> Result<[u8; KEY_LEN], Unspecified> {
        let mut commitment = [0; KEY_LEN];
        let derived = Salt::new(HKDF_SHA256, &[]).extract(&*self.0);
        derived.expand(&[COMMITMENT], HKDF_SHA256)?.fill(&mut commitment)?;
        Ok(commitment)
    }

    /// `root`: of the chain of the file, to which the cipher belongs.
    pub(crate) fn cipher(&self, root: &Link) -> Result<Cipher, Unspecified> {
        self.derive(root, BLOCKS).map(Cipher)
    }

    /// A key for one use.
    pub(crate) fn derive(&self, root: &Link, info: &[u8]) -> Result<LessSafeKey, Unspecified> {
        let derived = Salt::new(HKDF_SHA256, &root.0).extract(&*self.0);
        let key: UnboundKey = derived.expand(&[info], &AES_256_GCM)?.into();
        Ok(LessSafeKey::new(key))
    }
}

fn random() -> Result<Zeroizing<[u8; KEY_LEN]>, Unspecified> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    rand::fill(&mut *bytes)?;
    Ok(bytes)
}

fn exclusive_or<'a>(all: impl Iterator<Item = &'a Zeroizing<[u8; KEY_LEN]>>) -> Zeroizing<[u8; KEY_LEN]> {
    let mut sum = Zeroizing::new([0; KEY_LEN]);
    for one in all {
        sum.iter_mut().zip(one.iter()).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

/// Encrypts and decrypts the blocks of one stream of one file. The library wipes its key.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    /// Encrypts `head` where it is, and `tail` into `rest`, which has room for the tag behind it.
    ///
    /// INVARIANT: no sequence number is used twice in a file: it is the nonce.
    pub(crate) fn seal(
        &self,
        sequence: u64,
        about: &[u8],
        head: &mut [u8],
        tail: &[u8],
        rest: &mut [u8],
    ) -> Result<(), Unspecified> {
        self.0.seal_in_place_scatter(nonce(sequence), Aad::from(about), head, tail, rest)
    }

    /// Takes the encryption from a payload, and its tag from the end.
    pub(crate) fn open(
        &self,
        sequence: u64,
        about: &[u8],
        mut payload: Vec<u8>,
    ) -> Result<Vec<u8>, Unspecified> {
        let length = self.0.open_in_place(nonce(sequence), Aad::from(about), &mut payload)?.len();
        payload.truncate(length);
        Ok(payload)
    }
}

pub(crate) fn nonce(sequence: u64) -> Nonce {
    let [a, b, c, d, e, f, g, h] = sequence.to_le_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(..)")
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_give_the_key_and_fewer_do_not() {
        let key = FileKey::random().unwrap();
        let meant = key.commitment().unwrap();
        for count in 1..5 {
            let shares = key.shares(count).unwrap();
            assert_eq!(shares.len(), count);
            assert_eq!(FileKey::of_shares(&shares).commitment().unwrap(), meant);
            let (_, fewer) = shares.split_first().unwrap();
            assert_ne!(FileKey::of_shares(fewer).commitment().unwrap(), meant);
        }
    }

    #[test]
    fn a_block_opens_at_its_own_place_in_its_own_file_only() {
        let key = FileKey::random().unwrap();
        let cipher = key.cipher(&Link([1; 32])).unwrap();
        let (mut head, mut rest) = (b"head ".to_vec(), [0; 4 + TAG_LEN]);
        cipher.seal(7, b"about", &mut head, b"tail", &mut rest).unwrap();
        let payload = [head.as_slice(), &rest].concat();
        assert!(!payload.starts_with(b"head"));
        assert_eq!(cipher.open(7, b"about", payload.clone()).unwrap(), b"head tail");
        assert!(cipher.open(8, b"about", payload.clone()).is_err());
        assert!(cipher.open(7, b"abouT", payload.clone()).is_err());
        assert!(key.cipher(&Link([2; 32])).unwrap().open(7, b"about", payload).is_err());
        assert!(cipher.open(7, b"about", vec![0; 3]).is_err());
    }
}
