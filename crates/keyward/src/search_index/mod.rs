//! The index that recordings are searched by: where it lies, and what of a session goes into it.

mod live;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use keyward_search::{EncryptedDirectory, IndexError, IndexKey, Indexer, Line, LineKind, SessionFacts};
use keyward_store::{SessionSummary, Store};
use keyward_trail::{ChannelId, Found, FoundKind};

use crate::data_dir::DataDir;

pub(crate) use live::LiveIndex;

/// The index of a gateway. There may be none yet.
pub(crate) fn directory(data: &Path, store: &Store) -> anyhow::Result<EncryptedDirectory> {
    let path = DataDir(data.to_owned()).search();
    let key = IndexKey::new(store.search_key());
    let opened = EncryptedDirectory::open(path.clone(), key);
    opened.with_context(|| format!("{} cannot be made", path.display()))
}

/// Another process, or another task of the gateway, writes for seconds as a rule.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Opens the index to write it, on a thread that may wait.
pub(crate) fn open(directory: &EncryptedDirectory) -> Result<Indexer, IndexError> {
    let begun = Instant::now();
    loop {
        match Indexer::open(directory.clone()) {
            Err(IndexError::LockFailure(..)) if begun.elapsed() < LOCK_PATIENCE => sleep(BETWEEN_TRIES),
            opened => return opened,
        }
    }
}

/// What went wrong with an index, and how to mend it.
pub(crate) fn failed(error: IndexError, data: &Path) -> anyhow::Error {
    let path = DataDir(data.to_owned()).search();
    let path = path.display();
    match error {
        IndexError::LockFailure(..) => {
            anyhow::anyhow!("another process writes the index of recordings in {path}: wait until it has ended")
        }
        error => anyhow::Error::new(error).context(format!(
            "the index of recordings in {path} cannot be used; it can be made again: remove that folder, and run \
             `keyward session index`"
        )),
    }
}

pub(crate) fn facts(session: &SessionSummary) -> SessionFacts {
    let users = [&session.gateway_user, &session.remote_user].into_iter().flatten().cloned().collect();
    let target = session.target.as_ref();
    let targets = target.map(|target| target.addr.ip().to_string());
    let targets = targets.into_iter().chain(target.and_then(|target| target.hostname.clone())).collect();
    let start = session.started.0.try_into().unwrap_or_default();
    SessionFacts { id: session.id.to_string(), start, users, targets }
}

/// What the gateway knows of a session, in a line.
pub(crate) fn about(session: &SessionSummary, metadata: Option<&str>) -> String {
    let target = session.target.as_ref().map(ToString::to_string);
    let mut about = format!(
        "{} session of {} as {} to {} from {} by connection {}",
        session.protocol,
        session.gateway_user.as_deref().unwrap_or("-"),
        session.remote_user.as_deref().unwrap_or("-"),
        target.as_deref().unwrap_or("-"),
        session.client,
        session.connection,
    );
    for (name, text) in
        [("login", session.login.as_deref()), ("reason", session.reason.as_deref()), ("metadata", metadata)]
    {
        if let Some(text) = text {
            about.push_str(&format!("; {name} {text}"));
        }
    }
    about
}

pub(crate) fn line(found: Found) -> Line {
    let Found { at, channel: ChannelId(channel), kind, text } = found;
    let kind = match kind {
        FoundKind::Command => LineKind::Command,
        FoundKind::Screen => LineKind::Screen,
        FoundKind::File => LineKind::File,
    };
    Line { at, channel, kind, text }
}

/// As [`forget_deleted`] does, where there is an index.
///
/// # Errors
/// As there: the next one who writes the index does it.
pub(crate) async fn forget_deleted_if_any(data: &Path, store: &Store) -> anyhow::Result<()> {
    if !DataDir(data.to_owned()).search().exists() {
        return Ok(());
    }
    let directory = directory(data, store)?;
    let indexer = tokio::task::spawn_blocking(move || open(&directory)).await?;
    forget_deleted(data, store, indexer.map_err(|error| failed(error, data))?).await.map(drop)
}

/// Takes the sessions out of the index whose recordings were deleted, and their text from the disk. How many there were.
///
/// # Errors
/// Another process writes the index, or it cannot be read or written.
pub(crate) async fn forget_deleted(
    data: &Path,
    store: &Store,
    mut indexer: Indexer,
) -> anyhow::Result<usize> {
    let mut forgotten = 0;
    for id in indexer.sessions().map_err(|error| failed(error, data))? {
        if !has_recording(store, &id).await? {
            indexer.remove(&id);
            forgotten += 1;
        }
    }
    let purged = tokio::task::spawn_blocking(move || {
        indexer.commit()?;
        indexer.purge()
    });
    purged.await?.map_err(|error| failed(error, data))?;
    Ok(forgotten)
}

/// Whether the ledger knows a recording of the session that nobody has deleted: of others nothing is told.
pub(crate) async fn has_recording(store: &Store, id: &str) -> anyhow::Result<bool> {
    let Ok(id) = id.to_owned().try_into() else { return Ok(false) };
    Ok(store.trail_of(&id).await?.is_some_and(|record| record.deletion.is_none()))
}
