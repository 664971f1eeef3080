//! The screen of a session at any moment.

use std::fmt;
use std::io::{Read, Seek};
use std::time::Duration;

use crate::canvas::Canvas;
use crate::frames::{Frame, Frames};
use crate::reader::Mark;
use crate::screen::Screen;
use crate::shown::{Shown, Sight};
use crate::text::Lines;
use crate::{ChannelId, Reader, TrailError};

/// A trail that is looked at, at a moment that can be chosen.
///
/// What the recording shows is drawn on a terminal of our own, and only the outcome is shown to anybody: no sequence of the
/// recording reaches a terminal.
pub struct Replay<R> {
    reader: Reader<R>,
    /// Where the events begin.
    start: Mark,
    channel: Option<ChannelId>,
    shown: Shown,
    screen: Screen,
    canvas: Canvas,
    /// The moment that the screen is of.
    at: Duration,
    next: Option<(Duration, Sight)>,
    is_over: bool,
    /// What was read can be gone back to without reading it all again.
    frames: Frames,
    /// Bytes of text since the last place where there is a frame.
    behind: usize,
    /// The last place between two blocks that was come to.
    furthest: Mark,
    is_linear: bool,
    is_partial: bool,
    false_frame: Option<Duration>,
}

/// What is no further is come to by reading.
const NEAR: Duration = Duration::from_secs(5);

/// So much is drawn in one step: a few bytes may have the whole screen drawn, and who waits wants to be heard.
const SLICE: usize = 4 * 1024;

impl<R: Read + Seek> Replay<R> {
    /// Looks at the beginning: `None` where `reader` is in the midst of something. `channel`: one only, or all of them
    /// on one screen.
    pub fn new(reader: Reader<R>, channel: Option<ChannelId>) -> Option<Self> {
        let start = reader.mark()?;
        let shown = Shown::new(channel, Lines::WithCarriageReturn);
        let (screen, canvas, at) = (Screen::new(), Canvas::default(), Duration::ZERO);
        let (frames, next) = (Frames::new(), None);
        let furthest = start;
        Some(Self {
            reader,
            start,
            channel,
            shown,
            screen,
            canvas,
            at,
            next,
            is_over: false,
            frames,
            behind: 0,
            furthest,
            is_linear: false,
            is_partial: false,
            false_frame: None,
        })
    }

    /// Reads all that comes before a moment: no key frame of the recording is believed.
    pub fn ignore_key_frames(&mut self) {
        self.is_linear = true;
    }

    /// Whether something was passed over on the way to a moment, and so neither read nor checked.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// About when a key frame of the recording showed something else than what was recorded before it; of those that were
    /// come by.
    pub fn false_frame(&self) -> Option<Duration> {
        self.false_frame
    }

    pub fn reader(&self) -> &Reader<R> {
        &self.reader
    }

    /// The reader, which has read all that was ever shown, and on to what tells whether that is signed: over at most that
    /// many blocks.
    pub fn into_reader(mut self, most: usize) -> Reader<R> {
        if self.reader.time() < self.furthest.time {
            // What stands in the way of that is told as it would be on the way there.
            let _ = self.reader.go(&self.furthest);
            let _ = self.reader.next();
        }
        self.reader.settle(most);
        self.reader
    }

    /// The moment that the screen is of.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Looks whether more was written since the end of the recording was come to, where its reader
    /// [expects that](Reader::expect_more). `false`: nothing more comes.
    pub fn resume(&mut self) -> Result<bool, TrailError> {
        if self.is_over {
            self.is_over = !self.reader.resume()?;
        }
        Ok(!self.is_over)
    }

    /// When the screen changes next. `None`: never, or nobody has written it yet.
    pub fn next_at(&mut self) -> Result<Option<Duration>, TrailError> {
        while self.next.is_none() && !self.is_over {
            self.keep_frame();
            match self.reader.next() {
                Some(item) => {
                    self.hold_against_key_frame();
                    let (at, event) = item.inspect_err(|_| self.is_over = true)?;
                    self.next = self.shown.take(&event).map(|sight| (at, sight));
                }
                None => self.is_over = true,
            }
        }
        Ok(self.next.as_ref().map(|(at, _)| *at))
    }

    /// Draws what comes next, or a part of it, if that is no later than `to`. `false`: it is, or nothing comes, and the
    /// screen is of `to`.
    pub fn step(&mut self, to: Duration) -> Result<bool, TrailError> {
        match self.next_at()?.filter(|at| *at <= to).and_then(|_| self.next.take()) {
            Some((at, mut sight)) => {
                if let Sight::Text(text) = &mut sight {
                    if text.len() > SLICE {
                        let rest = text.split_off(text.floor_char_boundary(SLICE));
                        self.next = Some((at, Sight::Text(rest)));
                    }
                    self.behind += text.len();
                }
                self.screen.show(&sight, &mut ());
                self.at = self.at.max(at);
                Ok(true)
            }
            None => {
                self.at = self.at.max(to);
                Ok(false)
            }
        }
    }

