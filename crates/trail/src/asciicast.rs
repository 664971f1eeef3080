//! Export for the players of asciinema: asciicast, version 2.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::Serialize;

use crate::text::{Lines, Text};
use crate::{ChannelId, Direction, Event, Header, Reader, Stream, Terminal, TrailError};

/// Writes one channel as asciicast v2: output of both streams, input, changes of the window; of sftp and scp what was
/// done to files, a line each.
///
/// A `channel` of `None` is the first that opens. Bytes that are not UTF-8 become U+FFFD; lines of a channel without a
/// terminal get the carriage return that a terminal would have added. [`Reader::ending`] says afterwards how the
/// session ended. After an error, what was written up to there is a valid asciicast.
pub fn export_asciicast<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    channel: Option<ChannelId>,
) -> Result<(), TrailError> {
    let header = reader.header().clone();
    let first = reader.find(|item| item.as_ref().map_or(true, |(_, event)| begins(event, channel)));
    match first.transpose()? {
        None => write_header(out, &header, None, None).map_err(TrailError::Output)?,
        Some((at, event)) => {
            let mut cast = Cast::begin(out, &header, &event).map_err(TrailError::Output)?;
            cast.event(at, event).map_err(TrailError::Output)?;
            for item in reader {
                let (at, event) = item?;
                cast.event(at, event).map_err(TrailError::Output)?;
            }
            cast.end().map_err(TrailError::Output)?;
        }
    }
    out.flush().map_err(TrailError::Output)
}

fn begins(event: &Event<'_>, channel: Option<ChannelId>) -> bool {
    match channel {
        Some(channel) => event.channel() == channel,
        None => matches!(event, Event::Open { .. }),
    }
}

struct Cast<'a, W> {
    out: &'a mut W,
    channel: ChannelId,
    shown: Text,
    stderr: Text,
    typed: Text,
    /// Its bytes are no text.
    is_files: bool,
    last: Duration,
}

impl<'a, W: Write> Cast<'a, W> {
    fn begin(out: &'a mut W, header: &Header, event: &Event<'_>) -> io::Result<Self> {
        let (terminal, command) = match event {
            Event::Open { terminal, command, .. } => (terminal.as_ref(), command.as_deref()),
            Event::Data { .. }
            | Event::Window { .. }
            | Event::Env { .. }
            | Event::Signal { .. }
            | Event::Eof { .. }
            | Event::Exit { .. }
            | Event::Close { .. }
            | Event::File { .. } => (None, None),
        };
        write_header(out, header, terminal, command)?;
        let lines = if terminal.is_some() { Lines::AsTheyAre } else { Lines::WithCarriageReturn };
        Ok(Self {
            out,
            channel: event.channel(),
            shown: Text::new(lines),
            stderr: Text::new(lines),
            typed: Text::new(Lines::AsTheyAre),
            is_files: event.opens_files(),
            last: Duration::ZERO,
        })
    }

    fn event(&mut self, at: Duration, event: Event<'_>) -> io::Result<()> {
        if event.channel() != self.channel {
            return Ok(());
        }
        self.last = at;
        match event {
            Event::Data { stream: Stream::Main, .. } if self.is_files => Ok(()),
            Event::File { file, .. } => self.line("o", &format!("{file}\r\n")),
            Event::Data { direction: Direction::ToClient, stream: Stream::Main, bytes, .. } => {
                let text = self.shown.take(&bytes);
                self.line("o", &text)
            }
            Event::Data { direction: Direction::ToClient, stream: Stream::Stderr, bytes, .. } => {
                let text = self.stderr.take(&bytes);
                self.line("o", &text)
            }
            Event::Data { direction: Direction::FromClient, bytes, .. } => {
                let text = self.typed.take(&bytes);
                self.line("i", &text)
            }
            Event::Window { columns, rows, .. } if columns > 0 && rows > 0 => {
                self.line("r", &format!("{columns}x{rows}"))
            }
            Event::Open { .. }
            | Event::Window { .. }
            | Event::Env { .. }
            | Event::Signal { .. }
            | Event::Eof { .. }
            | Event::Exit { .. }
            | Event::Close { .. } => Ok(()),
        }
    }

    /// Characters that were never completed.
    fn end(&mut self) -> io::Result<()> {
        for (code, text) in [("o", self.shown.end()), ("o", self.stderr.end()), ("i", self.typed.end())] {
            self.line(code, text)?;
        }
        Ok(())
    }

    fn line(&mut self, code: &str, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_string(text)?;
        let (seconds, micros) = (self.last.as_secs(), self.last.subsec_micros());
        writeln!(self.out, "[{seconds}.{micros:06}, \"{code}\", {text}]")
    }
}

#[derive(Serialize)]
struct FirstLine<'a> {
    version: u8,
    width: u32,
    height: u32,
    timestamp: i64,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Env<'a>>,
}

#[derive(Serialize)]
struct Env<'a> {
    #[serde(rename = "TERM")]
    term: &'a str,
}

