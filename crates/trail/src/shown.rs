//! What a person saw of a session: its events as text for one screen.

use std::collections::BTreeMap;

use crate::text::{Lines, Text};
use crate::{ChannelId, Direction, Event, Stream};

/// Turns events into what stands on the screen of whoever looks on.
#[derive(Debug)]
pub(crate) struct Shown {
    only: Option<ChannelId>,
    /// What becomes of the lines of channels without a terminal.
    lines: Lines,
    channels: BTreeMap<ChannelId, Channel>,
}

#[derive(Debug)]
struct Channel {
    /// Its bytes are a protocol for files.
    is_files: bool,
    main: Text,
    stderr: Text,
}

/// What becomes of the screen.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Sight {
    /// It shows this.
    Text(String),
    /// It has that many columns and rows.
    Size(u32, u32),
}

impl Shown {
    /// `only`: one channel, or all of them on the same screen.
    pub(crate) fn new(only: Option<ChannelId>, lines: Lines) -> Self {
        Self { only, lines, channels: BTreeMap::new() }
    }

    pub(crate) fn take(&mut self, event: &Event<'_>) -> Option<Sight> {
        let id = event.channel();
        if self.only.is_some_and(|only| only != id) {
            return None;
        }
        match event {
            Event::Open { terminal, .. } => {
                self.channels.insert(id, self.channel(event.opens_files(), terminal.is_some()));
                let terminal = terminal.as_ref()?;
                Some(Sight::Size(terminal.columns, terminal.rows))
            }
            Event::Window { columns, rows, .. } => Some(Sight::Size(*columns, *rows)),
            Event::File { file, .. } => Some(Sight::Text(format!("{file}\r\n"))),
            Event::Data { direction: Direction::ToClient, stream, bytes, .. } => {
                let unknown = self.channel(false, false);
                let channel = self.channels.entry(id).or_insert(unknown);
                let text = match stream {
                    Stream::Main if channel.is_files => return None,
                    Stream::Main => channel.main.take(bytes),
                    Stream::Stderr => channel.stderr.take(bytes),
                };
                (!text.is_empty()).then_some(Sight::Text(text))
            }
            Event::Close { .. } => {
                self.channels.remove(&id);
                None
            }
            Event::Data { direction: Direction::FromClient, .. }
            | Event::Env { .. }
            | Event::Signal { .. }
            | Event::Eof { .. }
            | Event::Exit { .. } => None,
        }
    }

    fn channel(&self, is_files: bool, has_terminal: bool) -> Channel {
        let lines = if has_terminal { Lines::AsTheyAre } else { self.lines };
        Channel { is_files, main: Text::new(lines), stderr: Text::new(lines) }
    }
}
