//! A person at a terminal, with a given clock.

use std::time::{Duration, Instant};

use keyward_content::{Finding, Judge, Output, Place};

use crate::policy;

/// A terminal between a person and a program, each of which is what the test says.
pub(crate) struct Played {
    pub(crate) judge: Judge,
    pub(crate) now: Instant,
    /// What reached the target.
    passed: Vec<u8>,
}

impl Played {
    pub(crate) fn new() -> Self {
        Self::of((80, 24))
    }

    pub(crate) fn of(size: (u32, u32)) -> Self {
        Self { judge: Judge::new(policy(), Some(size)).unwrap(), now: Instant::now(), passed: Vec::new() }
    }

    pub(crate) fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> Vec<Finding> {
        self.wait(1);
        self.judge.shown(text.as_bytes(), Output::Main, self.now).unwrap()
    }

    #[track_caller]
    pub(crate) fn types(&mut self, keys: &str) -> Vec<Finding> {
        self.wait(1);
        let passed = self.judge.typed(keys.as_bytes(), self.now).unwrap();
        self.passed.extend(&keys.as_bytes()[..passed.bytes]);
        passed.findings
    }

    #[track_caller]
    pub(crate) fn released(&mut self) -> Vec<Finding> {
        let released = self.judge.released(self.now).unwrap();
        self.passed.extend(released.bytes);
        released.findings
    }

    /// Keys that a program echoes.
    #[track_caller]
    pub(crate) fn echoes(&mut self, text: &str) {
        for key in text.chars() {
            assert_eq!(self.types(&key.to_string()), []);
            assert_eq!(self.shows(&key.to_string()), []);
        }
    }

    pub(crate) fn reached(&self) -> &str {
        std::str::from_utf8(&self.passed).unwrap()
    }
}

#[track_caller]
pub(crate) fn is_command(found: &[Finding], matched: Option<&str>) {
    let [one] = found else { panic!("{found:?}") };
    assert_eq!((one.place, one.matched.as_deref(), one.terminates()), (Place::Typed, matched, true));
}
