//! What a recording holds that somebody may look for.

use std::io;
use std::time::Duration;

use crate::followed::{Channels, Rows, Told};
use crate::news::Row;
use crate::typing::Command;
use crate::{ChannelId, Event};

/// Rows that were wrapped become one line again, as long as that is no longer than this; bytes.
const MOST_JOINED: usize = 16 * 1024;
/// INVARIANT: the most text of the screen that is told of one recording; bytes. Some few bytes can fill the screen, and push
/// all of it out of it, again and again.
const MOST_TEXT: usize = 256 * 1024 * 1024;

/// A line that somebody may look for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Since the start of the session: of a command the key that ended it; of what was shown, when the screen began to
    /// change to it, five seconds before it is there at most.
    pub at: Duration,
    pub channel: ChannelId,
    pub kind: FoundKind,
    /// Without control characters.
    pub text: String,
}

/// What a line was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FoundKind {
    /// Typed, as the screen has shown it, or named by the client.
    Command,
    /// Shown on the screen.
    Screen,
    /// An operation on a file.
    File,
}

/// Finds the lines of a recording from its events, by the same rules as the exports of commands and of text: nothing is
/// told that the screen did not show.
///
/// Events come one by one, from a [`Reader`](crate::Reader) or while the session goes. What it keeps is bounded.
pub struct Finder {
    channels: Channels,
    /// Bytes of the screen's text that may still be told.
    left: usize,
    is_cut: bool,
}

impl Default for Finder {
    fn default() -> Self {
        Self { channels: Channels::new(Rows::Told), left: MOST_TEXT, is_cut: false }
    }
}

impl Finder {
    /// `tell` gets the lines that are certain now: those of one kind in the order of their times, those of the screen later
    /// than others.
    pub fn take(&mut self, at: Duration, event: &Event<'_>, tell: &mut impl FnMut(Found)) {
        if let Event::File { channel, file } = event {
            let text = plain(&file.to_string());
            tell(Found { at, channel: *channel, kind: FoundKind::File, text });
        }
        let Self { channels, left, is_cut } = self;
        let mut lines = Lines { line: None, left, is_cut, tell };
        // It is `lines` that cannot fail.
        let _ = channels.take(at, event, &mut |told| lines.add(told));
        lines.end();
    }

    /// Tells what stands on the screens now, where no event comes for a second or more: by itself that is told with the next
    /// event.
    pub fn pause(&mut self, tell: &mut impl FnMut(Found)) {
        let Self { channels, left, is_cut } = self;
        let mut lines = Lines { line: None, left, is_cut, tell };
        let _ = channels.pause(&mut |told| lines.add(told));
        lines.end();
    }

    /// Tells what is left when nothing more comes.
    pub fn end(self, tell: &mut impl FnMut(Found)) -> Completeness {
        let Self { channels, mut left, mut is_cut } = self;
        let mut lines = Lines { line: None, left: &mut left, is_cut: &mut is_cut, tell };
        let _ = channels.end(&mut |told| lines.add(told));
        lines.end();
        if is_cut { Completeness::TooMuchText } else { Completeness::Whole }
    }
}

/// Whether all that the screen showed was told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completeness {
    Whole,
    /// The recording draws more than is told of one: the rest of its screen is left out.
    TooMuchText,
}

struct Lines<'a, T> {
    /// A line of the screen whose rows are not all there.
    line: Option<Found>,
    left: &'a mut usize,
    is_cut: &'a mut bool,
    tell: &'a mut T,
}

