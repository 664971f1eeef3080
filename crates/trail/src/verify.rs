//! Whether a trail is as it was written, and by whom: without any private key, and without the gateway.

use std::collections::VecDeque;
use std::io::Read;
use std::time::Duration;

use crate::block::Kind;
use crate::chain::Extent;
use crate::chained::{Chained, Next, Place, Stored};
use crate::end::End;
use crate::error::{Damage, TrailError};
use crate::header::Header;
use crate::signature::VerifyingKey;
use crate::timestamp::{Sealed, TimestampFound};
use crate::timestamp_authorities::TimestampAuthorities;
use crate::timestamps_found::Timestamps;

/// What was found out about a trail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// What the file says of itself: the signer's word, unless `integrity` is [`Integrity::Unsigned`]; then anybody's.
    pub header: Header,
    /// Who has signed it, by what it says of itself: true unless `integrity` is [`Integrity::Unsigned`].
    pub signer: VerifyingKey,
    pub integrity: Integrity,
    /// What it says of the session's end, where that is signed.
    pub end: Option<End>,
    /// Whole blocks.
    pub blocks: u64,
    /// The blocks at the end that no signature covers: they prove nothing.
    pub unsigned: u64,
    /// Up to when it is signed: the last event before the last signature that is right.
    pub signed_until: Duration,
    /// As far as there are whole blocks, whatever is wrong with them.
    pub extent: Extent,
    /// The last timestamp that a signature covers: of those that are trusted, where authorities were asked for and there
    /// is one.
    pub timestamp: Option<TimestampFound>,
    /// The first timestamp whose time cannot be true together with the trail's; of one that is not trusted only where no
    /// authorities were asked for.
    pub misdated: Option<TimestampFound>,
}

/// What a trail is held against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Who must have signed it.
    pub signed_by: Option<&'a VerifyingKey>,
    /// Whose timestamps are believed.
    pub timestamped_by: Option<&'a TimestampAuthorities>,
}

/// Times are since the start of the session, and signed: what blocks behind the last signature say of theirs is not told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Integrity {
    /// Complete from its beginning to its signed end.
    Intact,
    /// What is there is as it was written, as far as it is signed, which is until `at`, and there is no signed end: the
    /// gateway died, the session is still open, or somebody has cut the file.
    Truncated { at: Duration },
    /// It is not as it was written, behind this time: somewhere in the blocks from `from` to `block`, of which `block` is
    /// the first that does not fit.
    Changed { at: Duration, from: u64, block: u64, damage: Damage },
    /// Not even its header is signed, so anybody can have made it, with any signer's name. `damage`: what is wrong with
    /// the signature that must be the first block; `None` where the file ends before it.
    Unsigned { damage: Option<Damage> },
    /// Another key than the one that was asked for has signed it: all that it says is the word of whoever has that.
    OtherSigner,
}

/// One block of a trail, as far as it stands in the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockFound {
    pub number: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// What it is: `events`, `end`, `seal`, `timestamp`, or another word for kinds of newer versions.
    pub kind: &'static str,
    pub first: Duration,
    pub last: Duration,
    pub standing: Standing,
    pub timestamp: Option<TimestampFound>,
}

/// What is known of a block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// A signature that is right covers it, and everything before it.
    Signed,
    /// The same, but by another key than the one that was asked for.
    SignedByOther,
    /// It fits the block before, which anybody can bring about: no signature covers it.
    Chained,
    Damaged(Damage),
}

/// INVARIANT: the most blocks that wait for their seal. A node seals every ten seconds, which is a tenth of that; of blocks
/// that wait longer, the first are told as not signed.
const MOST_WAITING: usize = 1 << 18;

/// What a file says of itself, whoever has made it.
pub fn claimed_header(mut source: impl Read) -> Result<Header, TrailError> {
    Ok(Header::read(&mut source)?.header)
}

