//! Export as plain text: what was new on the screen, with times.

use std::io::{self, Read, Write};
use std::time::Duration;

use avt::{Line, ScreenKind};

use crate::screen::{Screen, Watch};
use crate::shown::{Shown, Sight};
use crate::text::Lines;
use crate::{ChannelId, Reader, TrailError};

/// A screen that has been still for this long is looked at,
const STILL: Duration = Duration::from_secs(1);
/// and one that never is, this often,
const AT_MOST: Duration = Duration::from_secs(5);
/// or when so many rows have left it.
const MOST_GONE: usize = 10_000;
/// Characters that are drawn between two looks at how many have.
const SLICE: usize = 256;
/// For each byte of output the export may write so many, and some more: some few bytes can fill the screen, and push all of it
/// out of it, again and again.
const MOST_TIMES: u64 = 100;
const SPARE: u64 = 16 * 1024 * 1024;

/// Writes each row of the screen when it is new there, behind the time since the start of the session.
///
/// The screen is looked at when it is still, every five seconds at least, so what is shown for less than that may be
/// missing where a program draws over it; what scrolls away is all there. The row of the cursor comes when the cursor has
/// left it, and not letter by letter. A `channel` of `None` is all of them on one screen.
pub fn export_text<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    channel: Option<ChannelId>,
) -> Result<(), TrailError> {
    let mut shown = Shown::new(channel, Lines::WithCarriageReturn);
    let (mut news, mut out) = (News::new(), Bounded { out, left: SPARE });
    for item in reader {
        let (at, event) = item?;
        let Some(sight) = shown.take(&event) else { continue };
        if let Sight::Text(text) = &sight {
            out.left = out.left.saturating_add(MOST_TIMES * text.len() as u64);
        }
        news.show(at, &sight, &mut out).map_err(TrailError::Output)?;
    }
    news.look(true, &mut out).and_then(|()| out.flush()).map_err(TrailError::Output)
}

struct News {
    screen: Screen,
    /// Rows that have left the screen since it was looked at.
    gone: Gone,
    /// The rows of each screen when it was looked at.
    primary: Vec<String>,
    alternate: Vec<String>,
    /// When it has changed since: for the first time, and for the last.
    changed: Option<(Duration, Duration)>,
}

#[derive(Default)]
struct Gone(Vec<String>);

impl Watch for Gone {
    fn gone(&mut self, line: &Line) {
        self.0.push(text(line));
    }
}

/// Counts what is written, within its bound.
struct Bounded<'a, W> {
    out: &'a mut W,
    left: u64,
}

impl<W: Write> Write for Bounded<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let too_much =
            || io::Error::other("the recording draws far more than it holds, so that it would fill the disk");
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(too_much)?;
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl News {
    fn new() -> Self {
        let (primary, alternate) = (Vec::new(), Vec::new());
        Self { screen: Screen::new(), gone: Gone::default(), primary, alternate, changed: None }
    }

    fn show(&mut self, at: Duration, sight: &Sight, out: &mut impl Write) -> io::Result<()> {
        let Sight::Text(text) = sight else { return self.show_piece(at, sight, out) };
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, next) = rest.split_at(rest.floor_char_boundary(SLICE));
            self.show_piece(at, &Sight::Text(piece.to_owned()), out)?;
            rest = next;
        }
        Ok(())
    }

    fn show_piece(&mut self, at: Duration, sight: &Sight, out: &mut impl Write) -> io::Result<()> {
        let resizes = matches!(sight, Sight::Size(..));
        if let Some((first, last)) = self.changed {
            let is_due = at - last.min(at) >= STILL || at - first.min(at) >= AT_MOST;
            if is_due || resizes || self.gone.0.len() >= MOST_GONE {
                self.look(false, out)?;
            }
        }
        let before = self.kind();
        self.screen.show(sight, &mut self.gone);
        let first = self.changed.map_or(at, |(first, _)| first);
        self.changed = Some((first, at));
        if resizes {
            // Rows are wrapped in another way, and none of them is new.
            (self.gone.0, self.changed) = (Vec::new(), None);
            let mut rows = self.rows();
            // The one that waited for the cursor to leave it waits still.
            if let (Some(row), ScreenKind::Primary) = (rows.get_mut(self.cursor()), self.kind()) {
                row.clear();
            }
            *self.seen() = rows;
        } else if before != self.kind() && before == ScreenKind::Primary {
            self.alternate.clear();
        }
        Ok(())
    }

    /// Writes what is new. `is_last`: the cursor leaves its row.
    fn look(&mut self, is_last: bool, out: &mut impl Write) -> io::Result<()> {
        let Some((_, at)) = self.changed.take() else { return Ok(()) };
        let gone = std::mem::take(&mut self.gone.0);
        let mut seen = std::mem::take(self.seen());
        let rows = self.rows();
        let cursor = gone.len() + self.cursor();
        let (seconds, millis) = (at.as_secs(), at.subsec_millis());
        let time = format!("{}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let skipped = gone.len();
        let mut now = Vec::with_capacity(rows.len());
        for (n, row) in gone.into_iter().chain(rows).enumerate() {
            let before = seen.get_mut(n).map(std::mem::take).unwrap_or_default();
            let waits = n == cursor && !is_last && self.kind() == ScreenKind::Primary;
            if !waits && row != before && !row.is_empty() {
                writeln!(out, "{time} {row}")?;
            }
            if n >= skipped {
                now.push(if waits { before } else { row });
            }
        }
        *self.seen() = now;
        Ok(())
    }

    fn cursor(&self) -> usize {
        self.screen.terminal().cursor().row
    }

    fn kind(&self) -> ScreenKind {
        self.screen.terminal().active_screen_kind()
    }

    fn seen(&mut self) -> &mut Vec<String> {
        match self.kind() {
            ScreenKind::Primary => &mut self.primary,
            ScreenKind::Alternate => &mut self.alternate,
        }
    }

    fn rows(&self) -> Vec<String> {
        self.screen.terminal().screen().visible_lines().map(text).collect()
    }
}

