//! Export of the commands that were typed, as the screen shows them.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::time::Duration;

use avt::parser::Function;
use avt::{Line, ScreenKind, Terminal};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::screen::{Screen, Watch};
use crate::shown::Shown;
use crate::text::{Lines, json};
use crate::{ChannelId, Direction, Event, Reader, TrailError};

/// Line ends that wait for their answer; more are forgotten.
const MOST_ENTERED: usize = 1024;
/// Keys of a line that are kept, to find it on the screen.
const MOST_TYPED: usize = 1024;
/// Rows that go by before a line that was typed ahead is given up.
const MOST_MISSED: usize = 10_000;

/// INVARIANT: the most channels that are followed at once; each has a screen of its own. Where more are open, the one of the
/// lowest number is begun anew.
const MOST_CHANNELS: usize = 32;

/// Writes each line that was typed, as JSON in a line of its own, with the time of the key that ended it and its channel.
///
/// A line is what the screen shows when the cursor leaves its row after that key, so it has what history, completion and
/// editing made of it, and nothing that the screen did not show: what was typed at a prompt that shows nothing is told as
/// `hidden`, without its text. What is typed in a program with a screen of its own (an editor, tmux) is told as so many keys.
/// Commands that a client has named are there too. A `channel` of `None` is all of them.
pub fn export_commands<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    channel: Option<ChannelId>,
) -> Result<(), TrailError> {
    let mut followed: BTreeMap<ChannelId, Followed> = BTreeMap::new();
    for item in reader {
        let (at, event) = item?;
        let id = event.channel();
        if channel.is_some_and(|channel| channel != id) {
            continue;
        }
        if !followed.contains_key(&id) && followed.len() >= MOST_CHANNELS {
            end(followed.pop_first(), out)?;
        }
        let one = followed.entry(id).or_insert_with(|| Followed::new(id));
        one.take(at, &event);
        one.typing.write(id, out).map_err(TrailError::Output)?;
        if matches!(event, Event::Close { .. }) {
            end(followed.remove_entry(&id), out)?;
        }
    }
    while !followed.is_empty() {
        end(followed.pop_first(), out)?;
    }
    out.flush().map_err(TrailError::Output)
}

/// Writes what is known of a channel when nothing more comes.
fn end(last: Option<(ChannelId, Followed)>, out: &mut impl Write) -> Result<(), TrailError> {
    let Some((id, Followed { mut typing, .. })) = last else { return Ok(()) };
    typing.come_back();
    typing.write(id, out).map_err(TrailError::Output)
}

/// A channel, and its screen.
struct Followed {
    shown: Shown,
    screen: Screen,
    typing: Typing,
    /// Its bytes are no keys.
    is_files: bool,
}

impl Followed {
    fn new(id: ChannelId) -> Self {
        let shown = Shown::new(Some(id), Lines::WithCarriageReturn);
        Self { shown, screen: Screen::new(), typing: Typing::default(), is_files: false }
    }

    fn take(&mut self, at: Duration, event: &Event<'_>) {
        match event {
            Event::Open { command, .. } => {
                self.is_files = event.opens_files();
                if let Some(command) = command {
                    let command = Some(String::from_utf8_lossy(command).into_owned());
                    self.typing.found.push(Command { at: at.as_secs_f64(), command, ..Command::default() });
                }
            }
            Event::Data { direction: Direction::FromClient, bytes, .. } if !self.is_files => {
                self.typing.press(at, bytes, self.screen.terminal());
            }
            _ => {}
        }
        if let Some(sight) = self.shown.take(event) {
            self.screen.show(&sight, &mut self.typing);
        }
    }
}

#[derive(Default, Serialize)]
struct Command {
    /// Seconds since the start of the session.
    at: f64,
    channel: u32,
    /// What stood in front of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// The screen did not show what was typed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
    /// Keys for a program with a screen of its own, from `at` until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<usize>,
}

#[derive(Default)]
struct Typing {
    /// The line that is being typed: what stood before the cursor when it was begun, and whether it has text.
    begun: Option<Entered>,
    /// Lines that were ended, and that the screen has not left yet.
    entered: VecDeque<Entered>,
    /// The prompt before, for lines that are typed before theirs is there.
    last_prompt: String,
    /// Rows that were left since a line that was typed ahead waits for its prompt.
    missed: usize,
    /// The first and the last key since a program has a screen of its own, and how many they are.
    apart: Option<(Duration, Duration, usize)>,
    found: Vec<Command>,
}

