//! Session ids in the form that plugins know (contract section 4).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ConnectionName;

/// `svc/<22 characters>/<connection>:<n>`: unique for ever by its random part, and
/// countable within one run of the gateway by its number.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a session id: it has the form svc/<22 characters>/<connection>:<number>")]
pub struct SessionIdError(String);

impl SessionId {
    /// `random` must come from the system's generator: the id is used as a name for files and locks.
    pub fn new(random: [u8; 16], connection: &ConnectionName, number: u64) -> Self {
        Self(format!("svc/{}/{connection}:{number}", base62(random)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 22 random characters: what file names are made of.
    pub fn unique(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }
}

/// 22 digits hold 128 bits (62^22 > 2^128).
fn base62(bytes: [u8; 16]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = u128::from_be_bytes(bytes);
    let digits: Vec<char> = (0..22)
        .map(|_| {
            let digit = DIGITS.get((rest % 62) as usize).copied().unwrap_or(b'0');
            rest /= 62;
            char::from(digit)
        })
        .collect();
    digits.into_iter().rev().collect()
}

impl TryFrom<String> for SessionId {
    type Error = SessionIdError;

    fn try_from(text: String) -> Result<Self, SessionIdError> {
        let well_formed = || {
            let (unique, name) = text.strip_prefix("svc/")?.split_once('/')?;
            let (connection, number) = name.rsplit_once(':')?;
            ConnectionName::try_from(connection).ok()?;
            number.parse::<u64>().ok()?;
            (unique.len() == 22 && unique.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(())
        };
        match well_formed() {
            Some(()) => Ok(Self(text)),
            None => Err(SessionIdError(text)),
        }
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_itself() {
        for random in [[0; 16], [255; 16]] {
            let id = SessionId::new(random, &ConnectionName::try_from("db.1").unwrap(), 7);
            assert_eq!(id.unique().len(), 22);
            assert_eq!(SessionId::try_from(id.to_string()), Ok(id));
        }
    }

    #[test]
    fn a_path_is_no_id() {
        for bad in ["", "svc//x:1", "svc/../../../etc/passwd/x:1", "svc/0123456789012345678901/x"] {
            assert!(SessionId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
