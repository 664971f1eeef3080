//! The task that writes a recording.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyward_trail::{Event, ExitStatus, TrailError, TrailFile, Writer};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::activity::{Activity, EndCause};
use crate::echo::Keys;
use crate::finding::Feed;
use crate::grace::{Grace, LATE};
use crate::recorder::{Message, QUEUE};
use crate::stamps::{Ended, Stamps};
use crate::sync::{Syncing, elsewhere};
use crate::unseen::Unseen;

/// Nothing stays unwritten for longer than this. The disk has the rest of a second to take it.
const FLUSH_EVERY: Duration = Duration::from_millis(700);
/// Nothing stays unsigned for longer than this.
const SEAL_EVERY: Duration = Duration::from_secs(10);
/// Batches below this are only copied into the writer's buffer; more is compressed and written elsewhere,
const SMALL: usize = 16 * 1024;
/// which costs two thread switches, so a batch waits until it is worth them,
const LARGE: usize = 256 * 1024;
/// but not for longer than this.
const LINGER: Duration = Duration::from_millis(10);

pub(crate) type FileWriter = Writer<TrailFile>;

/// What the task owns.
pub(crate) struct Trail {
    writer: FileWriter,
    disk: Disk,
    stamps: Stamps,
    /// What finds lines in it for the index, where the audit policy has that.
    feed: Option<Arc<Feed>>,
}

impl Trail {
    /// Of a recording at `path` that was just made.
    pub(crate) fn new(
        writer: FileWriter,
        path: &Path,
        grace: Grace,
        stamps: Stamps,
        feed: Option<Arc<Feed>>,
    ) -> Self {
        Self { writer, disk: Disk { syncing: Syncing::new(path), grace }, stamps, feed }
    }
}

/// What is between the writer and the disk.
#[derive(Debug)]
struct Disk {
    syncing: Syncing,
    grace: Grace,
}

impl Disk {
    /// Has the disk take what was flushed, behind what it was asked before.
    async fn take(&mut self, writer: &FileWriter) -> Result<(), TrailError> {
        let begun = self.syncing.begin(writer.output().handle());
        self.grace.given(begun).await.map_err(TrailError::Write)
    }

    /// Works where nothing is relayed: disk and compression take their time.
    async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, TrailError> + Send + 'static,
    ) -> Result<T, TrailError> {
        self.grace.given(elsewhere(work)).await
    }
}

/// The name of a recording below the place of recordings, by the unique part of its session's id: `<two
/// characters>/<unique part>.trail`. So no folder grows without bound.
pub fn trail_name(unique: &str) -> String {
    let folder = unique.get(unique.len().saturating_sub(2)..).unwrap_or(unique);
    format!("{folder}/{unique}.trail")
}

/// Owns the writer until the end. Dies, and with it the session, at the first error.
pub(crate) async fn record_until_the_end(
    trail: Trail,
    mut messages: mpsc::Receiver<Message>,
    activity: Arc<Activity>,
    _held_while_late: AbortOnDropHandle<()>,
) {
    if let Err(error) = record(trail, &mut messages).await {
        tracing::error!(error = %crate::end::chain(&error), "recording failed: the session ends");
        activity.end(EndCause::Recording(error.to_string()));
    }
}

