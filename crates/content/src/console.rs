//! A channel with a terminal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_policy::ContentPolicy;

use crate::entered::Entered;
use crate::finding::look_for_commands;
use crate::judge::{Passed, Released};
use crate::keys::{Key, Keys};
use crate::noted::Noted;
use crate::screen::{Screen, Sight};
use crate::{CannotJudge, Finding, Place};

/// The screen is still when the target has sent nothing for so long after its answer, or for twice as long as its slow
/// answers take: what came may be the answer to an earlier key.
const STILL: Duration = Duration::from_millis(40);
/// What is taken for a slow answer at first.
const SLOW: Duration = Duration::from_millis(100);
/// Without any answer, the keys show nothing: at a prompt for a password, at the end of a list.
const NO_ANSWER: Duration = Duration::from_millis(500);
/// Keys that no program reads are not held for longer than this.
const UNREAD: Duration = Duration::from_secs(10);
/// Bytes that are held; more than windows are wide.
const MOST_HELD: usize = 4 * 1024 * 1024;
/// Bytes of a command over several lines, each but the last of which ends with a backslash.
const LONGEST_COMMAND: usize = 64 * 1024;

pub(crate) struct Console {
    policy: Arc<ContentPolicy>,
    screen: Screen,
    noted: Noted,
    keys: Keys,
    entered: Entered,
    /// The lines before, where they go on.
    before: String,
    pastes: Pastes,
    /// When a key was passed on that the target may answer, and when it has sent something.
    asked: Option<Instant>,
    answered: Option<Instant>,
    /// How often it has sent something since.
    answers: u32,
    /// How long slow answers take.
    slow: Duration,
    /// The end of the last line has no answer yet.
    is_line_open: bool,
    /// Keys were pressed while that was so: the next answer is not theirs.
    is_ahead: bool,
    held: Vec<u8>,
    held_since: Option<Instant>,
}

impl Console {
    pub(crate) fn new(policy: Arc<ContentPolicy>, size: (u32, u32)) -> Result<Self, CannotJudge> {
        Ok(Self {
            policy,
            screen: Screen::new(size)?,
            noted: Noted::default(),
            keys: Keys::default(),
            entered: Entered::default(),
            before: String::new(),
            pastes: Pastes::default(),
            asked: None,
            answered: None,
            answers: 0,
            slow: SLOW,
            is_line_open: false,
            is_ahead: false,
            held: Vec::new(),
            held_since: None,
        })
    }

    pub(crate) fn resized(&mut self, size: (u32, u32)) -> Result<(), CannotJudge> {
        self.screen.resize(size)
    }

    pub(crate) fn shown(&mut self, data: &[u8], now: Instant) -> Result<Vec<Finding>, CannotJudge> {
        self.has_answered(now);
        self.pastes.watch(data);
        let Self { policy, screen, noted, .. } = self;
        let mut found = Vec::new();
        screen.feed(data, |sight| match sight {
            Sight::NextLine => noted.next_line(),
            Sight::Line(line) => {
                for (rule, range) in policy.screen().find(line) {
                    if noted.is_new(rule, line, range.start) {
                        found.extend(Finding::new(policy, Place::Shown, line, (rule, range)));
                    }
                }
            }
        })?;
        Ok(found)
    }

    pub(crate) fn typed(&mut self, data: &[u8], now: Instant) -> Result<Passed, CannotJudge> {
        if self.policy.commands().is_empty() {
            return Ok(Passed { bytes: data.len(), findings: Vec::new() });
        }
        let mut passed = Passed::default();
        if self.held.is_empty() {
            passed = self.press(data, now, false)?;
            if passed.findings.iter().any(Finding::terminates) {
                return Ok(passed);
            }
        }
        let rest = data.get(passed.bytes..).unwrap_or_default();
        if !rest.is_empty() {
            if self.held.len() + rest.len() > MOST_HELD {
                return Err(CannotJudge::TypedTooMuch);
            }
            self.held.extend_from_slice(rest);
            self.held_since.get_or_insert(now);
        }
        Ok(passed)
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        let since = self.held_since?;
        let still = self.still_at().unwrap_or(since);
        Some(if self.may_be_unread() { still.max(since + UNREAD) } else { still })
    }

    pub(crate) fn released(&mut self, now: Instant) -> Result<Released, CannotJudge> {
        let Some(since) = self.held_since else { return Ok(Released::default()) };
        if self.still_at().is_some_and(|still| now < still) {
            return Ok(Released::default());
        }
        if self.may_be_unread() {
            let is_late = now >= since + UNREAD;
            return if is_late { Err(CannotJudge::TypedAhead) } else { Ok(Released::default()) };
        }
        let mut held = std::mem::take(&mut self.held);
        self.held_since = None;
        let passed = self.press(&held, now, true)?;
        if !passed.findings.iter().any(Finding::terminates) && passed.bytes < held.len() {
            self.held = held.split_off(passed.bytes);
            self.held_since = Some(now);
        }
        held.truncate(passed.bytes);
        Ok(Released { bytes: held, findings: passed.findings })
    }

