//! Keys on their way to the recording: they wait until it is known whether the terminal shows them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use keyward_trail::{ChannelId, Direction, Event};
use tokio::time::Instant;

use crate::echo::{Answer, Echo, Keys, ends_line};
use crate::recorder::Message;

/// So long keys wait for an answer. What is recorded has to be on the disk within a second all the same.
const PATIENCE: Duration = Duration::from_millis(500);
/// Nobody types so much at once, or so much that nothing answers: it is no secret.
const MOST_AT_ONCE: usize = 1024;
const MOST_WAITING: usize = 4096;

/// The terminals of a session.
#[derive(Debug, Default)]
pub(crate) struct Unseen {
    terminals: HashMap<ChannelId, Terminal>,
}

#[derive(Debug, Default)]
struct Terminal {
    echo: Echo,
    /// In their order; the first of them are keys that nothing has answered yet.
    waiting: VecDeque<Waiting>,
    /// Bytes of keys that wait.
    bytes: usize,
    /// What was shown while they waited, and answers none of them for certain.
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    message: Message,
}

impl Unseen {
    /// Takes the next message, and gives those that wait for nothing any more, in the order of their channel.
    pub(crate) fn take(&mut self, message: Message, now: Instant, out: &mut Vec<Message>) {
        let id = match &message {
            Message::Data { channel, .. } => *channel,
            Message::Event { event, .. } => event.channel(),
            Message::Finish { .. } => {
                self.give_up(out);
                return out.push(message);
            }
        };
        if let Message::Event { event: Event::Open { terminal: Some(_), .. }, .. } = &message {
            self.terminals.insert(id, Terminal::default());
        }
        let Some(terminal) = self.terminals.get_mut(&id) else { return out.push(message) };
        terminal.take(message, now, out);
        if let Some(Message::Event { event: Event::Close { .. }, .. }) = out.last() {
            self.terminals.remove(&id);
        }
    }

    /// When the first keys have waited for long enough.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since().map(|since| since + PATIENCE)
    }

    /// Since when the first keys wait.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.terminals.values().filter_map(|terminal| Some(terminal.waiting.front()?.since)).min()
    }

    /// Gives what has waited for long enough.
    pub(crate) fn expire(&mut self, now: Instant, out: &mut Vec<Message>) {
        for terminal in self.terminals.values_mut() {
            while terminal.waiting.front().is_some_and(|first| first.since + PATIENCE <= now) {
                terminal.give_up_first(out);
                // What came for nothing so far may be for the next.
                terminal.release_answered(out);
            }
        }
    }

    /// Gives everything: nothing more comes.
    pub(crate) fn give_up(&mut self, out: &mut Vec<Message>) {
        self.terminals.values_mut().for_each(|terminal| terminal.give_up(out));
    }
}

impl Terminal {
    fn take(&mut self, message: Message, now: Instant, out: &mut Vec<Message>) {
        match &message {
            Message::Data { direction: Direction::ToClient, bytes, .. } => {
                self.answer(bytes, out);
                let bytes = bytes.clone();
                self.echo.shown(&bytes);
                // Keys may be left that this was no answer to: it must not come before them all the same.
                if self.waiting.is_empty() { out.push(message) } else { self.wait(message, now) }
            }
            Message::Data { bytes, .. } if self.waiting.is_empty() && !self.waits(bytes) => {
                self.echo.typed(bytes);
                out.push(message);
            }
            Message::Data { bytes, .. } => {
                self.bytes += bytes.len();
                self.wait(message, now);
                if self.bytes > MOST_WAITING {
                    self.give_up(out);
                }
            }
            Message::Event { event: Event::Close { .. }, .. } => {
                self.give_up(out);
                out.push(message);
            }
            Message::Event { .. } | Message::Finish { .. } if self.waiting.is_empty() => out.push(message),
            Message::Event { .. } | Message::Finish { .. } => self.wait(message, now),
        }
    }

    fn waits(&self, keys: &Bytes) -> bool {
        keys.len() <= MOST_AT_ONCE && self.echo.wants_answer(keys)
    }

