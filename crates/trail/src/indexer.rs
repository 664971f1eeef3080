//! The screen of a recording while it is written, for key frames.

use std::fmt;

use zeroize::Zeroizing;

use crate::block::HEADER_LEN;
use crate::chain::Link;
use crate::chained::Joint;
use crate::event::{ChannelId, Event};
use crate::flood::Flood;
use crate::index::{Index, KeyScreen, MOST_DUMP, Pointer};
use crate::screen::Screen;
use crate::shown::{Shown, Sight};
use crate::text::Lines;

/// Text between two key frames, at least: it is drawn in a few milliseconds.
const TEXT_APART: usize = 64 * 1024;
/// Blocks between two key frames, where there is less text.
const BLOCKS_APART: u64 = 1024;
/// Where there are no new key frames, something leads to the old ones this often.
const BYTES_APART: u64 = 1024 * 1024;
/// Text that waits to be drawn: so much at most, and so much in a session that rests.
const MOST_PENDING: usize = 256 * 1024;
const RESTING: usize = 8 * 1024;
/// Text that may be drawn at once, before a channel has a terminal and afterwards, and in a second of the session.
/// Drawing takes ten times as long as recording: who shows more goes without key frames.
const FIRST_ALLOWANCE: usize = 256 * 1024;
const MOST_ALLOWANCE: usize = 4 * 1024 * 1024;
const ALLOWANCE: u64 = 256 * 1024;
/// What is never spent on drawing, but on what a flood leaves; and what its beginning and end count for.
const RESERVE: usize = 64 * 1024;
const FLOOD_COST: usize = 8 * 1024;
/// Less is no flood.
const LEAST_FLOOD: usize = 8 * 1024;
/// What a change of size counts for: the whole screen is laid out anew.
const SIZE_COST: usize = 32 * 1024;

/// Draws what is shown, within bounds, and makes blocks of the index of it.
///
/// A key frame that is missing makes a seek slower and nothing else, so what costs too much is left out.
pub(crate) struct Indexer {
    /// The link of block 0.
    first: Link,
    shown: Shown,
    model: Model,
    /// What the model has not drawn yet: what a person saw, so it is wiped.
    pending: Zeroizing<String>,
    /// Channels so far: `Some(None)` are several.
    sole: Option<Option<ChannelId>>,
    /// Bytes of text that may still be drawn, and since when (microseconds).
    allowance: usize,
    most: usize,
    refilled: u64,
    /// The last key frame, the last of every two, of every four, and so on.
    earlier: Vec<Pointer>,
    frames: u64,
    /// Text since the last key frame, and where the last block of the index was.
    text: usize,
    number: u64,
    offset: u64,
    apart: usize,
}

enum Model {
    /// What draws the screen, between two looks: a tenth of the model's memory.
    Rest {
        size: (usize, usize),
        dump: Zeroizing<String>,
    },
    Live(Box<Screen>),
    /// More was shown than can be drawn, of which the last lines are enough.
    Flooded {
        size: (usize, usize),
        /// What it was before.
        dump: Zeroizing<String>,
        flood: Box<Flood>,
    },
    /// Too much was shown to draw it all.
    Lost,
}

impl Indexer {
    pub(crate) fn new(first: Link) -> Self {
        Self {
            first,
            shown: Shown::new(None, Lines::WithCarriageReturn),
            model: Model::Rest { size: Screen::USUAL, dump: Zeroizing::default() },
            pending: Zeroizing::default(),
            sole: None,
            allowance: FIRST_ALLOWANCE,
            most: FIRST_ALLOWANCE,
            refilled: 0,
            earlier: Vec::new(),
            frames: 0,
            text: 0,
            number: 0,
            offset: 0,
            apart: TEXT_APART,
        }
    }

    /// A key frame at each seal that has something new.
    #[cfg(test)]
    pub(crate) fn often(&mut self) {
        self.apart = 1;
    }