    /// Takes keys up to the first that has to wait, or that ends the session. `is_still`: the first has waited.
    fn press(&mut self, data: &[u8], now: Instant, mut is_still: bool) -> Result<Passed, CannotJudge> {
        let mut passed = Passed::default();
        for byte in data {
            let mut keys = self.keys.clone();
            let key = keys.feed(*byte, self.pastes.are_taken);
            if matches!(key, Key::Accept | Key::AcceptAndNext)
                || (key == Key::End && !self.entered.is_empty())
            {
                if self.keys.are_in_sequence() {
                    self.entered.forget_sequence();
                }
                let waits = !is_still && !self.is_still(now);
                if waits && self.entered.is_edited() {
                    return Ok(passed);
                }
                let found = self.judge();
                // The screen will tell whether it may be said what was typed.
                if waits && found.iter().any(|finding| finding.matched.is_none()) {
                    return Ok(passed);
                }
                passed.findings.extend(found);
                if passed.findings.iter().any(Finding::terminates) {
                    return Ok(passed);
                }
                self.go_on()?;
                self.entered = Entered::after(key);
                (is_still, self.is_line_open, self.is_ahead) = (false, true, key == Key::AcceptAndNext);
            } else {
                self.is_ahead |= self.is_line_open;
                self.entered.press(key, || self.screen.before_cursor());
            }
            // A program answers a sequence when it is complete.
            if !keys.are_in_sequence() {
                (self.asked, self.answers) = (Some(now), 0);
            }
            self.keys = keys;
            passed.bytes += 1;
        }
        Ok(passed)
    }

    fn has_answered(&mut self, now: Instant) {
        if let Some(asked) = self.asked
            && self.answered.is_none_or(|answered| answered <= asked)
        {
            self.slow = now.duration_since(asked).clamp(self.slow * 15 / 16, NO_ANSWER);
        }
        self.answered = Some(now);
        self.answers = self.answers.saturating_add(1);
        self.is_line_open = false;
    }

    /// When the screen shows what the keys have done, as far as that is known now. `None`: it does.
    fn still_at(&self) -> Option<Instant> {
        let asked = self.asked?;
        Some(match self.answered {
            Some(answered) if answered > asked => answered + (2 * self.slow).clamp(STILL, NO_ANSWER),
            Some(_) | None => asked + NO_ANSWER,
        })
    }

    fn is_still(&self, now: Instant) -> bool {
        self.still_at().is_none_or(|still| now >= still) && !self.may_be_unread()
    }

    /// Whether no program may have read the keys yet: they stand on the screen as they were pressed, or nothing has
    /// answered them, and nobody has said that it reads keys. Shells take pastes while they read a line.
    fn may_be_unread(&self) -> bool {
        // A program with a screen of its own has begun to read keys.
        let is_ahead = self.is_ahead && !self.screen.is_alternate();
        let is_answered = match (is_ahead, self.pastes.were_taken) {
            (false, _) => self.answers > 0,
            (true, false) => self.answers > 1,
            (true, true) => false,
        };
        let is_silent = self.entered.has_keys() && !is_answered && !self.pastes.are_taken;
        is_silent || self.entered.is_unread(&self.screen.before_cursor())
    }

    /// Judges the line as the screen shows it, with and without its prompt, and as it was typed.
    pub(crate) fn judge(&mut self) -> Vec<Finding> {
        let (line, stretch, typed) = (self.screen.line(), self.screen.stretch(), self.entered.text());
        let mut found = Vec::new();
        let without = self.entered.without_prompt(&line);
        for form in without.into_iter().chain([line.as_str(), stretch.as_str()]) {
            look_for_commands(&self.policy, form, &mut found);
        }
        if !self.before.is_empty() {
            let whole = self.before.clone() + without.unwrap_or(&typed);
            look_for_commands(&self.policy, &whole, &mut found);
        }
        let seen = found.len();
        look_for_commands(&self.policy, &typed, &mut found);
        look_for_commands(&self.policy, &(self.before.clone() + &typed), &mut found);
        // What was typed and is not on the screen may be a password.
        for unseen in found.iter_mut().skip(seen) {
            unseen.matched = None;
        }
        found
    }

    /// Keeps a line that ends with a backslash for the next one.
    fn go_on(&mut self) -> Result<(), CannotJudge> {
        let typed = self.entered.text();
        let line = self.screen.line();
        let text = match self.entered.without_prompt(&line) {
            Some(shown) if self.entered.is_edited() => shown,
            Some(_) | None => typed.as_str(),
        };
        match text.strip_suffix('\\') {
            Some(text) if self.before.len() + text.len() > LONGEST_COMMAND => Err(CannotJudge::LongLine),
            Some(text) => {
                self.before.push_str(text);
                Ok(())
            }
            None => {
                self.before.clear();
                Ok(())
            }
        }
    }
}

/// Whether the program takes pastes between marks (xterm's mode 2004), in which a tab is a tab.
#[derive(Debug, Default)]
struct Pastes {
    are_taken: bool,
    /// Whether there was one that did.
    were_taken: bool,
    /// The end of what has passed, which may be the beginning of a sequence.
    tail: Vec<u8>,
}

const ON: &[u8] = b"\x1b[?2004h";
const OFF: &[u8] = b"\x1b[?2004l";

impl Pastes {
    fn watch(&mut self, data: &[u8]) {
        self.tail.extend_from_slice(data);
        for window in self.tail.windows(ON.len()) {
            match window {
                ON => (self.are_taken, self.were_taken) = (true, true),
                OFF => self.are_taken = false,
                _ => {}
            }
        }
        let keep = self.tail.len().saturating_sub(ON.len() - 1);
        self.tail.drain(..keep);
    }
}
