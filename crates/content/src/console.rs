//! A channel with a terminal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_policy::ContentPolicy;

use crate::entered::Entered;
use crate::finding::{Joins, forms, look_for_commands};
use crate::held::{GO_ON, Held};
use crate::judge::{Passed, Released};
use crate::keys::{Key, Keys};
use crate::noted::Noted;
use crate::pastes::Pastes;
use crate::screen::{Screen, Sight};
use crate::waits::Waits;
use crate::{CannotJudge, Finding, Modes, Place};

/// Keys that no program reads are not held for longer than this.
const UNREAD: Duration = Duration::from_secs(10);
const BELL: u8 = 0x07;
const STOP: u8 = 0x13;
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
    waits: Waits,
    /// The end of the last line has no answer yet.
    is_line_open: bool,
    /// Keys were pressed while that was so: the next answer is not theirs.
    is_ahead: bool,
    /// Keys were pressed that a program makes something of, and nothing has been shown since that could be it.
    is_unanswered: bool,
    held: Held,
    modes: Modes,
    /// What stood before the line that was ended last.
    last_prompt: String,
    /// The target has not said yet whether there is a terminal.
    is_doubted: bool,
    /// ^S came, and no ^Q since: the target's terminal may keep back what programs show.
    is_stopped: bool,
    /// How often the bell was rung since the line was begun: a key that has no effect rings it.
    bells: usize,
    /// What the screen was when it was judged: its number of changes, the prompt, and whether the line was edited.
    judged: Option<(u64, Option<String>, bool)>,
}

impl Console {
    pub(crate) fn new(
        policy: Arc<ContentPolicy>,
        size: (u32, u32),
        modes: Modes,
    ) -> Result<Self, CannotJudge> {
        Ok(Self {
            policy,
            screen: Screen::new(size)?,
            noted: Noted::default(),
            keys: Keys::new(modes.keep_returns()),
            entered: Entered::new(modes.are_blind()),
            before: String::new(),
            pastes: Pastes::default(),
            waits: Waits::default(),
            is_line_open: false,
            is_ahead: false,
            is_unanswered: false,
            held: Held::default(),
            modes,
            last_prompt: String::new(),
            is_doubted: false,
            is_stopped: false,
            bells: 0,
            judged: None,
        })
    }

    pub(crate) fn resized(&mut self, size: (u32, u32), now: Instant) -> Result<(), CannotJudge> {
        self.waits.disturb(now);
        self.screen.resize(size)
    }

    pub(crate) fn shown(&mut self, data: &[u8], now: Instant) -> Result<Vec<Finding>, CannotJudge> {
        self.waits.answer(now);
        self.is_line_open = false;
        self.bells += data.iter().filter(|byte| **byte == BELL).count();
        let switched = self.pastes.watch(data);
        if switched.is_switched {
            self.keys.end_paste();
        }
        let (before, after) = data.split_at(switched.begun.unwrap_or_default());
        let mut found = self.draw(before)?;
        if switched.begun.is_some() {
            // Who begins to read now has not answered keys that came before.
            self.is_ahead |= self.is_unanswered;
            self.screen.draws_line_anew();
            self.entered.is_drawn_anew();
        }
        found.extend(self.draw(after)?);
        Ok(found)
    }

    fn draw(&mut self, data: &[u8]) -> Result<Vec<Finding>, CannotJudge> {
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
        self.is_unanswered = self.is_unanswered && (data.is_empty() || !self.answers_keys());
        Ok(found)
    }

    pub(crate) fn typed(&mut self, data: &[u8], now: Instant) -> Result<Passed, CannotJudge> {
        if self.policy.commands().is_empty() {
            return Ok(Passed { bytes: data.len(), ..Passed::default() });
        }
        let mut passed = Passed::default();
        if self.held.is_empty() && !self.is_doubted {
            passed = self.press(data, now, false)?;
            if passed.findings.iter().any(Finding::terminates) {
                return Ok(passed);
            }
        }
        let rest = data.get(passed.bytes..).unwrap_or_default();
        if !rest.is_empty() {
            passed.dropped = self.held.add(rest, self.is_stopped, now)?;
        }
        Ok(passed)
    }

    pub(crate) fn doubt(&mut self) {
        self.is_doubted = true;
    }

