//! The task that sends finished recordings to the object store, one after the other.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use keyward_model::{SessionId, UnixMillis};
use keyward_policy::ObjectStorePolicy;
use keyward_session::Gateway;
use keyward_store::{StoredObject, TheFile, TrailRecord};

use super::{ObjectStore, StoreFault, apart};
use crate::retention::{Found, Recordings, now};

/// Between two looks at the ledger.
const PERIOD: Duration = Duration::from_secs(2);
/// A store that is away is asked again after this, then after twice as long, up to [`MOST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const MOST_PAUSE: Duration = Duration::from_secs(120);

/// Starts the task, which follows the policy of the gateway: that may come to name a store, or another one. It ends when
/// the gateway stops; what was on its way then is sent again at the next start.
pub(crate) fn start_uploads(gateway: Gateway, recordings: Recordings) {
    tokio::spawn(async move {
        let stopping = gateway.stopping().clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = run(gateway, recordings) => {}
        }
    });
}

async fn run(gateway: Gateway, recordings: Recordings) {
    let mut uploader = Uploader { recordings, policy: None, store: None, told: HashSet::new(), failures: 0 };
    loop {
        let policy = gateway.policy().gateway.object_store.clone();
        let pause = match policy {
            None => PERIOD,
            Some(policy) => {
                uploader.follow(&policy);
                let worked = uploader.work(&policy).await;
                uploader.pause_after(worked)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

struct Uploader {
    recordings: Recordings,
    /// What the store is, or would be.
    policy: Option<Arc<ObjectStorePolicy>>,
    /// `None`: it was not reached yet.
    store: Option<ObjectStore>,
    /// Recordings that cannot be sent, which is told once.
    told: HashSet<SessionId>,
    /// In a row.
    failures: u32,
}

impl Uploader {
    /// Another policy may name another store, or be a corrected one.
    fn follow(&mut self, policy: &Arc<ObjectStorePolicy>) {
        if self.policy.as_ref().is_some_and(|known| Arc::ptr_eq(known, policy)) {
            return;
        }
        self.policy = Some(Arc::clone(policy));
        (self.store, self.failures) = (None, 0);
        self.told.clear();
    }

    /// How long to wait until the next time. An outage is told once, and so is its end.
    fn pause_after(&mut self, worked: anyhow::Result<()>) -> Duration {
        let Err(error) = worked else {
            if std::mem::take(&mut self.failures) > 0 {
                tracing::info!("recordings go to the object store again");
            }
            return PERIOD;
        };
        if self.failures == 0 {
            let error = format!("{error:#}");
            tracing::error!(
                error,
                "ALERT: recordings cannot be sent to the object store: they stay on the disk"
            );
        }
        self.failures = self.failures.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(7)).min(MOST_PAUSE);
        // Gateways that lost a store together do not come back together.
        let share = getrandom::u32().map_or(0, |random| random % 256);
        pause / 2 + pause / 512 * share
    }

    async fn work(&mut self, policy: &Arc<ObjectStorePolicy>) -> anyhow::Result<()> {
        let store = match &self.store {
            Some(store) if self.failures == 0 => store.clone(),
            Some(_) | None => {
                let store = ObjectStore::new(policy)?;
                let asked = store.clone();
                apart(move || asked.look()).await??;
                tracing::info!(store = store.name(), "finished recordings go to the object store");
                self.store = Some(store.clone());
                store
            }
        };
        let mut last: Option<(UnixMillis, SessionId)> = None;
        loop {
            let after = last.as_ref().map(|(ended, id)| (*ended, id));
            let page = self.recordings.store.trails_to_store(after).await?;
            let Some(record) = page.last() else { break };
            last = record.ended.map(|ended| (ended, record.session.clone()));
            for record in &page {
                self.send(&store, record).await?;
            }
            if last.is_none() {
                break;
            }
        }
        if let Some(term) = policy.keep_local_for {
            self.remove_files(&store, term).await?;
        }
        Ok(())
    }

    /// # Errors
    /// Those of the store. What is wrong with this recording alone is told, and others go on.
    async fn send(&mut self, store: &ObjectStore, record: &TrailRecord) -> anyhow::Result<()> {
        let session = &record.session;
        if self.told.contains(session) {
            return Ok(());
        }
        match self.recordings.look_at(record).await {
            Ok(Found::AsClosed(_)) => {}
            Ok(Found::Missing) => {
                self.tell(session, "its file is missing");
                return Ok(());
            }
            Ok(Found::Other(what)) => {
                self.tell(session, &what);
                return Ok(());
            }
            Err(error) => {
                self.tell(session, &format!("{error:#}"));
                return Ok(());
            }
        }
        let (path, name, asked) = (self.recordings.path(record)?, record.trail.clone(), store.clone());
        let sent = apart(move || asked.put(&name, &path, now())).await?;
        let object = match sent {
            Ok(object) => object,
            Err(fault @ StoreFault::NotTheSame(_)) => return Err(fault.into()),
            Err(fault) if fault.is_of_one() => {
                self.tell(session, &fault.to_string());
                return Ok(());
            }
            Err(fault) => return Err(fault.into()),
        };
        if self.recordings.store.note_stored(session, &object).await? {
            tracing::info!(%session, key = object.key, bytes = object.length, "recording is in the object store");
            return Ok(());
        }
        // Its deletion was decided while it was on its way.
        let asked = store.clone();
        Ok(apart(move || asked.delete(&object)).await??)
    }

    /// Files whose time on the disk is over go, once the store has said again that it has them.
    async fn remove_files(&mut self, store: &ObjectStore, term: Duration) -> anyhow::Result<()> {
        let term = i64::try_from(term.as_millis()).unwrap_or(i64::MAX);
        let before = UnixMillis(now().0.saturating_sub(term));
        let mut last: Option<(UnixMillis, SessionId)> = None;
        loop {
            let after = last.as_ref().map(|(stored, id)| (*stored, id));
            let page = self.recordings.store.files_to_go(before, after).await?;
            last =
                page.last().and_then(|record| Some((record.object.as_ref()?.stored, record.session.clone())));
            for record in &page {
                if let (false, Some(object)) = (self.told.contains(&record.session), &record.object) {
                    self.remove_file(store, record, object).await?;
                }
            }
            if last.is_none() {
                return Ok(());
            }
        }
    }

    async fn remove_file(
        &mut self,
        store: &ObjectStore,
        record: &TrailRecord,
        object: &StoredObject,
    ) -> anyhow::Result<()> {
        let (session, ledger) = (&record.session, self.recordings.store.clone());
        let (asked, of) = (store.clone(), object.clone());
        let there = match apart(move || asked.stat(&of)).await? {
            Err(fault) if fault.is_of_one() => {
                self.tell(session, &fault.to_string());
                return Ok(());
            }
            there => there?,
        };
        if there.is_none_or(|(length, etag)| length != object.length || etag != object.etag) {
            self.tell(session, "the object store has it no more as it was sent: its file stays on the disk");
            return Ok(());
        }
        ledger.note_file(session, TheFile::Going).await?;
        ledger.sync().await?;
        let path = self.recordings.path(record)?;
        match tokio::task::spawn_blocking(move || fs::remove_file(&path)).await? {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.tell(session, &format!("its file cannot be removed: {error}"));
                return Ok(());
            }
            Ok(()) | Err(_) => {}
        }
        ledger.note_file(session, TheFile::Gone).await?;
        tracing::info!(%session, "the file of a recording is removed: the object store has it");
        Ok(())
    }

    /// Once for each recording and policy.
    fn tell(&mut self, session: &SessionId, what: &str) {
        if self.told.insert(session.clone()) {
            tracing::error!(%session, what, "ALERT: a recording is not as it should be for the object store");
        }
    }
}
