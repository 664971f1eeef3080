//! Moments of a recording to go back to.

use std::time::Duration;

use crate::reader::Mark;
use crate::shown::Shown;

/// Text between two frames at first: it is drawn in some milliseconds.
const APART: usize = 512 * 1024;
/// INVARIANT: the most frames that are kept, and bytes of what they hold. Beyond, every second one goes.
const MOST: usize = 1024;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The screen at a place between two blocks.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) at: Duration,
    pub(crate) mark: Mark,
    pub(crate) shown: Shown,
    pub(crate) size: (usize, usize),
    /// What draws the screen on an empty one.
    pub(crate) dump: String,
}

impl Frame {
    fn weight(&self) -> usize {
        self.dump.len() + self.shown.weight()
    }
}

/// Frames in the order of their times.
#[derive(Debug)]
pub(crate) struct Frames {
    all: Vec<Frame>,
    apart: usize,
    bytes: usize,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), apart: APART, bytes: 0 }
    }

    /// The last frame that is no later than this.
    pub(crate) fn before(&self, at: Duration) -> Option<&Frame> {
        self.all.iter().take_while(|frame| frame.at <= at).last()
    }

    /// Whether a frame is wanted at this moment, so many bytes of text behind the one before.
    pub(crate) fn wants(&self, at: Duration, behind: usize) -> bool {
        behind >= self.apart && self.all.last().is_none_or(|last| last.at < at)
    }

    pub(crate) fn add(&mut self, frame: Frame) {
        self.bytes += frame.weight();
        self.all.push(frame);
        if self.all.len() > MOST || self.bytes > MOST_BYTES {
            let mut n = 0;
            self.all.retain(|_| {
                n += 1;
                n % 2 == 0
            });
            self.bytes = self.all.iter().map(Frame::weight).sum();
            self.apart *= 2;
        }
    }
}
