//! The fixed header in front of each block.

use crate::chain::Link;
use crate::cipher::TAG_LEN;
use crate::error::Damage;
use crate::wire::Cursor;

/// Bytes of a block's header, and of its first part, which the chain, seals and encryption cover.
pub(crate) const HEADER_LEN: usize = LINKED + Link::LEN + 4;
pub(crate) const LINKED: usize = 36;
/// INVARIANT: the most bytes that a block holds, compressed or not, and so what a reader must be ready to allocate.
pub(crate) const MAX_BLOCK: usize = 1024 * 1024;
/// The most bytes of one event; with a nearly full buffer in front of it, it still fits a block.
pub(crate) const MAX_EVENT: usize = 512 * 1024;

/// The most blocks of a trail: so much one key encrypts without a thought.
pub(crate) const MAX_BLOCKS: u64 = 1 << 32;

/// What a block's flags say, as bits.
pub(crate) const ZSTD: u16 = 1;
pub(crate) const ENCRYPTED: u16 = 2;
/// It holds what is typed, else what is shown.
pub(crate) const TYPED: u16 = 4;
/// It is to be read together with the next block.
pub(crate) const WITH_NEXT: u16 = 8;
pub(crate) const KNOWN_FLAGS: u16 = ZSTD | ENCRYPTED | TYPED | WITH_NEXT;

/// What a block is. A kind that a reader does not know is skipped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Events,
    End,
    Seal,
    Index,
    Timestamp,
    Unknown(u16),
}

impl From<u16> for Kind {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::Events,
            2 => Self::End,
            3 => Self::Seal,
            4 => Self::Index,
            5 => Self::Timestamp,
            number => Self::Unknown(number),
        }
    }
}

impl From<Kind> for u16 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Events => 1,
            Kind::End => 2,
            Kind::Seal => 3,
            Kind::Index => 4,
            Kind::Timestamp => 5,
            Kind::Unknown(number) => number,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BlockHeader {
    pub(crate) kind: Kind,
    pub(crate) flags: u16,
    /// Bytes of the payload as it stands in the file.
    pub(crate) stored: u32,
    /// Bytes of the payload when decrypted and decompressed.
    pub(crate) plain: u32,
    pub(crate) sequence: u64,
    /// Microseconds from the start of the session to the first and to the last event.
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl BlockHeader {
    /// The part of the header that the chain covers.
    pub(crate) fn linked(&self) -> [u8; LINKED] {
        let mut out = [0; LINKED];
        let mut rest = out.as_mut_slice();
        put(&mut rest, &u16::from(self.kind).to_le_bytes());
        put(&mut rest, &self.flags.to_le_bytes());
        put(&mut rest, &self.stored.to_le_bytes());
        put(&mut rest, &self.plain.to_le_bytes());
        put(&mut rest, &self.sequence.to_le_bytes());
        put(&mut rest, &self.first.to_le_bytes());
        put(&mut rest, &self.last.to_le_bytes());
        out
    }

    /// The whole header, with its link.
    pub(crate) fn encode(linked: &[u8; LINKED], link: &Link) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let mut rest = out.as_mut_slice();
        put(&mut rest, linked);
        put(&mut rest, &link.0);
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(linked);
        checksum.update(&link.0);
        put(&mut rest, &checksum.finalize().to_le_bytes());
        out
    }

    /// Gives the header and its link. Lengths can be trusted afterwards: they are covered by the header's own checksum,
    /// and within the limits.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<(Self, Link), Damage> {
        let [head @ .., a, b, c, d] = bytes;
        if crc32fast::hash(head) != u32::from_le_bytes([*a, *b, *c, *d]) {
            return Err(Damage::HeaderChecksum);
        }
        let mut fields = Cursor::new(head);
        let header = Self {
            kind: u16::from_le_bytes(fields.array()?).into(),
            flags: u16::from_le_bytes(fields.array()?),
            stored: u32::from_le_bytes(fields.array()?),
            plain: u32::from_le_bytes(fields.array()?),
            sequence: u64::from_le_bytes(fields.array()?),
            first: u64::from_le_bytes(fields.array()?),
            last: u64::from_le_bytes(fields.array()?),
        };
        header.check()?;
        Ok((header, Link(fields.array()?)))
    }

    fn check(&self) -> Result<(), Damage> {
        within("stored length", self.stored, MAX_BLOCK + TAG_LEN)?;
        within("length", self.plain, MAX_BLOCK)?;
        if self.first > self.last {
            return Err(Damage::Time);
        }
        Ok(())
    }

    pub(crate) fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Puts a field where the ones before it end.
fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    if let Some((field, tail)) = std::mem::take(rest).split_at_mut_checked(bytes.len()) {
        field.copy_from_slice(bytes);
        *rest = tail;
    }
}

fn within(what: &'static str, found: u32, most: usize) -> Result<(), Damage> {
    match usize::try_from(found) {
        Ok(length) if length <= most => Ok(()),
        Ok(_) | Err(_) => Err(Damage::TooLong { what, found: found.into(), most: most as u64 }),
    }
}