impl<T: FnMut(Found)> Lines<'_, T> {
    fn add(&mut self, told: Told<'_>) -> io::Result<()> {
        match told {
            Told::Command(Command { at, channel, command: Some(text), .. }) => {
                let (channel, text) = (ChannelId(channel), plain(&text));
                (self.tell)(Found { at, channel, kind: FoundKind::Command, text });
            }
            // What the screen did not show.
            Told::Command(_) => {}
            Told::Row(row) => self.row(&row),
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) {
        let Some(left) = self.left.checked_sub(row.text.len()) else {
            *self.is_cut = true;
            return;
        };
        *self.left = left;
        match &mut self.line {
            Some(line) if row.continues && line.text.len() + row.text.len() <= MOST_JOINED => {
                line.text.push_str(row.text);
            }
            _ => {
                self.end();
                let (at, channel) = (row.since, row.channel);
                self.line = Some(Found { at, channel, kind: FoundKind::Screen, text: row.text.to_owned() });
            }
        }
    }

    fn end(&mut self) {
        if let Some(mut line) = self.line.take() {
            line.text.truncate(line.text.trim_end().len());
            (self.tell)(line);
        }
    }
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finder").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SUDO, data, shell, talk};
    use crate::{FileEvent, FileOutcome};

    const CHANNEL: ChannelId = ChannelId(0);

    /// `<` is typed, `>` is shown, two seconds apart, on a terminal of 20 columns.
    fn found(lines: &[&str]) -> Vec<Found> {
        let (mut finder, mut all) = (Finder::default(), Vec::new());
        finder.take(Duration::ZERO, &shell(20), &mut |line| all.push(line));
        for (at, event) in talk(lines, 2) {
            finder.take(at, &event, &mut |line| all.push(line));
        }
        assert_eq!(finder.end(&mut |line| all.push(line)), Completeness::Whole);
        all
    }

    fn of(kind: FoundKind, all: &[Found]) -> Vec<(u64, &str)> {
        let those = all.iter().filter(|line| line.kind == kind);
        those.map(|line| (line.at.as_secs(), line.text.as_str())).collect()
    }

    #[test]
    fn a_command_and_what_it_shows_are_found_and_what_a_prompt_hides_is_not() {
        let all = found(&SUDO);
        assert_eq!(of(FoundKind::Command, &all), [(2, "sudo id")]);
        let shown = of(FoundKind::Screen, &all);
        for expected in ["$ sudo id", "Password:", "uid=0"] {
            assert!(shown.iter().any(|(_, text)| *text == expected), "{expected}: {shown:?}");
        }
        assert!(!all.iter().any(|line| line.text.contains("hunter2")), "{all:?}");
    }

    #[test]
    fn what_stands_there_is_told_in_a_pause_and_not_again() {
        let mut finder = Finder::default();
        let mut told = |step: &mut dyn FnMut(&mut Finder, &mut Vec<Found>)| {
            let mut all = Vec::new();
            step(&mut finder, &mut all);
            all.into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        let take = |finder: &mut Finder, all: &mut Vec<Found>, event: &Event<'_>| {
            finder.take(Duration::ZERO, event, &mut |line| all.push(line));
        };
        let none: [&str; 0] = [];
        assert_eq!(told(&mut |finder, all| take(finder, all, &shell(20))), none);
        assert_eq!(told(&mut |finder, all| take(finder, all, &data(b"one\r\ntwo"))), none);
        assert_eq!(told(&mut |finder, all| finder.pause(&mut |line| all.push(line))), ["one"]);
        assert_eq!(told(&mut |finder, all| finder.pause(&mut |line| all.push(line))), none);
        assert_eq!(told(&mut |finder, all| take(finder, all, &data(b" and a half\r\n"))), none);
        assert_eq!(told(&mut |finder, all| finder.pause(&mut |line| all.push(line))), ["two and a half"]);
    }

    #[test]
    fn rows_that_were_wrapped_are_one_line() {
        let all = found(&[">one two three four five six\r\nnext\r\n"]);
        assert_eq!(of(FoundKind::Screen, &all), [(0, "one two three four five six"), (0, "next")]);
    }

    #[test]
    fn an_operation_on_a_file_is_found_by_its_names() {
        let file = FileEvent {
            operation: "rename".into(),
            path: b"/srv/a\x1b[1m".as_slice().into(),
            other: Some(b"/srv/b".as_slice().into()),
            flags: 0,
            size: None,
            outcome: FileOutcome::Done,
            digest: None,
        };
        let (mut finder, mut all) = (Finder::default(), Vec::new());
        let event = Event::File { channel: CHANNEL, file };
        finder.take(Duration::from_secs(3), &event, &mut |line| all.push(line));
        let text = "rename \"/srv/a\\u{1b}[1m\" -> \"/srv/b\": done";
        assert_eq!(of(FoundKind::File, &all), [(3, text)]);
    }

    #[test]
    fn what_draws_without_end_is_cut_and_says_so() {
        let mut finder = Finder { left: 100, ..Finder::default() };
        let mut text = 0;
        for n in 0..100 {
            let at = Duration::from_secs(2 * n);
            finder.take(at, &data(b"0123456789\r\n"), &mut |line| text += line.text.len());
        }
        assert_eq!(finder.end(&mut |_| ()), Completeness::TooMuchText);
        assert_eq!(text, 100);
    }
}
