//! The recorder tap: a bounded way from the relay to the trail. When it is full, the relay waits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use keyward_model::Verdict;
use keyward_trail::{ChannelId, Direction, End, Event, ExitStatus, Stream, TrailError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::activity::Activity;
use crate::echo::Keys;
use crate::finding::Feed;
use crate::grace::Grace;
use crate::off_site::OffSite;
use crate::recording::{FileWriter, Trail, record_until_the_end, text_bytes};
use crate::stamps::{Ended, Stamps};

/// How many bytes may wait between relay and trail; a recorder that is behind holds no more of a session.
const QUEUE_BYTES: u32 = 1024 * 1024;
/// What one look at a socket may bring, with some to spare.
const LOOK_BYTES: usize = 512 * 1024;
/// How many events may wait.
pub(crate) const QUEUE: usize = 256;
/// What an event counts for beside its bytes.
const EVENT_BYTES: usize = 256;
/// The recording of one session: a task that owns the writer.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    queue: Queue,
}

/// The way to the writer, bounded in events and bytes. Cheap to clone.
#[derive(Clone, Debug)]
struct Queue {
    messages: mpsc::Sender<Message>,
    space: Arc<Semaphore>,
    start: Instant,
}

#[derive(Debug)]
pub(crate) enum Message {
    Data {
        at: Duration,
        channel: ChannelId,
        direction: Direction,
        stream: Stream,
        bytes: Bytes,
        /// Whether a terminal has shown it, as far as it is input.
        keys: Keys,
        space: Space,
    },
    Event {
        at: Duration,
        event: Event<'static>,
        space: Space,
    },
    Finish {
        at: Duration,
        end: End,
        done: oneshot::Sender<Result<Ended, TrailError>>,
    },
}

/// Given back when the message has been written.
pub(crate) type Space = OwnedSemaphorePermit;

/// The recording can no longer be written, or is finished: the relay must stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the recording has ended")]
pub struct RecorderGone;

impl Recorder {
    /// Starts the task of a trail that was just created at `path`.
    pub(crate) fn start(
        writer: FileWriter,
        path: &Path,
        activity: Arc<Activity>,
        stamps: Stamps,
        off_site: OffSite,
        feed: Option<Feed>,
    ) -> Self {
        let (sender, messages) = mpsc::channel(QUEUE);
        let space = Arc::new(Semaphore::new(QUEUE_BYTES as usize));
        let grace = Grace::new(Arc::clone(&space), Arc::clone(&activity));
        let hold = off_site.hold(Arc::clone(&space), QUEUE_BYTES, Arc::clone(&activity));
        let hold = AbortOnDropHandle::new(tokio::spawn(hold));
        let trail = Trail::new(writer, path, grace, stamps, feed.map(Arc::new));
        tokio::spawn(record_until_the_end(trail, messages, activity, hold));
        Self { queue: Queue { messages: sender, space, start: Instant::now() } }
    }

    pub(crate) fn tap(&self, channel: ChannelId, activity: Arc<Activity>) -> Tap {
        Tap { channel, activity, queue: Some(self.queue.clone()) }
    }

    /// Waits until what one look at a socket brings can be recorded. Cancel-safe.
    pub(crate) async fn room(&self) -> Result<(), RecorderGone> {
        // Asked first, since there nearly always is room, and a permit is shared by threads.
        if self.queue.space.available_permits() < LOOK_BYTES {
            drop(self.queue.room(LOOK_BYTES).await?);
        }
        if self.queue.messages.is_closed() { Err(RecorderGone) } else { Ok(()) }
    }

    /// Writes the end, and says how far the recording reaches, or who will. Taps that are still around find it gone.
    pub(crate) async fn finish(self, verdict: Verdict, reason: &str) -> Result<Ended, RecorderFailed> {
        let (done, result) = oneshot::channel();
        let end = End { verdict, reason: Some(reason.to_owned()) };
        let message = Message::Finish { at: self.queue.start.elapsed(), end, done };
        let finish = async move {
            self.queue.messages.send(message).await.map_err(|_| RecorderFailed::Before)?;
            result.await.map_err(|_| RecorderFailed::Before)
        };
        match tokio::time::timeout(FINISH_PATIENCE, finish).await {
            Ok(written) => Ok(written??),
            Err(_) => Err(RecorderFailed::Stuck),
        }
    }
}

/// A disk that takes longer than this for the end of a recording keeps nobody from hearing `session_ended`.
const FINISH_PATIENCE: Duration = Duration::from_secs(30);

impl Queue {
    /// Waits for room of `bytes`. Cancel-safe.
    async fn room(&self, bytes: usize) -> Result<Space, RecorderGone> {
        let bytes = u32::try_from(bytes).unwrap_or(QUEUE_BYTES).min(QUEUE_BYTES);
        Arc::clone(&self.space).acquire_many_owned(bytes).await.map_err(|_| RecorderGone)
    }

    async fn send(&self, message: Message) -> Result<(), RecorderGone> {
        self.messages.send(message).await.map_err(|_| RecorderGone)
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RecorderFailed {
    #[error("it had failed before")]
    Before,
    #[error("the disk did not answer in time")]
    Stuck,
    #[error(transparent)]
    Now(#[from] TrailError),
}

/// One channel's way into the recording. Cheap to clone. A channel that is not recorded has a tap as well: it
/// counts what passes, so that idle sessions are seen.
#[derive(Clone, Debug)]
pub struct Tap {
    channel: ChannelId,
    activity: Arc<Activity>,
    queue: Option<Queue>,
}

impl Tap {
    pub(crate) fn unrecorded(channel: ChannelId, activity: Arc<Activity>) -> Self {
        Self { channel, activity, queue: None }
    }

    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Whether what passes is recorded at all.
    pub fn records(&self) -> bool {
        self.queue.is_some()
    }

    /// Takes note that something passed on a channel that is not recorded.
    pub fn passed(&self, direction: Direction) -> Result<(), RecorderGone> {
        self.note(direction);
        self.still_open()
    }

    /// Records bytes before they are passed on; waits while the trail is behind. Cancel-safe.
    pub async fn data(
        &self,
        direction: Direction,
        stream: Stream,
        bytes: &Bytes,
    ) -> Result<(), RecorderGone> {
        self.note(direction);
        let Some(queue) = &self.queue else { return self.still_open() };
        let space = queue.room(bytes.len() + EVENT_BYTES).await?;
        let (at, channel, bytes) = (queue.start.elapsed(), self.channel, bytes.clone());
        let keys = Keys::Shown;
        queue.send(Message::Data { at, channel, direction, stream, bytes, keys, space }).await
    }

    /// Records anything else that happens on the channel. Cancel-safe.
    pub async fn event(&self, event: Event<'static>) -> Result<(), RecorderGone> {
        let Some(queue) = &self.queue else { return self.still_open() };
        let space = queue.room(text_bytes(&event) + EVENT_BYTES).await?;
        queue.send(Message::Event { at: queue.start.elapsed(), event, space }).await
    }

    fn note(&self, direction: Direction) {
        match direction {
            Direction::FromClient => self.activity.user_passed(),
            Direction::ToClient => self.activity.target_passed(),
        }
    }

    fn still_open(&self) -> Result<(), RecorderGone> {
        if self.activity.ended().is_some() { Err(RecorderGone) } else { Ok(()) }
    }

    /// The exit of the channel's program.
    pub async fn exit(&self, status: ExitStatus<'static>) -> Result<(), RecorderGone> {
        self.event(Event::Exit { channel: self.channel, status }).await
    }
}
