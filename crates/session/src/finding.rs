//! Lines of a session for the index, found while it is recorded (`index = "as-recorded"` of an audit policy).
//!
//! Beside the recorder, which never waits for it: drawing a terminal is slower than recording it. A session that shows more
//! than can be followed is given up, and may be indexed from its recording later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use keyward_model::SessionId;
use keyward_trail::{ChannelId, Completeness, Direction, Event, Finder, Found, Stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// Of one session, between the recorder and what draws its screen; bytes.
const MOST_WAITING: usize = 4 * 1024 * 1024;
/// What a piece counts for beside its bytes.
const PIECE_BYTES: usize = 256;
/// Pieces that are drawn at once.
const BATCH: usize = 1024;
/// So that not each key makes a thread draw.
const LINGER: Duration = Duration::from_millis(500);
/// Where nothing comes for so long, what stands on the screens is told.
const PAUSE: Duration = Duration::from_secs(2);

/// Takes the lines of sessions that are indexed as they are recorded. Nothing of it may block.
pub trait LineSink: std::fmt::Debug + Send + Sync {
    /// Lines of this session will come, and then its end.
    fn begun(&self, session: &SessionId);

    /// Lines that are certain, of one kind in the order of their times.
    fn found(&self, session: &SessionId, lines: Vec<Found>);

    /// Nothing more comes.
    fn ended(&self, session: &SessionId, lines: Lines);
}

/// Whether all lines of a session were found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lines {
    All,
    /// There was more than could be followed, or the recording has no end.
    Some,
}

/// The way of what is recorded to what finds lines in it.
#[derive(Debug)]
pub(crate) struct Feed {
    pieces: UnboundedSender<Piece>,
    room: Arc<Semaphore>,
    /// Something was left out, or the recording does not end.
    lacks: Arc<Lacks>,
}

#[derive(Debug)]
struct Lacks {
    pieces: AtomicBool,
    end: AtomicBool,
}

#[derive(Debug)]
enum Piece {
    Data {
        at: Duration,
        channel: ChannelId,
        direction: Direction,
        stream: Stream,
        bytes: Bytes,
        _room: OwnedSemaphorePermit,
    },
    Event {
        at: Duration,
        event: Event<'static>,
        _room: OwnedSemaphorePermit,
    },
}

impl Feed {
    /// Starts the task that finds the lines of a session, on a runtime that outlives its connection's thread.
    pub(crate) fn start(session: SessionId, sink: Arc<dyn LineSink>, runtime: &Handle) -> Self {
        let (sender, pieces) = mpsc::unbounded_channel();
        let lacks = Arc::new(Lacks { pieces: AtomicBool::new(false), end: AtomicBool::new(true) });
        sink.begun(&session);
        let end = End { session, sink, lines: Lines::Some };
        runtime.spawn(find(pieces, end, Arc::clone(&lacks)));
        Self { pieces: sender, room: Arc::new(Semaphore::new(MOST_WAITING)), lacks }
    }

    /// What was written into the recording.
    pub(crate) fn data(
        &self,
        at: Duration,
        channel: ChannelId,
        direction: Direction,
        stream: Stream,
        bytes: &Bytes,
    ) {
        let Some(_room) = self.room(bytes.len()) else { return };
        let bytes = bytes.clone();
        // Only a task that has panicked is gone.
        let _ = self.pieces.send(Piece::Data { at, channel, direction, stream, bytes, _room });
    }

    pub(crate) fn event(&self, at: Duration, event: &Event<'static>, bytes: usize) {
        let Some(_room) = self.room(bytes) else { return };
        let _ = self.pieces.send(Piece::Event { at, event: event.clone(), _room });
    }

    /// The recording has its end.
    pub(crate) fn finish(&self) {
        self.lacks.end.store(false, Ordering::Relaxed);
    }

    /// `None`: nothing more of this session is followed. What comes after a gap would be drawn wrongly.
    fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        if self.lacks.pieces.load(Ordering::Relaxed) {
            return None;
        }
        let bytes = u32::try_from(bytes + PIECE_BYTES).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).ok();
        self.lacks.pieces.store(room.is_none(), Ordering::Relaxed);
        room
    }
}

/// Tells the end of a session, also where its task is dropped.
struct End {
    session: SessionId,
    sink: Arc<dyn LineSink>,
    lines: Lines,
}

impl Drop for End {
    fn drop(&mut self) {
        self.sink.ended(&self.session, self.lines);
    }
}

/// What a session makes the task do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Draw,
    /// Nothing came for a while.
    Pause,
}

