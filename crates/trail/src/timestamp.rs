//! A timestamp in a trail: another party's word of when it had come so far (RFC 3161).
//!
//! Whoever has the node's signing key can write a trail later and date it back; the authority's key they do not have.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use keyward_model::UnixMillis;

use crate::chain::Link;
use crate::error::Damage;
use crate::timestamp_token::{MAX_TOKEN, Token, TokenError};
use crate::wire::Cursor;

/// What the authority signs the hash of begins with this.
const CONTEXT: &[u8] = b"keyward trail 2 timestamp";
/// Bytes of a timestamp's payload in front of the token.
const TOKEN_AT: usize = 8 + Link::LEN;
/// INVARIANT: the most bytes of a timestamp's payload.
pub(crate) const MAX_TIMESTAMP: usize = TOKEN_AT + MAX_TOKEN;

/// A seal of a trail that is being written: what an authority is asked to put its time on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sealed {
    /// The number of the seal's block.
    pub(crate) sequence: u64,
    pub(crate) link: Link,
}

/// A token that is right, for the seal that it was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timestamp {
    pub(crate) sealed: Sealed,
    /// The TimeStampToken, DER.
    pub(crate) token: Vec<u8>,
    /// When the authority says that the seal was there.
    pub time: UnixMillis,
}

/// A timestamp as it was found in a trail. Times of the session are the signer's word, the others the authority's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimestampFound {
    /// When the authority says that the trail had come so far.
    pub time: UnixMillis,
    /// The authority, by the name in its certificate: its own word, unless `trusted`.
    pub by: String,
    /// How far: the last event before the seal that it stands for, since the start of the session.
    pub until: Duration,
    /// It stands for the whole session, its end included.
    pub whole: bool,
    pub trust: Trust,
    /// How the time does not fit what the trail says of itself.
    pub misdated: Option<Misdated>,
}

/// Whether an authority is one of those that were asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trust {
    Trusted,
    /// No authority was named: anybody can have made the timestamp.
    Unchecked,
    Untrusted(TokenError),
}

/// A time that cannot be true together with those of the trail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Misdated {
    /// So much later than the trail says: it may have been made then, and dated back.
    Late(Duration),
    /// So much earlier than the trail says.
    Early(Duration),
    /// Earlier than the timestamp before it.
    Backwards,
}

/// A clock may be wrong by this, or an answer late.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(600);

impl Sealed {
    /// What the authority puts its time on: the SHA-256 of what a link stands for.
    pub(crate) fn imprint(&self) -> [u8; 32] {
        let mut imprint = [0; 32];
        imprint.copy_from_slice(digest(&SHA256, &[CONTEXT, &self.link.0].concat()).as_ref());
        imprint
    }
}

impl Timestamp {
    /// The payload of its block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [self.sealed.sequence.to_le_bytes().as_slice(), &self.sealed.link.0, &self.token].concat()
    }
}

/// Splits the payload of a timestamp's block: the seal that it stands for, and the token.
pub(crate) fn decode(payload: &[u8]) -> Result<(Sealed, Token), Damage> {
    let mut fields = Cursor::new(payload);
    let sealed = Sealed { sequence: u64::from_le_bytes(fields.array()?), link: Link(fields.array()?) };
    let token = Token::parse(fields.rest()).map_err(Damage::Timestamp)?;
    token.check(&sealed.imprint()).map_err(Damage::Timestamp)?;
    Ok((sealed, token))
}

/// How the time of an authority fits the one that a trail claims for the same moment, and the timestamp before.
pub(crate) fn misdated(
    time: UnixMillis,
    claimed: UnixMillis,
    before: Option<UnixMillis>,
) -> Option<Misdated> {
    let apart = Duration::from_millis(time.0.abs_diff(claimed.0));
    match before {
        Some(before) if time.0 < before.0 => Some(Misdated::Backwards),
        _ if apart <= TOLERANCE => None,
        _ if time.0 > claimed.0 => Some(Misdated::Late(apart)),
        _ => Some(Misdated::Early(apart)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_does_not_fit_the_trails_own_is_told() {
        let at = |minutes: i64| UnixMillis(minutes * 60_000);
        let minutes = |count: u64| Duration::from_secs(count * 60);
        assert_eq!(misdated(at(10), at(0), None), None);
        assert_eq!(misdated(at(-10), at(0), None), None);
        assert_eq!(misdated(at(11), at(0), None), Some(Misdated::Late(minutes(11))));
        assert_eq!(misdated(at(-11), at(0), None), Some(Misdated::Early(minutes(11))));
        assert_eq!(misdated(at(1), at(0), Some(at(2))), Some(Misdated::Backwards));
        assert_eq!(misdated(at(2), at(0), Some(at(2))), None);
    }
}
