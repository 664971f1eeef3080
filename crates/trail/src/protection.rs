//! Who signs a trail and who may read it: the part of the header behind the facts.

use std::sync::Arc;

use crate::auditor_key::AuditorKey;
use crate::chain::Link;
use crate::cipher::{Cipher, FileKey};
use crate::error::{Damage, TrailError};
use crate::hidden_input::{HiddenInputPolicy, HiddenInputWay, InputCipher};
use crate::lock::{Lock, Recipients};
use crate::recipient::KeyError;
use crate::signature::{SigningKey, VerifyingKey};
use crate::wire::{Cursor, put_bytes, put_varint};

/// How a trail that is to be written is protected.
#[derive(Clone, Debug)]
pub struct Protection {
    pub signer: Arc<SigningKey>,
    /// Who may read what is shown, and what is typed where that is not kept apart; `None`: whoever has the file.
    pub shown: Option<Recipients>,
    /// Who may read what comes from the client; `None`: who may read what is shown.
    pub typed: Option<Recipients>,
    /// What becomes of what is typed and not shown. Whoever is to read it must be able to read what is typed too.
    pub hidden_input: HiddenInputPolicy,
}

const SIGNER: u64 = 1;
const SHOWN: u8 = 2;
const TYPED: u8 = 3;
const HIDDEN_INPUT: u8 = 4;

/// The file keys of a trail that begins.
#[derive(Debug)]
pub(crate) struct FileKeys {
    shown: Option<FileKey>,
    typed: Option<FileKey>,
    hidden_input: Option<FileKey>,
}

/// The ciphers of the two streams; a stream without one is not encrypted. And how hidden input is kept.
#[derive(Debug, Default)]
pub(crate) struct Ciphers {
    pub(crate) shown: Option<Cipher>,
    pub(crate) typed: Option<Cipher>,
    /// Of who writes.
    pub(crate) hidden_input: HiddenInputWay,
}

impl Ciphers {
    /// Whether anything is not written as it is.
    pub(crate) fn are_needed(&self) -> bool {
        self.shown.is_some() || self.typed.is_some() || !self.hidden_input.records()
    }

    pub(crate) fn of(&self, typed: bool) -> Option<&Cipher> {
        if typed { self.typed.as_ref() } else { self.shown.as_ref() }
    }

    /// Whether a stream is encrypted and holds what is typed: that is not to stay in memory.
    pub(crate) fn are_secret(&self, typed: bool) -> bool {
        self.of(typed).is_some() && (typed || self.typed.is_none())
    }
}

impl Protection {
    /// Signed, and readable by whoever has the file.
    pub fn signed(signer: Arc<SigningKey>) -> Self {
        Self { signer, shown: None, typed: None, hidden_input: HiddenInputPolicy::Record }
    }

    /// Makes the file's keys, and the part of the header that keeps them for the recipients.
    pub(crate) fn begin(&self, facts: &[u8]) -> Result<(FileKeys, Vec<u8>), KeyError> {
        let mut out = Vec::new();
        put_varint(&mut out, SIGNER);
        put_bytes(&mut out, &self.signer.verifying_key().0);
        let hidden_input = match &self.hidden_input {
            HiddenInputPolicy::Recipients(recipients) => Some(recipients),
            HiddenInputPolicy::Record | HiddenInputPolicy::LeaveOut => None,
        };
        let mut lock = |tag: u8, recipients: Option<&Recipients>| {
            let Some(recipients) = recipients else { return Ok(None) };
            let key = FileKey::random().map_err(|_| KeyError::Library)?;
            put_varint(&mut out, tag.into());
            put_bytes(&mut out, &recipients.lock(&key, &about(facts, tag))?);
            Ok(Some(key))
        };
        let keys = FileKeys {
            shown: lock(SHOWN, self.shown.as_ref())?,
            typed: lock(TYPED, self.typed.as_ref())?,
            hidden_input: lock(HIDDEN_INPUT, hidden_input)?,
        };
        Ok((keys, out))
    }
}

impl FileKeys {
    pub(crate) fn ciphers(&self, root: &Link) -> Result<Ciphers, KeyError> {
        let cipher = |key: &Option<FileKey>| {
            key.as_ref().map(|key| key.cipher(root)).transpose().map_err(|_| KeyError::Library)
        };
        Ok(Ciphers { shown: cipher(&self.shown)?, typed: cipher(&self.typed)?, ..Ciphers::default() })
    }

    pub(crate) fn input_cipher(&self, root: &Link) -> Result<Option<InputCipher>, KeyError> {
        let cipher = self.hidden_input.as_ref().map(|key| InputCipher::new(key, root));
        cipher.transpose().map_err(|_| KeyError::Library)
    }
}