struct Entered {
    at: Duration,
    prompt: String,
    has_text: bool,
    /// The keys, where each of them is a letter; `None` after one that edits the line, or too many.
    typed: Option<Zeroizing<String>>,
    /// The line before had no answer yet: its output comes first, and then a prompt.
    is_ahead: bool,
}

impl Typing {
    fn press(&mut self, at: Duration, bytes: &[u8], terminal: &Terminal) {
        if terminal.active_screen_kind() == ScreenKind::Alternate {
            let (first, _, keys) = self.apart.unwrap_or((at, at, 0));
            self.apart = Some((first, at, keys + bytes.len()));
            return;
        }
        self.come_back();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    let is_ahead = !self.entered.is_empty();
                    let begun = self.begun.take().unwrap_or_else(|| Entered::begin(terminal, is_ahead));
                    if self.entered.len() < MOST_ENTERED {
                        self.entered.push_back(Entered { at, ..begun });
                    }
                }
                // ^C: what was typed is given up.
                0x03 => self.begun = None,
                byte => {
                    let is_ahead = !self.entered.is_empty();
                    let begun = self.begun.get_or_insert_with(|| Entered::begin(terminal, is_ahead));
                    begun.has_text |= !byte.is_ascii_control();
                    match &mut begun.typed {
                        Some(typed) if matches!(byte, b' '..=b'~') && typed.len() < MOST_TYPED => {
                            typed.push(char::from(*byte));
                        }
                        typed => *typed = None,
                    }
                }
            }
        }
    }

    /// Tells the keys that a program with a screen of its own has got.
    fn come_back(&mut self) {
        if let Some((first, last, keys)) = self.apart.take() {
            let (at, until, keys) = (first.as_secs_f64(), Some(last.as_secs_f64()), Some(keys));
            self.found.push(Command { at, until, keys, ..Command::default() });
        }
    }

    /// The cursor leaves this line.
    fn leave(&mut self, line: &str) {
        let waits = self.entered.front().is_some_and(|first| first.waits(line, &self.last_prompt));
        if waits && self.missed < MOST_MISSED {
            self.missed += 1;
            return;
        }
        self.missed = 0;
        let Some(mut first) = self.entered.pop_front() else { return };
        if first.prompt.is_empty() && self.last_prompt.is_empty() {
            first.find_prompt(line);
        }
        let Entered { at, prompt, has_text, .. } = first;
        let known = [prompt, std::mem::take(&mut self.last_prompt)];
        let prompt = known.iter().find(|prompt| !prompt.is_empty() && begins(line, prompt));
        let command = match prompt {
            Some(prompt) => line.get(prompt.len()..).unwrap_or_default().trim(),
            None => line.trim(),
        };
        let at = at.as_secs_f64();
        let told = prompt.map(|prompt| prompt.trim_end().to_owned());
        if !command.is_empty() {
            self.found.push(Command {
                at,
                prompt: told,
                command: Some(command.to_owned()),
                ..Command::default()
            });
        } else if has_text {
            self.found.push(Command { at, prompt: told, hidden: true, ..Command::default() });
        }
        let [own, last] = known;
        self.last_prompt = if own.is_empty() { last } else { own };
    }

    fn write(&mut self, channel: ChannelId, out: &mut impl Write) -> io::Result<()> {
        for command in self.found.drain(..) {
            let command = Command { channel: channel.0, ..command };
            writeln!(out, "{}", json(&command)?)?;
        }
        Ok(())
    }
}

impl Entered {
    fn begin(terminal: &Terminal, is_ahead: bool) -> Self {
        let prompt = if is_ahead { String::new() } else { before_cursor(terminal) };
        Self { at: Duration::ZERO, prompt, has_text: false, typed: Some(Zeroizing::default()), is_ahead }
    }

    /// Whether the line that the cursor leaves is not this one: the output of what came before, or what a server says
    /// before the first prompt.
    fn waits(&self, line: &str, last_prompt: &str) -> bool {
        if !last_prompt.is_empty() {
            return self.is_ahead && !begins(line, last_prompt);
        }
        let knows_no_prompt = self.prompt.is_empty();
        knows_no_prompt && self.typed.as_ref().is_some_and(|typed| !line.contains(typed.trim()))
    }