    fn wait(&mut self, message: Message, since: Instant) {
        self.waiting.push_back(Waiting { since, message });
    }

    fn give_up(&mut self, out: &mut Vec<Message>) {
        while !self.waiting.is_empty() {
            self.give_up_first(out);
        }
        self.answer = None;
    }

    fn give_up_first(&mut self, out: &mut Vec<Message>) {
        if let Some(keys) = self.judge_first(None) {
            self.release(keys, out);
        }
    }

    /// What was shown answers the first keys at least, and more of them for as long as there is something left of it.
    fn answer(&mut self, shown: &Bytes, out: &mut Vec<Message>) {
        if self.waiting.is_empty() {
            return;
        }
        match &mut self.answer {
            Some(answer) => answer.goes_on(shown),
            None => self.answer = Some(Answer::new(shown)),
        }
        self.release_answered(out);
    }

    fn release_answered(&mut self, out: &mut Vec<Message>) {
        let Some(mut answer) = self.answer.take() else { return };
        while !self.waiting.is_empty() {
            let Some(keys) = self.judge_first(Some(&mut answer)) else {
                self.answer = Some(answer);
                return;
            };
            self.release(keys, out);
            if answer.is_used_up() {
                return;
            }
        }
    }

    /// `None`: it is too early to tell.
    fn judge_first(&mut self, answer: Option<&mut Answer>) -> Option<Keys> {
        let line_is_whole = self.waiting.iter().any(|waiting| match &waiting.message {
            Message::Data { direction: Direction::FromClient, bytes, .. } => {
                bytes.iter().any(|key| ends_line(*key))
            }
            Message::Data { .. } | Message::Event { .. } | Message::Finish { .. } => false,
        });
        match &self.waiting.front()?.message {
            Message::Data { direction: Direction::FromClient, bytes, .. } => {
                self.echo.judge(bytes, answer, line_is_whole)
            }
            Message::Data { .. } | Message::Event { .. } | Message::Finish { .. } => Some(Keys::Shown),
        }
    }

    /// Gives the first that waits, and what wanted no answer behind it.
    fn release(&mut self, judged: Keys, out: &mut Vec<Message>) {
        let Some(Waiting { mut message, .. }) = self.waiting.pop_front() else { return };
        let mut end = None;
        if let Message::Data { direction: Direction::FromClient, bytes, keys, .. } = &mut message {
            self.bytes = self.bytes.saturating_sub(bytes.len());
            *keys = judged;
            if matches!(keys, Keys::Hidden { .. }) {
                end = split_end(&mut message);
            }
        }
        out.push(message);
        out.extend(end);
        while let Some(next) = self.waiting.pop_front() {
            match &next.message {
                Message::Data { direction: Direction::FromClient, bytes, .. } if self.waits(bytes) => {
                    return self.waiting.push_front(next);
                }
                Message::Data { direction: Direction::FromClient, bytes, .. } => {
                    self.bytes = self.bytes.saturating_sub(bytes.len());
                    self.echo.typed(bytes);
                }
                Message::Data { .. } | Message::Event { .. } | Message::Finish { .. } => {}
            }
            out.push(next.message);
        }
    }
}

/// Takes the key away that ends the line: that is no secret, and tells where it ends.
fn split_end(message: &mut Message) -> Option<Message> {
    let Message::Data { at, channel, direction, stream, bytes, space, .. } = message else { return None };
    let at_end = bytes.iter().rev().take_while(|key| ends_line(**key)).count();
    let end = bytes.split_off(bytes.len() - at_end);
    let (at, channel, direction, stream, keys) = (*at, *channel, *direction, *stream, Keys::Shown);
    // What it takes up is given back with what stood before it.
    let space = space.split(0).filter(|_| at_end > 0)?;
    Some(Message::Data { at, channel, direction, stream, bytes: end, keys, space })
}

#[cfg(test)]
#[path = "unseen_tests.rs"]
mod tests;