    /// Takes note of an event at so many microseconds. Little work, unless much is shown.
    pub(crate) fn note(&mut self, at: u64, event: &Event<'_>) {
        if matches!(self.model, Model::Lost) {
            return;
        }
        let channel = event.channel();
        match &mut self.sole {
            Some(Some(sole)) if *sole == channel => {}
            None => self.sole = Some(Some(channel)),
            Some(sole) => *sole = None,
        }
        if matches!(event, Event::Open { terminal: Some(_), .. }) && self.most < MOST_ALLOWANCE {
            self.allowance += MOST_ALLOWANCE - self.most;
            self.most = MOST_ALLOWANCE;
        }
        match self.shown.take(event) {
            Some(Sight::Text(text)) => {
                self.text = self.text.saturating_add(text.len());
                let text = text.get(self.pour(&text)..).unwrap_or_default();
                if text.is_empty() {
                    return;
                }
                self.settle(at);
                self.keep(text);
                if self.pending.len() >= MOST_PENDING {
                    self.draw(at);
                }
            }
            Some(size @ Sight::Size(..)) => {
                self.text = self.text.saturating_add(1);
                self.draw(at);
                self.settle(at);
                if !self.spend(at, SIZE_COST, RESERVE) {
                    self.lose();
                }
                if let Some(screen) = self.live() {
                    screen.show(&size, &mut ());
                }
            }
            None => {}
        }
    }

    /// Gives back what memory it can.
    pub(crate) fn flush(&mut self, at: u64) {
        if self.pending.len() >= RESTING {
            self.draw(at);
        }
        if let Model::Flooded { flood, .. } = &mut self.model
            && flood.taken_since() < LEAST_FLOOD
        {
            self.resume(at);
        }
        self.rest();
    }

    /// The payload of a block of the index that belongs at `place`, with room for its header in front. `None`: there is
    /// nothing new to tell.
    pub(crate) fn block(&mut self, at: u64, place: Joint) -> Option<Zeroizing<Vec<u8>>> {
        let blocks = place.place.number.saturating_sub(self.number);
        let is_due = self.text >= self.apart || (self.text > 0 && blocks >= BLOCKS_APART);
        if is_due {
            self.draw(at);
            self.resume(at);
            self.rest();
        }
        let screen = match &self.model {
            Model::Rest { size, dump } if is_due => Some(KeyScreen {
                shown: self.shown.clone(),
                size: *size,
                dump: dump.to_string(),
                sole: self.sole.flatten(),
            }),
            Model::Rest { .. } | Model::Live(_) | Model::Flooded { .. } | Model::Lost => None,
        };
        let bytes = place.place.offset.saturating_sub(self.offset);
        if screen.is_none() && (self.earlier.is_empty() || bytes < BYTES_APART) {
            return None;
        }
        Some(self.encode(at, place, screen))
    }

    /// The last block of the index: it leads to all key frames. `None`: there are none.
    pub(crate) fn last_block(&mut self, at: u64, place: Joint) -> Option<Zeroizing<Vec<u8>>> {
        let block = self.block(at, place);
        block.or_else(|| (!self.earlier.is_empty()).then(|| self.encode(at, place, None)))
    }

    fn encode(&mut self, at: u64, place: Joint, screen: Option<KeyScreen>) -> Zeroizing<Vec<u8>> {
        let (first, earlier) = (self.first, self.earlier.clone());
        let is_frame = screen.is_some();
        let mut out = Zeroizing::new(Vec::with_capacity(2 * HEADER_LEN + 4096));
        out.resize(HEADER_LEN, 0);
        Index { first, place, earlier, screen }.encode(&mut out);
        (self.number, self.offset) = (place.place.number, place.place.offset);
        if is_frame {
            self.text = 0;
            self.frames += 1;
            let pointer = Pointer { time: at, joint: place };
            // Level n holds the last frame whose number divides by 2^n.
            let levels = self.frames.trailing_zeros() as usize + 1;
            self.earlier.resize(self.earlier.len().max(levels), pointer);
            self.earlier.iter_mut().take(levels).for_each(|earlier| *earlier = pointer);
        }
        out
    }

    /// A text that grows by itself leaves a copy behind.
    fn keep(&mut self, text: &str) {
        let needed = self.pending.len() + text.len();
        if self.pending.capacity() < needed {
            let mut larger = Zeroizing::new(String::with_capacity(needed.next_power_of_two()));
            larger.push_str(&self.pending);
            self.pending = larger;
        }
        self.pending.push_str(text);
    }

