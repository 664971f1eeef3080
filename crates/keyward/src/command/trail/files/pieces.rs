//! Which bytes of a file are there.

use std::collections::BTreeMap;

/// Pieces that do not touch each other. Clients have some hundred requests on their way at most.
const MOST: usize = 4096;

/// INVARIANT: from start to end, not empty, in order, and none touches the next.
#[derive(Debug, Default)]
pub(super) struct Pieces(BTreeMap<u64, u64>);

/// There are so many that they are not kept track of.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct TooMany;

impl Pieces {
    /// These bytes are there now, whether some of them were before or not.
    pub(super) fn add(&mut self, start: u64, end: u64) -> Result<(), TooMany> {
        if start >= end {
            return Ok(());
        }
        let (mut start, mut end) = (start, end);
        while let Some((&from, &to)) = self.0.range(..=end).next_back() {
            if to < start {
                break;
            }
            self.0.remove(&from);
            (start, end) = (start.min(from), end.max(to));
        }
        if self.0.len() >= MOST {
            return Err(TooMany);
        }
        self.0.insert(start, end);
        Ok(())
    }

    /// The file was cut to so many bytes.
    pub(super) fn cut(&mut self, size: u64) {
        self.0.split_off(&size);
        if let Some(mut last) = self.0.last_entry() {
            let end = (*last.get()).min(size);
            last.insert(end);
        }
    }

    /// Whether there is every byte up to here, from the first on, and none behind.
    pub(super) fn are_all_of(&self, size: u64) -> bool {
        match size {
            0 => self.0.is_empty(),
            _ => self.0.len() == 1 && self.0.get(&0) == Some(&size),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn too_many_pieces_are_not_kept() {
        let mut pieces = Pieces::default();
        for n in 0..MOST as u64 {
            pieces.add(n * 10, n * 10 + 1).unwrap();
        }
        assert_eq!(pieces.add(5, 6), Err(TooMany));
        assert_eq!(pieces.add(0, 41_000), Ok(()));
        assert!(pieces.are_all_of(41_000));
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_are_what_they_cover(
            added in prop::collection::vec((0_u64..40, 0_u64..12), 0..20), cut in 0_u64..60,
        ) {
            let (mut pieces, mut there) = (Pieces::default(), [false; 60]);
            for (start, length) in added {
                pieces.add(start, start + length).unwrap();
                (start..start + length).for_each(|at| there[at as usize] = true);
            }
            pieces.cut(cut);
            (cut..60).for_each(|at| there[at as usize] = false);
            let covered: u64 = pieces.0.iter().map(|(start, end)| end - start).sum();
            prop_assert_eq!(covered as usize, there.iter().filter(|is| **is).count());
            let size = there.iter().position(|is| !is).unwrap_or(60);
            let is_all = there[size..].iter().all(|is| !is);
            prop_assert_eq!(pieces.are_all_of(size as u64), is_all);
        }
    }
}
