//! Sessions that are indexed as they are recorded: their lines wait in memory for a few seconds, and go into the index
//! together.

use std::collections::HashMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyward_model::SessionId;
use keyward_search::{Coverage, IndexError, Indexer, SessionFacts};
use keyward_session::{LineSink, Lines};
use keyward_store::Store;
use keyward_trail::Found;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::{directory, facts, failed, line, open};

/// Between two times that the index is written.
const PERIOD: Duration = Duration::from_secs(5);
/// INVARIANT: the most text that waits, of all sessions; bytes.
const MOST_WAITING: usize = 64 * 1024 * 1024;
/// What a line counts for beside its text.
const LINE_BYTES: usize = 64;
/// A gateway that stops waits so long for what its last sessions have shown.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Takes the lines that sessions tell, and writes them into the index.
#[derive(Debug)]
pub(crate) struct LiveIndex {
    store: Store,
    data: PathBuf,
    waiting: Mutex<Waiting>,
    /// Something has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    sessions: HashMap<SessionId, Session>,
    /// Of the lines.
    bytes: usize,
    has_failed: bool,
}

#[derive(Debug, Default)]
struct Session {
    lines: Vec<Found>,
    /// Lines of it could not be kept.
    lacks: bool,
    ended: Option<Lines>,
}

/// What is to be written of a session.
struct Piece {
    facts: SessionFacts,
    lines: Vec<Found>,
    ended: Option<Coverage>,
}

impl LiveIndex {
    pub(crate) fn new(store: Store, data: &Path) -> Arc<Self> {
        let (waiting, ended) = (Mutex::default(), Notify::new());
        Arc::new(Self { store, data: data.to_owned(), waiting, ended })
    }

    /// Starts the task that writes.
    pub(crate) fn start(self: &Arc<Self>) {
        let index = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                sleep(PERIOD).await;
                index.write().await;
            }
        });
    }

    /// Writes what the last sessions have shown. All sessions have ended.
    pub(crate) async fn settle(&self) {
        let all = async {
            while self.waiting().sessions.values().any(|session| session.ended.is_none()) {
                self.ended.notified().await;
            }
            self.write().await;
        };
        if timeout(STOP_PATIENCE, all).await.is_err() {
            tracing::warn!(
                "not all that sessions have shown is in the index: `keyward session index` reads it anew"
            );
        }
    }

    async fn write(&self) {
        match self.try_write().await {
            Ok(()) => self.waiting().has_failed = false,
            Err(error) => {
                if !mem::replace(&mut self.waiting().has_failed, true) {
                    let error = format!("{error:#}");
                    tracing::error!(
                        error,
                        "ALERT: sessions are not indexed: `keyward session index` does it later"
                    );
                }
            }
        }
    }

    async fn try_write(&self) -> anyhow::Result<()> {
        if self.waiting().sessions.values().all(|session| session.lines.is_empty() && session.ended.is_none())
        {
            return Ok(());
        }
        let directory = directory(&self.data, &self.store)?;
        let indexer = match spawn_blocking(move || open(&directory)).await? {
            // Somebody indexes recordings: what waits can wait for that.
            Err(IndexError::LockFailure(..)) => return Ok(()),
            opened => opened.map_err(|error| failed(error, &self.data))?,
        };
        let taken = self.take();
        let ids: Vec<SessionId> = taken.iter().map(|(id, _)| id.clone()).collect();
        let written = self.write_into(indexer, taken).await;
        if written.is_err() {
            let mut waiting = self.waiting();
            for id in ids {
                if let Some(session) = waiting.sessions.get_mut(&id) {
                    session.lacks = true;
                }
            }
        }
        written
    }

    async fn write_into(&self, mut indexer: Indexer, taken: Vec<(SessionId, Session)>) -> anyhow::Result<()> {
        let mut pieces = Vec::new();
        for (id, Session { lines, lacks, ended }) in taken {
            let Some(session) = self.store.session(&id).await? else { continue };
            let ended = ended.map(|lines| match lines {
                Lines::All if !lacks => Coverage::Whole,
                Lines::All | Lines::Some => Coverage::Partly,
            });
            pieces.push(Piece { facts: facts(&session.summary), lines, ended });
        }
        let written = spawn_blocking(move || {
            for Piece { facts, lines, ended } in pieces {
                let mut session = indexer.more_of(facts);
                lines.into_iter().try_for_each(|found| session.add(line(found)))?;
                match ended {
                    Some(coverage) => session.end(coverage)?,
                    None => session.pause()?,
                }
            }
            indexer.commit()?;
            indexer.finish()
        });
        let written: Result<(), IndexError> = written.await?;
        written.map_err(|error| failed(error, &self.data))
    }

    /// What waits. A session that has not ended stays known, and whether lines of it are lacking.
    fn take(&self) -> Vec<(SessionId, Session)> {
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        let ids: Vec<SessionId> = waiting.sessions.keys().cloned().collect();
        let mut taken = Vec::new();
        for id in ids {
            let Some(session) = waiting.sessions.remove(&id) else { continue };
            let lacks = session.lacks;
            if session.ended.is_none() {
                let stays = Session { lacks, ..Session::default() };
                waiting.sessions.insert(id.clone(), stays);
                if session.lines.is_empty() {
                    continue;
                }
            }
            taken.push((id, session));
        }
        taken
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineSink for LiveIndex {
    fn begun(&self, session: &SessionId) {
        self.waiting().sessions.insert(session.clone(), Session::default());
    }

    fn found(&self, session: &SessionId, lines: Vec<Found>) {
        let mut waiting = self.waiting();
        let bytes: usize = lines.iter().map(|line| line.text.len() + LINE_BYTES).sum();
        let has_room = waiting.bytes + bytes <= MOST_WAITING;
        if has_room {
            waiting.bytes += bytes;
        }
        let Some(known) = waiting.sessions.get_mut(session) else { return };
        if has_room {
            known.lines.extend(lines);
        } else {
            known.lacks = true;
        }
    }

    fn ended(&self, session: &SessionId, lines: Lines) {
        if let Some(known) = self.waiting().sessions.get_mut(session) {
            known.ended = Some(lines);
        }
        self.ended.notify_one();
    }
}
