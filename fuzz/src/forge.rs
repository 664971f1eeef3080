//! Trails made of fuzzed bytes, by the words of `docs/trail-format.md`: a header, then blocks by orders of a byte each.

use std::sync::LazyLock;

use aws_lc_rs::signature::Ed25519KeyPair;
use keyward_trail::AuditorKey;

const PRELUDE: usize = 24;
const BLOCK: usize = 72;
const LINKED: usize = 36;
const SEAL: u16 = 3;
const MOST_BLOCKS: usize = 64;

/// The short trail, one that is encrypted to auditors, and their keys.
const SHORT: &str = include_str!("../../crates/trail/tests/trail/short.hex");
const ENCRYPTED: &str = include_str!("../../crates/trail/tests/trail/encrypted.hex");
const AUDITORS: &str = include_str!("../../crates/trail/tests/trail/auditors.key");
const TOKEN: &[u8] = include_bytes!("../../crates/trail/tests/trail/timestamp.tsr");

static SIGNER: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[0x42; 32]).expect("a seed of 32 bytes"));

pub(crate) fn auditors() -> Vec<AuditorKey> {
    AuditorKey::parse(AUDITORS).expect("the keys of the tests")
}

/// A trail as the bytes order it.
pub(crate) fn trail(data: &[u8]) -> Vec<u8> {
    let mut orders = Orders(data);
    let base = orders.byte();
    let mut parts = match base % 8 {
        // As it is, whatever it is.
        7 => return orders.0.to_vec(),
        6 | 5 => split(&bytes(ENCRYPTED)),
        4 => with_header(&mut orders),
        3 => split(&bytes(SHORT)),
        _ => split(&bytes(SHORT)).into_iter().take(2).collect(),
    };
    let mut time = 0;
    while !orders.0.is_empty() && parts.len() < MOST_BLOCKS {
        obey(&mut orders, &mut parts, &mut time);
    }
    let mut trail = relinked(&parts);
    if base >= 128 {
        trail.truncate(trail.len() - trail.len().min(usize::from(base - 128)));
    }
    trail
}

/// The header of the short trail with other facts, or another protection.
fn with_header(orders: &mut Orders<'_>) -> Vec<Vec<u8>> {
    let parts = split(&bytes(SHORT));
    let (Some(header), Some(seal)) = (parts.first(), parts.get(1)) else { return parts };
    let facts_len = u32::from_le_bytes(header[12..16].try_into().expect("four bytes")) as usize;
    let (facts, protection) = header[PRELUDE..].split_at(facts_len);
    let is_facts = orders.byte() & 1 == 0;
    let own = orders.long();
    let (facts, protection) = if is_facts { (own, protection) } else { (facts, own) };
    // The signer must stay who it is, or no seal is right.
    let protection =
        if is_facts { protection.to_vec() } else { [&header[header.len() - 34..], protection].concat() };
    let mut out = header[..12].to_vec();
    out.extend((facts.len() as u32).to_le_bytes());
    out.extend((protection.len() as u32).to_le_bytes());
    let checksum = crc32fast::hash(&[&out, facts, &protection].concat());
    out.extend(checksum.to_le_bytes());
    out.extend(facts);
    out.extend(protection);
    vec![out, seal.clone()]
}

