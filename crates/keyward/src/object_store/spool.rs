//! The task that sends what is newly recorded of running sessions to the object store, piece by piece. A machine that burns
//! takes no more of a recording with it than what came since the last piece.
//!
//! The pieces go once the store has the whole. This task alone sends and removes them, so that none is on its way while it
//! is removed; who deletes a recording removes its pieces as well.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyward_model::{SessionId, UnixMillis};
use keyward_policy::ObjectStorePolicy;
use keyward_session::{Gateway, OffSite};
use keyward_store::{TrailPart, TrailRecord};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::client::sha256;
use super::parts::{LONGEST, part_name};
use super::{ObjectStore, StoreFault, apart, object_of};
use crate::retention::{Recordings, now};

/// Between two looks at the policy.
const PERIOD: Duration = Duration::from_secs(2);
/// A store that has refused something is asked again after this at last.
const AGAIN: Duration = Duration::from_secs(2);
/// How many pieces of one recording are sent before the others have their turn.
const TURN: usize = 8;

/// Starts the task, which follows the policy of the gateway. It ends when the gateway stops.
pub(crate) fn start_spooling(gateway: Gateway, recordings: Recordings) {
    tokio::spawn(async move {
        let stopping = gateway.stopping().clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tell_of_lateness(gateway.off_site().clone()) => {}
            () = run(gateway, recordings) => {}
        }
    });
}

async fn run(gateway: Gateway, recordings: Recordings) {
    let mut spooler = Spooler::new(recordings);
    // The store has everything that was on the disk then.
    let mut taken = None;
    loop {
        let Some(policy) = gateway.policy().gateway.object_store.clone() else {
            gateway.off_site().is_not_needed();
            (taken, spooler.due) = (None, None);
            tokio::time::sleep(PERIOD).await;
            continue;
        };
        spooler.follow(&policy);
        // A store that is new gets as long as one that was there.
        require(&gateway, &policy, *taken.get_or_insert_with(Instant::now));
        if let Some(left) = spooler.due.map(|due| due.saturating_duration_since(Instant::now()))
            && !left.is_zero()
        {
            tokio::time::sleep(left.min(PERIOD)).await;
            continue;
        }
        let worked = spooler.work(&policy).await;
        if let Some(until) = spooler.after(worked, &policy) {
            taken = Some(until);
        }
    }
}

/// Has sessions wait, and end, where the store does not have everything of `until` in time.
fn require(gateway: &Gateway, policy: &ObjectStorePolicy, until: Instant) {
    match policy.unsent_at_most {
        Some(most) => gateway.off_site().has_all(until, most),
        None => gateway.off_site().is_not_needed(),
    }
}

async fn tell_of_lateness(off_site: OffSite) {
    loop {
        let late = off_site.late().await;
        tracing::error!("ALERT: {late}: recorded sessions are stopped, and new ones are refused");
        off_site.back().await;
        tracing::info!("the object store has what was recorded: sessions go on");
    }
}

/// Whether the store has what was on the disk when a round began: of all recordings, or of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    All,
    /// There is more than what is sent at once.
    Some,
}

struct Spooler {
    recordings: Recordings,
    /// Sessions that ended before are of an earlier run: the task that sends the whole looks after them.
    began: UnixMillis,
    store: Option<ObjectStore>,
    /// When the next round begins; `None`: now.
    due: Option<Instant>,
    /// When the round began that is not complete, and how many bytes the recordings had then.
    round: Option<Instant>,
    goals: HashMap<SessionId, u64>,
    /// Recordings that cannot be sent, which is told once.
    told: HashSet<SessionId>,
    has_failed: bool,
}

impl Spooler {
    fn new(recordings: Recordings) -> Self {
        Self {
            recordings,
            began: now(),
            store: None,
            due: None,
            round: None,
            goals: HashMap::new(),
            told: HashSet::new(),
            has_failed: false,
        }
    }

    /// Another policy may name another store, or be a corrected one.
    fn follow(&mut self, policy: &Arc<ObjectStorePolicy>) {
        if self.recordings.objects.as_ref().is_some_and(|known| Arc::ptr_eq(known, policy)) {
            return;
        }
        self.recordings.objects = Some(Arc::clone(policy));
        (self.store, self.due, self.round) = (None, None, None);
        self.told.clear();
    }

