//! `keyward session index`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use keyward_policy::{Indexing, Policy};
use keyward_search::{Coverage, IndexError, Indexer, SessionFacts};
use keyward_store::{TheFile, TrailRecord};
use keyward_trail::{AuditorKey, Completeness, Ending, Finder, Reader, TrailError};
use tokio::task::spawn_blocking;

use super::session::find;
use super::trail::keys;
use super::{counted, load, open_to_look, shown};
use crate::args::IndexSessions;
use crate::data_dir::DataDir;
use crate::progress::Progress;
use crate::retention::Recordings;
use crate::search_index::{directory, facts, failed, forget_deleted, line, open};

/// Between two commits: what an interrupted run loses. Bytes of recordings.
const BETWEEN_COMMITS: u64 = 256 * 1024 * 1024;

/// What became of a recording.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Outcome {
    Indexed,
    Partly,
    /// The audit policy of its connection says so.
    Never,
    /// It takes an auditor's key.
    Locked,
    /// Only an object store has it.
    Away,
    Missing,
    Changed,
}

pub(super) async fn index(asked: &IndexSessions) -> anyhow::Result<ExitCode> {
    let policy = load(&asked.policy).await?;
    let store = open_to_look(&policy).await?;
    let data = policy.node.data_dir.clone();
    let (keys, only) = (keys::read(&asked.keys)?, asked.session.as_deref());
    let only = match only {
        Some(text) => Some(find(&store, text).await?),
        None => None,
    };
    let index = directory(&data, &store)?;
    let indexer = spawn_blocking(move || open(&index)).await?.map_err(|error| failed(error, &data))?;
    let recordings = Recordings { store, trails: DataDir(data.clone()).trails(), objects: None };
    let keys = Arc::new(keys);
    let mut run = Run {
        policy,
        recordings,
        data,
        keys,
        again: asked.again,
        outcomes: BTreeMap::new(),
        uncommitted: 0,
        seen: 0,
        read: 0,
        progress: Progress::begin(),
    };
    let indexer = match only {
        Some(id) => {
            let record = run.recordings.store.trail_of(&id).await?;
            let record = record.with_context(|| format!("session {id} has no recording"))?;
            run.one(indexer, &record).await?
        }
        None => run.all(indexer).await?,
    };
    let forgotten = forget_deleted(&run.data, &run.recordings.store, indexer).await?;
    if forgotten > 0 {
        println!("Left the index, since recordings were deleted: {}.", counted(forgotten, "session"));
    }
    Ok(run.report())
}

struct Run {
    policy: Policy,
    recordings: Recordings,
    data: PathBuf,
    keys: Arc<Vec<AuditorKey>>,
    again: bool,
    outcomes: BTreeMap<Outcome, u64>,
    /// Bytes.
    uncommitted: u64,
    /// Recordings that were looked at, and the bytes of those that were read.
    seen: u64,
    read: u64,
    progress: Progress,
}

impl Run {
    async fn all(&mut self, mut indexer: Indexer) -> anyhow::Result<Indexer> {
        let mut after = String::new();
        loop {
            let page = self.recordings.store.trails(&after).await?;
            let Some(last) = page.last() else { return Ok(indexer) };
            after.clone_from(&last.trail);
            for record in &page {
                indexer = self.one(indexer, record).await?;
            }
        }
    }

    /// Indexes a recording that is not there yet.
    async fn one(&mut self, indexer: Indexer, record: &TrailRecord) -> anyhow::Result<Indexer> {
        let id = record.session.to_string();
        self.seen += 1;
        let (seen, read) = (counted(self.seen, "recording"), self.read >> 20);
        self.progress.tell(format_args!("{seen} looked at, {read} MiB put into the index"));
        if record.is_open || record.deletion.is_some() {
            return Ok(indexer);
        }
        if self.policy.indexing_of(&record.connection) == Indexing::Never {
            *self.outcomes.entry(Outcome::Never).or_default() += 1;
            return Ok(indexer);
        }
        let there = indexer.coverage(&id).map_err(|error| failed(error, &self.data))?;
        if there == Some(Coverage::Whole) || there.is_some() && !self.again {
            return Ok(indexer);
        }
        let Some(session) = self.recordings.store.session(&record.session).await? else { return Ok(indexer) };
        let recording = Recording {
            facts: facts(&session.summary),
            path: self.recordings.path(record)?,
            signer: record.signer.clone(),
        };
        let (keys, mut indexer) = (Arc::clone(&self.keys), indexer);
        let indexing = spawn_blocking(move || (recording.index(&mut indexer, &keys), indexer));
        let (read, mut indexer) = indexing.await?;
        let outcome = match read {
            Ok(why) if why.is_empty() => Outcome::Indexed,
            Ok(why) => {
                self.say(record, &format!("is in the index in part: {}", why.join("; ")));
                Outcome::Partly
            }
            Err(Unread::Index(error)) => return Err(failed(error, &self.data)),
            Err(Unread::Changed(what)) => {
                self.say(record, &format!("is not in the index: {what}"));
                Outcome::Changed
            }
            Err(Unread::Trail(error)) => {
                let outcome = why_not(&error, record);
                // Where one is, hundreds may be.
                let is_usual = matches!(outcome, Outcome::Locked | Outcome::Away);
                if !is_usual || !self.outcomes.contains_key(&outcome) {
                    self.say(record, &format!("is not in the index: {:#}", anyhow::Error::new(error)));
                }
                outcome
            }
        };
        *self.outcomes.entry(outcome).or_default() += 1;
        let length =
            record.closed.as_ref().and_then(|closed| closed.last.as_ref()).map_or(0, |last| last.length);
        self.uncommitted += length;
        self.read += length;
        if self.uncommitted >= BETWEEN_COMMITS {
            self.uncommitted = 0;
            let committing = spawn_blocking(move || (indexer.commit(), indexer));
            let (committed, back) = committing.await?;
            committed.map_err(|error| failed(error, &self.data))?;
            indexer = back;
        }
        Ok(indexer)
    }

