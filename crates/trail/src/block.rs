//! The fixed header in front of each block.

use crate::error::Damage;
use crate::wire::Cursor;

/// Bytes of a block's header.
pub(crate) const HEADER_LEN: usize = 48;
/// INVARIANT: the most bytes that a block holds, compressed or not, and so what a reader must be ready to allocate.
pub(crate) const MAX_BLOCK: usize = 1024 * 1024;
/// The most bytes of one event; with a nearly full buffer in front of it, it still fits a block.
pub(crate) const MAX_EVENT: usize = 512 * 1024;

/// The features that a block uses, as bits.
pub(crate) const ZSTD: u16 = 1;

/// What a block is. A kind that a reader does not know is skipped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Events,
    End,
    Unknown(u16),
}

impl From<u16> for Kind {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::Events,
            2 => Self::End,
            number => Self::Unknown(number),
        }
    }
}

impl From<Kind> for u16 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Events => 1,
            Kind::End => 2,
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
    /// Bytes of the payload when decompressed.
    pub(crate) plain: u32,
    /// Bytes behind the payload that later versions sign or encrypt with; 0 now.
    pub(crate) authentication: u32,
    pub(crate) sequence: u64,
    /// Microseconds from the start of the session to the first and to the last event.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// CRC-32 of the payload as it stands in the file.
    pub(crate) checksum: u32,
}

impl BlockHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let mut rest = out.as_mut_slice();
        let mut put = |bytes: &[u8]| {
            if let Some((field, tail)) = std::mem::take(&mut rest).split_at_mut_checked(bytes.len()) {
                field.copy_from_slice(bytes);
                rest = tail;
            }
        };
        put(&u16::from(self.kind).to_le_bytes());
        put(&self.flags.to_le_bytes());
        put(&self.stored.to_le_bytes());
        put(&self.plain.to_le_bytes());
        put(&self.authentication.to_le_bytes());
        put(&self.sequence.to_le_bytes());
        put(&self.first.to_le_bytes());
        put(&self.last.to_le_bytes());
        put(&self.checksum.to_le_bytes());
        let [head @ .., _, _, _, _] = &out;
        let checksum = crc32fast::hash(head).to_le_bytes();
        let [.., a, b, c, d] = &mut out;
        [*a, *b, *c, *d] = checksum;
        out
    }

    /// Lengths can be trusted afterwards: they are covered by the header's own checksum, and within the limits.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, Damage> {
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
            authentication: u32::from_le_bytes(fields.array()?),
            sequence: u64::from_le_bytes(fields.array()?),
            first: u64::from_le_bytes(fields.array()?),
            last: u64::from_le_bytes(fields.array()?),
            checksum: u32::from_le_bytes(fields.array()?),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), Damage> {
        within("stored length", self.stored)?;
        within("length", self.plain)?;
        if self.authentication != 0 {
            return Err(Damage::Authentication);
        }
        if self.first > self.last {
            return Err(Damage::Time);
        }
        Ok(())
    }
}

fn within(what: &'static str, found: u32) -> Result<(), Damage> {
    match usize::try_from(found) {
        Ok(length) if length <= MAX_BLOCK => Ok(()),
        Ok(_) | Err(_) => Err(Damage::TooLong { what, found: found.into(), most: MAX_BLOCK as u64 }),
    }
}