/// Reads a whole trail. `each` is told of each block, in order, as soon as a signature covers it or none can any more.
///
/// # Errors
/// Where the header cannot be read or understood, and so nothing can be said of the rest; and where `source` fails.
pub fn verify(
    source: impl Read,
    signed_by: Option<&VerifyingKey>,
    each: impl FnMut(&BlockFound),
) -> Result<Verified, TrailError> {
    verify_as(source, Asked { signed_by, timestamped_by: None }, each)
}

/// The same, where timestamps are held against their authorities too.
pub fn verify_as(
    mut source: impl Read,
    asked: Asked<'_>,
    mut each: impl FnMut(&BlockFound),
) -> Result<Verified, TrailError> {
    let begun = Header::read(&mut source)?;
    let mut chained = Chained::new(source, &begun);
    let signer = begun.protected.signer;
    let other = asked.signed_by.is_some_and(|key| *key != signer);
    let mut findings = Findings::new(other, Timestamps::new(begun.header.started, asked.timestamped_by));
    let mut waiting = Waiting::default();
    let cut = loop {
        match chained.next() {
            Ok(Next::Block(stored)) => waiting.add(findings.add(&stored), &mut each),
            Ok(Next::End) => break None,
            Ok(Next::Cut(place)) => break Some(place),
            Err(TrailError::Block { block, damage, .. }) => {
                findings.blame(block, damage);
                break None;
            }
            Err(other) => return Err(other),
        }
    };
    waiting.tell(&mut each);
    let integrity = match findings.integrity(cut) {
        Integrity::Unsigned { damage } => Integrity::Unsigned { damage },
        _signed if other => Integrity::OtherSigner,
        found => found,
    };
    let Findings { blocks, unsigned, signed_until, end, timestamps, .. } = findings;
    let (timestamp, misdated) = timestamps.found();
    let end = end.filter(|end| end.sealed).map(|end| end.says);
    let (header, extent) = (begun.header, chained.extent());
    Ok(Verified {
        header,
        signer,
        integrity,
        end,
        blocks,
        unsigned,
        signed_until,
        extent,
        timestamp,
        misdated,
    })
}

/// Blocks of which nothing can be told before the next seal.
#[derive(Default)]
struct Waiting(VecDeque<BlockFound>);

impl Waiting {
    fn add(&mut self, found: BlockFound, each: &mut impl FnMut(&BlockFound)) {
        match &found.standing {
            Standing::Signed | Standing::SignedByOther => {
                self.0.iter_mut().for_each(|block| block.standing = found.standing.clone());
                self.tell(each);
                each(&found);
            }
            Standing::Damaged(_) => {
                self.tell(each);
                each(&found);
            }
            Standing::Chained => {
                if self.0.len() >= MOST_WAITING {
                    self.0.pop_front().iter().for_each(&mut *each);
                }
                self.0.push_back(found);
            }
        }
    }

    fn tell(&mut self, each: &mut impl FnMut(&BlockFound)) {
        self.0.drain(..).for_each(|block| each(&block));
    }
}

struct Findings<'a> {
    /// Whether the signer is another one than was asked for.
    other: bool,
    blocks: u64,
    unsigned: u64,
    /// Whether any signature was right, and so the header is its signer's.
    signed: bool,
    signed_until: Duration,
    /// The last event of all blocks that fit the chain.
    last: Duration,
    end: Option<EndFound>,
    /// The first damage: nothing behind it can be trusted.
    damage: Option<(u64, Damage)>,
    timestamps: Timestamps<'a>,
}

struct EndFound {
    says: End,
    sealed: bool,
}

impl<'a> Findings<'a> {
    fn new(other: bool, timestamps: Timestamps<'a>) -> Self {
        Self {
            other,
            blocks: 0,
            unsigned: 0,
            signed: false,
            signed_until: Duration::ZERO,
            last: Duration::ZERO,
            end: None,
            damage: None,
            timestamps,
        }
    }

