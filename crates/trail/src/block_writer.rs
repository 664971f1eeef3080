//! Blocks on their way to the file: compressed, encrypted, chained, sealed.

use std::io;
use std::sync::Arc;

use crate::block::{BlockHeader, ENCRYPTED, HEADER_LEN, Kind, LINKED, MAX_BLOCKS, TYPED, WITH_NEXT, ZSTD};
use crate::chain::{Extent, Link};
use crate::chained::{Joint, Place};
use crate::cipher::TAG_LEN;
use crate::end::End;
use crate::error::TrailError;
use crate::file::Output;
use crate::header::Header;
use crate::hidden_input::HiddenInputWay;
use crate::pack::{self, Around};
use crate::protection::{Ciphers, Protection};
use crate::signature::{SIGNATURE_LEN, SigningKey};
use crate::timestamp::{Sealed, Timestamp};

pub(crate) struct BlockWriter<W> {
    out: W,
    sequence: u64,
    written: u64,
    link: Link,
    signer: Arc<SigningKey>,
    /// `None` where nothing is encrypted or left out.
    ciphers: Option<Box<Ciphers>>,
    /// The last block is no seal.
    unsealed: bool,
    /// After a failed write a block may stand half written: nothing may follow it.
    failed: bool,
}

/// Events that become a block.
pub(crate) struct Batch<'a> {
    pub(crate) typed: bool,
    /// The next batch belongs to the same time.
    pub(crate) with_next: bool,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Room for the block's header, and the events as far as `tail`. What is left in it is of no use.
    pub(crate) block: &'a mut Vec<u8>,
    /// Events behind those, which are compressed, or copied once, on their way.
    pub(crate) tail: &'a [u8],
}

impl<W: Output> BlockWriter<W> {
    /// Writes the header of the file with the seal behind it, at once: nobody finds the one without the other.
    pub(crate) fn begin(out: W, header: &Header, protection: &Protection) -> Result<Self, TrailError> {
        let (mut bytes, keys) = header.encode(protection)?;
        let root = Link::root(&bytes);
        let mut ciphers = keys.ciphers(&root).map_err(TrailError::Key)?;
        let input_cipher = keys.input_cipher(&root).map_err(TrailError::Key)?;
        ciphers.hidden_input = HiddenInputWay::new(&protection.hidden_input, input_cipher);
        let are_needed = ciphers.are_needed();
        let mut blocks = Self {
            out,
            sequence: 0,
            written: bytes.len() as u64,
            link: root,
            signer: Arc::clone(&protection.signer),
            ciphers: are_needed.then(|| Box::new(ciphers)),
            unsealed: true,
            failed: false,
        };
        let (linked, mut seal) = blocks.signed(0);
        bytes.extend_from_slice(blocks.chained(&linked, &mut seal).map_err(TrailError::Write)?);
        blocks.out.write_all(&bytes).map_err(TrailError::Write)?;
        blocks.flush()?;
        Ok(blocks)
    }

    pub(crate) fn events(&mut self, batch: Batch<'_>) -> Result<(), TrailError> {
        self.guarded(|blocks| blocks.put_packed(Kind::Events, batch))
    }

    /// Writes a block of the index, in `block` behind room for the header.
    pub(crate) fn index(&mut self, at: u64, block: &mut Vec<u8>) -> Result<(), TrailError> {
        let batch = Batch { typed: false, with_next: false, first: at, last: at, block, tail: &[] };
        self.guarded(|blocks| blocks.put_packed(Kind::Index, batch))
    }

    /// Where the next block will begin.
    pub(crate) fn joint(&self) -> Joint {
        Joint { place: Place { number: self.sequence, offset: self.written }, link: self.link }
    }

    pub(crate) fn end(&mut self, at: u64, end: &End) -> Result<(), TrailError> {
        let mut block = vec![0; HEADER_LEN];
        block.extend_from_slice(&end.encode());
        let header = self.header(Kind::End, 0, block.len() - HEADER_LEN, (at, at));
        self.guarded(|blocks| blocks.put(header, &mut block, &[]))
    }

