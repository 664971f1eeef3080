//! The blocks of a trail, one after the other, checked and decompressed.

use std::io::{self, Read};

use zstd::bulk::Decompressor;

use crate::block::{BlockHeader, HEADER_LEN, Kind, ZSTD};
use crate::error::{Damage, TrailError};

pub(crate) struct Blocks<R> {
    source: R,
    zstd: Decompressor<'static>,
    /// Where the next block begins, and its number.
    offset: u64,
    number: u64,
}

/// A block, whole and intact.
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) plain: Vec<u8>,
    pub(crate) place: Place,
}

/// Where a block stands, for errors.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    number: u64,
    offset: u64,
}

pub(crate) enum Next {
    Block(Block),
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

impl<R: Read> Blocks<R> {
    /// `offset`: how many bytes of the file were read before.
    pub(crate) fn new(source: R, offset: u64) -> Result<Self, TrailError> {
        let zstd = Decompressor::new().map_err(TrailError::Read)?;
        Ok(Self { source, zstd, offset, number: 0 })
    }

    pub(crate) fn next(&mut self) -> Result<Next, TrailError> {
        let place = Place { number: self.number, offset: self.offset };
        let head = self.read(HEADER_LEN).map_err(TrailError::Read)?;
        if head.is_empty() {
            return Ok(Next::End);
        }
        let Some(head) = head.first_chunk() else {
            return Ok(Next::Cut(place));
        };
        let header = BlockHeader::decode(head).map_err(|damage| place.error(damage))?;
        if header.sequence != self.number {
            return Err(place.error(Damage::Sequence(header.sequence)));
        }
        let stored = self.read(header.stored as usize).map_err(TrailError::Read)?;
        if stored.len() < header.stored as usize {
            return Ok(Next::Cut(place));
        }
        self.number += 1;
        self.offset += HEADER_LEN as u64 + u64::from(header.stored);
        let plain = self.unpack(&header, stored).map_err(|damage| place.error(damage))?;
        Ok(Next::Block(Block { kind: header.kind, first: header.first, last: header.last, plain, place }))
    }

    /// `length` bytes, or as many as there are. Memory grows with what is read, not with what is promised.
    fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.source.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn unpack(&mut self, header: &BlockHeader, stored: Vec<u8>) -> Result<Vec<u8>, Damage> {
        if crc32fast::hash(&stored) != header.checksum {
            return Err(Damage::ContentChecksum);
        }
        match header.kind {
            // Its flags may mean anything.
            Kind::Unknown(_) => return Ok(Vec::new()),
            Kind::Events | Kind::End => {}
        }
        let plain = match header.flags {
            0 => stored,
            // A bomb stops at the length that the header names, and that has a limit.
            ZSTD => self.zstd.decompress(&stored, header.plain as usize).map_err(|_| Damage::Length)?,
            flags => return Err(Damage::Flags(flags)),
        };
        if plain.len() == header.plain as usize { Ok(plain) } else { Err(Damage::Length) }
    }
}
