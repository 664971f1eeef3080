//! What moved of a file in one direction, and its SHA-256.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// Counts bytes, and hashes them as long as they come from the first byte of the file on and in order.
#[derive(Default)]
pub struct Sum {
    bytes: u64,
    state: State,
    /// Set by [`spoil`](Self::spoil).
    spoilt: Option<&'static str>,
}

#[derive(Default)]
enum State {
    #[default]
    Untouched,
    /// The place in the file up to which everything has been hashed.
    InOrder {
        next: u64,
        context: Context,
    },
    Without(&'static str),
}

/// The result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Summed {
    Sha256([u8; 32]),
    /// And why not.
    Without(&'static str),
}

const NOT_FROM_THE_START: &str = "the transfer does not begin at the start of the file";
const OUT_OF_ORDER: &str = "the file was not moved in order";
const RESIZED: &str = "the file was resized";

impl Sum {
    /// Data for this place of the file comes next.
    pub fn at(&mut self, offset: u64) {
        match &self.state {
            State::Untouched if offset == 0 => {
                self.state = State::InOrder { next: 0, context: Context::new(&SHA256) };
            }
            State::Untouched => self.state = State::Without(NOT_FROM_THE_START),
            State::InOrder { next, .. } if *next == offset => {}
            State::InOrder { .. } => self.state = State::Without(OUT_OF_ORDER),
            State::Without(_) => {}
        }
    }

    /// Data, at the place that [`at`](Self::at) has told or right behind the data before.
    pub fn update(&mut self, data: &[u8]) {
        let length = data.len() as u64;
        self.bytes = self.bytes.saturating_add(length);
        if let State::InOrder { next, context } = &mut self.state {
            context.update(data);
            *next = next.saturating_add(length);
        }
    }

    /// Something moved that was not seen.
    pub fn spoil(&mut self, why: &'static str) {
        self.spoilt = Some(why);
    }

    /// The file gets this size. Gives whether that is where all that has moved ends: then the digest is still its own.
    pub fn resized(&mut self, size: u64) -> bool {
        let moved = match &self.state {
            State::Untouched => Some(0),
            State::InOrder { next, .. } => Some(*next),
            State::Without(_) => None,
        };
        let is_the_end = moved == Some(size);
        if !is_the_end {
            self.spoil(RESIZED);
        }
        is_the_end
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of what moved; of nothing it is that of an empty file.
    pub fn finish(self) -> Summed {
        match (self.spoilt, self.state) {
            (Some(why), _) | (None, State::Without(why)) => Summed::Without(why),
            (None, State::Untouched) => sha256(Context::new(&SHA256)),
            (None, State::InOrder { context, .. }) => sha256(context),
        }
    }
}

fn sha256(context: Context) -> Summed {
    match <[u8; 32]>::try_from(context.finish().as_ref()) {
        Ok(digest) => Summed::Sha256(digest),
        // SHA-256 has 32 bytes.
        Err(_) => Summed::Without("no digest"),
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sum").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(pieces: &[(u64, &[u8])]) -> (u64, Summed) {
        let mut sum = Sum::default();
        for (offset, data) in pieces {
            sum.at(*offset);
            sum.update(data);
        }
        (sum.bytes(), sum.finish())
    }

    #[test]
    fn what_comes_in_order_is_hashed_however_it_is_cut() {
        let of = |data: &[u8]| {
            Summed::Sha256(aws_lc_rs::digest::digest(&SHA256, data).as_ref().try_into().unwrap())
        };
        assert_eq!(sum(&[]), (0, of(b"")));
        assert_eq!(sum(&[(0, b"ab"), (2, b"c"), (3, b"")]), (3, of(b"abc")));
    }

    #[test]
    fn gaps_repeats_and_late_beginnings_have_no_digest() {
        assert_eq!(sum(&[(1, b"a")]), (1, Summed::Without(NOT_FROM_THE_START)));
        assert_eq!(sum(&[(0, b"ab"), (3, b"c")]), (3, Summed::Without(OUT_OF_ORDER)));
        assert_eq!(sum(&[(0, b"ab"), (0, b"ab")]), (4, Summed::Without(OUT_OF_ORDER)));
        let resized = |size| {
            let mut sum = Sum::default();
            sum.at(0);
            sum.update(b"abc");
            assert_eq!(sum.resized(size), size == 3);
            sum.finish()
        };
        assert_eq!([resized(2), resized(4)], [Summed::Without(RESIZED); 2]);
        assert_eq!(resized(3), sum(&[(0, b"abc")]).1);
        let mut spoilt = Sum::default();
        spoilt.spoil("copied");
        assert_eq!(spoilt.finish(), Summed::Without("copied"));
    }
}
