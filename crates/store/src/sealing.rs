//! Secrets that lie in the database sealed, each in its one place.
//!
//! The data key seals them. It lies in the database as well, wrapped with the master key, so that another master key
//! changes one row.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use keyward_model::Secret;
use zeroize::Zeroizing;

use crate::StoreError;
use crate::key_file::KeyFile;
use crate::master_key::{KEY_BYTES, Key, MasterKey};

const WRAPPED: &[u8] = b"keyward store 2 data key";

/// The keys that seal, hash and search, one after the other.
pub(crate) struct DataKey(Zeroizing<[u8; 3 * KEY_BYTES]>);

/// Where a secret lies. It can be opened nowhere else.
#[derive(Clone, Copy)]
pub(crate) enum Spot<'s> {
    Cookie {
        session: &'s str,
        instance: &'s str,
    },
    SessionCookie {
        session: &'s str,
    },
    /// Of the gateway itself.
    Secret {
        name: &'s str,
    },
    /// The configuration of a plugin instance, in a revision. A row gets its number too late.
    Plugin {
        instance: &'s str,
        bundle: &'s str,
        checksum: &'s str,
        environment: &'s str,
        hash: &'s str,
    },
    /// A policy document.
    Document {
        number: u32,
    },
}

pub(crate) struct Sealing {
    seal: RandomizedNonceKey,
    hash: hmac::Key,
    search: Key,
}

impl DataKey {
    pub(crate) fn new() -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0; 3 * KEY_BYTES]);
        rand::fill(&mut *bytes).map_err(|_| StoreError::Sealing)?;
        Ok(Self(bytes))
    }

    /// A new one for a store that a key file has sealed: its index of recordings stays readable.
    pub(crate) fn after(file: &KeyFile) -> Result<Self, StoreError> {
        let mut new = Self::new()?;
        let (_, rest) = new.0.split_at_mut(KEY_BYTES);
        let (hash, search) = rest.split_at_mut(KEY_BYTES);
        hash.copy_from_slice(&**file.hash());
        search.copy_from_slice(&*file.search()?);
        Ok(new)
    }

    /// A new one, by which recordings are searched as before.
    pub(crate) fn next(&self) -> Result<Self, StoreError> {
        let mut new = Self::new()?;
        let kept = 2 * KEY_BYTES..;
        if let (Some(new), Some(old)) = (new.0.get_mut(kept.clone()), self.0.get(kept)) {
            new.copy_from_slice(old);
        }
        Ok(new)
    }

    pub(crate) fn wrap(&self, master: &MasterKey) -> Result<Vec<u8>, StoreError> {
        seal(&wrapping(master)?, &*self.0, WRAPPED)
    }

    /// # Errors
    /// [`StoreError::Sealing`] for one that was wrapped with another master key.
    pub(crate) fn unwrap(wrapped: &[u8], master: &MasterKey) -> Result<Self, StoreError> {
        let bytes = open(&wrapping(master)?, wrapped, WRAPPED)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| StoreError::Sealing)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    pub(crate) fn sealing(&self) -> Result<Sealing, StoreError> {
        let (seal, rest) = self.0.split_at(KEY_BYTES);
        let (hash, search) = rest.split_at(KEY_BYTES);
        Ok(Sealing {
            seal: key(seal)?,
            hash: hmac::Key::new(hmac::HMAC_SHA256, hash),
            search: Zeroizing::new(search.try_into().map_err(|_| StoreError::Sealing)?),
        })
    }
}

impl Sealing {
    pub(crate) fn seal(&self, text: &str, spot: Spot<'_>) -> Result<Vec<u8>, StoreError> {
        seal(&self.seal, text.as_bytes(), &spot.named())
    }

    /// # Errors
    /// [`StoreError::Sealing`] for what this key has not sealed, or in another place.
    pub(crate) fn unseal(&self, sealed: &[u8], spot: Spot<'_>) -> Result<Secret, StoreError> {
        text(&open(&self.seal, sealed, &spot.named())?)
    }

    /// The key of what recordings are searched by.
    pub(crate) fn search_key(&self) -> Key {
        self.search.clone()
    }

