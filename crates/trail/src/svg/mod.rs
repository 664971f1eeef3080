//! Export as an animated picture: SVG that any browser plays, without scripts and without anything that it would fetch.

mod document;
mod look;
mod reel;
mod row;

use std::io::{Read, Write};
use std::time::Duration;

pub(crate) use self::reel::MOST_BYTES;
use self::reel::Reel;
use crate::screen::Screen;
use crate::shown::{Shown, Sight};
use crate::text::Lines;
use crate::{ChannelId, Reader, TrailError};

/// What changes within this time is one image: no eye sees more of it.
const FRAME: Duration = Duration::from_millis(40);

/// What of a session becomes a picture.
#[derive(Clone, Debug)]
pub struct PictureOptions {
    /// `None`: all channels on one screen.
    pub channel: Option<ChannelId>,
    /// Moments of the session that the picture begins and ends with. At zero it begins with what is shown first.
    pub from: Duration,
    pub to: Duration,
    /// Longer pauses of the session are cut to this. `None`: none is.
    pub max_idle: Option<Duration>,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self { channel: None, from: Duration::ZERO, to: Duration::MAX, max_idle: None }
    }
}

/// Writes what the terminal showed as an animated SVG, which plays once. `progress` hears how far into the session it is.
///
/// Each image is at most 40 ms early. What the recording holds is in it as text, escaped, and nothing else of the recording.
///
/// # Errors
/// [`TrailError::PictureTooLarge`]: nothing is written then. After damage of the recording, what was written is the picture up
/// to there.
pub fn export_svg<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    options: &PictureOptions,
    mut progress: impl FnMut(Duration),
) -> Result<(), TrailError> {
    let header = reader.header().clone();
    let mut film = Film::new(options);
    let read = film.read(reader, options, &mut progress);
    if let Err(error @ TrailError::PictureTooLarge { .. }) = read {
        return Err(error);
    }
    let length = film.end()?;
    document::write(out, &header, &film.reel, length).map_err(TrailError::Output)?;
    read
}

/// The screen, and the images of it that were taken.
struct Film {
    screen: Screen,
    clock: Clock,
    /// Since this moment of the picture the screen has changed.
    changed: Option<Duration>,
    reel: Reel,
    /// The moment of the session that was come to.
    at: Duration,
}

impl Film {
    fn new(options: &PictureOptions) -> Self {
        let clock = Clock::new(options.from, options.max_idle);
        Self { screen: Screen::new(), clock, changed: None, reel: Reel::new(), at: Duration::ZERO }
    }

    fn read<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        options: &PictureOptions,
        progress: &mut impl FnMut(Duration),
    ) -> Result<(), TrailError> {
        let mut shown = Shown::new(options.channel, Lines::WithCarriageReturn);
        for item in reader {
            let (at, event) = item?;
            if at > options.to {
                self.clock.go(options.to);
                break;
            }
            if let Some(sight) = shown.take(&event) {
                self.show(at, &sight)?;
                progress(at);
            }
        }
        Ok(())
    }

    fn show(&mut self, at: Duration, sight: &Sight) -> Result<(), TrailError> {
        let now = self.clock.go(at);
        if self.changed.is_some_and(|since| now.saturating_sub(since) >= FRAME) {
            self.take()?;
        }
        self.at = at;
        self.changed.get_or_insert(now);
        self.screen.show(sight, &mut ());
        Ok(())
    }

    fn take(&mut self) -> Result<(), TrailError> {
        let Some(since) = self.changed.take() else { return Ok(()) };
        self.reel.take(since, &self.screen).map_err(|_| TrailError::PictureTooLarge { at: self.at })
    }

    /// The length of the picture.
    fn end(&mut self) -> Result<Duration, TrailError> {
        self.take()?;
        Ok(self.clock.now)
    }
}

/// Times of the picture for those of the session.
struct Clock {
    /// The last moment of the session; `None` until there is something to see.
    last: Option<Duration>,
    max_idle: Duration,
    now: Duration,
}

impl Clock {
    fn new(from: Duration, max_idle: Option<Duration>) -> Self {
        let last = (!from.is_zero()).then_some(from);
        Self { last, max_idle: max_idle.unwrap_or(Duration::MAX), now: Duration::ZERO }
    }

    fn go(&mut self, at: Duration) -> Duration {
        let last = self.last.unwrap_or(at);
        self.now += at.saturating_sub(last).min(self.max_idle);
        self.last = Some(last.max(at));
        self.now
    }
}

#[cfg(test)]
mod tests;
