//! Whether a trail is as it was written, and by whom: without any private key, and without the gateway.

use std::io::Read;
use std::time::Duration;

use crate::block::Kind;
use crate::chained::{Chained, Next, Place, Stored};
use crate::end::End;
use crate::error::{Damage, TrailError};
use crate::header::Header;
use crate::signature::VerifyingKey;

/// What was found out about a trail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    pub header: Header,
    /// Who has signed it, by what it says of itself.
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
}

/// Times are since the start of the session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Integrity {
    /// Complete from its beginning to its signed end.
    Intact,
    /// What is there is as it was written, as far as it is signed, and there is no signed end: the gateway died, the
    /// session is still open, or somebody has cut the file.
    Truncated { at: Duration },
    /// It is not as it was written, behind this time.
    Changed { at: Duration, block: u64, damage: Damage },
    /// It is whole, and another key than the one that was asked for has signed it.
    OtherSigner,
}

/// One block of a trail, as far as it stands in the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockFound {
    pub number: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// What it is: `events`, `end`, `seal`, or another word for kinds of newer versions.
    pub kind: &'static str,
    pub first: Duration,
    pub last: Duration,
    pub damage: Option<Damage>,
}

/// Reads a whole trail. `each` is told of each block.
///
/// # Errors
/// Where the header cannot be read or understood, and so nothing can be said of the rest; and where `source` fails.
pub fn verify(
    mut source: impl Read,
    signed_by: Option<&VerifyingKey>,
    mut each: impl FnMut(&BlockFound),
) -> Result<Verified, TrailError> {
    let begun = Header::read(&mut source)?;
    let mut chained = Chained::new(source, &begun);
    let mut findings = Findings::default();
    let cut = loop {
        match chained.next() {
            Ok(Next::Block(stored)) => each(&findings.add(&stored)),
            Ok(Next::End) => break None,
            Ok(Next::Cut(place)) => break Some(place),
            Err(TrailError::Block { block, damage, .. }) => {
                findings.blame(block, damage);
                break None;
            }
            Err(other) => return Err(other),
        }
    };
    let signer = begun.protected.signer;
    let other = signed_by.is_some_and(|key| *key != signer);
    let integrity = match findings.integrity(cut) {
        Integrity::Intact | Integrity::Truncated { .. } if other => Integrity::OtherSigner,
        found => found,
    };
    let Findings { blocks, unsigned, signed_until, end, .. } = findings;
    let end = end.filter(|end| end.sealed).map(|end| end.says);
    Ok(Verified { header: begun.header, signer, integrity, end, blocks, unsigned, signed_until })
}

#[derive(Default)]
struct Findings {
    blocks: u64,
    unsigned: u64,
    signed_until: Duration,
    /// The last event of all blocks that are right.
    last: Duration,
    end: Option<EndFound>,
    /// The first damage: nothing behind it can be trusted.
    damage: Option<(u64, Damage)>,
}

struct EndFound {
    says: End,
    sealed: bool,
}

impl Findings {
    fn add(&mut self, stored: &Stored) -> BlockFound {
        let header = &stored.header;
        let (first, last) = (Duration::from_micros(header.first), Duration::from_micros(header.last));
        self.blocks += 1;
        self.unsigned += 1;
        let damage = stored.damage.clone().or_else(|| self.judge(stored, first).err());
        if let Some(damage) = &damage {
            self.blame(stored.place.number, damage.clone());
        } else if self.damage.is_none() {
            self.accept(header.kind, last);
        }
        let kind = match header.kind {
            Kind::Events => "events",
            Kind::End => "end",
            Kind::Seal => "seal",
            Kind::Unknown(_) => "of a newer version",
        };
        let Place { number, offset } = stored.place;
        BlockFound { number, offset, kind, first, last, damage }
    }

    /// What can be wrong with a block that fits the chain: only the signer could have made it so, or nobody has signed it.
    fn judge(&mut self, stored: &Stored, first: Duration) -> Result<(), Damage> {
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
            (Kind::Events | Kind::Seal | Kind::Unknown(_), _) => {}
        }
        match kind {
            Kind::End | Kind::Seal if first < self.last => Err(Damage::Time),
            Kind::Events | Kind::End | Kind::Seal | Kind::Unknown(_) => Ok(()),
        }
    }

    fn accept(&mut self, kind: Kind, last: Duration) {
        match kind {
            Kind::Unknown(_) => {}
            Kind::Events | Kind::End => self.last = self.last.max(last),
            Kind::Seal => {
                self.unsigned = 0;
                self.signed_until = last;
                self.end.iter_mut().for_each(|end| end.sealed = true);
            }
        }
    }

    fn blame(&mut self, block: u64, damage: Damage) {
        self.damage.get_or_insert((block, damage));
    }

    /// `cut`: where the file ends within a block.
    fn integrity(&mut self, cut: Option<Place>) -> Integrity {
        let ended = self.end.as_ref().is_some_and(|end| end.sealed);
        let follows = match cut {
            Some(place) => Some(place.number),
            None if self.unsigned > 0 => Some(self.blocks - self.unsigned),
            None => None,
        };
        match (&self.damage, follows) {
            (Some((block, damage)), _) => {
                let (block, damage) = (*block, damage.clone());
                // A signature that is wrong takes back what came before it.
                let at = if damage == Damage::Signature { self.signed_until } else { self.last };
                Integrity::Changed { at, block, damage }
            }
            (None, Some(block)) if ended => {
                Integrity::Changed { at: self.last, block, damage: Damage::AfterEnd }
            }
            (None, None) if ended => Integrity::Intact,
            (None, _) => Integrity::Truncated { at: self.last },
        }
    }
}
