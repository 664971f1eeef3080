//! When the screen shows what keys have done.

use std::time::{Duration, Instant};

/// The screen is still when the target has sent nothing for so long after its answer, or for twice as long as its slow
/// answers take: what came may be the answer to an earlier key.
const STILL: Duration = Duration::from_millis(40);
/// What is taken for a slow answer at first.
const SLOW: Duration = Duration::from_millis(100);
/// Without any answer, the keys show nothing: at a prompt for a password, at the end of a list.
const NO_ANSWER: Duration = Duration::from_millis(500);

/// What was passed on, and what came back.
#[derive(Debug)]
pub(crate) struct Waits {
    /// When a key was passed on that the target may answer, and when it has sent something.
    asked: Option<Instant>,
    answered: Option<Instant>,
    /// How often it has sent something since.
    answers: u32,
    /// How long slow answers take.
    slow: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { asked: None, answered: None, answers: 0, slow: SLOW }
    }
}

impl Waits {
    /// A key was passed on.
    pub(crate) fn ask(&mut self, now: Instant) {
        (self.asked, self.answers) = (Some(now), 0);
    }

    /// What is drawn may be drawn anew.
    pub(crate) fn disturb(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    pub(crate) fn answer(&mut self, now: Instant) {
        if let Some(asked) = self.asked
            && self.answered.is_none_or(|answered| answered <= asked)
        {
            self.slow = now.duration_since(asked).clamp(self.slow * 15 / 16, NO_ANSWER);
        }
        self.answered = Some(now);
        self.answers = self.answers.saturating_add(1);
    }

    /// How often the target has sent something since the last key.
    pub(crate) fn answers(&self) -> u32 {
        self.answers
    }

    /// When the screen shows what the keys have done, as far as that is known now. `None`: it does.
    pub(crate) fn still_at(&self) -> Option<Instant> {
        let asked = self.asked?;
        Some(match self.answered {
            Some(answered) if answered > asked => answered + (2 * self.slow).clamp(STILL, NO_ANSWER),
            Some(_) | None => asked + NO_ANSWER,
        })
    }

    pub(crate) fn are_over(&self, now: Instant) -> bool {
        self.still_at().is_none_or(|still| now >= still)
    }
}
