//! Step 13: channels open, each checked against the channel policy, recorded where its rule says so.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use keyward_model::{ClientAddr, SessionId, TargetAddr};
use keyward_policy::{
    AuditPolicy, ChannelDecision, ChannelQuery, Connection, FileRules, Indexing, KeyLimits,
};
use keyward_store::{ClosedTrail, SessionFacts};
use keyward_trail::{ChannelId, Event, Header, Protection, TrailError, Writer};
use tokio_util::task::AbortOnDropHandle;

use crate::activity::{Activity, EndCause, supervise};
use crate::channel_request::{ChannelRefused, ChannelRequest};
use crate::content::Opened;
use crate::core::{Core, Ending};
use crate::end::{chain, ending};
use crate::finding::{Feed, LineSink};
use crate::gateway::Shared;
use crate::identify::Person;
use crate::recorder::{Recorder, RecorderGone, Tap};
use crate::recording::trail_name;
use crate::stamps::Stamps;
use crate::{Connected, Ended, Reason, Stop};

/// The gateway is logged in on the target. Dropping it ends the session.
#[derive(Debug)]
pub struct LoggedIn {
    core: Box<Core>,
    channels: Channels,
    _supervisor: AbortOnDropHandle<()>,
}

/// Opens channels; cheap to clone into the tasks that serve them.
#[derive(Clone, Debug)]
pub struct Channels {
    pub(crate) open: Arc<Open>,
}

#[derive(Debug)]
pub(crate) struct Open {
    shared: Arc<Shared>,
    pub(crate) id: SessionId,
    connection: Arc<Connection>,
    pub(crate) client: ClientAddr,
    groups: Vec<String>,
    /// Of the key or the certificate that the person has used.
    limits: KeyLimits,
    remote_user: String,
    pub(crate) target: TargetAddr,
    pub(crate) activity: Arc<Activity>,
    stop: Stop,
    numbers: AtomicU32,
    /// What content rules have found, in all channels.
    pub(crate) findings: AtomicU32,
    /// `None` when no rule of the channel policy records.
    recorder: Option<Recorder>,
}

impl LoggedIn {
    /// Begins the recording, fail closed: a session that cannot be recorded does not open.
    pub(crate) async fn open(stage: Connected) -> Result<Self, Ended> {
        let Connected { mut core, person, remote_user, target, .. } = stage;
        if let Some(places) = &mut core.places {
            places.logged_in();
        }
        let activity = Activity::new();
        if core.is_recorded() {
            match record(&core, &person, &remote_user, &target, &activity).await {
                Ok(recorder) => core.recorder = Some(recorder),
                Err(reason) => return Err(core.end(&reason)),
            }
        }
        // Not before: the deadline may still drop what is above.
        core.log_in_by = None;
        let open = Open {
            shared: Arc::clone(&core.shared),
            id: core.id.clone(),
            connection: Arc::clone(&core.connection),
            client: core.client,
            groups: person.groups.unwrap_or_default(),
            limits: std::mem::take(&mut core.limits),
            remote_user,
            target,
            activity,
            stop: core.stop.clone(),
            numbers: AtomicU32::new(0),
            findings: AtomicU32::new(0),
            recorder: core.recorder.clone(),
        };
        tracing::info!(session = %core.id, client = %core.client, target = %open.target, "logged in on the target");
        let channels = Channels { open: Arc::new(open) };
        let (watch, activity) = (watch(Arc::clone(&channels.open)), Arc::clone(&channels.open.activity));
        let supervisor = AbortOnDropHandle::new(match &core.hop_place {
            Some(place) => tokio::spawn(place.watch(activity, watch)),
            None => tokio::spawn(watch),
        });
        Ok(Self { core, channels, _supervisor: supervisor })
    }

    pub fn id(&self) -> &SessionId {
        &self.core.id
    }

    pub fn channels(&self) -> Channels {
        self.channels.clone()
    }

    /// Ends the session and says how it came, in words for the record.
    pub fn end(mut self, why: &str) {
        self.core.ending = Some(self.ending(why));
    }

    fn ending(&self, why: &str) -> Ending {
        ending(self.channels.open.activity.ended(), why)
    }
}

