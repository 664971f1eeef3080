//! The timestamps of a trail that is verified: each held against the chain, and against those who are trusted.

use std::collections::VecDeque;
use std::time::Duration;

use keyward_model::UnixMillis;

use crate::error::Damage;
use crate::timestamp::{Sealed, TimestampFound, Trust, decode, misdated};
use crate::timestamp_authorities::TimestampAuthorities;
use crate::timestamp_token::TokenError;

/// INVARIANT: of so many seals one can have a timestamp that comes later: some minutes of a session.
const MOST_SEALS: usize = 64;

pub(crate) struct Timestamps<'a> {
    /// When the session began, by what the trail says.
    started: UnixMillis,
    authorities: Option<&'a TimestampAuthorities>,
    /// The last ones that were right.
    seals: VecDeque<Seal>,
    /// Since the last seal: nothing covers it yet.
    waiting: Option<TimestampFound>,
    /// That a signature covers: the last one, of those that are not untrusted and of the others.
    believed: Option<TimestampFound>,
    untrusted: Option<TimestampFound>,
    /// The first one whose time is not right.
    misdated: Option<TimestampFound>,
}

struct Seal {
    sealed: Sealed,
    last: Duration,
    whole: bool,
}

impl<'a> Timestamps<'a> {
    pub(crate) fn new(started: UnixMillis, authorities: Option<&'a TimestampAuthorities>) -> Self {
        let seals = VecDeque::new();
        Self { started, authorities, seals, waiting: None, believed: None, untrusted: None, misdated: None }
    }

    /// The timestamp in a block.
    ///
    /// # Errors
    /// Where the gateway would not have written it: it stands for no seal before it, or its signature is wrong.
    pub(crate) fn read(&self, payload: &[u8]) -> Result<TimestampFound, Damage> {
        if self.waiting.is_some() {
            return Err(Damage::Timestamp(TokenError::NotAlone));
        }
        let (sealed, token) = decode(payload)?;
        let seal = self.seals.iter().find(|seal| seal.sealed == sealed);
        let seal = seal.ok_or(Damage::Timestamp(TokenError::NoSeal))?;
        let trust = match self.authorities.map(|authorities| authorities.trust(&token)) {
            None => Trust::Unchecked,
            Some(Ok(())) => Trust::Trusted,
            Some(Err(error)) => Trust::Untrusted(error),
        };
        let millis = i64::try_from(seal.last.as_millis()).unwrap_or(i64::MAX);
        let claimed = UnixMillis(self.started.0.saturating_add(millis));
        let before = self.believed.as_ref().map(|before| before.time);
        let time = token.time();
        let (until, whole, misdated) = (seal.last, seal.whole, misdated(time, claimed, before));
        Ok(TimestampFound { time, by: token.by(), until, whole, trust, misdated })
    }

    /// Takes note of one that fits the chain.
    pub(crate) fn add(&mut self, found: Option<&TimestampFound>) {
        self.waiting = found.cloned();
    }

    /// Takes note of a seal that is right. `last`: of the events before it.
    pub(crate) fn sealed(&mut self, sealed: Sealed, last: Duration, whole: bool) {
        match self.waiting.take() {
            Some(found) if matches!(found.trust, Trust::Untrusted(_)) => self.untrusted = Some(found),
            Some(found) => {
                if found.misdated.is_some() && self.misdated.is_none() {
                    self.misdated = Some(found.clone());
                }
                self.believed = Some(found);
            }
            None => {}
        }
        if self.seals.len() >= MOST_SEALS {
            self.seals.pop_front();
        }
        self.seals.push_back(Seal { sealed, last, whole });
    }

    /// The one to tell of, and the first whose time is not right.
    pub(crate) fn found(self) -> (Option<TimestampFound>, Option<TimestampFound>) {
        (self.believed.or(self.untrusted), self.misdated)
    }
}