/// What a lock belongs to: it opens with no other facts, and for no other stream.
fn about(facts: &[u8], tag: u8) -> Vec<u8> {
    [blake3::hash(facts).as_bytes().as_slice(), &[tag]].concat()
}

/// The protection as a file has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Protected {
    pub(crate) signer: VerifyingKey,
    pub(crate) shown: Option<Locked>,
    pub(crate) typed: Option<Locked>,
    hidden_input: Option<Locked>,
}

/// A lock, and what it belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Locked {
    lock: Lock,
    about: Vec<u8>,
    what: &'static str,
}

impl Protected {
    pub(crate) fn decode(bytes: &[u8], facts: &[u8]) -> Result<Self, Damage> {
        let (mut signer, mut shown, mut typed, mut hidden_input) = (None, None, None, None);
        let mut fields = Cursor::new(bytes);
        while !fields.is_empty() {
            let tag = fields.varint()?;
            let value = fields.prefixed()?;
            let twice = match tag {
                SIGNER => {
                    let key = value.try_into().map_err(|_| Damage::Value("signer"))?;
                    signer.replace(VerifyingKey(key)).map(|_| "signer")
                }
                tag if tag == u64::from(SHOWN) => {
                    let lock = Locked::decode(value, facts, SHOWN, "what was shown")?;
                    shown.replace(lock).map(|_| "lock of what is shown")
                }
                tag if tag == u64::from(TYPED) => {
                    let lock = Locked::decode(value, facts, TYPED, "what was typed")?;
                    typed.replace(lock).map(|_| "lock of what is typed")
                }
                tag if tag == u64::from(HIDDEN_INPUT) => {
                    let lock = Locked::decode(value, facts, HIDDEN_INPUT, "what was typed and not shown")?;
                    hidden_input.replace(lock).map(|_| "lock of hidden input")
                }
                _newer => None,
            };
            if let Some(what) = twice {
                return Err(Damage::Twice(what));
            }
        }
        Ok(Self { signer: signer.ok_or(Damage::Missing("signer"))?, shown, typed, hidden_input })
    }

    /// The ciphers that the keys give, and why one is missing.
    pub(crate) fn open(
        &self,
        keys: &[AuditorKey],
        root: &Link,
    ) -> Result<(Ciphers, Option<TrailError>), TrailError> {
        let open =
            |locked: &Option<Locked>| locked.as_ref().map(|locked| locked.open(keys, root)).transpose();
        let (ciphers, left_out) = match (open(&self.shown), open(&self.typed)) {
            (Ok(shown), Ok(typed)) => (Ciphers { shown, typed, ..Ciphers::default() }, None),
            (Ok(shown), Err(error)) if is_about_keys(&error) => {
                (Ciphers { shown, ..Ciphers::default() }, Some(error))
            }
            (Err(error), Ok(Some(typed))) if is_about_keys(&error) => {
                (Ciphers { typed: Some(typed), ..Ciphers::default() }, Some(error))
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        Ok((ciphers, left_out))
    }

    /// The cipher of hidden input. `None`: there is none, or the keys do not give it.
    pub(crate) fn open_input(
        &self,
        keys: &[AuditorKey],
        root: &Link,
    ) -> Result<Option<InputCipher>, TrailError> {
        match self.hidden_input.as_ref().map(|locked| locked.open_input(keys, root)).transpose() {
            Err(error) if is_about_keys(&error) => Ok(None),
            opened => opened,
        }
    }
}

impl Locked {
    fn decode(bytes: &[u8], facts: &[u8], tag: u8, what: &'static str) -> Result<Self, Damage> {
        Ok(Self { lock: Lock::decode(bytes)?, about: about(facts, tag), what })
    }

    fn open(&self, keys: &[AuditorKey], root: &Link) -> Result<Cipher, TrailError> {
        let key = self.lock.open(keys, &self.about, self.what)?;
        key.cipher(root).map_err(|_| TrailError::Key(KeyError::Library))
    }

    /// As [`open`](Self::open), of hidden input.
    fn open_input(&self, keys: &[AuditorKey], root: &Link) -> Result<InputCipher, TrailError> {
        let key = self.lock.open(keys, &self.about, self.what)?;
        InputCipher::new(&key, root).map_err(|_| TrailError::Key(KeyError::Library))
    }
}

fn is_about_keys(error: &TrailError) -> bool {
    matches!(
        error,
        TrailError::NoKey { .. }
            | TrailError::WrongKey { .. }
            | TrailError::MoreKeys { .. }
            | TrailError::Share { .. }
    )
}