    fn draw(&mut self, at: u64) {
        while !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            if self.spend(at, pending.len(), RESERVE) {
                if let Some(screen) = self.live() {
                    screen.show_text(&pending, &mut ());
                }
                return;
            }
            self.flood(at);
            let poured = self.pour(&pending);
            if poured == pending.len() {
                return;
            }
            self.settle(at);
            if poured < LEAST_FLOOD {
                self.lose();
            }
            if !matches!(self.model, Model::Lost) {
                self.keep(pending.get(poured..).unwrap_or_default());
            }
        }
    }

    /// From here on what is shown is not drawn.
    fn flood(&mut self, at: u64) {
        self.rest();
        let is_terminal = self.most == MOST_ALLOWANCE;
        self.model = match std::mem::replace(&mut self.model, Model::Lost) {
            Model::Rest { size, dump }
                if is_terminal && !has_margins(&dump) && self.spend(at, FLOOD_COST, 0) =>
            {
                Model::Flooded { size, dump, flood: Box::new(Flood::new()) }
            }
            Model::Rest { .. } | Model::Live(_) | Model::Flooded { .. } | Model::Lost => Model::Lost,
        };
    }

    /// How many bytes of a text a flood takes.
    fn pour(&mut self, text: &str) -> usize {
        match &mut self.model {
            Model::Flooded { flood, .. } => flood.take(text),
            Model::Rest { .. } | Model::Live(_) | Model::Lost => 0,
        }
    }

    /// Draws what a flood has left, where that is known and may be drawn.
    fn resume(&mut self, at: u64) {
        let Model::Flooded { size, flood, .. } = &self.model else { return };
        let Some(text) = flood.rest(size.1) else { return };
        if !self.spend(at, text.len(), 0) {
            return;
        }
        if let Model::Flooded { size, dump, .. } = std::mem::replace(&mut self.model, Model::Lost) {
            self.model = Model::Rest { size, dump };
        }
        if let Some(screen) = self.live() {
            screen.show_text(&text, &mut ());
        }
    }

    /// The flood is over: what it has left is drawn, or the screen is not known any more.
    fn settle(&mut self, at: u64) {
        self.resume(at);
        if matches!(self.model, Model::Flooded { .. }) {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.model = Model::Lost;
        self.pending = Zeroizing::default();
    }

    /// `false`, and nothing is spent: less would be left than `reserve`.
    fn spend(&mut self, at: u64, cost: usize, reserve: usize) -> bool {
        let passed = at.saturating_sub(self.refilled) / 1_000_000;
        let more = usize::try_from(passed.saturating_mul(ALLOWANCE)).unwrap_or(usize::MAX);
        self.allowance = self.allowance.saturating_add(more).min(self.most);
        self.refilled += passed * 1_000_000;
        match self.allowance.checked_sub(cost) {
            Some(left) if left >= reserve => {
                self.allowance = left;
                true
            }
            Some(_) | None => false,
        }
    }

    fn live(&mut self) -> Option<&mut Screen> {
        if let Model::Rest { size, dump } = &self.model {
            self.model = Model::Live(Box::new(Screen::restored(*size, dump)));
        }
        match &mut self.model {
            Model::Live(screen) => Some(screen),
            Model::Rest { .. } | Model::Flooded { .. } | Model::Lost => None,
        }
    }

    fn rest(&mut self) {
        let Model::Live(screen) = &self.model else { return };
        let Some(dump) = screen.dump() else { return };
        let size = screen.terminal().size();
        let is_small = dump.len() <= MOST_DUMP;
        self.model = if is_small { Model::Rest { size, dump: dump.into() } } else { Model::Lost };
    }
}

/// Whether only a part of the screen scrolls, by what draws it: `ESC [ top ; bottom r`.
fn has_margins(dump: &str) -> bool {
    dump.split("\x1b[").skip(1).any(|sequence| {
        let parameters = sequence.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        parameters.starts_with('r')
    })
}

/// Without what it has seen.
impl fmt::Debug for Indexer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexer").field("frames", &self.frames).finish_non_exhaustive()
    }
}
