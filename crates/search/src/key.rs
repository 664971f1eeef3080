//! The key of the index, and what each file of it is encrypted with.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

/// Bytes that encryption adds to a chunk.
pub(crate) const TAG_LEN: usize = 16;
/// Of the random number that each file begins with.
pub(crate) const ID_LEN: usize = 32;
pub(crate) const COMMITMENT_LEN: usize = 32;

const CHUNKS: &[u8] = b"keyward search 1 chunks";
const COMMITMENT: &[u8] = b"keyward search 1 commitment";

/// Opens all files of one index. Wiped when dropped.
pub struct IndexKey(Zeroizing<[u8; Self::BYTES]>);

impl IndexKey {
    pub const BYTES: usize = 32;

    /// `bytes`: of a generator, or derived for this use only.
    pub fn new(bytes: Zeroizing<[u8; Self::BYTES]>) -> Self {
        Self(bytes)
    }

    /// `id`: of the file; no two files have the same, so that no two chunks are sealed with the same key and nonce.
    pub(crate) fn cipher(&self, id: &[u8; ID_LEN]) -> Result<Cipher, Unspecified> {
        let derived = Salt::new(HKDF_SHA256, id).extract(&*self.0);
        let key: UnboundKey = derived.expand(&[CHUNKS], &AES_256_GCM)?.into();
        let mut commitment = [0; COMMITMENT_LEN];
        derived.expand(&[COMMITMENT], HKDF_SHA256)?.fill(&mut commitment)?;
        Ok(Cipher { key: LessSafeKey::new(key), commitment })
    }
}

/// Encrypts and decrypts the chunks of one file. The library wipes its key.
pub(crate) struct Cipher {
    key: LessSafeKey,
    /// Tells whether a key is the one that was meant, and nothing else about it.
    pub(crate) commitment: [u8; COMMITMENT_LEN],
}

/// Which chunk of its file it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) name: &'a str,
    /// INVARIANT: no number is used twice in a file: it is the nonce.
    pub(crate) chunk: u64,
    pub(crate) position: Position,
}

/// Whether more comes: so that a file that was cut does not pass for a shorter one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Position {
    Inner,
    Last,
}

impl Cipher {
    pub(crate) fn seal(&self, place: Place<'_>, chunk: &mut Vec<u8>) -> Result<(), Unspecified> {
        self.key.seal_in_place_append_tag(place.nonce(), place.about(), chunk)
    }

    /// Returns the plain text, which is the start of `chunk`.
    pub(crate) fn open<'c>(&self, place: Place<'_>, chunk: &'c mut [u8]) -> Result<&'c [u8], Unspecified> {
        self.key.open_in_place(place.nonce(), place.about(), chunk).map(|plain| &*plain)
    }
}

impl Place<'_> {
    fn nonce(&self) -> Nonce {
        let [a, b, c, d, e, f, g, h] = self.chunk.to_le_bytes();
        Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
    }

    fn about(&self) -> Aad<Vec<u8>> {
        let last = match self.position {
            Position::Inner => 0,
            Position::Last => 1,
        };
        let mut about = self.chunk.to_le_bytes().to_vec();
        about.push(last);
        about.extend_from_slice(self.name.as_bytes());
        Aad::from(about)
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(..)")
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}