    /// What stands in front of the keys was the prompt.
    fn find_prompt(&mut self, line: &str) {
        let typed = self.typed.as_ref().map(|typed| typed.trim()).filter(|typed| !typed.is_empty());
        let found = typed.and_then(|typed| line.strip_suffix(typed));
        self.prompt = found.unwrap_or_default().to_owned();
    }
}

impl Watch for Typing {
    fn before(&mut self, terminal: &Terminal, function: &Function) {
        if self.entered.is_empty() || terminal.active_screen_kind() == ScreenKind::Alternate {
            return;
        }
        use Function as F;
        if matches!(function, F::Lf | F::Nel | F::Cnl(_) | F::Ed(_) | F::Decset(_) if leaves(function)) {
            self.leave(&line(terminal));
        }
    }
}

/// Whether the line is over: modes such as that of pastes are switched while it still stands.
fn leaves(function: &Function) -> bool {
    match function {
        Function::Decset(modes) => {
            use avt::parser::DecMode::{AltScreenBuffer, SaveCursorAltScreenBuffer};
            modes.as_slice().iter().any(|mode| matches!(mode, AltScreenBuffer | SaveCursorAltScreenBuffer))
        }
        // Programs clear what is below the line while it is edited.
        Function::Ed(scope) => matches!(scope, avt::parser::EdScope::All),
        _ => true,
    }
}

fn begins(line: &str, prompt: &str) -> bool {
    // A prompt of which only its blank end is missing has nothing behind it.
    line.starts_with(prompt) || line == prompt.trim_end()
}

/// The first of the rows that the cursor's line was wrapped to.
fn first_row(terminal: &Terminal) -> usize {
    let screen = terminal.screen();
    let mut first = terminal.cursor().row;
    while let Some(above) = first.checked_sub(1).filter(|row| screen.line(*row).is_some_and(Line::is_wrapped))
    {
        first = above;
    }
    first
}

