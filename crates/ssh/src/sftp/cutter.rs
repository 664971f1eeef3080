//! Cuts a stream into packets without keeping what is only passed on.

use super::{Fault, Packet};

/// Finds the packets of one direction in the pieces that arrive. What it keeps is the head of a packet that is not all
/// there yet.
#[derive(Debug, Default)]
pub struct Cutter {
    held: Vec<u8>,
    /// Bytes that the present packet still has behind its head.
    left: usize,
}

/// Whoever looks at the packets.
pub trait Heads {
    /// How many bytes of a packet its head has, where `so_far` has arrived of it; more where that is not known yet.
    fn wanted(&self, so_far: &[u8]) -> Result<usize, Fault>;

    /// The head has arrived. It may be overwritten before it goes on.
    fn head(&mut self, head: &mut [u8]) -> Result<(), Fault>;

    /// A piece of what follows the head; `left` more bytes of the packet follow the piece. It may be overwritten too.
    fn body(&mut self, piece: &mut [u8], left: usize);
}

/// What may go on after a piece: first `before`, then the piece from `start` to `end`.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Passed {
    pub before: Vec<u8>,
    pub start: usize,
    pub end: usize,
}

impl Cutter {
    /// Looks at the next piece of the stream. After an error nothing of the stream may go on.
    pub fn feed(&mut self, piece: &mut [u8], heads: &mut impl Heads) -> Result<Passed, Fault> {
        let mut before = Vec::new();
        let mut start = 0;
        if !self.held.is_empty() {
            start = self.complete(piece, heads)?;
            let Some(head) = self.take_whole(heads)? else {
                return Ok(Passed { before, start, end: start });
            };
            before = head;
            self.begin(&mut before, heads)?;
        }
        let mut at = start;
        while let Some(rest) = piece.get_mut(at..).filter(|rest| !rest.is_empty()) {
            if self.left > 0 {
                let count = self.left.min(rest.len());
                self.left -= count;
                heads.body(rest.get_mut(..count).unwrap_or_default(), self.left);
                at += count;
                continue;
            }
            let wanted = heads.wanted(rest)?;
            let Some(head) = rest.get_mut(..wanted) else {
                self.held = rest.to_vec();
                break;
            };
            self.begin(head, heads)?;
            at += wanted;
        }
        Ok(Passed { before, start, end: at })
    }

    /// Adds to the held head what it lacks, as far as the piece has it. How many bytes of the piece that took.
    fn complete(&mut self, piece: &[u8], heads: &impl Heads) -> Result<usize, Fault> {
        let mut taken = 0;
        loop {
            let lacking = heads.wanted(&self.held)?.saturating_sub(self.held.len());
            let more = piece.get(taken..).unwrap_or_default();
            let more = more.get(..lacking).unwrap_or(more);
            if more.is_empty() {
                return Ok(taken);
            }
            self.held.extend_from_slice(more);
            taken += more.len();
        }
    }

    fn take_whole(&mut self, heads: &impl Heads) -> Result<Option<Vec<u8>>, Fault> {
        let is_whole = heads.wanted(&self.held)? <= self.held.len();
        Ok(is_whole.then(|| std::mem::take(&mut self.held)))
    }

    fn begin(&mut self, head: &mut [u8], heads: &mut impl Heads) -> Result<(), Fault> {
        let whole = Packet::begin(head)?.ok_or(Fault::OutOfTurn)?.whole;
        self.left = whole.saturating_sub(head.len());
        heads.head(head)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Heads of six bytes, where the packet has so many.
    #[derive(Default)]
    struct Seen {
        heads: Vec<Vec<u8>>,
        bodies: Vec<u8>,
        ends: usize,
    }

    impl Heads for Seen {
        fn wanted(&self, so_far: &[u8]) -> Result<usize, Fault> {
            Ok(Packet::begin(so_far)?.map_or(5, |packet| packet.whole.min(6)))
        }

        fn head(&mut self, head: &mut [u8]) -> Result<(), Fault> {
            self.heads.push(head.to_vec());
            head[4] = 0xee;
            Ok(())
        }

        fn body(&mut self, piece: &mut [u8], left: usize) {
            self.bodies.extend_from_slice(piece);
            self.ends += usize::from(left == 0);
        }
    }

    fn packets(lengths: &[usize]) -> Vec<u8> {
        let packet = |(n, &length): (usize, &usize)| {
            let mut packet = u32::try_from(length).unwrap().to_be_bytes().to_vec();
            packet.extend((0..length).map(|at| (n + at) as u8));
            packet
        };
        lengths.iter().enumerate().flat_map(packet).collect()
    }

    fn fed(stream: &[u8], cuts: &[usize]) -> (Seen, Vec<u8>) {
        let (mut cutter, mut seen, mut passed) = (Cutter::default(), Seen::default(), Vec::new());
        let mut from = 0;
        for to in cuts.iter().copied().chain([stream.len()]) {
            let mut piece = stream[from..to].to_vec();
            let Passed { before, start, end } = cutter.feed(&mut piece, &mut seen).unwrap();
            passed.extend(before);
            passed.extend_from_slice(&piece[start..end]);
            from = to;
        }
        (seen, passed)
    }

    #[test]
    fn a_cut_at_any_byte_changes_nothing() {
        let stream = packets(&[1, 2, 40, 3, 9]);
        let (whole, passed) = fed(&stream, &[]);
        assert_eq!((whole.heads.len(), whole.bodies.len()), (5, 38 + 1 + 7));
        assert_eq!(passed.len(), stream.len());
        for one in 0..stream.len() {
            for other in one..stream.len() {
                let (seen, same) = fed(&stream, &[one, other]);
                assert_eq!((&seen.heads, &seen.bodies), (&whole.heads, &whole.bodies), "{one} {other}");
                assert_eq!(same, passed, "{one} {other}");
                assert_eq!(seen.ends, whole.ends);
            }
        }
    }

    #[test]
    fn lengths_of_nothing_and_of_too_much_are_refused() {
        for length in [0, 256 * 1024 + 1, u32::MAX] {
            let mut piece = length.to_be_bytes().to_vec();
            piece.push(1);
            assert!(Cutter::default().feed(&mut piece, &mut Seen::default()).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(
            lengths in prop::collection::vec(1_usize..300, 0..20),
            mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        ) {
            let stream = packets(&lengths);
            let mut places: Vec<usize> = cuts.drain(..).map(|cut| cut.index(stream.len() + 1)).collect();
            places.sort_unstable();
            let (whole, passed) = fed(&stream, &[]);
            let (seen, same) = fed(&stream, &places);
            prop_assert_eq!((seen.heads, seen.bodies, same), (whole.heads, whole.bodies, passed));
        }
    }
}