/// A row without blanks at its end, and without anything that a terminal would obey.
fn text(line: &Line) -> String {
    let text: String = line.chars().filter(|c| !c.is_control()).collect();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{data, end, header, signed};
    use crate::{Event, Terminal, Writer};

    fn exported(pieces: &[(u64, &str)]) -> String {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        let terminal = Some(Terminal { term: "xterm".into(), columns: 20, rows: 4 });
        let open = Event::Open { channel: ChannelId(0), kind: "shell".into(), command: None, terminal };
        writer.write(Duration::ZERO, &open).unwrap();
        for (at, piece) in pieces {
            writer.write(Duration::from_millis(*at), &data(piece.as_bytes())).unwrap();
        }
        let trail = writer.finish(Duration::from_secs(3600), &end()).unwrap();
        let mut out = Vec::new();
        export_text(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, None).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_row_comes_once_when_the_cursor_has_left_it() {
        let text = exported(&[
            (0, "$ "),
            (2000, "l"),
            (4000, "s\r\n"),
            (4100, "\x1b[31mone\x1b[m  two\r\n$ "),
            (9000, "x\x08\x1b[Kexit"),
        ]);
        assert_eq!(text, "0:00:04.100 $ ls\n0:00:04.100 one  two\n0:00:09.000 $ exit\n");
    }

    #[test]
    fn what_scrolls_away_at_once_is_all_there() {
        let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        let text = exported(&[(10, &(lines.join("\r\n") + "\r\n")), (5000, "again\r\n")]);
        let found: Vec<&str> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(_, row)| row).collect();
        assert_eq!(found[..100], lines);
        assert_eq!(found[100..], ["again"]);
    }

    #[test]
    fn a_program_of_its_own_screen_brings_nothing_back_that_was_there() {
        let text = exported(&[
            (0, "before\r\n"),
            (2000, "\x1b[?1049h\x1b[Hedited\x1b[4;1Hstatus"),
            (4000, "\x1b[Hchanged"),
            (6000, "\x1b[?1049l"),
            (8000, "after\r\n"),
        ]);
        let rows: Vec<&str> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(_, row)| row).collect();
        assert_eq!(rows, ["before", "edited", "status", "changed", "after"]);
    }

    #[test]
    fn a_command_is_there_whatever_happens_to_the_size_while_it_is_typed() {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        let at = Duration::from_secs;
        let size = |columns| Event::Window { channel: ChannelId(0), columns, rows: 4 };
        writer.write(at(0), &size(20)).unwrap();
        writer.write(at(1), &data(b"$ rm one")).unwrap();
        writer.write(at(3), &size(20)).unwrap();
        writer.write(at(5), &data(b" two")).unwrap();
        writer.write(at(7), &size(30)).unwrap();
        writer.write(at(9), &data(b"\r\n$ ")).unwrap();
        let trail = writer.finish(at(10), &end()).unwrap();
        let mut out = Vec::new();
        export_text(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, None).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("$ rm one two").count(), 1, "{text}");
    }

    #[test]
    fn what_draws_far_more_than_it_holds_is_given_up() {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        let at = Duration::ZERO;
        writer.write(at, &Event::Window { channel: ChannelId(0), columns: 128, rows: u32::MAX }).unwrap();
        for _ in 0..20 {
            writer.write(at, &data("\x1b#8\x1b[9999S".repeat(100).as_bytes())).unwrap();
        }
        let trail = writer.finish(at, &end()).unwrap();
        let mut out = Vec::new();
        let error =
            export_text(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, None).unwrap_err();
        assert!(error.to_string().contains("output"), "{error}");
        assert!(out.len() < 32 * 1024 * 1024);
    }
}
