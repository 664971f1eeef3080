//! The blocks of a trail, decrypted and decompressed.

use std::io::{Read, Seek};

use zstd::bulk::Decompressor;

use crate::block::{BlockHeader, ENCRYPTED, KNOWN_FLAGS, Kind, TYPED, WITH_NEXT, ZSTD};
use crate::chained::{Chained, Joint, Next, Place, Stored};
use crate::error::{Damage, TrailError};
use crate::header::Begun;
use crate::protection::Ciphers;

pub(crate) struct Blocks<R> {
    chained: Chained<R>,
    zstd: Decompressor<'static>,
    /// Which streams the file encrypts, and what they are read with.
    shown: Access,
    typed: Access,
    ciphers: Ciphers,
}

/// Whether a stream of the file can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Access {
    /// There is no such stream, or none of its own.
    None,
    Open,
    Encrypted,
}

/// A block, whole and intact.
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) typed: bool,
    pub(crate) with_next: bool,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Empty where there is no key for it.
    pub(crate) plain: Vec<u8>,
    pub(crate) hidden: bool,
    pub(crate) place: Place,
}

impl<R: Read> Blocks<R> {
    /// `ciphers`: of the streams that can be read; blocks of others are given without their content.
    pub(crate) fn new(source: R, begun: &Begun, ciphers: Ciphers) -> Result<Self, TrailError> {
        let zstd = Decompressor::new().map_err(TrailError::Read)?;
        let protected = &begun.protected;
        let shown = if protected.shown.is_some() { Access::Encrypted } else { Access::Open };
        let typed = if protected.typed.is_some() { Access::Encrypted } else { Access::None };
        Ok(Self { chained: Chained::new(source, begun), zstd, shown, typed, ciphers })
    }

    /// Where block 0 begins.
    pub(crate) fn start(&self) -> Joint {
        self.chained.start()
    }

    /// Where the next block begins.
    pub(crate) fn joint(&self) -> Joint {
        self.chained.joint()
    }

    /// Goes on from there.
    pub(crate) fn go(&mut self, joint: Joint) -> Result<(), TrailError>
    where
        R: Seek,
    {
        self.chained.go(joint)
    }

    pub(crate) fn next(&mut self) -> Result<Next<Block>, TrailError> {
        let mut stored = match self.chained.next()? {
            Next::Block(stored) => stored,
            Next::End => return Ok(Next::End),
            Next::Cut(place) => return Ok(Next::Cut(place)),
        };
        let place = stored.place;
        if let Some(damage) = stored.damage.take() {
            return Err(place.error(damage));
        }
        self.unpack(stored).map(Next::Block).map_err(|damage| place.error(damage))
    }

    fn unpack(&mut self, stored: Stored) -> Result<Block, Damage> {
        let Stored { header, payload, place, link: _, damage: _ } = stored;
        let mut block = Block {
            kind: header.kind,
            typed: header.is(TYPED),
            with_next: header.is(WITH_NEXT),
            first: header.first,
            last: header.last,
            plain: Vec::new(),
            hidden: false,
            place,
        };
        match header.kind {
            Kind::Events | Kind::End => match self.plain(&header, payload)? {
                Some(plain) => block.plain = plain,
                None => block.hidden = true,
            },
            // Who cannot read it goes without.
            Kind::Index => block.plain = self.plain(&header, payload).ok().flatten().unwrap_or_default(),
            // What an unknown kind holds may mean anything, a seal was checked, and a timestamp is for who verifies.
            Kind::Unknown(_) | Kind::Seal | Kind::Timestamp => {}
        }
        Ok(block)
    }

    /// What a payload says. `None`: there is no key for it.
    pub(crate) fn plain(
        &mut self,
        header: &BlockHeader,
        payload: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Damage> {
        let known = match header.kind {
            Kind::Events => KNOWN_FLAGS,
            Kind::Index => ZSTD | ENCRYPTED,
            Kind::End | Kind::Unknown(_) | Kind::Seal | Kind::Timestamp => 0,
        };
        if header.flags & !known != 0 {
            return Err(Damage::Flags(header.flags & !known));
        }
        let typed = header.is(TYPED);
        let payload = match (if typed { self.typed } else { self.shown }, header.is(ENCRYPTED)) {
            _ if header.kind == Kind::End => payload,
            (Access::Open, false) => payload,
            (Access::Encrypted, true) => match self.ciphers.of(typed) {
                Some(cipher) => {
                    cipher.open(header.sequence, &header.linked(), payload).map_err(|_| Damage::Encryption)?
                }
                None => return Ok(None),
            },
            (Access::None, _) | (Access::Open, true) | (Access::Encrypted, false) => {
                return Err(Damage::Protection);
            }
        };
        let plain = match header.is(ZSTD) {
            false => payload,
            // A bomb stops at the length that the header names, and that has a limit.
            true => self.zstd.decompress(&payload, header.plain as usize).map_err(|_| Damage::Length)?,
        };
        if plain.len() == header.plain as usize { Ok(Some(plain)) } else { Err(Damage::Length) }
    }
}

impl<R: Read + Seek> Blocks<R> {
    /// The last bytes of the file, and where they begin.
    pub(crate) fn tail(&mut self, most: u64) -> Result<(u64, Vec<u8>), TrailError> {
        self.chained.tail(most)
    }
}
