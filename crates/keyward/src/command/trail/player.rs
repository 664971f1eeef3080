//! A recording on a terminal, steered by keys.

use std::fs::File;
use std::io::BufReader;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keyward_trail::{Ending, PlayOptions, Replay, TrailError};

use super::tty::{Key, Tty};
use super::verify;
use super::watch::{Growth, LOOK};

/// How far the arrows go.
const LEAP: Duration = Duration::from_secs(10);
/// The status shows the time this often, and a signal is noticed.
const TICK: Duration = Duration::from_millis(200);
/// No terminal shows more changes.
const FRAME: Duration = Duration::from_millis(20);

pub(super) struct Player<'a> {
    replay: Replay<BufReader<File>>,
    options: PlayOptions,
    /// Set when the program is told to end.
    stop: &'a AtomicBool,
    growth: Growth,
    is_paused: bool,
    /// What is written is shown at once.
    is_live: bool,
    /// The moment of the session that is shown.
    position: Duration,
    /// What keeps the recording from being read on. What comes before it can be looked at.
    damage: Option<TrailError>,
    /// Where what no signature covers begins; told once the recording was read to where it ends.
    unsigned: Option<Duration>,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        replay: Replay<BufReader<File>>,
        options: PlayOptions,
        growth: Growth,
        stop: &'a AtomicBool,
    ) -> Self {
        let (is_paused, is_live, position, damage, unsigned) = (false, false, Duration::ZERO, None, None);
        Self { replay, options, stop, growth, is_paused, is_live, position, damage, unsigned }
    }

    /// Plays until a key or a signal ends it; what was read is in the reader of the replay.
    ///
    /// # Errors
    /// Also what was wrong with the recording, afterwards.
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        self.steer()?;
        self.damage.take().map_or(Ok(()), |damage| Err(damage.into()))
    }

    fn steer(&mut self) -> anyhow::Result<()> {
        let mut tty = Tty::begin()?;
        let is_there = match self.options.from {
            Duration::MAX => self.seek_end(&mut tty),
            from => self.seek(&mut tty, from),
        };
        if !is_there {
            return Ok(());
        }
        let mut last = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            self.go_on(now.duration_since(last));
            last = now;
            let (size, status) = (tty.size(), self.status());
            tty.write(&self.replay.draw(size, &status))?;
            for key in tty.keys(self.wait())? {
                let began = Instant::now();
                if !self.press(&mut tty, key) {
                    return Ok(());
                }
                // While a moment is looked for, none passes.
                last += began.elapsed();
            }
        }
        Ok(())
    }

    pub(super) fn into_replay(self) -> Replay<BufReader<File>> {
        self.replay
    }

    /// Lets `time` pass.
    fn go_on(&mut self, time: Duration) {
        if self.is_paused {
            return;
        }
        let Some(next) = self.next_at() else {
            if let Growth::Followed(writing) = &mut self.growth
                && !writing.goes_on()
            {
                self.growth = Growth::AsItIs;
            }
            self.is_live = matches!(self.growth, Growth::Followed(_));
            return;
        };
        if !self.is_live {
            self.position = self.position.saturating_add(self.options.speed.passes(time));
        }
        // Of a pause, what is longer than it may be is left out at its beginning.
        if let Some(most) = self.options.max_idle {
            self.position = self.position.max(next.saturating_sub(most));
        }
        let began = Instant::now();
        loop {
            if let Some(next) = self.next_at().filter(|_| self.is_live) {
                self.position = self.position.max(next);
            }
            if !self.step() {
                return;
            }
            // What is shown faster than it can be drawn is drawn in between, and keys are heard.
            if began.elapsed() > TICK {
                self.position = self.replay.at();
                return;
            }
        }
    }

    /// When the screen changes next. `None`: never, nobody has written it yet, or nobody knows.
    fn next_at(&mut self) -> Option<Duration> {
        let next = match (&self.growth, &self.damage) {
            (Growth::Followed(_), None) => self.replay.resume().and_then(|_| self.replay.next_at()),
            (Growth::Followed(_), Some(_)) | (Growth::AsItIs, _) => self.replay.next_at(),
        };
        next.unwrap_or_else(|damage| {
            self.damage.get_or_insert(damage);
            None
        })
    }

    fn step(&mut self) -> bool {
        self.replay.step(self.position).unwrap_or_else(|damage| {
            self.damage.get_or_insert(damage);
            false
        })
    }

    /// How long nothing changes.
    fn wait(&mut self) -> Duration {
        let next = self.next_at().filter(|_| !self.is_paused);
        let left = next.map(|next| self.options.speed.of(next.saturating_sub(self.position)));
        left.unwrap_or(if self.is_live { LOOK } else { TICK }).clamp(FRAME, TICK)
    }

    /// `false`: this ends it.
    fn press(&mut self, tty: &mut Tty, key: Key) -> bool {
        match key {
            Key::Pause => (self.is_paused, self.is_live) = (!self.is_paused, false),
            Key::Faster => self.options.speed = self.options.speed.times(2.0),
            Key::Slower => self.options.speed = self.options.speed.times(0.5),
            Key::Back => {
                self.is_live = false;
                return self.seek(tty, self.position.saturating_sub(LEAP));
            }
            Key::End => return self.seek_end(tty),
            Key::Forward => {
                // Behind the last change there is nothing to see.
                if self.next_at().is_some() {
                    return self.seek(tty, self.position.saturating_add(LEAP));
                }
            }
            Key::Quit => return false,
        }
        true
    }

    /// `false`: a key or a signal has ended it on the way.
    fn seek(&mut self, tty: &mut Tty, to: Duration) -> bool {
        let sought = self.replay.seek_while(to, goes_on(self.stop, tty));
        self.position = to;
        self.arrived(sought)
    }

    /// The same.
    fn seek_end(&mut self, tty: &mut Tty) -> bool {
        let sought = self.replay.seek_end_while(goes_on(self.stop, tty));
        self.position = self.replay.at();
        self.arrived(sought)
    }

    fn arrived(&mut self, sought: Result<bool, TrailError>) -> bool {
        sought.unwrap_or_else(|damage| {
            self.position = self.replay.at();
            self.damage.get_or_insert(damage);
            true
        })
    }

    fn may_grow(&self) -> bool {
        let ending = self.replay.reader().ending();
        matches!(self.growth, Growth::Followed(_))
            && ending.is_none_or(|ending| *ending == Ending::Unfinished)
    }

    /// Of the moment that is shown. A signature comes behind what it covers, so nobody knows before the end.
    fn is_unsigned(&mut self) -> bool {
        let reader = self.replay.reader();
        if (reader.ending().is_some() || self.damage.is_some()) && !self.may_grow() {
            let begins = reader.has_unsigned().then(|| reader.signed_until().unwrap_or_default());
            self.unsigned = self.unsigned.or(begins);
        }
        self.unsigned.is_some_and(|begins| begins.is_zero() || self.position > begins)
    }

    fn status(&mut self) -> String {
        let is_last = self.next_at().is_none();
        let unsigned = if self.is_unsigned() { ", UNSIGNED" } else { "" };
        let state = match self.is_paused {
            _ if is_last && self.damage.is_some() => "DAMAGED behind",
            _ if is_last && !self.may_grow() => "the end",
            true => "paused",
            false if self.is_live => "live",
            false => "playing",
        };
        let at = self.position.as_secs();
        let at = verify::time(Duration::from_secs(at));
        let at = at.strip_suffix(".000").unwrap_or(&at);
        let speed = self.options.speed;
        format!(
            " {state} {at}{unsigned} x{speed} | space: pause, left/right: 10 s, end, +/-: speed, q: quit "
        )
    }
}

/// Asked again and again on the way to another moment.
fn goes_on<'t>(stop: &'t AtomicBool, tty: &'t mut Tty) -> impl FnMut() -> bool + 't {
    let mut heard = Instant::now();
    move || {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        if heard.elapsed() < TICK {
            return true;
        }
        heard = Instant::now();
        // A terminal that cannot be read ends it as one that is gone.
        tty.quits().is_ok_and(|quits| !quits)
    }
}
