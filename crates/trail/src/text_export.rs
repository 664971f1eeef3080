//! Export as plain text: what was new on the screen, with times.

use std::io::{self, Read, Write};

use crate::news::{News, Row};
use crate::screen::Screen;
use crate::shown::{Shown, Sight};
use crate::text::Lines;
use crate::{ChannelId, Reader, TrailError};

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
    let (mut screen, mut news, mut out) = (Screen::new(), News::default(), Bounded { out, left: SPARE });
    for item in reader {
        let (at, event) = item?;
        let Some(sight) = shown.take(&event) else { continue };
        if let Sight::Text(text) = &sight {
            out.left = out.left.saturating_add(MOST_TIMES * text.len() as u64);
        }
        let mut write = |row: Row<'_>| out.row(&row);
        news.show(&mut screen, at, &sight, &mut (), &mut write).map_err(TrailError::Output)?;
    }
    let ended = news.end(&screen, &mut |row| out.row(&row));
    ended.and_then(|()| out.flush()).map_err(TrailError::Output)
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

impl<W: Write> Bounded<'_, W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let (seconds, millis) = (row.at.as_secs(), row.at.subsec_millis());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        writeln!(self, "{hours}:{minutes:02}:{seconds:02}.{millis:03} {}", row.text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