async fn record(trail: Trail, messages: &mut mpsc::Receiver<Message>) -> Result<(), TrailError> {
    let Trail { mut writer, mut disk, mut stamps, feed } = trail;
    let (mut incoming, mut batch, mut unseen) = (Vec::new(), Vec::new(), Unseen::default());
    // Of the batch: its bytes, and how many of its messages these are of.
    let (mut bytes, mut counted) = (0, 0);
    // When the batch must be written, and when what was written must be flushed, and signed.
    let (mut write_at, mut flush_at, mut seal_at): (Option<Deadline>, Option<Deadline>, Option<Deadline>) =
        (None, None, None);
    // When the disk should have taken what was flushed last.
    let mut late_at: Option<Deadline> = None;
    loop {
        let now = Deadline::now();
        if late_at.is_some_and(|at| at <= now) {
            disk.grace.overdue(disk.syncing.settle()).await.map_err(TrailError::Write)?;
            late_at = None;
        }
        unseen.expire(now, &mut batch);
        bytes += batch.iter().skip(counted).map(size).sum::<usize>();
        if bytes < SMALL && writer.buffered() < SMALL {
            write(&mut writer, feed.as_deref(), batch.drain(..))?;
            (bytes, write_at) = (0, None);
        } else if !batch.is_empty() {
            write_at.get_or_insert_with(|| now + LINGER);
        }
        counted = batch.len();
        if write_at.is_some_and(|at| at <= now) || bytes >= LARGE {
            let fed = feed.clone();
            let work = move || {
                write(&mut writer, fed.as_deref(), batch.drain(..))?;
                Ok((writer, batch))
            };
            (writer, batch) = disk.elsewhere(work).await?;
            (bytes, counted, write_at) = (0, 0, None);
        }
        let is_signed = seal_at.is_some_and(|at| at <= now);
        if (is_signed || flush_at.is_some_and(|at| at <= now)) && batch.is_empty() {
            let work = move || if is_signed { writer.seal() } else { writer.flush() }.map(|()| writer);
            writer = disk.elsewhere(work).await?;
            if is_signed {
                stamps.sealed(writer.sealed());
            }
            disk.take(&writer).await?;
            // Keys that wait are counted from when they came.
            flush_at = unseen.since().map(|since| since + FLUSH_EVERY);
            late_at = Some(Deadline::now() + LATE);
            seal_at = seal_at.filter(|_| !is_signed);
        }
        let next = write_at.or(flush_at).or(seal_at);
        let received = tokio::select! {
            biased;
            received = messages.recv_many(&mut incoming, QUEUE) => received,
            () = until(next) => continue,
            taken = disk.syncing.done() => {
                taken.map_err(TrailError::Write)?;
                late_at = None;
                continue;
            }
            () = until(late_at) => continue,
            () = until(unseen.deadline()) => continue,
            stamp = stamps.answer() => {
                if let Some(stamp) = stamp {
                    writer = disk.elsewhere(move || writer.timestamp(&stamp).map(|()| writer)).await?;
                    flush_at.get_or_insert_with(|| Deadline::now() + FLUSH_EVERY);
                    seal_at.get_or_insert_with(|| Deadline::now() + SEAL_EVERY);
                }
                continue;
            }
        };
        if received == 0 {
            unseen.give_up(&mut batch);
            return abandon(Trail { writer, disk, stamps, feed }, batch).await;
        }
        let now = Deadline::now();
        incoming.drain(..).for_each(|message| unseen.take(message, now, &mut batch));
        if batch.iter().skip(counted).any(|message| matches!(message, Message::Finish { .. })) {
            return finish(Trail { writer, disk, stamps, feed }, batch).await;
        }
        stamps.note();
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
async fn abandon(trail: Trail, batch: Vec<Message>) -> Result<(), TrailError> {
    let Trail { mut writer, mut disk, feed, .. } = trail;
    let taken = disk.syncing.settle().await;
    elsewhere(move || {
        write(&mut writer, feed.as_deref(), batch.into_iter())?;
        writer.seal()?;
        taken.and_then(|()| writer.output().sync()).map_err(TrailError::Write)
    })
    .await
}

fn size(message: &Message) -> usize {
    match message {
        Message::Data { bytes, .. } => bytes.len(),
        Message::Event { event, .. } => text_bytes(event),
        Message::Finish { .. } => 0,
    }
}

/// The bytes of an event that a peer can make long.
pub(crate) fn text_bytes(event: &Event<'_>) -> usize {
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
        | Event::Close { .. }
        | Event::Hidden { .. } => 0,
    }
}

fn write(
    writer: &mut FileWriter,
    feed: Option<&Feed>,
    messages: impl Iterator<Item = Message>,
) -> Result<(), TrailError> {
    for message in messages {
        match message {
            Message::Data { at, channel, direction, stream, bytes, keys, space } => {
                let event = Event::Data { channel, direction, stream, bytes: Cow::Borrowed(&*bytes) };
                match keys {
                    Keys::Shown => writer.write(at, &event)?,
                    Keys::Hidden { begins } => writer.write_hidden(at, channel, &bytes, begins)?,
                }
                // What was not shown is nobody's to find.
                if let (Some(feed), Keys::Shown) = (feed, keys) {
                    feed.data(at, channel, direction, stream, &bytes);
                }
                drop(space);
            }
            Message::Event { at, event, space } => {
                writer.write(at, &event)?;
                if let Some(feed) = feed {
                    feed.event(at, &event, text_bytes(&event));
                }
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
    let Trail { mut writer, mut disk, stamps, feed } = trail;
    let is_finish = |message: &Message| matches!(message, Message::Finish { .. });
    let Some(place) = batch.iter().position(is_finish) else { return Ok(()) };
    batch.truncate(place + 1);
    let Some(Message::Finish { at, end, done }) = batch.pop() else { return Ok(()) };
    let taken = disk.syncing.settle().await;
    let written = elsewhere(move || {
        write(&mut writer, feed.as_deref(), batch.into_iter())?;
        let finished = writer.end(at, &end)?;
        // A finished recording is evidence, so it outlives a power cut. What the disk did not take before, it says once.
        taken.and_then(|()| finished.output().sync()).map_err(TrailError::Write)?;
        if let Some(feed) = feed {
            feed.finish();
        }
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
