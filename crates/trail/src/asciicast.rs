//! Export for the players of asciinema: asciicast, versions 2 and 3.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::Serialize;

use crate::text::{Lines, Text, json};
use crate::{
    ChannelId, Direction, Event, ExitStatus, Header, HiddenInput, Reader, Stream, Terminal, TrailError,
};

/// A version of the format, as its documentation (docs.asciinema.org) has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asciicast {
    V2,
    /// Times count from the event before, and the exit status is there.
    V3,
}

/// Players take no terminal that is wider or higher.
const MOST_CELLS: u32 = u16::MAX as u32;

/// Writes one channel as asciicast: output of both streams, changes of the window; of sftp and scp what was done to files, a
/// line each. `with_input`: what was typed too, but not what the terminal did not show.
///
/// A `channel` of `None` is the first that opens. Bytes that are not UTF-8 become U+FFFD; lines of a channel without a
/// terminal get the carriage return that a terminal would have added. [`Reader::ending`] says afterwards how the
/// session ended. After an error, what was written up to there is a valid asciicast.
pub fn export_asciicast<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    channel: Option<ChannelId>,
    version: Asciicast,
    with_input: bool,
) -> Result<(), TrailError> {
    let header = reader.header().clone();
    let first = reader.find(|item| item.as_ref().map_or(true, |(_, event)| begins(event, channel)));
    match first.transpose()? {
        None => write_header(out, &header, None, None, version).map_err(TrailError::Output)?,
        Some((at, event)) => {
            let mut cast = Cast::begin(out, &header, &event, version).map_err(TrailError::Output)?;
            cast.typed = with_input.then(|| Text::new(Lines::AsTheyAre));
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
    /// `None` where that is left out.
    typed: Option<Text>,
    /// So many of the next bytes that were typed were not shown.
    unseen: usize,
    /// Its bytes are no text.
    is_files: bool,
    version: Asciicast,
    last: Duration,
    /// The time of the line before.
    told: Duration,
    exit: Option<u32>,
}

impl<'a, W: Write> Cast<'a, W> {
    fn begin(out: &'a mut W, header: &Header, event: &Event<'_>, version: Asciicast) -> io::Result<Self> {
        let (terminal, command) = match event {
            Event::Open { terminal, command, .. } => (terminal.as_ref(), command.as_deref()),
            Event::Data { .. }
            | Event::Window { .. }
            | Event::Env { .. }
            | Event::Signal { .. }
            | Event::Eof { .. }
            | Event::Exit { .. }
            | Event::Close { .. }
            | Event::File { .. }
            | Event::Hidden { .. } => (None, None),
        };
        write_header(out, header, terminal, command, version)?;
        let lines = if terminal.is_some() { Lines::AsTheyAre } else { Lines::WithCarriageReturn };
        Ok(Self {
            out,
            channel: event.channel(),
            shown: Text::new(lines),
            stderr: Text::new(lines),
            typed: None,
            unseen: 0,
            is_files: event.opens_files(),
            version,
            last: Duration::ZERO,
            told: Duration::ZERO,
            exit: None,
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
                let (_, bytes) = bytes.split_at(self.unseen.min(bytes.len()));
                self.unseen = 0;
                let text = self.typed.as_mut().map(|typed| typed.take(bytes)).unwrap_or_default();
                self.line("i", &text)
            }
            Event::Window { columns, rows, .. } if columns > 0 && rows > 0 => {
                self.line("r", &format!("{}x{}", columns.min(MOST_CELLS), rows.min(MOST_CELLS)))
            }
            Event::Hidden { input: HiddenInput::Follows(bytes), .. } => {
                self.unseen = bytes.try_into().unwrap_or(usize::MAX);
                Ok(())
            }
            Event::Exit { status, .. } => {
                self.exit = code(&status);
                Ok(())
            }
            Event::Open { .. }
            | Event::Window { .. }
            | Event::Env { .. }
            | Event::Signal { .. }
            | Event::Eof { .. }
            | Event::Close { .. }
            | Event::Hidden { .. } => Ok(()),
        }
    }

    /// Characters that were never completed, and the exit status, which is the last that version 3 has.
    fn end(&mut self) -> io::Result<()> {
        for (code, text) in [
            ("o", self.shown.end()),
            ("o", self.stderr.end()),
            ("i", self.typed.as_mut().map_or("", Text::end)),
        ] {
            self.line(code, text)?;
        }
        match (self.version, self.exit) {
            (Asciicast::V3, Some(code)) => self.line("x", &code.to_string()),
            (Asciicast::V3, None) | (Asciicast::V2, _) => Ok(()),
        }
    }

    fn line(&mut self, code: &str, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let text = json(&text)?;
        // In whole microseconds, so that the differences add up to the time.
        let time = match self.version {
            Asciicast::V2 => self.last,
            Asciicast::V3 => self.last.saturating_sub(self.told),
        };
        self.told = self.last;
        let (seconds, micros) = (time.as_secs(), time.subsec_micros());
        writeln!(self.out, "[{seconds}.{micros:06}, \"{code}\", {text}]")
    }
}

/// As a shell tells it: 128 and the number of the signal, for those that have the same one everywhere (POSIX, kill) and
/// the usual ones of Linux.
fn code(status: &ExitStatus<'_>) -> Option<u32> {
    let signal = match status {
        ExitStatus::Code(code) => return Some(*code),
        ExitStatus::Signal { name, .. } => match &**name {
            "HUP" => 1,
            "INT" => 2,
            "QUIT" => 3,
            "ILL" => 4,
            "ABRT" => 6,
            "FPE" => 8,
            "KILL" => 9,
            "USR1" => 10,
            "SEGV" => 11,
            "USR2" => 12,
            "PIPE" => 13,
            "ALRM" => 14,
            "TERM" => 15,
            _ => return None,
        },
    };
    Some(128 + signal)
}

#[derive(Serialize)]
struct FirstLine<'a> {
    version: u8,
    #[serde(flatten)]
    size: Size<'a>,
    timestamp: i64,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Env<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Size<'a> {
    V2 { width: u32, height: u32 },
    V3 { term: Term<'a> },
}

#[derive(Serialize)]
struct Term<'a> {
    cols: u32,
    rows: u32,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
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
    version: Asciicast,
) -> io::Result<()> {
    // Clients may ask for a terminal without a size (RFC 4254 section 6.2); players cannot.
    let (width, height) = match terminal {
        Some(terminal) if terminal.columns > 0 && terminal.rows > 0 => {
            (terminal.columns.min(MOST_CELLS), terminal.rows.min(MOST_CELLS))
        }
        Some(_) | None => (80, 24),
    };
    let kind = terminal.map(|terminal| &*terminal.term);
    let (version, size, env) = match version {
        Asciicast::V2 => (2, Size::V2 { width, height }, kind.map(|term| Env { term })),
        Asciicast::V3 => (3, Size::V3 { term: Term { cols: width, rows: height, kind } }, None),
    };
    let first = FirstLine {
        version,
        size,
        timestamp: header.started.0.div_euclid(1000),
        title: format!("{}@{}", header.remote_user, header.target),
        command: command.map(|command| String::from_utf8_lossy(command).into_owned()),
        env,
    };
    writeln!(out, "{}", json(&first)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Writer;
    use crate::samples::{data, end, header, signed};

    fn exported(events: &[Event<'_>], channel: Option<ChannelId>) -> String {
        exported_as(Asciicast::V2, events, channel)
    }

    fn exported_as(version: Asciicast, events: &[Event<'_>], channel: Option<ChannelId>) -> String {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        for (n, event) in events.iter().enumerate() {
            writer.write(Duration::from_micros(1_500_001 * n as u64), event).unwrap();
        }
        let trail = writer.finish(Duration::from_secs(100), &end()).unwrap();
        let mut out = Vec::new();
        export_asciicast(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, channel, version, true)
            .unwrap();
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
    fn version_3_counts_from_the_event_before_and_ends_with_the_exit_status() {
        let (channel, status) = (ChannelId(0), ExitStatus::Code(7));
        let exit = Event::Exit { channel, status };
        let expected = concat!(
            r#"{"version":3,"term":{"cols":100,"rows":30,"type":"xterm"},"timestamp":1700000000,"title":"root@db1:22 (2001:db8::7)"}"#,
            "\n[1.500001, \"o\", \"$\"]\n[3.000002, \"o\", \"bye\"]\n[0.000000, \"x\", \"7\"]\n",
        );
        assert_eq!(exported_as(Asciicast::V3, &[shell(), data(b"$"), exit, data(b"bye")], None), expected);
        let (name, message) = ("KILL".into(), "".into());
        let killed =
            Event::Exit { channel, status: ExitStatus::Signal { name, core_dumped: false, message } };
        let text = exported_as(Asciicast::V3, &[shell(), killed], None);
        assert!(text.ends_with("[1.500001, \"x\", \"137\"]\n"), "{text}");
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