/// The cursor's line, without blanks at its end.
fn line(terminal: &Terminal) -> String {
    let (screen, cursor) = (terminal.screen(), terminal.cursor().row);
    let mut text = String::new();
    for (row, line) in screen.visible_lines().enumerate().skip(first_row(terminal)) {
        text.extend(line.chars());
        if row >= cursor && !line.is_wrapped() {
            break;
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn before_cursor(terminal: &Terminal) -> String {
    let (screen, cursor) = (terminal.screen(), terminal.cursor());
    let above = (first_row(terminal)..cursor.row).filter_map(|row| screen.line(row)).flat_map(Line::chars);
    let left = screen.line(cursor.row).into_iter().flat_map(|line| line.cells().iter().take(cursor.col));
    // The second half of a wide character is no character.
    above.chain(left.filter(|cell| cell.width() > 0).map(avt::Cell::char)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{data, end, header, signed};
    use crate::{Stream, Writer};

    /// `<` is typed, `>` is shown, a second apart.
    fn commands(lines: &[&str]) -> Vec<String> {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        let (channel, stream) = (ChannelId(0), Stream::Main);
        let terminal = Some(crate::Terminal { term: "xterm".into(), columns: 30, rows: 5 });
        writer
            .write(Duration::ZERO, &Event::Open { channel, kind: "shell".into(), command: None, terminal })
            .unwrap();
        for (n, line) in lines.iter().enumerate() {
            let at = Duration::from_secs(n as u64);
            let (way, text) = line.split_at(1);
            let direction = Direction::FromClient;
            let typed = Event::Data { channel, direction, stream, bytes: text.as_bytes().into() };
            let event = if way == "<" { typed } else { data(text.as_bytes()) };
            writer.write(at, &event).unwrap();
        }
        let trail = writer.finish(Duration::from_secs(3600), &end()).unwrap();
        let mut out = Vec::new();
        export_commands(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, None).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_command_is_what_the_screen_shows_and_not_the_keys() {
        // From the history, with a letter taken back.
        let found = commands(&[
            ">a@b:~$ ",
            "<\x1b[A",
            ">cat /etc/shadoww",
            "<\x7f\r",
            ">\x08\x1b[K",
            ">\r\nroot:*\r\n",
        ]);
        assert_eq!(found, [r#"{"at":3.0,"channel":0,"prompt":"a@b:~$","command":"cat /etc/shadow"}"#]);
    }

    #[test]
    fn what_the_screen_does_not_show_is_told_without_its_text() {
        let found = commands(&[
            ">$ ",
            "<sudo id\r",
            ">sudo id\r\nPassword: ",
            "<hunter2\r",
            ">\r\nuid=0\r\n$ ",
            "<\r",
            ">\r\n$ ",
        ]);
        assert_eq!(
            found,
            [
                r#"{"at":1.0,"channel":0,"prompt":"$","command":"sudo id"}"#,
                r#"{"at":3.0,"channel":0,"prompt":"Password:","hidden":true}"#
            ]
        );
    }

    #[test]
    fn lines_typed_ahead_wrapped_or_given_up_are_told_apart() {
        let long = "echo 0123456789012345678901234567890123456789";
        let found = commands(&[
            ">$ ",
            "<sl\x03",
            ">^C\r\n$ ",
            "<ls\rid\r",
            ">ls\r\nfile\r\n$ id\r\nuid=0\r\n$ ",
            &format!("<{long}\r"),
            &format!(">{long}\r\n"),
        ]);
        let told: Vec<String> = ["ls", "id", long].map(|text| format!("\"command\":\"{text}\"")).into();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().zip(&told).all(|(line, told)| line.contains(told)), "{found:?}");
    }

    #[test]
    fn a_line_typed_before_the_first_prompt_is_not_what_the_server_says_meanwhile() {
        let found = commands(&["<ls\rid\r", ">Last login: today\r\n$ ", ">ls\r\nfile\r\n$ id\r\nuid=0\r\n"]);
        let told = [
            r#"{"at":0.0,"channel":0,"prompt":"$","command":"ls"}"#,
            r#"{"at":0.0,"channel":0,"prompt":"$","command":"id"}"#,
        ];
        assert_eq!(found, told);
    }

    #[test]
    fn what_is_typed_in_an_editor_is_no_command() {
        let found = commands(&[
            ">$ ",
            "<vi\r",
            ">vi\r\n\x1b[?1049h\x1b[H~",
            "<ihello\r:wq\r",
            ">hello\r\n~\x1b[?1049l$ ",
        ]);
        let told = [
            r#"{"at":1.0,"channel":0,"prompt":"$","command":"vi"}"#,
            r#"{"at":3.0,"channel":0,"until":3.0,"keys":11}"#,
        ];
        assert_eq!(found, told);
    }

    #[test]
    fn each_channel_is_followed_on_a_screen_of_its_own() {
        let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
        let terminal = || Some(crate::Terminal { term: "xterm".into(), columns: 30, rows: 5 });
        let channels = [ChannelId(1), ChannelId(2), ChannelId(7)];
        let at = Duration::from_secs;
        for channel in channels {
            let command = (channel == ChannelId(7)).then(|| b"id".as_slice().into());
            let open = Event::Open { channel, kind: "shell".into(), command, terminal: terminal() };
            writer.write(at(0), &open).unwrap();
        }
        let texts =
            [(Direction::ToClient, "$ "), (Direction::FromClient, "x\r"), (Direction::ToClient, "x\r\n")];
        for (n, (direction, text)) in texts.into_iter().enumerate() {
            for channel in &channels[..2] {
                let text = text.replace('x', &format!("ls {}", channel.0));
                let bytes = text.as_bytes().into();
                let event = Event::Data { channel: *channel, direction, stream: Stream::Main, bytes };
                writer.write(at(n as u64 + 1), &event).unwrap();
            }
        }
        let trail = writer.finish(at(9), &end()).unwrap();
        let exported = |channel| {
            let mut out = Vec::new();
            export_commands(&mut Reader::new(trail.as_slice(), &[]).unwrap(), &mut out, channel).unwrap();
            String::from_utf8(out).unwrap()
        };
        let all = [
            r#"{"at":0.0,"channel":7,"command":"id"}"#,
            r#"{"at":2.0,"channel":1,"prompt":"$","command":"ls 1"}"#,
            r#"{"at":2.0,"channel":2,"prompt":"$","command":"ls 2"}"#,
        ];
        assert_eq!(exported(None).lines().collect::<Vec<_>>(), all);
        assert_eq!(exported(Some(ChannelId(2))).lines().collect::<Vec<_>>(), all[2..]);
    }
}
