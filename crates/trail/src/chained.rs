//! The blocks of a trail, one after the other, each held against the chain and the signatures. This takes no key.

use std::io::{self, Read, Seek, SeekFrom};

use crate::block::{BlockHeader, HEADER_LEN, Kind, LINKED};
use crate::chain::{Extent, Link};
use crate::error::{Damage, TrailError};
use crate::header::Begun;
use crate::signature::{SIGNATURE_LEN, VerifyingKey};
use crate::timestamp::MAX_TIMESTAMP;

pub(crate) struct Chained<R> {
    source: R,
    signer: VerifyingKey,
    /// Where block 0 begins.
    start: Joint,
    link: Link,
    /// Where the next block begins, and its number.
    offset: u64,
    number: u64,
}

/// A whole block as it stands in the file.
pub(crate) struct Stored {
    pub(crate) header: BlockHeader,
    pub(crate) payload: Vec<u8>,
    pub(crate) link: Link,
    pub(crate) place: Place,
    /// What is wrong with it, or with what was before it. Its length can be trusted all the same.
    pub(crate) damage: Option<Damage>,
}

/// Where a block begins, and the chain up to there: what reading can go on from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Joint {
    pub(crate) place: Place,
    pub(crate) link: Link,
}

/// Where a block stands, for errors.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) offset: u64,
}

pub(crate) enum Next<T> {
    Block(T),
    /// The file ends where a block ends.
    End,
    /// The file ends within a block.
    Cut(Place),
}

impl Place {
    pub(crate) fn error(self, damage: Damage) -> TrailError {
        TrailError::Block { block: self.number, offset: self.offset, damage }
    }
}

impl<R: Read> Chained<R> {
    pub(crate) fn new(source: R, begun: &Begun) -> Self {
        let (signer, link, offset) = (begun.protected.signer, begun.root, begun.length);
        let start = Joint { place: Place { number: 0, offset }, link };
        Self { source, signer, start, link, offset, number: 0 }
    }

    /// As far as whole blocks were read.
    pub(crate) fn extent(&self) -> Extent {
        Extent { length: self.offset, link: self.link }
    }

    /// Where block 0 begins.
    pub(crate) fn start(&self) -> Joint {
        self.start
    }

    /// Where the next block begins.
    pub(crate) fn joint(&self) -> Joint {
        Joint { place: Place { number: self.number, offset: self.offset }, link: self.link }
    }

    /// The next block. After an error nothing more can be read: where the next one begins is not known.
    pub(crate) fn next(&mut self) -> Result<Next<Stored>, TrailError> {
        let place = Place { number: self.number, offset: self.offset };
        let head = self.read(HEADER_LEN).map_err(TrailError::Read)?;
        if head.is_empty() {
            return Ok(Next::End);
        }
        let Some(head) = head.first_chunk() else {
            return Ok(Next::Cut(place));
        };
        let (header, link) = BlockHeader::decode(head).map_err(|damage| place.error(damage))?;
        let payload = self.read(header.stored as usize).map_err(TrailError::Read)?;
        if payload.len() < header.stored as usize {
            return Ok(Next::Cut(place));
        }
        let linked = header.linked();
        let damage = self.check(&header, &linked, &link, &payload).err();
        self.link = link;
        self.number += 1;
        self.offset += HEADER_LEN as u64 + u64::from(header.stored);
        Ok(Next::Block(Stored { header, payload, link, place, damage }))
    }

    fn check(
        &self,
        header: &BlockHeader,
        linked: &[u8; LINKED],
        link: &Link,
        payload: &[u8],
    ) -> Result<(), Damage> {
        if header.sequence != self.number {
            return Err(Damage::Sequence(header.sequence));
        }
        if self.link.next(linked, payload) != *link {
            return Err(Damage::Chain);
        }
        match header.kind {
            Kind::Seal if header.flags != 0 => Err(Damage::Flags(header.flags)),
            Kind::Seal if header.plain != header.stored || payload.len() != SIGNATURE_LEN => {
                Err(Damage::Length)
            }
            Kind::Seal if self.signer.has_sealed(&self.link, linked, payload) => Ok(()),
            Kind::Seal => Err(Damage::Signature),
            _ if self.number == 0 => Err(Damage::Unsigned),
            Kind::Timestamp if header.flags != 0 => Err(Damage::Flags(header.flags)),
            Kind::Timestamp if header.plain != header.stored => Err(Damage::Length),
            Kind::Timestamp if payload.len() > MAX_TIMESTAMP => Err(Damage::TooLong {
                what: "timestamp",
                found: payload.len() as u64,
                most: MAX_TIMESTAMP as u64,
            }),
            Kind::Events | Kind::End | Kind::Index | Kind::Timestamp | Kind::Unknown(_) => Ok(()),
        }
    }

    /// `length` bytes, or as many as there are. Memory grows with what is read, not with what is promised.
    fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.source.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read + Seek> Chained<R> {
    /// The last bytes of the file, and where they begin.
    pub(crate) fn tail(&mut self, most: u64) -> Result<(u64, Vec<u8>), TrailError> {
        let length = self.source.seek(SeekFrom::End(0)).map_err(TrailError::Read)?;
        let begin = length.saturating_sub(most);
        self.source.seek(SeekFrom::Start(begin)).map_err(TrailError::Read)?;
        let bytes = self.read((length - begin) as usize).map_err(TrailError::Read)?;
        Ok((begin, bytes))
    }
}

impl<R: Seek> Chained<R> {
    /// Goes on from there.
    pub(crate) fn go(&mut self, joint: Joint) -> Result<(), TrailError> {
        self.source.seek(SeekFrom::Start(joint.place.offset)).map_err(TrailError::Read)?;
        (self.number, self.offset, self.link) = (joint.place.number, joint.place.offset, joint.link);
        Ok(())
    }
}