    /// Signs everything up to here. `at`: the time of the last event.
    pub(crate) fn seal(&mut self, at: u64) -> Result<(), TrailError> {
        let (linked, mut block) = self.signed(at);
        self.guarded(|blocks| blocks.put_linked(&linked, &mut block))
    }

    /// The last block, where it is a seal.
    pub(crate) fn sealed(&self) -> Option<Sealed> {
        let sequence = self.sequence.checked_sub(1).filter(|_| !self.unsealed)?;
        Some(Sealed { sequence, link: self.link })
    }

    /// Writes a timestamp of an earlier seal. `at`: the time of the last event.
    pub(crate) fn timestamp(&mut self, at: u64, timestamp: &Timestamp) -> Result<(), TrailError> {
        let mut block = vec![0; HEADER_LEN];
        block.extend_from_slice(&timestamp.encode());
        let header = self.header(Kind::Timestamp, 0, block.len() - HEADER_LEN, (at, at));
        self.guarded(|blocks| blocks.put(header, &mut block, &[]))
    }

    /// The same with a seal behind it, in one write: nothing else may be left behind an end by a crash.
    pub(crate) fn sealed_timestamp(&mut self, at: u64, timestamp: &Timestamp) -> Result<(), TrailError> {
        let mut bytes = vec![0; HEADER_LEN];
        bytes.extend_from_slice(&timestamp.encode());
        let mut header = self.header(Kind::Timestamp, 0, bytes.len() - HEADER_LEN, (at, at));
        header.stored = header.plain;
        self.guarded(|blocks| {
            blocks.chained(&header.linked(), &mut bytes)?;
            let (linked, mut seal) = blocks.signed(at);
            bytes.extend_from_slice(blocks.chained(&linked, &mut seal)?);
            blocks.out.write_all(&bytes)
        })
    }

    /// A signature as a block that has no link yet.
    fn signed(&self, at: u64) -> ([u8; LINKED], Vec<u8>) {
        let mut header = self.header(Kind::Seal, 0, SIGNATURE_LEN, (at, at));
        // The signature covers the header, so that this must be right before.
        header.stored = header.plain;
        let linked = header.linked();
        let mut block = vec![0; HEADER_LEN];
        block.extend_from_slice(&self.signer.seal(&self.link, &linked));
        (linked, block)
    }

    pub(crate) fn flush(&mut self) -> Result<(), TrailError> {
        self.guarded(|blocks| blocks.out.flush())
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent { length: self.written, link: self.link }
    }

    pub(crate) fn output(&self) -> &W {
        &self.out
    }

    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn is_unsealed(&self) -> bool {
        self.unsealed
    }

    /// How hidden input is kept; `None`: as what is typed.
    pub(crate) fn hidden_input(&mut self) -> Option<&mut HiddenInputWay> {
        self.ciphers.as_deref_mut().map(|ciphers| &mut ciphers.hidden_input)
    }