    /// A seal that is right is signed, by whomever; of other blocks that fit, only the next seal can say that.
    fn add(&mut self, stored: &Stored) -> BlockFound {
        let header = &stored.header;
        let (first, last) = (Duration::from_micros(header.first), Duration::from_micros(header.last));
        self.blocks += 1;
        self.unsigned += 1;
        let mut timestamp = None;
        let judged = match &stored.damage {
            Some(damage) => Err(damage.clone()),
            None => self.judge(stored, first, &mut timestamp),
        };
        let standing = match judged {
            Err(damage) => {
                self.blame(stored.place.number, damage.clone());
                Standing::Damaged(damage)
            }
            // A seal behind damage stands on a chain that does not reach back to the header.
            Ok(()) if self.damage.is_some() => Standing::Chained,
            Ok(()) => self.accept(stored, last, timestamp.as_ref()),
        };
        let kind = match header.kind {
            Kind::Events => "events",
            Kind::End => "end",
            Kind::Seal => "seal",
            Kind::Index => "index",
            Kind::Timestamp => "timestamp",
            Kind::Unknown(_) => "of a newer version",
        };
        let Place { number, offset } = stored.place;
        BlockFound { number, offset, kind, first, last, standing, timestamp }
    }

    /// What can be wrong with a block that fits the chain: only the signer could have made it so, or nobody has signed it.
    fn judge(
        &mut self,
        stored: &Stored,
        first: Duration,
        timestamp: &mut Option<TimestampFound>,
    ) -> Result<(), Damage> {
        let kind = stored.header.kind;
        match (kind, &self.end) {
            (Kind::Events | Kind::End, Some(_)) => return Err(Damage::AfterEnd),
            (Kind::End, None) => {
                let says = match stored.header.flags {
                    0 => End::decode(&stored.payload)?,
                    flags => return Err(Damage::Flags(flags)),
                };
                self.end = Some(EndFound { says, sealed: false });
            }
            (Kind::Timestamp, _) => *timestamp = Some(self.timestamps.read(&stored.payload)?),
            (Kind::Events | Kind::Seal | Kind::Index | Kind::Unknown(_), _) => {}
        }
        match kind {
            Kind::End | Kind::Seal | Kind::Timestamp if first < self.last => Err(Damage::Time),
            Kind::Events | Kind::End | Kind::Seal | Kind::Index | Kind::Timestamp | Kind::Unknown(_) => {
                Ok(())
            }
        }
    }

    fn accept(&mut self, stored: &Stored, last: Duration, timestamp: Option<&TimestampFound>) -> Standing {
        match stored.header.kind {
            Kind::Index | Kind::Unknown(_) => Standing::Chained,
            Kind::Events | Kind::End => {
                self.last = self.last.max(last);
                Standing::Chained
            }
            Kind::Timestamp => {
                self.timestamps.add(timestamp);
                Standing::Chained
            }
            Kind::Seal => {
                let whole = self.end.is_some();
                let sealed = Sealed { sequence: stored.header.sequence, link: stored.link };
                self.timestamps.sealed(sealed, last, whole);
                self.unsigned = 0;
                self.signed = true;
                self.signed_until = last;
                self.end.iter_mut().for_each(|end| end.sealed = true);
                if self.other { Standing::SignedByOther } else { Standing::Signed }
            }
        }
    }

    fn blame(&mut self, block: u64, damage: Damage) {
        self.damage.get_or_insert((block, damage));
    }

    /// `cut`: where the file ends within a block.
    fn integrity(&self, cut: Option<Place>) -> Integrity {
        if !self.signed {
            return Integrity::Unsigned { damage: self.damage.as_ref().map(|(_, damage)| damage.clone()) };
        }
        let (at, from) = (self.signed_until, self.blocks - self.unsigned);
        let ended = self.end.as_ref().is_some_and(|end| end.sealed);
        let follows = cut.is_some() || self.unsigned > 0;
        match &self.damage {
            Some((block, damage)) => Integrity::Changed { at, from, block: *block, damage: damage.clone() },
            None if ended && follows => {
                Integrity::Changed { at, from, block: from, damage: Damage::AfterEnd }
            }
            None if ended => Integrity::Intact,
            None => Integrity::Truncated { at },
        }
    }
}
