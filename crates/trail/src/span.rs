//! The events of the blocks at hand, in the order of their times.

use std::time::Duration;

use crate::blocks::Block;
use crate::chained::Place;
use crate::codec::take_event;
use crate::error::{Damage, TrailError};
use crate::event::Event;
use crate::wire::Cursor;

/// One block, or the two that belong together.
#[derive(Default)]
pub(crate) struct Span {
    runs: Vec<Run>,
}

/// The events of one block.
struct Run {
    events: Vec<u8>,
    /// How many bytes of `events` were read.
    read: usize,
    place: Place,
    /// Microseconds since the start: of the last event read, and of the last one in the block.
    time: u64,
    ends: u64,
    /// The event that comes next.
    next: Option<Event<'static>>,
}

impl Span {
    /// Adds a block. A block that cannot be read adds nothing.
    pub(crate) fn add(&mut self, block: Block) -> Result<(), TrailError> {
        if block.hidden {
            return Ok(());
        }
        let Block { plain: events, first: time, last: ends, place, .. } = block;
        let mut run = Run { events, read: 0, place, time, ends, next: None };
        run.step().map_err(|damage| place.error(damage))?;
        self.runs.push(run);
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
    }

    /// Whether all events were given.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.iter().all(|run| run.next.is_none())
    }

    /// The next event and where it stands; of two at the same time the one of the block that came first.
    pub(crate) fn next(&mut self) -> Result<Option<(Duration, Event<'static>, Place)>, TrailError> {
        let waiting = self.runs.iter_mut().filter(|run| run.next.is_some());
        let Some(run) = waiting.min_by_key(|run| run.time) else { return Ok(None) };
        let at = Duration::from_micros(run.time);
        let (event, place) = (run.next.take(), run.place);
        run.step().map_err(|damage| place.error(damage))?;
        Ok(event.map(|event| (at, event, place)))
    }
}

impl Run {
    /// Reads up to the next event that this version knows, or to the end of the block.
    fn step(&mut self) -> Result<(), Damage> {
        loop {
            let mut events = Cursor::new(self.events.get(self.read..).unwrap_or_default());
            if events.is_empty() {
                return if self.time == self.ends { Ok(()) } else { Err(Damage::Time) };
            }
            let (delta, event) = take_event(&mut events)?;
            self.read = self.events.len() - events.len();
            self.time = self.time.checked_add(delta).filter(|t| *t <= self.ends).ok_or(Damage::Time)?;
            if event.is_some() {
                self.next = event;
                return Ok(());
            }
        }
    }
}