    /// Whether a stream is encrypted and holds what is typed.
    pub(crate) fn is_secret(&self, typed: bool) -> bool {
        self.ciphers.as_ref().is_some_and(|ciphers| ciphers.are_secret(typed))
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    fn header(&self, kind: Kind, flags: u16, plain: usize, (first, last): (u64, u64)) -> BlockHeader {
        let (plain, sequence) = (plain as u32, self.sequence);
        BlockHeader { kind, flags, stored: 0, plain, sequence, first, last }
    }

    fn put_packed(&mut self, kind: Kind, batch: Batch<'_>) -> io::Result<()> {
        let Batch { typed, with_next, first, last, block, tail } = batch;
        let encrypts = self.ciphers.as_ref().is_some_and(|ciphers| ciphers.of(typed).is_some());
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        let flags = flag(typed, TYPED) | flag(with_next, WITH_NEXT) | flag(encrypts, ENCRYPTED);
        let spare = if encrypts { TAG_LEN } else { 0 };
        let plain = block.get(HEADER_LEN..).unwrap_or_default();
        let header = self.header(kind, flags, plain.len() + tail.len(), (first, last));
        let mut compressed = header.clone();
        compressed.flags |= ZSTD;
        let around = Around { spare, wipe: self.is_secret(typed) };
        match pack::compress(plain, tail, around, |packed| self.put(compressed, packed, &[])) {
            Some(put) => put,
            None if tail.is_empty() => {
                block.resize(block.len() + spare, 0);
                self.put(header, block, &[])
            }
            None => self.put(header, block, tail),
        }
    }

    /// Encrypts where the header says so. Without a tail, `block` has room for the tag at its end then.
    fn put(&mut self, mut header: BlockHeader, block: &mut [u8], tail: &[u8]) -> io::Result<()> {
        let spare = if header.is(ENCRYPTED) && !tail.is_empty() { TAG_LEN } else { 0 };
        let length = block.len() + tail.len() + spare;
        header.stored = (length - HEADER_LEN) as u32;
        if tail.is_empty() {
            self.encrypt(&header, block, &[], &mut [])?;
            return self.put_linked(&header.linked(), block);
        }
        if let Some(mut lent) = self.out.lend(length) {
            self.join(&header, block, tail, lent.room())?;
            return self.out.take_back(lent);
        }
        let put = pack::scratch(length, |whole| {
            self.join(&header, block, tail, whole)?;
            self.out.write_all(whole)
        });
        put.unwrap_or_else(|| Err(io::ErrorKind::OutOfMemory.into()))
    }

    /// Makes a block of its two parts, and chains it.
    fn join(&mut self, header: &BlockHeader, block: &[u8], tail: &[u8], whole: &mut [u8]) -> io::Result<()> {
        let (head, rest) = whole.split_at_mut_checked(block.len()).ok_or(io::ErrorKind::InvalidInput)?;
        head.copy_from_slice(block);
        self.encrypt(header, head, tail, rest)?;
        self.chained(&header.linked(), whole)?;
        Ok(())
    }

    /// Encrypts the payload in `block` where it is, its tag at the end. Where there is a tail, that goes into `rest`, with
    /// the tag: from the relay's memory through the cipher into the processor's cache, where it is hashed next. In one
    /// piece, since BLAKE3 takes twice as long for a second piece that begins anywhere.
    fn encrypt(
        &self,
        header: &BlockHeader,
        block: &mut [u8],
        tail: &[u8],
        rest: &mut [u8],
    ) -> io::Result<()> {
        if !header.is(ENCRYPTED) {
            rest.copy_from_slice(tail);
            return Ok(());
        }
        let failed = |_| io::Error::other("the encryption failed");
        let cipher = self.ciphers.as_ref().and_then(|ciphers| ciphers.of(header.is(TYPED)));
        let cipher = cipher.ok_or_else(|| io::Error::other("there is no key for an encrypted block"))?;
        let text = block.get_mut(HEADER_LEN..).unwrap_or_default();
        let linked = header.linked();
        match text.len().checked_sub(TAG_LEN).filter(|_| tail.is_empty()) {
            Some(length) => {
                let (text, tag) = text.split_at_mut(length);
                cipher.seal(header.sequence, &linked, text, &[], tag).map_err(failed)
            }
            None => cipher.seal(header.sequence, &linked, text, tail, rest).map_err(failed),
        }
    }

    /// Chains it, and writes it all.
    fn put_linked(&mut self, linked: &[u8; LINKED], block: &mut [u8]) -> io::Result<()> {
        let block = self.chained(linked, block)?;
        self.out.write_all(block)
    }

    /// Puts the header into its room, with the link. Whoever gets that writes it next: the chain goes on behind it.
    fn chained<'b>(&mut self, linked: &[u8; LINKED], block: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let (room, payload) = block.split_first_chunk_mut().ok_or(io::ErrorKind::InvalidInput)?;
        self.link = self.link.next(linked, payload);
        *room = BlockHeader::encode(linked, &self.link);
        self.sequence += 1;
        self.written += block.len() as u64;
        self.unsealed = !linked.starts_with(&u16::from(Kind::Seal).to_le_bytes());
        Ok(block)
    }

    /// Does I/O, once, and never again after a failure.
    fn guarded(&mut self, io: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<(), TrailError> {
        if self.failed {
            return Err(TrailError::Stopped);
        }
        if self.sequence >= MAX_BLOCKS {
            return Err(TrailError::Full);
        }
        io(self).map_err(|error| {
            self.failed = true;
            TrailError::Write(error)
        })
    }
}
