//! What a person saw of a session: its events as text for one screen.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::Damage;
use crate::text::{Lines, Text};
use crate::wire::{Cursor, put_varint};
use crate::{ChannelId, Direction, Event, Stream};

/// Turns events into what stands on the screen of whoever looks on.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    only: Option<ChannelId>,
    /// What becomes of the lines of channels without a terminal.
    lines: Lines,
    channels: BTreeMap<ChannelId, Channel>,
}

/// INVARIANT: the most channels that are told apart at once, as many as the relay has open for one client. Of more, which only a
/// forged recording has, the lowest is forgotten.
const MOST_CHANNELS: usize = 256;

#[derive(Clone, Debug)]
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

    /// What the event does to the screen.
    pub(crate) fn take(&mut self, event: &Event<'_>) -> Option<Sight> {
        let id = event.channel();
        let bytes = self.bytes(event);
        if self.only.is_some_and(|only| only != id) {
            return None;
        }
        match event {
            Event::Open { terminal: Some(terminal), .. } => {
                Some(Sight::Size(terminal.columns, terminal.rows))
            }
            Event::Window { columns, rows, .. } => Some(Sight::Size(*columns, *rows)),
            Event::File { .. } => Some(Sight::Text(String::from_utf8_lossy(&bytes?).into_owned())),
            Event::Data { stream, .. } => {
                let bytes = bytes?;
                let channel = self.channels.get_mut(&id)?;
                let text = match stream {
                    Stream::Main => channel.main.take(&bytes),
                    Stream::Stderr => channel.stderr.take(&bytes),
                };
                (!text.is_empty()).then_some(Sight::Text(text))
            }
            Event::Open { terminal: None, .. }
            | Event::Close { .. }
            | Event::Env { .. }
            | Event::Signal { .. }
            | Event::Eof { .. }
            | Event::Exit { .. }
            | Event::Hidden { .. } => None,
        }
    }

    /// What the event shows, exactly.
    pub(crate) fn bytes<'a>(&mut self, event: &'a Event<'_>) -> Option<Cow<'a, [u8]>> {
        let id = event.channel();
        if self.only.is_some_and(|only| only != id) {
            return None;
        }
        match event {
            Event::Open { terminal, .. } => {
                self.make_room();
                self.channels.insert(id, self.channel(event.opens_files(), terminal.is_some()));
                None
            }
            Event::File { file, .. } => Some(format!("{file}\r\n").into_bytes().into()),
            Event::Data { direction: Direction::ToClient, stream, bytes, .. } => {
                if !self.channels.contains_key(&id) {
                    self.make_room();
                }
                let unknown = self.channel(false, false);
                let is_files = self.channels.entry(id).or_insert(unknown).is_files;
                (!is_files || *stream == Stream::Stderr).then_some(Cow::Borrowed(bytes.as_ref()))
            }
            Event::Close { .. } => {
                self.channels.remove(&id);
                None
            }
            Event::Data { direction: Direction::FromClient, .. }
            | Event::Window { .. }
            | Event::Env { .. }
            | Event::Signal { .. }
            | Event::Eof { .. }
            | Event::Exit { .. }
            | Event::Hidden { .. } => None,
        }
    }

    /// Bytes of memory that it takes, roughly.
    pub(crate) fn weight(&self) -> usize {
        self.channels.len() * size_of::<(ChannelId, Channel)>()
    }

    /// From here on, of one channel or of all.
    pub(crate) fn keep_only(&mut self, only: Option<ChannelId>) {
        self.only = only;
    }

    /// Those that are open.
    pub(crate) fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.channels.keys().copied()
    }

    /// The channels, for a key frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (id, channel) in &self.channels {
            put_varint(&mut out, id.0.into());
            out.push(channel.is_files.into());
            channel.main.encode(&mut out);
            channel.stderr.encode(&mut out);
        }
        out
    }

    /// What [`encode`](Self::encode) made, of all channels.
    pub(crate) fn decode(from: &mut Cursor<'_>) -> Result<Self, Damage> {
        let mut shown = Self::new(None, Lines::WithCarriageReturn);
        while !from.is_empty() {
            let id = ChannelId(from.varint_u32()?);
            let is_files = from.byte()? != 0;
            let (main, stderr) = (Text::decode(from)?, Text::decode(from)?);
            shown.make_room();
            shown.channels.insert(id, Channel { is_files, main, stderr });
        }
        Ok(shown)
    }

    fn make_room(&mut self) {
        if self.channels.len() >= MOST_CHANNELS {
            self.channels.pop_first();
        }
    }

    fn channel(&self, is_files: bool, has_terminal: bool) -> Channel {
        let lines = if has_terminal { Lines::AsTheyAre } else { self.lines };
        Channel { is_files, main: Text::new(lines), stderr: Text::new(lines) }
    }
}
