//! Keys that wait in the gateway until the screen shows what was made of those before them.

use std::time::Instant;

use crate::CannotJudge;

/// Bytes that are held; more than windows are wide.
const MOST_HELD: usize = 4 * 1024 * 1024;
/// ^Q, after ^S.
pub(crate) const GO_ON: u8 = 0x11;

#[derive(Default)]
pub(crate) struct Held {
    keys: Vec<u8>,
    /// When they began to wait; `None` where none does.
    since: Option<Instant>,
    interrupts: bool,
}

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// A key is among them that interrupts the program, and waits for nothing.
    pub(crate) fn interrupts(&self) -> bool {
        self.interrupts
    }

    /// Adds keys; how many are dropped. Where a program goes on and on, ^C (^\, ^Z, ^Q after ^S) is to reach it before
    /// keys that wait for it: they are given up, as a terminal gives up what nobody has read.
    pub(crate) fn add(&mut self, keys: &[u8], is_stopped: bool, now: Instant) -> Result<usize, CannotJudge> {
        let interrupts = |byte: &u8| matches!(byte, 0x03 | 0x1a | 0x1c) || (*byte == GO_ON && is_stopped);
        let interrupt = keys.iter().rposition(interrupts);
        let (given_up, kept) = keys.split_at(interrupt.unwrap_or_default());
        let mut dropped = 0;
        if interrupt.is_some() {
            dropped = self.keys.len() + given_up.len();
            self.keys.clear();
            self.interrupts = true;
        }
        if self.keys.len() + kept.len() > MOST_HELD {
            return Err(CannotJudge::TypedTooMuch);
        }
        self.keys.extend_from_slice(kept);
        self.since.get_or_insert(now);
        Ok(dropped)
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self).keys
    }

    /// Has those wait once more that were taken too early.
    pub(crate) fn put_back(&mut self, keys: Vec<u8>, now: Instant) {
        (self.keys, self.since) = (keys, Some(now));
    }
}
