//! A recording on a terminal, steered by keys.

use std::fs::File;
use std::io::BufReader;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keyward_trail::{PlayOptions, Replay, TrailError};

use super::tty::{Key, Tty};
use super::verify;

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
    is_paused: bool,
    /// The moment of the session that is shown.
    position: Duration,
    /// What keeps the recording from being read on. What comes before it can be looked at.
    damage: Option<TrailError>,
}

impl<'a> Player<'a> {
    pub(super) fn new(replay: Replay<BufReader<File>>, options: PlayOptions, stop: &'a AtomicBool) -> Self {
        Self { replay, options, stop, is_paused: false, position: options.from, damage: None }
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
        if !self.seek(&mut tty, self.position)? {
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
                if !self.press(&mut tty, key)? {
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
        let Some(next) = self.next_at().filter(|_| !self.is_paused) else { return };
        self.position = self.position.saturating_add(self.options.speed.passes(time));
        // Of a pause, what is longer than it may be is left out at its beginning.
        if let Some(most) = self.options.max_idle {
            self.position = self.position.max(next.saturating_sub(most));
        }
        let began = Instant::now();
        while self.step() {
            // What is shown faster than it can be drawn is drawn in between, and keys are heard.
            if began.elapsed() > TICK {
                self.position = self.replay.at();
                break;
            }
        }
    }

    /// When the screen changes next. `None`: never, or nobody knows.
    fn next_at(&mut self) -> Option<Duration> {
        self.replay.next_at().unwrap_or_else(|damage| {
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
        left.unwrap_or(TICK).clamp(FRAME, TICK)
    }

    /// `false`: this ends it.
    fn press(&mut self, tty: &mut Tty, key: Key) -> anyhow::Result<bool> {
        match key {
            Key::Pause => self.is_paused = !self.is_paused,
            Key::Faster => self.options.speed = self.options.speed.times(2.0),
            Key::Slower => self.options.speed = self.options.speed.times(0.5),
            Key::Back => return self.seek(tty, self.position.saturating_sub(LEAP)),
            Key::Forward => {
                // Behind the last change there is nothing to see.
                if self.next_at().is_some() {
                    return self.seek(tty, self.position.saturating_add(LEAP));
                }
            }
            Key::Quit => return Ok(false),
        }
        Ok(true)
    }

    /// `false`: a key or a signal has ended it on the way.
    fn seek(&mut self, tty: &mut Tty, to: Duration) -> anyhow::Result<bool> {
        let mut heard = Instant::now();
        let goes_on = || {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            if heard.elapsed() < TICK {
                return true;
            }
            heard = Instant::now();
            // A terminal that cannot be read ends it as one that is gone.
            tty.keys(Duration::ZERO).is_ok_and(|keys| !keys.contains(&Key::Quit))
        };
        let sought = self.replay.seek_while(to, goes_on);
        self.position = to;
        Ok(sought.unwrap_or_else(|damage| {
            self.position = self.replay.at();
            self.damage.get_or_insert(damage);
            true
        }))
    }

    fn status(&mut self) -> String {
        let state = match (self.next_at(), self.is_paused) {
            (None, _) if self.damage.is_some() => "DAMAGED behind",
            (None, _) => "the end",
            (Some(_), true) => "paused",
            (Some(_), false) => "playing",
        };
        let at = self.position.as_secs();
        let at = verify::time(Duration::from_secs(at));
        let at = at.strip_suffix(".000").unwrap_or(&at);
        let speed = self.options.speed;
        format!(" {state} {at} x{speed} | space: pause, left/right: 10 s, +/-: speed, q: quit ")
    }
}