fn obey(orders: &mut Orders<'_>, parts: &mut Vec<Vec<u8>>, time: &mut u64) {
    let order = orders.byte();
    match order % 10 {
        // What a terminal shows, or a person types.
        0 | 1 => {
            let mut events = Vec::new();
            let way = orders.byte() & 3;
            let data = orders.long();
            let pieces = data.chunks(usize::from(orders.byte()).max(1));
            let count = pieces.len() as u64;
            for piece in pieces {
                events.extend([2, 1]);
                put_number(&mut events, piece.len() as u64 + 2);
                events.extend([0, way]);
                events.extend(piece);
            }
            let first = *time;
            *time += count;
            parts.push(block(1, 0, (first, *time), events));
        }
        2 => parts.push(block(SEAL, 0, (*time, *time), vec![0; 64])),
        3 => parts.push(block(2, 0, (*time, *time), orders.long().to_vec())),
        4 => {
            // The token belongs to another seal: as far as that it is right.
            let mut stamp = vec![0; 40];
            stamp.extend(TOKEN);
            let at = orders.short() % stamp.len();
            stamp[at] ^= orders.byte();
            parts.push(block(5, 0, (*time, *time), stamp));
        }
        5 => {
            let from = orders.short() % parts.len();
            let copy = parts[from].clone();
            if from > 0 {
                parts.push(copy);
            }
        }
        6 => {
            let (from, last) = (orders.short() % parts.len(), parts.len() - 1);
            if from > 0 {
                parts.swap(from, last);
            }
        }
        7 => {
            let part = orders.short() % parts.len();
            let (at, by) = (orders.short(), orders.byte());
            let bytes = &mut parts[part];
            let at = at % bytes.len();
            bytes[at] ^= by;
        }
        // Anything, compressed or not.
        _ => {
            let (kind, flags) = (u16::from(orders.byte() % 12), u16::from(orders.byte()));
            let first = *time + u64::from(orders.byte());
            *time = first + orders.short() as u64;
            let plain = orders.long();
            let mut made = match flags & 1 {
                0 => block(kind, flags, (first, *time), plain.to_vec()),
                _ => block(kind, flags, (first, *time), zstd::bulk::compress(plain, 1).unwrap_or_default()),
            };
            made[8..12].copy_from_slice(&(plain.len() as u32).to_le_bytes());
            parts.push(made);
        }
    }
}

/// Fuzzed bytes, read from the front. Behind the end there are zeros.
struct Orders<'a>(&'a [u8]);

impl<'a> Orders<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    /// Bytes behind their length.
    fn long(&mut self) -> &'a [u8] {
        let length = self.short().min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

/// A block without its sequence number, link and checksum.
fn block(kind: u16, flags: u16, (first, last): (u64, u64), payload: Vec<u8>) -> Vec<u8> {
    let mut out = vec![0; BLOCK];
    out[0..2].copy_from_slice(&kind.to_le_bytes());
    out[2..4].copy_from_slice(&flags.to_le_bytes());
    out[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    out[20..28].copy_from_slice(&first.to_le_bytes());
    out[28..36].copy_from_slice(&last.to_le_bytes());
    out.extend(payload);
    out
}

/// The header, then each block.
fn split(trail: &[u8]) -> Vec<Vec<u8>> {
    let length = |at: usize| u32::from_le_bytes(trail[at..at + 4].try_into().expect("four bytes")) as usize;
    let (head, mut rest) = trail.split_at(PRELUDE + length(12) + length(16));
    let mut parts = vec![head.to_vec()];
    while !rest.is_empty() {
        let stored = u32::from_le_bytes(rest[4..8].try_into().expect("four bytes")) as usize;
        let (block, others) = rest.split_at(BLOCK + stored);
        parts.push(block.to_vec());
        rest = others;
    }
    parts
}

/// Lengths, sequence numbers, seals, links and checksums made right.
fn relinked(parts: &[Vec<u8>]) -> Vec<u8> {
    let Some((head, blocks)) = parts.split_first() else { return Vec::new() };
    let mut out = head.clone();
    let mut link = *blake3::hash(head).as_bytes();
    for (n, part) in blocks.iter().enumerate() {
        let mut block = part.clone();
        let stored = (block.len() - BLOCK) as u32;
        block[4..8].copy_from_slice(&stored.to_le_bytes());
        block[12..20].copy_from_slice(&(n as u64).to_le_bytes());
        if block[..2] == SEAL.to_le_bytes() && stored == 64 {
            let signed = [b"keyward trail 2 seal".as_slice(), &link, &block[..LINKED]].concat();
            block[BLOCK..].copy_from_slice(SIGNER.sign(&signed).as_ref());
        }
        let content = blake3::hash(&block[BLOCK..]);
        link = *blake3::hash(&[&link, &block[..LINKED], content.as_bytes()].concat()).as_bytes();
        block[LINKED..68].copy_from_slice(&link);
        let checksum = crc32fast::hash(&block[..68]);
        block[68..BLOCK].copy_from_slice(&checksum.to_le_bytes());
        out.extend(block);
    }
    out
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Hexadecimal digits, whatever stands between them.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().bytes())
        .filter_map(|digit| char::from(digit).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