    pub(crate) fn trust(&mut self) {
        self.is_doubted = false;
    }

    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        let since = self.held.since().filter(|_| !self.is_doubted)?;
        if self.held.interrupts() {
            return Some(since);
        }
        let still = self.waits.still_at().unwrap_or(since);
        Some(if self.may_be_unread() { still.max(since + UNREAD) } else { still })
    }

    pub(crate) fn released(&mut self, now: Instant) -> Result<Released, CannotJudge> {
        let Some(since) = self.held.since().filter(|_| !self.is_doubted) else {
            return Ok(Released::default());
        };
        let interrupts = self.held.interrupts();
        if !interrupts {
            if !self.waits.are_over(now) {
                return Ok(Released::default());
            }
            if self.may_be_unread() {
                let is_late = now >= since + UNREAD;
                return if is_late { Err(CannotJudge::TypedAhead) } else { Ok(Released::default()) };
            }
        }
        let mut held = self.held.take();
        let passed = self.press(&held, now, !interrupts)?;
        if !passed.findings.iter().any(Finding::terminates) && passed.bytes < held.len() {
            self.held.put_back(held.split_off(passed.bytes), now);
        }
        held.truncate(passed.bytes);
        Ok(Released { bytes: held, findings: passed.findings })
    }

    /// Takes keys up to the first that has to wait, or that ends the session. `is_still`: the first has waited.
    fn press(&mut self, data: &[u8], now: Instant, mut is_still: bool) -> Result<Passed, CannotJudge> {
        let mut passed = Passed::default();
        for byte in data {
            let mut keys = self.keys.clone();
            let key = keys.feed(*byte, self.pastes.are_taken());
            if key == Key::Macro && keys.have_recorded() && !self.screen.is_alternate() {
                return Err(CannotJudge::Macro);
            }
            if self.may_end(key) {
                let waits = !is_still && !self.is_still(now);
                if waits && self.needs_screen(key) {
                    return Ok(passed);
                }
                let found = if key == Key::PastedLine { self.judge_paste() } else { self.judge()? };
                // The screen will tell whether it may be said what was typed.
                if waits && found.iter().any(|finding| finding.matched.is_none()) {
                    self.judged = None;
                    return Ok(passed);
                }
                passed.findings.extend(found);
                if passed.findings.iter().any(Finding::terminates) {
                    return Ok(passed);
                }
                self.end_line(key)?;
                is_still = false;
                self.bells = 0;
            } else {
                self.is_ahead |= self.is_line_open;
                if !self.entered.has_begun() && !self.screen.has_begun_line() {
                    self.screen.begin_line();
                }
                self.entered.press(key, || self.screen.before_cursor());
                // A program with a screen of its own has them.
                self.is_unanswered |= matches!(key, Key::Other(_)) && !self.screen.is_alternate();
            }
            match *byte {
                STOP => self.is_stopped = true,
                GO_ON => self.is_stopped = false,
                _ => {}
            }
            // A program answers a sequence when it is complete.
            if !keys.are_in_sequence() {
                self.waits.ask(now);
            }
            self.keys = keys;
            passed.bytes += 1;
        }
        Ok(passed)
    }

    fn may_end(&self, key: Key) -> bool {
        match key {
            Key::Accept | Key::MayAccept | Key::AcceptAndNext | Key::PastedLine => true,
            Key::End => !self.entered.is_empty(),
            _ => false,
        }
    }

    /// Whether the key that may end the line has to wait until the screen shows the line.
    fn needs_screen(&self, key: Key) -> bool {
        match key {
            Key::PastedLine => self.entered.has_edits(),
            // Whether it goes on, or is a password, the screen tells.
            _ => {
                self.entered.is_edited()
                    || self.entered.goes_on() && !self.entered.is_shown(&self.screen.line())
            }
        }
    }

    fn end_line(&mut self, key: Key) -> Result<(), CannotJudge> {
        if key == Key::Accept {
            self.go_on()?;
            if let Some(prompt) = self.entered.prompt() {
                prompt.clone_into(&mut self.last_prompt);
            }
            self.entered = self.entered.next();
            self.is_unanswered = false;
            self.screen.end_line();
        } else {
            self.entered.may_have_ended(key);
        }
        if key != Key::PastedLine {
            (self.is_line_open, self.is_ahead) = (true, key == Key::AcceptAndNext);
        }
        Ok(())
    }

    fn is_still(&self, now: Instant) -> bool {
        self.waits.are_over(now) && !self.may_be_unread()
    }

    /// Whether no program may have read the keys yet: they stand on the screen as they were pressed, or nothing has
    /// answered them, and nobody has said that it reads keys. Shells take pastes while they read a line.
    fn may_be_unread(&self) -> bool {
        // A program with a screen of its own has begun to read keys.
        let is_ahead = self.is_ahead && !self.screen.is_alternate();
        let is_answered = match (is_ahead, self.pastes.were_taken()) {
            (false, _) => self.waits.answers() > 0 && !(self.is_unanswered && self.is_at_new_prompt()),
            (true, false) => self.waits.answers() > 1 && !self.is_at_new_prompt(),
            (true, true) => false,
        };
        // Nothing of the line needs to be keys where another may come back.
        let is_guess = is_ahead && (self.entered.has_high() || self.keys.have_put_aside());
        // Text alone is shown behind what has come back.
        let is_read =
            || self.reads_keys() && (self.entered.has_keys() || self.entered.is_shown(&self.screen.line()));
        let is_silent = (self.entered.has_keys() || is_guess) && !is_answered && !is_read();
        is_silent || self.entered.is_unread(&self.screen.before_cursor())
    }

    /// Whether what is shown may be what a program has made of keys: neither their echo nor a prompt.
    fn answers_keys(&self) -> bool {
        self.screen.is_line_drawn()
            && !self.entered.is_echoed(&self.screen.before_cursor())
            && !self.is_at_new_prompt()
    }

    /// Whether the cursor stands behind a prompt that was not there when the first key came.
    fn is_at_new_prompt(&self) -> bool {
        let (before, prompt) = (self.screen.before_cursor(), self.last_prompt.trim_end());
        let is_new = self.is_ahead || self.entered.prompt() != Some(before.as_str());
        is_new && !prompt.is_empty() && before.trim_end().ends_with(prompt)
    }

    /// Whether a program has said that it reads keys, and shows what it makes of them.
    fn reads_keys(&self) -> bool {
        let shows = self.screen.has_drawn_line(&self.last_prompt) || self.bells >= self.entered.keys().max(1);
        self.pastes.are_taken() && !self.is_stopped && (self.screen.is_alternate() || shows)
    }

    /// Judges the line as the screen shows it, with and without its prompt, and as it was typed.
    pub(crate) fn judge(&mut self) -> Result<Vec<Finding>, CannotJudge> {
        let (line, is_edited) = (self.screen.line(), self.entered.is_edited());
        if self.entered.is_cut() && !self.screen.is_alternate() {
            return Err(CannotJudge::LongLine);
        }
        if self.entered.has_keys() {
            self.screen.is_line_whole(self.pastes.are_taken(), self.entered.prompt())?;
        }
        let mut found = Vec::new();
        let shown = self.entered.shown(&line);
        let key = (self.screen.changes(), self.entered.prompt().map(str::to_owned), is_edited);
        // Keys alone make no other screen.
        if self.judged.as_ref() != Some(&key) {
            let stretch = self.screen.stretch();
            for form in shown.into_iter().chain([line.as_str(), stretch.as_str()]) {
                look_for_commands(&self.policy, form, &mut found);
            }
            if is_edited {
                for text in self.screen.extent(self.pastes.are_taken())? {
                    let without = self.entered.without_prompt(&text);
                    for form in without.into_iter().chain([text.as_str()]) {
                        look_for_commands(&self.policy, form, &mut found);
                    }
                }
            }
            self.judged = Some(key);
        }
        if let Some(shown) = shown.filter(|_| !self.before.is_empty()) {
            look_for_commands(&self.policy, &(self.before.clone() + shown), &mut found);
        }
        let mut typed = vec![self.entered.text(), self.before.clone() + &self.entered.text()];
        // What takes something back may be taken for text, and nothing shows it.
        typed.extend(self.modes.are_blind().then(|| self.entered.raw()));
        self.look_for_typed(&typed, &mut found);
        Ok(found)
    }

    /// Judges what was pasted last; the screen shows it later.
    fn judge_paste(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        self.look_for_typed(&[self.entered.tail()], &mut found);
        found
    }

    fn look_for_typed(&self, texts: &[String], found: &mut Vec<Finding>) {
        let seen = found.len();
        for form in texts.iter().flat_map(|text| forms(text, Joins::All)) {
            look_for_commands(&self.policy, &form, found);
        }
        // What was typed and is not on the screen may be a password.
        for unseen in found.iter_mut().skip(seen) {
            unseen.matched = None;
        }
    }

    /// Keeps a line that ends with a backslash for the next one.
    fn go_on(&mut self) -> Result<(), CannotJudge> {
        let line = self.screen.line();
        // What the screen does not show may be a password, and is none of the next line's.
        let text = self.entered.shown(&line).unwrap_or_default();
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
