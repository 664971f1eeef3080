//! How far something long is, for a person who waits for it.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// One line on standard error, where that is a terminal; else nothing.
pub(super) struct Progress {
    is_watched: bool,
    shown: Instant,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(1);

    pub(super) fn begin() -> Self {
        Self { is_watched: io::stderr().is_terminal(), shown: Instant::now() }
    }

    /// `says` must not hold what a peer wrote.
    pub(super) fn show(&mut self, says: impl Display) {
        if self.is_watched && self.shown.elapsed() >= Self::EVERY {
            self.shown = Instant::now();
            eprint!("\x1b[K{says}\r");
        }
    }

    /// Makes room for what was found.
    pub(super) fn wipe(&self) {
        if self.is_watched {
            eprint!("\x1b[K");
        }
    }
}