    /// Tells a text from others without giving it away to whoever has not the key.
    pub(crate) fn hash(&self, text: &Secret) -> String {
        let tag = hmac::sign(&self.hash, text.expose().as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Spot<'_> {
    /// Table, column and row. No two places have the same name, since each part says how long it is.
    fn named(self) -> Vec<u8> {
        let number;
        let parts: &[&str] = match self {
            Self::Cookie { session, instance } => &["session_plugins", "cookie", session, instance],
            Self::SessionCookie { session } => &["sessions", "session_cookie", session],
            Self::Secret { name } => &["gateway_secrets", "value", name],
            Self::Plugin { instance, bundle, checksum, environment, hash } => {
                &["plugin_revisions", "configuration", instance, bundle, checksum, environment, hash]
            }
            Self::Document { number: row } => {
                number = row.to_string();
                &["configurations", "document", &number]
            }
        };
        let length = |part: &str| (part.len() as u64).to_be_bytes();
        parts.iter().flat_map(|part| length(part).into_iter().chain(part.bytes())).collect()
    }
}

/// What was opened, as the text that it must be.
pub(crate) fn text(bytes: &[u8]) -> Result<Secret, StoreError> {
    let text = std::str::from_utf8(bytes).map_err(|_| StoreError::Sealing)?;
    Ok(Secret::new(text.to_owned()))
}

fn wrapping(master: &MasterKey) -> Result<RandomizedNonceKey, StoreError> {
    key(&*master.wrapping()?)
}

fn key(bytes: &[u8]) -> Result<RandomizedNonceKey, StoreError> {
    RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| StoreError::Sealing)
}

fn seal(key: &RandomizedNonceKey, text: &[u8], about: &[u8]) -> Result<Vec<u8>, StoreError> {
    // With room for the tag: nothing is moved, and nothing of the text is left behind.
    let mut bytes = Vec::with_capacity(text.len() + MAX_TAG_LEN);
    bytes.extend_from_slice(text);
    let nonce = key.seal_in_place_append_tag(Aad::from(about), &mut bytes);
    let mut sealed = nonce.map_err(|_| StoreError::Sealing)?.as_ref().to_vec();
    sealed.append(&mut bytes);
    Ok(sealed)
}

pub(crate) fn open(
    key: &RandomizedNonceKey,
    sealed: &[u8],
    about: &[u8],
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(StoreError::Sealing)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| StoreError::Sealing)?;
    let mut bytes = Zeroizing::new(text.to_vec());
    let opened = key.open_in_place(nonce, Aad::from(about), &mut bytes);
    let length = opened.map_err(|_| StoreError::Sealing)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_with_the_same_key_in_the_same_place_only() {
        let key = DataKey::new().unwrap();
        let (sealing, stranger) = (key.sealing().unwrap(), DataKey::new().unwrap().sealing().unwrap());
        let here = Spot::Cookie { session: "a", instance: "bc" };
        let sealed = sealing.seal("password=sesame", here).unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"sesame"));
        assert_eq!(key.sealing().unwrap().unseal(&sealed, here).unwrap().expose(), "password=sesame");
        for elsewhere in [
            Spot::Cookie { session: "ab", instance: "c" },
            Spot::SessionCookie { session: "a" },
            Spot::Secret { name: "a" },
            Spot::Document { number: 1 },
        ] {
            assert!(sealing.unseal(&sealed, elsewhere).is_err());
        }
        assert!(sealing.unseal(&sealed[..5], here).is_err());
        assert!(stranger.unseal(&sealed, here).is_err());
        let text = Secret::new("password=sesame".into());
        assert_eq!(sealing.hash(&text), key.sealing().unwrap().hash(&text));
        assert_ne!(sealing.hash(&text), stranger.hash(&text));
    }

    #[test]
    fn a_data_key_is_unwrapped_with_its_master_key_and_with_no_other() {
        let master = |byte| MasterKey::of_bytes(&[byte; KEY_BYTES]).unwrap();
        let key = DataKey::new().unwrap();
        let wrapped = key.wrap(&master(1)).unwrap();
        assert!(!wrapped.windows(8).any(|bytes| key.0.windows(8).any(|part| part == bytes)));
        assert_eq!(*DataKey::unwrap(&wrapped, &master(1)).unwrap().0, *key.0);
        assert!(DataKey::unwrap(&wrapped, &master(2)).is_err());
        assert!(DataKey::unwrap(&wrapped[1..], &master(1)).is_err());
    }

    #[test]
    fn another_data_key_searches_as_before_and_seals_otherwise() {
        let (key, next) = {
            let key = DataKey::new().unwrap();
            let next = key.next().unwrap();
            (key.sealing().unwrap(), next.sealing().unwrap())
        };
        let spot = Spot::Secret { name: "key" };
        assert_eq!(*key.search_key(), *next.search_key());
        assert!(next.unseal(&key.seal("s", spot).unwrap(), spot).is_err());
    }
}