async fn find(mut pieces: UnboundedReceiver<Piece>, mut end: End, lacks: Arc<Lacks>) {
    let (mut finder, mut batch, mut last) = (Finder::default(), Vec::new(), Step::Pause);
    while let Some(step) = next(&mut pieces, &mut batch, last).await {
        last = step;
        let drawn = spawn_blocking(move || {
            let mut lines = Vec::new();
            batch.drain(..).for_each(|piece| piece.draw(&mut finder, &mut lines));
            if step == Step::Pause {
                finder.pause(&mut |line| lines.push(line));
            }
            (finder, batch, lines)
        });
        // It has panicked, or the process ends.
        let Ok(drawn) = drawn.await else { return };
        let lines;
        (finder, batch, lines) = drawn;
        if !lines.is_empty() {
            end.sink.found(&end.session, lines);
        }
    }
    let mut lines = Vec::new();
    let complete = finder.end(&mut |line| lines.push(line));
    end.sink.found(&end.session, lines);
    let lacks = lacks.pieces.load(Ordering::Relaxed) || lacks.end.load(Ordering::Relaxed);
    if !lacks && complete == Completeness::Whole {
        end.lines = Lines::All;
    }
}

/// `None`: nothing more comes.
async fn next(pieces: &mut UnboundedReceiver<Piece>, batch: &mut Vec<Piece>, last: Step) -> Option<Step> {
    let first = pieces.recv_many(batch, BATCH);
    let received = match last {
        Step::Pause => Ok(first.await),
        Step::Draw => timeout(PAUSE, first).await,
    };
    match received {
        Ok(0) => return None,
        Ok(BATCH) => {}
        Ok(_) => sleep(LINGER).await,
        Err(_) => return Some(Step::Pause),
    }
    while batch.len() < BATCH
        && let Ok(piece) = pieces.try_recv()
    {
        batch.push(piece);
    }
    Some(Step::Draw)
}

impl Piece {
    fn draw(self, finder: &mut Finder, lines: &mut Vec<Found>) {
        let mut tell = |line| lines.push(line);
        match self {
            Self::Data { at, channel, direction, stream, bytes, _room } => {
                let event = Event::Data { channel, direction, stream, bytes: (&*bytes).into() };
                finder.take(at, &event, &mut tell);
            }
            Self::Event { at, event, _room } => finder.take(at, &event, &mut tell),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use keyward_model::ConnectionName;
    use tokio::sync::Notify;

    use super::*;

    #[derive(Debug, Default)]
    struct Kept {
        texts: Mutex<Vec<String>>,
        ended: Mutex<Option<Lines>>,
        end: Notify,
    }

    impl LineSink for Kept {
        fn begun(&self, _: &SessionId) {}

        fn found(&self, _: &SessionId, lines: Vec<Found>) {
            self.texts.lock().unwrap().extend(lines.into_iter().map(|line| line.text));
        }

        fn ended(&self, _: &SessionId, lines: Lines) {
            *self.ended.lock().unwrap() = Some(lines);
            self.end.notify_one();
        }
    }

    /// What is told of a session to which `feed` gives something.
    async fn told(feed: impl FnOnce(&Feed)) -> (Vec<String>, Option<Lines>) {
        let kept = Arc::new(Kept::default());
        let id = SessionId::new([0; 16], &ConnectionName::try_from("c").unwrap(), 1);
        let fed = Feed::start(id, Arc::clone(&kept) as Arc<dyn LineSink>, &Handle::current());
        feed(&fed);
        drop(fed);
        kept.end.notified().await;
        let (texts, ended) = (kept.texts.lock().unwrap().clone(), *kept.ended.lock().unwrap());
        (texts, ended)
    }

    fn shows(feed: &Feed, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        feed.data(Duration::ZERO, ChannelId(0), Direction::ToClient, Stream::Main, &bytes);
    }

    #[tokio::test]
    async fn a_session_that_is_recorded_to_its_end_is_told_as_a_whole() {
        let (texts, ended) = told(|feed| {
            (0..100).for_each(|n| shows(feed, &format!("line {n}\r\n")));
            feed.finish();
        })
        .await;
        assert_eq!((texts.len(), texts[99].as_str(), ended), (100, "line 99", Some(Lines::All)));
        let (texts, ended) = told(|feed| shows(feed, "cut off")).await;
        assert_eq!((texts, ended), (vec!["cut off".to_owned()], Some(Lines::Some)));
    }

    #[tokio::test]
    async fn what_shows_more_than_can_be_followed_is_given_up() {
        let (texts, ended) = told(|feed| {
            shows(feed, "begins\r\n");
            for _ in 0..2 * MOST_WAITING / 100_000 {
                shows(feed, &"x".repeat(100_000));
            }
            assert!(feed.room(0).is_none());
            feed.finish();
        })
        .await;
        assert_eq!((texts[0].as_str(), ended), ("begins", Some(Lines::Some)));
    }
}
