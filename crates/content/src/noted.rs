//! What was found already, so that a line that is drawn again is not found again.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// The newest findings on a screen.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    hasher: RandomState,
    /// Rules with whole lines.
    recent: VecDeque<u64>,
    /// Rules with what stands before the match, on the line that is being drawn: a match grows while it is.
    growing: Vec<u64>,
}

/// Findings to compare with; a screen rarely has more lines with any.
const RECENT: usize = 64;

impl Noted {
    /// Whether a rule finds this for the first time: `line` with the match from `start` on.
    pub(crate) fn is_new(&mut self, rule: usize, line: &str, start: usize) -> bool {
        let before = line.get(..start).unwrap_or_default();
        let whole = self.hasher.hash_one((rule, line.trim_end()));
        let growing = self.hasher.hash_one((rule, before));
        let is_known = self.recent.contains(&whole) || self.growing.contains(&growing);
        if !self.recent.contains(&whole) {
            self.recent.push_back(whole);
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        }
        if !self.growing.contains(&growing) && self.growing.len() < RECENT {
            self.growing.push(growing);
        }
        !is_known
    }

    /// Another line is drawn from now on.
    pub(crate) fn next_line(&mut self) {
        self.growing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_grows_or_is_drawn_again_is_found_once() {
        let mut noted = Noted::default();
        assert!(noted.is_new(0, "key=1", 0));
        assert!(!noted.is_new(0, "key=12", 0));
        assert!(noted.is_new(1, "key=12", 0), "another rule");
        noted.next_line();
        assert!(!noted.is_new(0, "key=12   ", 0));
        noted.next_line();
        assert!(noted.is_new(0, "key=13", 0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut noted = Noted::default();
        for n in 0..1000 {
            assert!(noted.is_new(0, &format!("{n:04} key"), 4));
        }
        assert!(noted.recent.len() <= RECENT && noted.growing.len() <= RECENT);
    }
}