    fn say(&mut self, record: &TrailRecord, what: &str) {
        self.progress.wipe();
        let (trail, session) = (shown(&record.trail), &record.session);
        eprintln!("keyward: the recording {trail} of session {session} {}", shown(what));
    }

    fn report(&mut self) -> ExitCode {
        self.progress.wipe();
        let count = |outcome| self.outcomes.get(&outcome).copied().unwrap_or_default();
        let [indexed, partly, never, locked, away, missing, changed] = [
            Outcome::Indexed,
            Outcome::Partly,
            Outcome::Never,
            Outcome::Locked,
            Outcome::Away,
            Outcome::Missing,
            Outcome::Changed,
        ]
        .map(count);
        println!("Put into the index: {}, {partly} in part.", counted(indexed + partly, "recording"));
        for (count, what) in [
            (never, "Left out, as the audit policy of their connection says"),
            (locked, "Not in the index without the key of an auditor (give it with --key)"),
            (
                away,
                "Not in the index, as only the object store has them (`keyward session fetch-recording` fetches one)",
            ),
            (missing, "Not in the index, as they could not be read"),
            (
                changed,
                "Not in the index, as they are not what the gateway wrote (`keyward trail verify` says more)",
            ),
        ] {
            if count > 0 {
                println!("{what}: {}.", counted(count, "recording"));
            }
        }
        match (changed, locked + away + missing + partly) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(1),
            (_, _) => ExitCode::from(3),
        }
    }
}

/// A recording that is to be indexed.
struct Recording {
    facts: SessionFacts,
    path: PathBuf,
    /// Who should have signed it.
    signer: Option<String>,
}

enum Unread {
    Index(IndexError),
    Trail(TrailError),
    /// In words.
    Changed(String),
}

impl Recording {
    /// Whether all of it is in the index, and why not.
    fn index(self, indexer: &mut Indexer, keys: &[AuditorKey]) -> Result<Vec<String>, Unread> {
        let mut reader = Reader::open(&self.path, keys).map_err(Unread::Trail)?;
        let claimed = reader.signer().to_string();
        if self.signer.is_some_and(|signer| signer != claimed) {
            return Err(Unread::Changed(format!("it is signed by another key, {claimed}")));
        }
        let (mut finder, mut lines) = (Finder::default(), indexer.session(self.facts));
        let mut failed = None;
        let mut add = |found| {
            if failed.is_none() {
                failed = lines.add(line(found)).err();
            }
        };
        for event in &mut reader {
            let (at, event) = event.map_err(Unread::Trail)?;
            finder.take(at, &event, &mut add);
        }
        let complete = finder.end(&mut add);
        if let Some(error) = failed {
            return Err(Unread::Index(error));
        }
        let mut why: Vec<String> = reader.left_out().map(ToString::to_string).into_iter().collect();
        if complete == Completeness::TooMuchText {
            why.push("it shows more text than is kept of one recording".to_owned());
        }
        match reader.ending() {
            Some(Ending::Finished { .. }) => {}
            Some(Ending::Unfinished) | None => why.push("it has no end that is signed".to_owned()),
        }
        let coverage = if why.is_empty() { Coverage::Whole } else { Coverage::Partly };
        lines.end(coverage).map_err(Unread::Index)?;
        Ok(why)
    }
}

fn why_not(error: &TrailError, record: &TrailRecord) -> Outcome {
    match error {
        TrailError::Open { .. }
            if record.object.as_ref().is_some_and(|object| object.file != TheFile::Kept) =>
        {
            Outcome::Away
        }
        TrailError::NoKey { .. } | TrailError::WrongKey { .. } | TrailError::MoreKeys { .. } => {
            Outcome::Locked
        }
        TrailError::Open { .. } | TrailError::Read(_) => Outcome::Missing,
        _ => Outcome::Changed,
    }
}