    /// Goes to another moment.
    pub fn seek(&mut self, to: Duration) -> Result<(), TrailError> {
        self.seek_while(to, || true).map(|_| ())
    }

    /// The same, as long as `goes_on` says so, which is asked again and again. `false`: it did not, and the screen is of a
    /// moment on the way.
    pub fn seek_while(
        &mut self,
        to: Duration,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<bool, TrailError> {
        self.leap(to)?;
        while self.step(to)? {
            if !goes_on() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same to the last moment that there is.
    pub fn seek_end_while(&mut self, mut goes_on: impl FnMut() -> bool) -> Result<bool, TrailError> {
        self.leap(Duration::MAX)?;
        while let Some(next) = self.next_at()? {
            self.step(next)?;
            if !goes_on() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the shortest way to a moment, to somewhere before it.
    fn leap(&mut self, to: Duration) -> Result<(), TrailError> {
        let begins = self.at;
        if let Some(frame) = self.key_frame(to) {
            self.is_partial |= frame.mark.time > self.furthest.time;
            return self.enter(&frame);
        }
        match self.frames.before(to) {
            Some(frame) if to < begins || frame.at > begins => {
                let frame = frame.clone();
                self.enter(&frame)
            }
            None if to < begins => self.rewind(),
            Some(_) | None => Ok(()),
        }
    }

    fn enter(&mut self, frame: &Frame) -> Result<(), TrailError> {
        self.reader.go(&frame.mark)?;
        self.shown = frame.shown.clone();
        self.screen = Screen::restored(frame.size, &frame.dump);
        (self.at, self.next, self.is_over, self.behind) = (frame.at, None, false, 0);
        Ok(())
    }

    /// The key frame of the recording that a moment is best come to from, where that is much nearer than what is here.
    fn key_frame(&mut self, to: Duration) -> Option<Frame> {
        if self.is_linear || self.false_frame.is_some() {
            return None;
        }
        let kept = self.frames.before(to).map(|frame| frame.at);
        let here = (self.at <= to).then_some(self.at);
        let near = kept.max(here).unwrap_or_default() + NEAR;
        if to <= near {
            return None;
        }
        self.reader.key_frame(to, self.channel).filter(|frame| frame.at > near)
    }

    /// Between two blocks, a key frame shows what is on the screen, or it lies.
    fn hold_against_key_frame(&mut self) {
        let Some(screen) = self.reader.take_passed().and_then(|index| index.screen) else { return };
        if self.channel.is_some() && self.channel != screen.sole {
            return;
        }
        let Some(dump) = self.screen.dump() else { return };
        let is_same = dump == screen.dump
            && self.screen.terminal().size() == screen.size
            && self.shown.encode() == screen.shown.encode();
        if !is_same {
            self.false_frame.get_or_insert(self.at);
        }
    }

    /// Between two blocks, with all that was read on the screen, there may be a frame.
    fn keep_frame(&mut self) {
        let Some(mark) = self.reader.mark() else { return };
        if mark.time > self.furthest.time {
            self.furthest = mark;
        }
        let at = Duration::from_micros(mark.time);
        if !self.frames.wants(at, self.behind) {
            return;
        }
        if let Some(dump) = self.screen.dump() {
            let (shown, size) = (self.shown.clone(), self.screen.terminal().size());
            self.frames.add(Frame { at, mark, shown, size, dump });
            self.behind = 0;
        }
    }

    fn rewind(&mut self) -> Result<(), TrailError> {
        self.reader.go(&self.start)?;
        self.shown = Shown::new(self.channel, Lines::WithCarriageReturn);
        (self.screen, self.at) = (Screen::new(), Duration::ZERO);
        (self.next, self.is_over, self.behind) = (None, false, 0);
        Ok(())
    }

    /// What makes a terminal of this size show the screen with `status` in its last row, after what was drawn before.
    ///
    /// That is text, colours and positions, and nothing that the recording chose. Of a screen that is larger than the
    /// terminal, the part around the cursor is shown.
    pub fn draw(&mut self, size: (u16, u16), status: &str) -> String {
        self.canvas.draw(&self.screen, size, status)
    }

    /// The rows of the screen as plain text, without blanks at their ends.
    pub fn text(&self) -> Vec<String> {
        let lines = self.screen.terminal().screen().visible_lines();
        lines.map(|line| line.text().trim_end().to_owned()).collect()
    }
}

/// Without the screen, which may hold anything.
impl<R> fmt::Debug for Replay<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("reader", &self.reader).field("at", &self.at).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
