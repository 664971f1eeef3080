//! Compression of blocks, where it is worth its time.
//!
//! Sessions are many and mostly idle, and a compressor owns some hundred KiB. So compressors belong to nobody: one is
//! taken for the time of a block, and a few are kept for the next.

use std::sync::{Mutex, PoisonError};

use zstd::bulk::Compressor;

use zeroize::Zeroize;

use crate::block::HEADER_LEN;

/// zstd's level; `examples/trail_bench.rs` measures it.
const LEVEL: i32 = 1;
/// Shorter blocks are stored as they are: what a frame of its own costs would eat the gain.
const MIN_BYTES: usize = 128;
/// Compressors kept while nobody needs them. More exist only while more threads write at the same moment.
const MAX_IDLE: usize = 8;

static IDLE: Mutex<Vec<Packer>> = Mutex::new(Vec::new());

struct Packer {
    zstd: Compressor<'static>,
    /// Room for a block's header, then the compressed payload.
    block: Vec<u8>,
}

/// What is asked for beside the compression.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Around {
    /// Bytes of room behind the payload.
    pub(crate) spare: usize,
    /// Leaves nothing of the payload in the memory that is kept. zstd's own work memory is not reached by that: it is used
    /// again, and freed, as it is.
    pub(crate) wipe: bool,
}

/// Compresses `plain` and what follows it, each as a frame, and hands them to `consume`, with room for a block's header in
/// front and some bytes behind.
///
/// `None`, and nothing consumed, where compression does not pay: the block is then stored as it is.
pub(crate) fn compress<T>(
    plain: &[u8],
    tail: &[u8],
    around: Around,
    consume: impl FnOnce(&mut [u8]) -> T,
) -> Option<T> {
    let longer = if tail.len() > plain.len() { tail } else { plain };
    if plain.len() + tail.len() < MIN_BYTES || looks_random(longer) {
        return None;
    }
    let mut packer = Packer::take()?;
    let consumed = packer.pack(plain, tail, around.spare).map(consume);
    if around.wipe {
        packer.block.zeroize();
    }
    packer.give_back();
    consumed
}

/// Hands out memory of this length, which holds anything, where that can be had: it is kept for the next time.
pub(crate) fn scratch<T>(length: usize, consume: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
    let mut packer = Packer::take()?;
    let consumed = packer.room(length).get_mut(..length).map(consume);
    packer.give_back();
    consumed
}

impl Packer {
    /// `None` when there is no memory for a compressor: recording goes on without.
    fn take() -> Option<Self> {
        let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(packer) => Some(packer),
            None => Some(Self { zstd: Compressor::new(LEVEL).ok()?, block: Vec::new() }),
        }
    }

    fn give_back(self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(self);
        }
    }

    fn room(&mut self, length: usize) -> &mut [u8] {
        if self.block.len() < length {
            self.block.resize(length, 0);
        }
        &mut self.block
    }

    /// Header room, payload and spare room; `None` when less than a sixteenth would be saved.
    fn pack(&mut self, plain: &[u8], tail: &[u8], spare: usize) -> Option<&mut [u8]> {
        let length = plain.len() + tail.len();
        let most = HEADER_LEN + length - length / 16;
        self.room(most + spare);
        let mut end = HEADER_LEN;
        for part in [plain, tail].into_iter().filter(|part| !part.is_empty()) {
            let room = self.block.get_mut(end..most)?;
            // It fails when the result does not fit, which is the answer we want; and a block can always go uncompressed.
            end += self.zstd.compress_to_buffer(part, room).ok()?;
        }
        self.block.get_mut(..end + spare)
    }
}

/// Whether bytes are spread as evenly as in encrypted or compressed data, judged by a sample.
///
/// Counting pairs of equal bytes in the sample: even data has one in 256, base64 one in 64, text one in 15. For 4,096
/// even bytes the count strays from its mean by 0.6 %, so an eighth above it is far from chance.
fn looks_random(plain: &[u8]) -> bool {
    const SAMPLE: usize = 4096;
    const STRETCH: usize = 64;
    if plain.len() < SAMPLE {
        return false;
    }
    let stride = plain.len() / (SAMPLE / STRETCH);
    let mut counts = [0u32; 256];
    for stretch in plain.chunks(stride).filter_map(<[u8]>::first_chunk::<STRETCH>) {
        for byte in stretch {
            if let Some(count) = counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
        }
    }
    let sampled: u32 = counts.iter().sum();
    let pairs: u32 = counts.iter().map(|n| n * n.saturating_sub(1)).sum();
    let even = sampled * sampled.saturating_sub(1) / 256;
    pairs <= even + even / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    fn stored_compressed(plain: &[u8]) -> bool {
        compress(plain, &[], Around::default(), |_| ()).is_some()
    }

    #[test]
    fn text_is_compressed_and_random_data_is_not() {
        assert!(stored_compressed(&[0; 65536]));
        assert!(stored_compressed("drwxr-xr-x 2 root root 4096 Jan  1 00:00 bin\r\n".repeat(100).as_bytes()));
        assert!(!stored_compressed(&noise(65536)));
        assert!(!stored_compressed(&noise(1000)));
    }

    #[test]
    fn a_block_of_mostly_text_is_not_taken_for_random() {
        let mut plain = noise(32768);
        plain.extend_from_slice("total 0\r\n".repeat(4000).as_bytes());
        assert!(!looks_random(&plain));
        assert!(stored_compressed(&plain));
    }

    #[test]
    fn what_is_secret_is_wiped_from_the_memory_that_is_kept() {
        let text = "a word that nobody else may read ".repeat(100);
        let around = Around { spare: 16, wipe: true };
        assert!(compress(text.as_bytes(), &[], around, |_| ()).is_some());
        let idle = IDLE.lock().unwrap();
        let holds = |packer: &Packer| packer.block.windows(8).any(|bytes| text.as_bytes().starts_with(bytes));
        assert!(!idle.iter().any(holds));
    }

    #[test]
    fn idle_compressors_are_few() {
        std::thread::scope(|scope| {
            for _ in 0..4 * MAX_IDLE {
                scope.spawn(|| compress(&[0; 4096], &[], Around::default(), |_| ()));
            }
        });
        assert!(IDLE.lock().unwrap().len() <= MAX_IDLE);
    }
}