impl Drop for LoggedIn {
    fn drop(&mut self) {
        if self.core.ending.is_none() {
            self.core.ending = Some(self.ending("the client closed the connection"));
        }
        self.channels.open.activity.end(EndCause::Closed);
    }
}

async fn watch(open: Arc<Open>) {
    supervise(&open.activity, &open.connection.settings, &open.stop, || false).await;
}

async fn record(
    core: &Core,
    person: &Person,
    remote_user: &str,
    target: &TargetAddr,
    activity: &Arc<Activity>,
) -> Result<Recorder, Reason> {
    let failed = |error: &dyn std::error::Error| Reason::Recording(chain(error));
    let header = Header {
        session: core.id.clone(),
        protocol: core.connection.protocol,
        connection: core.connection.name.clone(),
        client: core.client,
        started: SystemTime::now().into(),
        gateway_user: person.user.clone(),
        remote_user: remote_user.to_owned(),
        target: target.clone(),
    };
    core.shared.off_site.check().map_err(|late| failed(&late))?;
    let name = trail_name(core.id.unique());
    let path = core.shared.trails.join(&name);
    let signer = core.shared.signer.verifying_key().to_string();
    let facts = SessionFacts { trail: Some(name), trail_signer: Some(signer), ..SessionFacts::default() };
    core.shared.store.update_session(&core.id, &facts).await?;
    let (activity, protection) = (Arc::clone(activity), protection(core));
    let (feed, runtime) = (feed(core), core.shared.settling.runtime().clone());
    let off_site = core.shared.off_site.clone();
    let stamps = Stamps::of(&core.shared.authorities, core.connection.audit.as_deref());
    // The runtime's handle goes along: the recorder's task is spawned where its file was made.
    let started = tokio::task::spawn_blocking(move || {
        let make = |folder: &Path| {
            let failed = |source| TrailError::Create { path: folder.to_owned(), source };
            std::fs::create_dir_all(folder).map_err(failed)
        };
        path.parent().map_or(Ok(()), make)?;
        let writer = Writer::create(&path, &header, &protection);
        let writer = writer?;
        let feed = feed.map(|(session, sink)| Feed::start(session, sink, &runtime));
        Ok::<_, TrailError>(Recorder::start(writer, &path, activity, stamps, off_site, feed))
    });
    let reason = match started.await {
        Ok(Ok(recorder)) => return Ok(recorder),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    };
    // So that nobody looks for it later.
    let closed = ClosedTrail { end: format!("{}: {reason}", ClosedTrail::NOT_BEGUN), last: None };
    core.shared.store.close_trail(&core.id, &closed).await?;
    Err(reason)
}

/// Where lines of the session go, where its audit policy has them indexed as they are recorded.
fn feed(core: &Core) -> Option<(SessionId, Arc<dyn LineSink>)> {
    let audit = core.connection.audit.as_deref()?;
    let sink = core.shared.lines.as_ref().filter(|_| audit.index == Indexing::AsRecorded)?;
    Some((core.id.clone(), Arc::clone(sink)))
}

/// The node's key signs every recording; the audit policy says who may read it.
fn protection(core: &Core) -> Protection {
    let signed = Protection::signed(Arc::clone(&core.shared.signer));
    match core.connection.audit.as_deref() {
        Some(AuditPolicy { shown, typed, hidden_input, .. }) => Protection {
            shown: shown.clone(),
            typed: typed.clone(),
            hidden_input: hidden_input.clone(),
            ..signed
        },
        None => signed,
    }
}

impl Channels {
    /// Decides on a channel at the moment of its opening, and begins its recording.
    pub async fn open(&self, request: &ChannelRequest) -> Result<Opened, ChannelRefused> {
        let open = &self.open;
        if open.activity.ended().is_some() {
            return Err(ChannelRefused::Over);
        }
        let ChannelDecision::Allow(rule) = open.decide(request) else {
            return Err(self.refused(request).await?);
        };
        let number = ChannelId(open.numbers.fetch_add(1, Ordering::Relaxed));
        let tap = match (rule.record, &open.recorder) {
            (true, Some(recorder)) => recorder.tap(number, Arc::clone(&open.activity)),
            // A rule that records implies a recorder; without one the channel stays shut.
            (true, None) => return Err(ChannelRefused::Over),
            (false, _) => Tap::unrecorded(number, Arc::clone(&open.activity)),
        };
        let judge = Box::pin(self.judge(request, number, rule.content.as_ref())).await?;
        self.note(&format!("{} opened as channel {}", request.named(), number.0)).await?;
        let opened = Event::Open {
            channel: number,
            kind: request.kind.as_str().into(),
            command: request.subject.recorded().map(Cow::Owned),
            terminal: request.terminal.clone(),
        };
        tap.event(opened).await.map_err(|_| ChannelRefused::Over)?;
        Ok(Opened { tap, judge })
    }

