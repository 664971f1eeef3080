//! How a trail ends.

use std::time::Duration;

use keyward_model::Verdict;

use crate::error::Damage;
use crate::wire::{Cursor, put_text, put_varint};

/// What the last block of a finished trail says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    pub verdict: Verdict,
    /// Why the session ended, for the record. More than 4,096 bytes are cut off.
    pub reason: Option<String>,
}

/// What a reader found behind the last event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The session ended, at this time since its start, and said how.
    Finished { at: Duration, end: End },
    /// The gateway died, or the session is still open: everything up to the last whole block was given.
    Unfinished,
}

const VERDICT: u64 = 1;
const REASON: u64 = 2;
const MAX_REASON: usize = 4096;

impl End {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, VERDICT);
        put_text(&mut out, self.verdict.as_str());
        if let Some(reason) = &self.reason {
            put_varint(&mut out, REASON);
            put_text(&mut out, reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default());
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Damage> {
        let mut fields = Cursor::new(payload);
        let mut verdict = None;
        let mut reason = None;
        while !fields.is_empty() {
            match fields.varint()? {
                VERDICT => {
                    verdict = Some(fields.text()?.parse().map_err(|_| Damage::Value("verdict"))?);
                }
                REASON => reason = Some(fields.text()?.to_owned()),
                _newer => _ = fields.prefixed()?,
            }
        }
        Ok(Self { verdict: verdict.ok_or(Damage::Missing("verdict"))?, reason })
    }
}
