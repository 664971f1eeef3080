//! What was typed and not shown, as passwords are: marked, and kept apart where the policy says so.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::aead::{Aad, LessSafeKey};
use aws_lc_rs::error::Unspecified;

use crate::chain::Link;
use crate::cipher::{FileKey, nonce};
use crate::event::ChannelId;
use crate::lock::Recipients;

const INPUT: &[u8] = b"keyward trail 2 hidden input";

/// What becomes of input that is not shown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum HiddenInputPolicy {
    /// It is recorded as what is typed, and marked.
    #[default]
    Record,
    /// It is not recorded; a mark says that there was some.
    LeaveOut,
    /// It is encrypted once more, to these.
    Recipients(Recipients),
}

/// What is kept of input that was not shown.
#[derive(Clone, Eq, PartialEq)]
pub enum HiddenInput<'a> {
    /// Nothing: here begins some that was left out.
    LeftOut,
    /// So many of the next bytes that come from the client on this channel are it.
    Follows(u32),
    /// It takes a key of its own, which the reader does not have. The number is that of the encryption.
    Sealed { number: u64, text: Cow<'a, [u8]> },
    /// It was sealed, and the reader has the key.
    Opened(Cow<'a, [u8]>),
}

/// Without what was typed.
impl fmt::Debug for HiddenInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut => f.write_str("LeftOut"),
            Self::Follows(bytes) => write!(f, "Follows({bytes})"),
            Self::Sealed { .. } => f.write_str("Sealed(..)"),
            Self::Opened(_) => f.write_str("Opened(..)"),
        }
    }
}

/// Encrypts and decrypts the hidden input of one file, event by event.
pub(crate) struct InputCipher(LessSafeKey);

impl InputCipher {
    /// `root`: of the chain of the file, to which the cipher belongs.
    pub(crate) fn new(key: &FileKey, root: &Link) -> Result<Self, Unspecified> {
        key.derive(root, INPUT).map(Self)
    }

    /// INVARIANT: no number is used twice in a file: it is the nonce.
    fn seal(&self, number: u64, channel: ChannelId, bytes: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut text = bytes.to_vec();
        let about = Aad::from(channel.0.to_le_bytes());
        self.0.seal_in_place_append_tag(nonce(number), about, &mut text)?;
        Ok(text)
    }

    pub(crate) fn open(&self, number: u64, channel: ChannelId, text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut text = text.to_vec();
        let about = Aad::from(channel.0.to_le_bytes());
        let length = self.0.open_in_place(nonce(number), about, &mut text)?.len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for InputCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InputCipher(..)")
    }
}

/// How a writer keeps hidden input.
#[derive(Debug, Default)]
pub(crate) enum HiddenInputWay {
    #[default]
    Record,
    LeaveOut,
    Seal {
        cipher: Box<InputCipher>,
        next: u64,
    },
}

impl HiddenInputWay {
    /// `cipher`: of the recipients, where there are any.
    pub(crate) fn new(policy: &HiddenInputPolicy, cipher: Option<InputCipher>) -> Self {
        match (policy, cipher) {
            (HiddenInputPolicy::Record, _) => Self::Record,
            (HiddenInputPolicy::Recipients(_), Some(cipher)) => {
                Self::Seal { cipher: Box::new(cipher), next: 0 }
            }
            (HiddenInputPolicy::LeaveOut | HiddenInputPolicy::Recipients(_), _) => Self::LeaveOut,
        }
    }

    /// Whether it goes with what is typed as well.
    pub(crate) fn records(&self) -> bool {
        matches!(self, Self::Record)
    }

    /// The mark of some hidden input. `begins`: nothing was hidden on the line before.
    /// `None`: there is none, and what is typed is left out.
    pub(crate) fn mark(
        &mut self,
        channel: ChannelId,
        bytes: &[u8],
        begins: bool,
    ) -> Result<Option<HiddenInput<'static>>, Unspecified> {
        match self {
            Self::Record => Ok(Some(follows(bytes))),
            Self::LeaveOut => Ok(begins.then_some(HiddenInput::LeftOut)),
            Self::Seal { cipher, next } => {
                let number = *next;
                *next += 1;
                let text = cipher.seal(number, channel, bytes)?.into();
                Ok(Some(HiddenInput::Sealed { number, text }))
            }
        }
    }
}

/// The mark of input that is recorded as what is typed.
pub(crate) fn follows(bytes: &[u8]) -> HiddenInput<'static> {
    HiddenInput::Follows(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
}
