//! Trails made and taken apart by hand, by the words of `docs/trail-format.md`.

use crate::written;

/// The prelude, and the header of a block: their lengths in the file.
pub(crate) const PRELUDE: usize = 24;
pub(crate) const BLOCK: usize = 72;
const LINKED: usize = 36;
/// A seal with its header.
pub(crate) const SEAL: usize = BLOCK + 64;

/// A block as it is written, but for its link and its place.
#[derive(Clone)]
pub(crate) struct Plain {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    /// All its events happen then.
    pub(crate) time: u64,
    pub(crate) payload: Vec<u8>,
    /// The length that it names for when it is decompressed.
    pub(crate) plain: u32,
}

pub(crate) fn block(kind: u16, flags: u16, time: u64, payload: &[u8]) -> Plain {
    Plain { kind, flags, time, payload: payload.to_vec(), plain: payload.len() as u32 }
}

/// Bytes up to the first block.
pub(crate) fn header_len(trail: &[u8]) -> usize {
    let length = |at: usize| u32::from_le_bytes(trail[at..at + 4].try_into().unwrap()) as usize;
    PRELUDE + length(12) + length(16)
}

/// A header with its seal, and these blocks with right links, as an unfinished trail.
pub(crate) fn trail_of(blocks: &[Plain]) -> Vec<u8> {
    let mut out = begun();
    let seal = out.len() - SEAL;
    let mut link: [u8; 32] = out[seal + LINKED..][..32].try_into().unwrap();
    for (n, block) in blocks.iter().enumerate() {
        let sequence = n as u64 + 1;
        let (bytes, next) = linked(block, sequence, &link);
        out.extend(bytes);
        link = next;
    }
    out
}

/// A header with its seal.
pub(crate) fn begun() -> Vec<u8> {
    split(&written(&[], &[]))[..2].concat()
}

/// A header that has these bytes for its protection, with a right checksum, and a block behind it.
pub(crate) fn with_protection(protection: &[u8]) -> Vec<u8> {
    let parts = split(&written(&[], &[]));
    let facts = u32::from_le_bytes(parts[0][12..16].try_into().unwrap()) as usize;
    let mut out = parts[0][..PRELUDE + facts].to_vec();
    out[16..20].copy_from_slice(&(protection.len() as u32).to_le_bytes());
    out.extend(protection);
    put_checksum(&mut out);
    out.extend(&parts[1]);
    out
}

/// Makes the checksum of a header right.
pub(crate) fn put_checksum(header: &mut [u8]) {
    let checksum = crc32fast::hash(&[&header[..20], &header[PRELUDE..]].concat());
    header[20..PRELUDE].copy_from_slice(&checksum.to_le_bytes());
}

/// The bytes of a block in its place, and its link.
pub(crate) fn linked(block: &Plain, sequence: u64, before: &[u8; 32]) -> (Vec<u8>, [u8; 32]) {
    let mut out = Vec::new();
    out.extend(block.kind.to_le_bytes());
    out.extend(block.flags.to_le_bytes());
    out.extend((block.payload.len() as u32).to_le_bytes());
    out.extend(block.plain.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend(block.time.to_le_bytes());
    out.extend(block.time.to_le_bytes());
    assert_eq!(out.len(), LINKED);
    let content = blake3::hash(&block.payload);
    let link = *blake3::hash(&[before, out.as_slice(), content.as_bytes()].concat()).as_bytes();
    out.extend(link);
    out.extend(crc32fast::hash(&out).to_le_bytes());
    out.extend(&block.payload);
    (out, link)
}

/// The header, then each block.
pub(crate) fn split(trail: &[u8]) -> Vec<Vec<u8>> {
    let (head, mut rest) = trail.split_at(header_len(trail));
    let mut parts = vec![head.to_vec()];
    while !rest.is_empty() {
        let stored = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        let (block, others) = rest.split_at(BLOCK + stored);
        parts.push(block.to_vec());
        rest = others;
    }
    parts
}

/// The links and checksums of all blocks made anew, as somebody does who has changed something and has no signer's key.
pub(crate) fn relinked(parts: &[Vec<u8>]) -> Vec<u8> {
    let (head, blocks) = parts.split_first().unwrap();
    let mut out = head.clone();
    let mut link = *blake3::hash(head).as_bytes();
    for (n, bytes) in blocks.iter().enumerate() {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let plain = Plain {
            kind: number(0) as u16,
            flags: (number(0) >> 16) as u16,
            time: long(20),
            payload: bytes[BLOCK..].to_vec(),
            plain: number(8),
        };
        let (mut again, _) = linked(&plain, n as u64, &link);
        again[28..36].copy_from_slice(&bytes[28..36]);
        let content = blake3::hash(&plain.payload);
        link = *blake3::hash(&[&link, &again[..LINKED], content.as_bytes()].concat()).as_bytes();
        again[LINKED..68].copy_from_slice(&link);
        let checksum = crc32fast::hash(&again[..68]).to_le_bytes();
        again[68..BLOCK].copy_from_slice(&checksum);
        out.extend(again);
    }
    out
}