    /// The moment of which the store has everything, if it came so far. An outage is told once, and so is its end.
    fn after(&mut self, worked: anyhow::Result<Sent>, policy: &ObjectStorePolicy) -> Option<Instant> {
        match worked {
            Ok(Sent::Some) => None,
            Ok(Sent::All) => {
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!("running recordings go to the object store again");
                }
                let round = self.round.take();
                self.due = round.map(|begun| begun + policy.spool_every);
                round
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    let error = format!("{error:#}");
                    tracing::error!(
                        error,
                        "ALERT: running recordings cannot be sent to the object store: they are on the disk alone"
                    );
                }
                self.round = None;
                self.due = Some(Instant::now() + AGAIN.min(policy.spool_every));
                None
            }
        }
    }

    /// Begins a round, or goes on with it: each recording has its turn.
    async fn work(&mut self, policy: &Arc<ObjectStorePolicy>) -> anyhow::Result<Sent> {
        let store = match &self.store {
            Some(store) => store.clone(),
            None => self.store.insert(ObjectStore::new(policy)?).clone(),
        };
        if self.round.is_none() {
            self.round = Some(Instant::now());
            self.goals.clear();
            self.remove_parts().await?;
        }
        let (mut sent, mut after) = (Sent::All, String::new());
        loop {
            let page = self.recordings.store.trails_to_spool(self.began, &after).await?;
            let Some(last) = page.last() else { return Ok(sent) };
            after = last.session.as_str().to_owned();
            for record in &page {
                if self.send(&store, record).await? == Sent::Some {
                    sent = Sent::Some;
                }
            }
        }
    }

    /// # Errors
    /// Those of the store. What is wrong with this recording alone is told, and others go on.
    async fn send(&mut self, store: &ObjectStore, record: &TrailRecord) -> anyhow::Result<Sent> {
        let (session, path) = (&record.session, self.recordings.path(record)?);
        if self.told.contains(session) {
            return Ok(Sent::All);
        }
        let length = match tokio::fs::metadata(&path).await {
            Ok(file) => file.len(),
            // It is not made yet, or somebody else misses it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Sent::All),
            Err(error) => {
                self.tell(session, &format!("its file: {error}"));
                return Ok(Sent::All);
            }
        };
        let goal = *self.goals.entry(session.clone()).or_insert(length);
        let mut parts = self.recordings.store.trail_parts(session).await?;
        if parts.iter().any(|part| part.store != store.name()) {
            self.tell(
                session,
                "its pieces are in another object store: the whole follows when it is finished",
            );
            return Ok(Sent::All);
        }
        // What may not have arrived is sent once more, with what has come behind it.
        let arrived = parts.iter().take_while(|part| part.stored.is_some()).count();
        parts.truncate(arrived);
        let mut begin = parts.iter().map(|part| part.length).fold(0, u64::saturating_add);
        for number in (arrived + 1..).take(TURN) {
            if begin >= goal {
                break;
            }
            let bytes = match read(path.clone(), begin).await? {
                // Somebody has cut it: what verifies it says so.
                Ok(bytes) if bytes.is_empty() => return Ok(Sent::All),
                Ok(bytes) => bytes,
                Err(error) => {
                    self.tell(session, &format!("its file: {error}"));
                    return Ok(Sent::All);
                }
            };
            begin = begin.saturating_add(bytes.len() as u64);
            if !self.send_part(store, record, u32::try_from(number)?, bytes).await? {
                return Ok(Sent::All);
            }
        }
        Ok(if begin >= goal { Sent::All } else { Sent::Some })
    }

    /// `false`: it is not wanted any more.
    async fn send_part(
        &self,
        store: &ObjectStore,
        record: &TrailRecord,
        number: u32,
        bytes: Vec<u8>,
    ) -> anyhow::Result<bool> {
        let (ledger, session) = (&self.recordings.store, &record.session);
        let mut part = TrailPart {
            number,
            store: store.name(),
            key: store.key(&part_name(&record.trail, number)),
            version: None,
            length: bytes.len() as u64,
            sha256: sha256(&bytes),
            stored: None,
        };
        if !ledger.begin_part(session, &part).await? {
            return Ok(false);
        }
        let (asked, key) = (store.clone(), part.key.clone());
        part.version = apart(move || asked.put_part(&key, &bytes)).await??;
        if ledger.note_part(session, number, part.version.as_deref(), now()).await? {
            return Ok(true);
        }
        let (asked, object) = (store.clone(), object_of(&part));
        apart(move || asked.delete(&object)).await??;
        Ok(false)
    }

    /// Pieces of recordings that the store has as a whole go, and those of deleted ones which were on their way then.
    async fn remove_parts(&mut self) -> anyhow::Result<()> {
        let mut after = String::new();
        loop {
            let page = self.recordings.store.sessions_with_parts_to_go(&after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.as_str().to_owned();
            for session in &page {
                self.remove_parts_of(session).await?;
            }
        }
    }

    async fn remove_parts_of(&mut self, session: &SessionId) -> anyhow::Result<()> {
        let record = self.recordings.store.trail_of(session).await?;
        let parts = self.recordings.store.trail_parts(session).await?;
        let has = parts.iter().filter(|part| part.stored.is_some()).map(|part| part.length).sum::<u64>();
        // As when a power cut took from the disk what the store has.
        if let Some(whole) = record.and_then(|record| record.object.filter(|_| record.deletion.is_none()))
            && whole.length < has
        {
            let what = format!("its pieces have {has} bytes, and the whole has {}: they stay", whole.length);
            self.tell(session, &what);
            return Ok(());
        }
        match self.recordings.remove_parts(session).await {
            Ok(()) => Ok(()),
            Err(error) if error.downcast_ref::<StoreFault>().is_some_and(StoreFault::is_of_one) => {
                self.tell(session, &format!("its pieces cannot be removed: {error:#}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Once for each recording and policy.
    fn tell(&mut self, session: &SessionId, what: &str) {
        if self.told.insert(session.clone()) {
            tracing::error!(%session, what, "ALERT: pieces of a recording are not as they should be for the object store");
        }
    }
}

/// What a recording has behind `begin`, as much as a piece may have.
async fn read(path: PathBuf, begin: u64) -> anyhow::Result<io::Result<Vec<u8>>> {
    let read = move |path: &Path| {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Ok(spawn_blocking(move || read(&path)).await?)
}
