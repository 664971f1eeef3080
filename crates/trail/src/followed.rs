//! The channels of a recording, each on a screen of its own: what was typed there, and what was new on it.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::news::{News, Row};
use crate::screen::Screen;
use crate::shown::Shown;
use crate::text::Lines;
use crate::typing::{Command, Typing};
use crate::{ChannelId, Direction, Event};

/// INVARIANT: the most channels that are followed at once; each has a screen of its own. Where more are open, the one of the
/// lowest number is begun anew.
const MOST_CHANNELS: usize = 32;

/// Whether the rows of the screens are told too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rows {
    Unseen,
    Told,
}

/// What a channel tells.
pub(crate) enum Told<'a> {
    Command(Command),
    Row(Row<'a>),
}

pub(crate) struct Channels {
    followed: BTreeMap<ChannelId, Followed>,
    rows: Rows,
}

impl Channels {
    pub(crate) fn new(rows: Rows) -> Self {
        Self { followed: BTreeMap::new(), rows }
    }

    /// `tell` hears of what the event made certain.
    pub(crate) fn take(
        &mut self,
        at: Duration,
        event: &Event<'_>,
        tell: &mut impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let id = event.channel();
        if !self.followed.contains_key(&id) && self.followed.len() >= MOST_CHANNELS {
            end(self.followed.pop_first(), tell)?;
        }
        let rows = self.rows;
        let one = self.followed.entry(id).or_insert_with(|| Followed::new(id, rows));
        one.take(at, event, tell)?;
        one.tell_commands(tell)?;
        match event {
            Event::Close { .. } => end(self.followed.remove_entry(&id), tell),
            _ => Ok(()),
        }
    }

    /// Nothing comes for a while.
    pub(crate) fn pause(&mut self, tell: &mut impl FnMut(Told<'_>) -> io::Result<()>) -> io::Result<()> {
        for (channel, Followed { screen, news, .. }) in &mut self.followed {
            let mut row = |row: Row<'_>| tell(Told::Row(Row { channel: *channel, ..row }));
            news.as_mut().map_or(Ok(()), |news| news.pause(screen, &mut row))?;
        }
        Ok(())
    }

    /// Nothing more comes.
    pub(crate) fn end(mut self, tell: &mut impl FnMut(Told<'_>) -> io::Result<()>) -> io::Result<()> {
        while !self.followed.is_empty() {
            end(self.followed.pop_first(), tell)?;
        }
        Ok(())
    }
}

/// Tells what is known of a channel when nothing more comes.
fn end(
    last: Option<(ChannelId, Followed)>,
    tell: &mut impl FnMut(Told<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let Some((_, mut one)) = last else { return Ok(()) };
    one.typing.come_back();
    one.tell_commands(tell)?;
    match &mut one.news {
        Some(news) => news.end(&one.screen, &mut |row| tell(Told::Row(Row { channel: one.id, ..row }))),
        None => Ok(()),
    }
}

/// A channel, and its screen.
struct Followed {
    id: ChannelId,
    shown: Shown,
    screen: Screen,
    typing: Typing,
    news: Option<News>,
    /// Its bytes are no keys.
    is_files: bool,
}

impl Followed {
    fn new(id: ChannelId, rows: Rows) -> Self {
        let news = match rows {
            Rows::Unseen => None,
            Rows::Told => Some(News::default()),
        };
        let shown = Shown::new(Some(id), Lines::WithCarriageReturn);
        Self { id, shown, screen: Screen::new(), typing: Typing::default(), news, is_files: false }
    }

    fn take(
        &mut self,
        at: Duration,
        event: &Event<'_>,
        tell: &mut impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        match event {
            Event::Open { command, .. } => {
                self.is_files = event.opens_files();
                if let Some(command) = command {
                    let command = Some(String::from_utf8_lossy(command).into_owned());
                    self.typing.found.push(Command { at, command, ..Command::default() });
                }
            }
            Event::Data { direction: Direction::FromClient, bytes, .. } if !self.is_files => {
                self.typing.press(at, bytes, self.screen.terminal());
            }
            _ => {}
        }
        let Some(sight) = self.shown.take(event) else { return Ok(()) };
        let Self { id, screen, typing, news, .. } = self;
        match news {
            None => screen.show(&sight, typing),
            Some(news) => {
                let mut row = |row: Row<'_>| tell(Told::Row(Row { channel: *id, ..row }));
                news.show(screen, at, &sight, typing, &mut row)?;
            }
        }
        Ok(())
    }

    fn tell_commands(&mut self, tell: &mut impl FnMut(Told<'_>) -> io::Result<()>) -> io::Result<()> {
        let channel = self.id.0;
        let found = self.typing.found.drain(..).map(|command| Command { channel, ..command });
        found.map(Told::Command).try_for_each(tell)
    }
}