fn write_header(
    out: &mut impl Write,
    header: &Header,
    terminal: Option<&Terminal<'_>>,
    command: Option<&[u8]>,
) -> io::Result<()> {
    // Clients may ask for a terminal without a size (RFC 4254 section 6.2); players cannot.
    let (width, height) = match terminal {
        Some(terminal) if terminal.columns > 0 && terminal.rows > 0 => (terminal.columns, terminal.rows),
        Some(_) | None => (80, 24),
    };
    let first = FirstLine {
        version: 2,
        width,
        height,
        timestamp: header.started.0.div_euclid(1000),
        title: format!("{}@{}", header.remote_user, header.target),
        command: command.map(|command| String::from_utf8_lossy(command).into_owned()),
        env: terminal.map(|terminal| Env { term: &terminal.term }),
    };
    writeln!(out, "{}", serde_json::to_string(&first)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Writer;
    use crate::samples::{data, end, header, signed};

    fn exported(events: &[Event<'_>], channel: Option<ChannelId>) -> String {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        for (n, event) in events.iter().enumerate() {
            writer.write(Duration::from_micros(1_500_001 * n as u64), event).unwrap();
        }
        let trail = writer.finish(Duration::from_secs(100), &end()).unwrap();
        let mut out = Vec::new();
        export_asciicast(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, channel).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn shell() -> Event<'static> {
        let terminal = Some(Terminal { term: "xterm".into(), columns: 100, rows: 30 });
        Event::Open { channel: ChannelId(0), kind: "shell".into(), command: None, terminal }
    }

    #[test]
    fn a_shell_becomes_a_header_and_a_line_per_event() {
        let typed = Event::Data {
            channel: ChannelId(0),
            direction: Direction::FromClient,
            stream: Stream::Main,
            bytes: b"q".into(),
        };
        let window = Event::Window { channel: ChannelId(0), columns: 80, rows: 24 };
        let expected = concat!(
            r#"{"version":2,"width":100,"height":30,"timestamp":1700000000,"title":"root@db1:22 (2001:db8::7)","env":{"TERM":"xterm"}}"#,
            "\n[1.500001, \"o\", \"\\u001b[1m$\\n\"]\n[3.000002, \"i\", \"q\"]\n[4.500003, \"r\", \"80x24\"]\n",
        );
        assert_eq!(exported(&[shell(), data(b"\x1b[1m$\n"), typed, window], None), expected);
    }

    #[test]
    fn a_character_that_is_split_over_events_is_shown_whole() {
        let text = exported(&[shell(), data(b"\xe2\x82"), data(b"\xac\xff\xe2"), data(b"x\xe2")], None);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "[3.000002, \"o\", \"\u{20ac}\u{fffd}\"]",
                "[4.500003, \"o\", \"\u{fffd}x\"]",
                "[4.500003, \"o\", \"\u{fffd}\"]"
            ]
        );
    }

    #[test]
    fn a_command_without_a_terminal_gets_its_carriage_returns() {
        let command = Some(b"ls".into());
        let exec = Event::Open { channel: ChannelId(0), kind: "exec".into(), command, terminal: None };
        let text = exported(&[exec, data(b"a\nb\r"), data(b"\n")], None);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains(r#""width":80,"height":24"#) && lines[0].contains(r#""command":"ls""#));
        assert_eq!(lines[1..], [r#"[1.500001, "o", "a\r\nb\r"]"#, r#"[3.000002, "o", "\n"]"#]);
    }

    #[test]
    fn what_was_done_to_files_is_exported_in_the_place_of_their_protocol() {
        let open = Event::Open { channel: ChannelId(0), kind: "sftp".into(), command: None, terminal: None };
        let text = exported(&[open, data(b"\0\0\0\x05\x02"), crate::samples::upload()], None);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let line =
            format!(r#"[3.000002, "o", "upload \"/srv/x\": 3 bytes, sha256 {}\r\n"]"#, "07".repeat(32));
        assert_eq!(lines, [line]);
    }

    #[test]
    fn a_trail_without_channels_is_still_an_asciicast() {
        assert_eq!(exported(&[], None).lines().count(), 1);
        assert_eq!(exported(&[shell(), data(b"x")], Some(ChannelId(9))).lines().count(), 1);
    }

    proptest! {
        #[test]
        fn pieces_give_the_text_of_the_whole(
            pieces in prop::collection::vec(
                prop_oneof![any::<Vec<u8>>(), "\\PC{0,4}".prop_map(|s| s.into_bytes()),
                    prop::collection::vec(prop::sample::select(vec![0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x61]), 0..6)],
                0..8,
            ),
        ) {
            let mut text = Text::new(Lines::AsTheyAre);
            let mut got: String = pieces.iter().map(|piece| text.take(piece)).collect();
            got.push_str(text.end());
            let whole = pieces.concat();
            prop_assert_eq!(got, String::from_utf8_lossy(&whole));
        }
    }
}