    /// Decides on something that opens no channel yet but lets the target open some later, each of which is judged again:
    /// to listen, to use the client's agent or its screen.
    pub async fn permit(&self, request: &ChannelRequest) -> Result<(), ChannelRefused> {
        if self.open.activity.ended().is_some() {
            return Err(ChannelRefused::Over);
        }
        match self.open.decide(request) {
            ChannelDecision::Allow(_) => self.note(&format!("{} allowed", request.named())).await,
            ChannelDecision::Refuse => Err(self.refused(request).await?),
        }
    }

    /// Waits until the recorder takes what one look at a socket may bring: whoever has read less than that before it
    /// fails has nothing on its way that is not recorded. Cancel-safe.
    pub async fn room_to_record(&self) -> Result<(), RecorderGone> {
        match &self.open.recorder {
            Some(recorder) => recorder.room().await,
            None => Ok(()),
        }
    }

    /// What may be done to files in a channel that [`open`](Self::open) has allowed.
    pub fn files(&self, request: &ChannelRequest) -> FileRules {
        self.open.connection.channels.files(&self.open.query(request))
    }

    /// Whether operations on files are judged in any channel at all.
    pub fn judge_files(&self) -> bool {
        self.open.connection.channels.rules.iter().any(|rule| rule.files.judge())
    }

    /// Notes what was done to a file. The recording has it too, so a ledger that cannot be written stops nobody.
    pub async fn note_files(&self, text: &str) {
        let _ = self.note(text).await;
    }

    /// What the key or the certificate of the log-in restricts, beside the channel policy.
    pub fn limits(&self) -> &KeyLimits {
        &self.open.limits
    }

    /// Notes that the certificate denies something that is no channel, or puts its own command in the place of another.
    pub async fn note_limit(&self, text: &str) -> Result<(), ChannelRefused> {
        self.note(text).await
    }

    async fn refused(&self, request: &ChannelRequest) -> Result<ChannelRefused, ChannelRefused> {
        let (by, refused) = if self.open.limits.allow_kind(request.kind) {
            ("the channel policy", ChannelRefused::Policy)
        } else {
            ("the certificate", ChannelRefused::Certificate)
        };
        self.note(&format!("{} refused by {by}", request.named())).await?;
        Ok(refused)
    }

    /// Notes that a kind of channel was refused which no rule could allow.
    pub async fn refuse(&self, what: &str) {
        // The channel stays shut whether or not the note could be written.
        let _ = self.note(&format!("{what} refused: not supported")).await;
    }

    /// Waits until the gateway ends the session. Cancel-safe.
    pub async fn over(&self) -> EndCause {
        self.open.activity.over().await
    }

    /// A decision that is not in the session's record is not made: a failing ledger closes the door.
    pub(crate) async fn note(&self, text: &str) -> Result<(), ChannelRefused> {
        let open = &self.open;
        open.shared.store.add_note(&open.id, SystemTime::now().into(), text).await.map_err(|error| {
            tracing::error!(session = %open.id, error = %chain(&error), "channel refused: the ledger cannot be written");
            ChannelRefused::Over
        })
    }
}

impl Open {
    fn decide(&self, request: &ChannelRequest) -> ChannelDecision<'_> {
        if !self.limits.allow_kind(request.kind) {
            return ChannelDecision::Refuse;
        }
        self.connection.channels.decide(&self.query(request))
    }

    fn query<'q>(&'q self, request: &'q ChannelRequest) -> ChannelQuery<'q> {
        ChannelQuery {
            kind: request.kind,
            client: self.client,
            target: &self.target,
            groups: &self.groups,
            remote_user: &self.remote_user,
            subject: request.subject.judged(),
            now: SystemTime::now(),
        }
    }
}
