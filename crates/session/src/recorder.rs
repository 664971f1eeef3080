//! The recorder tap: a bounded way from the relay to the trail. When it is full, the relay waits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use keyward_model::Verdict;
use keyward_trail::{ChannelId, Direction, End, Event, ExitStatus, Stream, TrailError, TrailFile, Writer};
use std::borrow::Cow;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::activity::{Activity, EndCause};
use crate::stamps::{Ended, Stamps};
use crate::sync::{Syncing, elsewhere};

/// How many bytes may wait between relay and trail; a recorder that is behind holds no more of a session.
const QUEUE_BYTES: u32 = 1024 * 1024;
/// What one look at a socket may bring, with some to spare.
const LOOK_BYTES: usize = 512 * 1024;
/// How many events may wait.
const QUEUE: usize = 256;
/// What an event counts for beside its bytes.
const EVENT_BYTES: usize = 256;
/// Nothing stays unwritten for longer than this. The disk has the rest of a second to take it.
const FLUSH_EVERY: Duration = Duration::from_millis(800);
/// Nothing stays unsigned for longer than this.
const SEAL_EVERY: Duration = Duration::from_secs(10);
/// Batches below this are only copied into the writer's buffer; more is compressed and written elsewhere,
const SMALL: usize = 16 * 1024;
/// which costs two thread switches, so a batch waits until it is worth them,
const LARGE: usize = 256 * 1024;
/// but not for longer than this.
const LINGER: Duration = Duration::from_millis(10);

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
enum Message {
    Data {
        at: Duration,
        channel: ChannelId,
        direction: Direction,
        stream: Stream,
        bytes: Bytes,
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
type Space = OwnedSemaphorePermit;

/// The recording can no longer be written, or is finished: the relay must stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the recording has ended")]
pub struct RecorderGone;

impl Recorder {
    /// Starts the task of a trail that was just created at `path`.
    pub(crate) fn start(writer: FileWriter, path: &Path, activity: Arc<Activity>, stamps: Stamps) -> Self {
        let (sender, messages) = mpsc::channel(QUEUE);
        let trail = Trail { writer, syncing: Syncing::new(path), stamps };
        tokio::spawn(run(trail, messages, activity));
        let space = Arc::new(Semaphore::new(QUEUE_BYTES as usize));
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
        queue.send(Message::Data { at, channel, direction, stream, bytes, space }).await
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

type FileWriter = Writer<TrailFile>;

/// What the task owns.
struct Trail {
    writer: FileWriter,
    syncing: Syncing,
    stamps: Stamps,
}

/// Owns the writer until the end. Dies, and with it the session, at the first error.
async fn run(trail: Trail, mut messages: mpsc::Receiver<Message>, activity: Arc<Activity>) {
    if let Err(error) = record(trail, &mut messages).await {
        tracing::error!(error = %crate::end::chain(&error), "recording failed: the session ends");
        activity.end(EndCause::Recording(error.to_string()));
    }
}

async fn record(trail: Trail, messages: &mut mpsc::Receiver<Message>) -> Result<(), TrailError> {
    let Trail { mut writer, mut syncing, mut stamps } = trail;
    let mut batch = Vec::new();
    let mut bytes = 0;
    // When the batch must be written, and when what was written must be flushed, and signed.
    let (mut write_at, mut flush_at, mut seal_at): (Option<Deadline>, Option<Deadline>, Option<Deadline>) =
        (None, None, None);
    loop {
        let now = Deadline::now();
        if write_at.is_some_and(|at| at <= now) || bytes >= LARGE {
            (writer, batch) = elsewhere(move || {
                write(&mut writer, batch.drain(..))?;
                Ok((writer, batch))
            })
            .await?;
            (bytes, write_at) = (0, None);
        }
        if seal_at.is_some_and(|at| at <= now) && batch.is_empty() {
            writer = elsewhere(move || writer.seal().map(|()| writer)).await?;
            stamps.sealed(writer.sealed());
            syncing.begin(writer.output().handle()).await.map_err(TrailError::Write)?;
            (flush_at, seal_at) = (None, None);
        }
        if flush_at.is_some_and(|at| at <= now) && batch.is_empty() {
            writer = flush(writer).await?;
            syncing.begin(writer.output().handle()).await.map_err(TrailError::Write)?;
            flush_at = None;
        }
        let before = batch.len();
        let next = write_at.or(flush_at).or(seal_at);
        let received = tokio::select! {
            biased;
            received = messages.recv_many(&mut batch, QUEUE) => received,
            () = until(next) => continue,
            taken = syncing.done() => {
                taken.map_err(TrailError::Write)?;
                continue;
            }
            stamp = stamps.answer() => {
                if let Some(stamp) = stamp {
                    writer = elsewhere(move || writer.timestamp(&stamp).map(|()| writer)).await?;
                    flush_at.get_or_insert_with(|| Deadline::now() + FLUSH_EVERY);
                    seal_at.get_or_insert_with(|| Deadline::now() + SEAL_EVERY);
                }
                continue;
            }
        };
        if received == 0 {
            return abandon(writer, syncing).await;
        }
        let new = batch.get(before..).unwrap_or_default();
        if new.iter().any(|message| matches!(message, Message::Finish { .. })) {
            return finish(Trail { writer, syncing, stamps }, batch).await;
        }
        stamps.note();
        bytes += new.iter().map(size).sum::<usize>();
        if bytes < SMALL && writer.buffered() < SMALL {
            write(&mut writer, batch.drain(..))?;
            bytes = 0;
        } else {
            write_at.get_or_insert_with(|| Deadline::now() + LINGER);
        }
        // Also when nothing is buffered: a flush gives back the memory of the writer's buffer.
        flush_at.get_or_insert_with(|| Deadline::now() + FLUSH_EVERY);
        seal_at.get_or_insert_with(|| Deadline::now() + SEAL_EVERY);
    }
}

type Deadline = tokio::time::Instant;

/// Never, where nothing is to be done.
async fn until(at: Option<Deadline>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The session is gone, and nobody has written its end.
async fn abandon(mut writer: FileWriter, mut syncing: Syncing) -> Result<(), TrailError> {
    let taken = syncing.settle().await;
    elsewhere(move || {
        writer.seal()?;
        taken.and_then(|()| writer.output().sync()).map_err(TrailError::Write)
    })
    .await
}

async fn flush(mut writer: FileWriter) -> Result<FileWriter, TrailError> {
    elsewhere(move || writer.flush().map(|()| writer)).await
}

fn size(message: &Message) -> usize {
    match message {
        Message::Data { bytes, .. } => bytes.len(),
        Message::Event { event, .. } => text_bytes(event),
        Message::Finish { .. } => 0,
    }
}

/// The bytes of an event that a peer can make long.
fn text_bytes(event: &Event<'_>) -> usize {
    match event {
        Event::Open { command, terminal, .. } => {
            command.as_ref().map_or(0, |command| command.len())
                + terminal.as_ref().map_or(0, |terminal| terminal.term.len())
        }
        Event::Env { name, value, .. } => name.len() + value.len(),
        Event::Data { bytes, .. } => bytes.len(),
        Event::File { file, .. } => file.path.len() + file.other.as_ref().map_or(0, |other| other.len()),
        Event::Exit { status: ExitStatus::Signal { message, .. }, .. } => message.len(),
        Event::Exit { status: ExitStatus::Code(_), .. }
        | Event::Window { .. }
        | Event::Signal { .. }
        | Event::Eof { .. }
        | Event::Close { .. } => 0,
    }
}

fn write(writer: &mut FileWriter, messages: impl Iterator<Item = Message>) -> Result<(), TrailError> {
    for message in messages {
        match message {
            Message::Data { at, channel, direction, stream, bytes, space } => {
                let bytes = Cow::Borrowed(&*bytes);
                writer.write(at, &Event::Data { channel, direction, stream, bytes })?;
                drop(space);
            }
            Message::Event { at, event, space } => {
                writer.write(at, &event)?;
                drop(space);
            }
            // Only `finish` sees it.
            Message::Finish { .. } => {}
        }
    }
    Ok(())
}

/// Writes what came before the end, and the end. What a relay sends after it finds the recording gone.
async fn finish(trail: Trail, mut batch: Vec<Message>) -> Result<(), TrailError> {
    let Trail { mut writer, mut syncing, stamps } = trail;
    let is_finish = |message: &Message| matches!(message, Message::Finish { .. });
    let Some(place) = batch.iter().position(is_finish) else { return Ok(()) };
    batch.truncate(place + 1);
    let Some(Message::Finish { at, end, done }) = batch.pop() else { return Ok(()) };
    let taken = syncing.settle().await;
    let written = elsewhere(move || {
        write(&mut writer, batch.into_iter())?;
        let finished = writer.end(at, &end)?;
        // A finished recording is evidence, so it outlives a power cut. What the disk did not take before, it says once.
        taken.and_then(|()| finished.output().sync()).map_err(TrailError::Write)?;
        Ok(finished)
    })
    .await;
    // The settling task reports it; nobody else waits any more.
    match written {
        Ok(finished) if stamps.are_wanted() => {
            let (closed, extent) = oneshot::channel();
            let _ = done.send(Ok(Ended::Stamping(extent)));
            let _ = closed.send(stamps.put_behind(finished).await);
        }
        Ok(finished) => _ = done.send(Ok(Ended::Closed(finished.extent()))),
        Err(error) => _ = done.send(Err(error)),
    }
    Ok(())
}
