//! A line that tells a person how far something is which takes long.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// What is done sooner needs no line.
const SOON: Duration = Duration::from_secs(1);
/// A line stands for so long at least.
const STANDS: Duration = Duration::from_millis(200);

/// Writes on standard error where that is a terminal, and nothing elsewhere. Dropped, it wipes its line.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When the next line may come. `None`: nobody sees it.
    next: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        let next = stderr().is_terminal().then(|| Instant::now() + SOON);
        Self { next, is_shown: false }
    }

    /// `line` holds nothing that a terminal would obey.
    pub(crate) fn tell(&mut self, line: impl Display) {
        let now = Instant::now();
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        (self.next, self.is_shown) = (Some(now + STANDS), true);
        // Nobody depends on it.
        let _ = write!(stderr(), "\r\x1b[K{line}");
    }

    /// Makes room for something else.
    pub(crate) fn wipe(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.wipe();
    }
}
