//! Finding key frames: from the end of the file, without reading what is between.

use std::io::{Read, Seek};
use std::time::Duration;

use crate::block::{BlockHeader, ENCRYPTED, HEADER_LEN, Kind, ZSTD};
use crate::blocks::Blocks;
use crate::chained::{Joint, Next, Place};
use crate::error::TrailError;
use crate::event::ChannelId;
use crate::frames::Frame;
use crate::index::{Index, KeyScreen, Pointer};
use crate::reader::{Mark, Reader};

/// How much of the end is searched for the index, at first and if there is none.
const WINDOWS: [u64; 2] = [64 * 1024, 4 * 1024 * 1024];
/// INVARIANT: the most places of it that are tried: what was shown may look like a block.
const MOST_TRIED: usize = 32;
/// The most blocks between a block of the index and the seal that covers it.
const MOST_TO_SEAL: usize = 8;
/// INVARIANT: the most steps from one block of the index to another. Each halves the way.
const MOST_STEPS: usize = 256;

/// A block of the index that a signature covers.
struct Found {
    index: Index,
    /// Microseconds since the start.
    time: u64,
    begins: u64,
    /// Where it ends.
    behind: Joint,
}

impl<R: Read + Seek> Reader<R> {
    /// The last key frame that is no later than this, and signed. Reading goes on where it was. `None`: there is none that
    /// can be read, which makes a seek slower and nothing else.
    pub(crate) fn key_frame(&mut self, to: Duration, channel: Option<ChannelId>) -> Option<Frame> {
        let to = u64::try_from(to.as_micros()).unwrap_or(u64::MAX);
        let (blocks, back) = self.parts();
        let found = blocks.find(to).ok().flatten();
        blocks.go(back).ok()?;
        let Found { index, time, behind, .. } = found?;
        let KeyScreen { mut shown, size, dump, sole } = index.screen?;
        if channel.is_some() && channel != sole {
            return None;
        }
        shown.keep_only(channel);
        self.note_channels(shown.channels().chain(sole));
        let at = Duration::from_micros(time);
        let mark = Mark { joint: behind, time, signed_until: Some(at), unsigned: false };
        Some(Frame { at, mark, shown, size, dump })
    }
}

impl<R: Read + Seek> Blocks<R> {
    fn find(&mut self, to: u64) -> Result<Option<Found>, TrailError> {
        let mut here = self.latest()?;
        for _ in 0..MOST_STEPS {
            let Some(found) = here else { return Ok(None) };
            if found.time <= to && found.index.screen.is_some() {
                return Ok(Some(found));
            }
            let earlier = found.index.earlier.iter();
            let earlier = earlier.filter(|pointer| pointer.joint.place.offset < found.begins);
            let (before, behind): (Vec<&Pointer>, Vec<&Pointer>) =
                earlier.partition(|pointer| pointer.time <= to);
            let next = behind.into_iter().min_by_key(|pointer| pointer.joint.place.offset);
            let next = next.or_else(|| before.into_iter().max_by_key(|pointer| pointer.joint.place.offset));
            let Some(next) = next else { return Ok(None) };
            here = self.index_at(next.joint)?;
        }
        Ok(None)
    }

    /// The block of the index that begins there: the chain says that it is the one.
    fn index_at(&mut self, joint: Joint) -> Result<Option<Found>, TrailError> {
        self.go(joint)?;
        let Next::Block(block) = self.next()? else { return Ok(None) };
        if block.kind != Kind::Index {
            return Ok(None);
        }
        let (behind, begins, time) = (self.joint(), joint.place.offset, block.last);
        let index = Index::decode(&block.plain).ok();
        Ok(index.map(|index| Found { index, time, begins, behind }))
    }

    /// The last block of the index that a signature covers.
    fn latest(&mut self) -> Result<Option<Found>, TrailError> {
        // The first seal says whose the header is; all others must go back to it.
        self.go(self.start())?;
        let Next::Block(_) = self.next()? else { return Ok(None) };
        let first = self.joint();
        let mut tried = 0;
        for window in WINDOWS {
            let (begin, bytes) = self.tail(window)?;
            for at in (0..bytes.len().saturating_sub(HEADER_LEN)).rev() {
                let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER_LEN>()) else {
                    continue;
                };
                let offset = begin + at as u64;
                if !looks_like_index(head) || offset < first.place.offset {
                    continue;
                }
                let Ok((header, _)) = BlockHeader::decode(head) else { continue };
                let payload = bytes.get(at + HEADER_LEN..).unwrap_or_default();
                let Some(payload) = payload.get(..header.stored as usize) else { continue };
                tried += 1;
                if tried > MOST_TRIED {
                    return Ok(None);
                }
                let place = Place { number: header.sequence, offset };
                if let Some(found) = self.confirm(place, &header, payload, &first)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Whether these bytes are the block of the index that they look like.
    fn confirm(
        &mut self,
        place: Place,
        header: &BlockHeader,
        payload: &[u8],
        first: &Joint,
    ) -> Result<Option<Found>, TrailError> {
        let plain = self.plain(header, payload.to_vec());
        let Some(index) = plain.ok().flatten().and_then(|plain| Index::decode(&plain).ok()) else {
            return Ok(None);
        };
        if index.place.place != place || index.first != first.link {
            return Ok(None);
        }
        // What it says of the link before is true if a seal behind it covers what follows from that.
        let found = self.index_at(index.place);
        let Ok(Some(found)) = found else { return Ok(None) };
        for _ in 0..MOST_TO_SEAL {
            match self.next() {
                Ok(Next::Block(block)) if block.kind == Kind::Seal => return Ok(Some(found)),
                Ok(Next::Block(_)) => {}
                Ok(Next::End | Next::Cut(_)) | Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// Cheap, and nearly always right.
fn looks_like_index(head: &[u8; HEADER_LEN]) -> bool {
    let [kind, 0, flags, 0, ..] = head else { return false };
    u16::from(*kind) == u16::from(Kind::Index) && u16::from(*flags) & !(ZSTD | ENCRYPTED) == 0
}
