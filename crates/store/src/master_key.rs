//! The master key: whoever has it and the database can read the secrets there.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::StoreError;

/// Of each key here.
pub(crate) const KEY_BYTES: usize = 32;
pub(crate) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// What a key is for that is derived from this one.
const WRAP: &[u8] = b"keyward store 2 wrap";
const NAME: &[u8] = b"keyward store 2 name";

/// 32 bytes that nobody can guess. `Debug` does not show them.
#[derive(Clone)]
pub struct MasterKey(Key);

/// A text that is no master key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "this is no master key: it has 32 bytes, in 64 hexadecimal digits or in base64, as `openssl rand -hex 32` makes them"
)]
pub struct NotAMasterKey;

impl MasterKey {
    /// Reads a key as people keep it: in 64 hexadecimal digits or in base64. White space around it does not count.
    ///
    /// # Errors
    /// [`NotAMasterKey`] does not say what it was.
    pub fn parse(text: &[u8]) -> Result<Self, NotAMasterKey> {
        let text = text.trim_ascii();
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let read =
            if text.len() == 2 * KEY_BYTES { hexadecimal(text, &mut key) } else { base64(text, &mut key) };
        read.map(|()| Self(key)).ok_or(NotAMasterKey)
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The key that a data key is wrapped with.
    pub(crate) fn wrapping(&self) -> Result<Key, StoreError> {
        derive(&*self.0, WRAP)
    }

    /// Tells this key from others: 16 hexadecimal digits, from which nobody gets to it.
    pub(crate) fn name(&self) -> Result<String, StoreError> {
        let name = derive(&*self.0, NAME)?;
        Ok(name.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

fn hexadecimal(text: &[u8], key: &mut Key) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, digits) in key.iter_mut().zip(text.chunks_exact(2)) {
        let &[high, low] = digits else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(())
}

fn base64(text: &[u8], key: &mut Key) -> Option<()> {
    let decoded = Base64::decode(text, &mut **key).ok()?;
    (decoded.len() == KEY_BYTES).then_some(())
}

/// Whoever has what comes out of it learns nothing of `key`, or of what comes out for another use.
pub(crate) fn derive(key: &[u8], usage: &[u8]) -> Result<Key, StoreError> {
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    let usage = [usage];
    let okm = Salt::new(HKDF_SHA256, b"").extract(key);
    let okm = okm.expand(&usage, Length).map_err(|_| StoreError::Sealing)?;
    okm.fill(&mut *derived).map_err(|_| StoreError::Sealing)?;
    Ok(derived)
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_hexadecimal_digits_and_from_base64_and_from_nothing_else() {
        let key = [0xab; KEY_BYTES];
        let hex = "ab".repeat(KEY_BYTES);
        let base64 = Base64::encode_string(&key);
        for text in [hex.clone(), hex.to_uppercase(), format!(" {hex}\r\n"), base64.clone(), base64 + "\n"] {
            assert_eq!(*MasterKey::parse(text.as_bytes()).unwrap().0, key, "{text}");
        }
        let short = Base64::encode_string(&key[1..]);
        for text in ["", "ab", &hex[2..], &(hex.clone() + "ab"), &hex.replace('a', "g"), &short] {
            assert_eq!(MasterKey::parse(text.as_bytes()).unwrap_err(), NotAMasterKey, "{text}");
        }
    }

    #[test]
    fn neither_debug_nor_the_name_of_a_key_shows_it() {
        let key = MasterKey::parse("ab".repeat(KEY_BYTES).as_bytes()).unwrap();
        let name = key.name().unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
        assert!(name.len() == 16 && !name.contains("abab"), "{name}");
        assert_ne!(name, MasterKey::parse("ac".repeat(KEY_BYTES).as_bytes()).unwrap().name().unwrap());
        assert_ne!(*key.wrapping().unwrap(), *key.0);
    }
}
