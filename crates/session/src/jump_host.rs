//! A jump host (`ssh -J`): a person has proven who they are, and each server that they go on to is a session of its own.
//!
//! The jump host's own session has a row, a verdict and notes of its hops. It calls no plugin, reaches no target and
//! records nothing: all of that belongs to the hops.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use keyward_model::{Grammar, KeyValuePairs, LoginString, Requested, SessionId, TargetMode};
use keyward_policy::{Inband, KeyPermission, Target};
use keyward_store::SessionFacts;
use tokio_util::task::AbortOnDropHandle;

use crate::activity::{Activity, EndCause, supervise};
use crate::core::Core;
use crate::end::{chain, ending};
use crate::proof::ProvenUser;
use crate::proof_age::ProofAge;
use crate::{Accepted, Ended, Named, Proof, Reason, Refused};

/// A person who may open hops. Dropping it ends its session, but not the hops.
#[derive(Debug)]
pub struct JumpHost {
    core: Box<Core>,
    person: ProvenUser,
    proof_age: ProofAge,
    pairs: KeyValuePairs,
    activity: Arc<Activity>,
    hops: Arc<AtomicUsize>,
    /// Why hops were refused so far: each reason is worth one note and one line in the log.
    noted: Vec<HopRefused>,
    _supervisor: AbortOnDropHandle<()>,
}

/// What a hop has from its jump host.
#[derive(Debug)]
pub(crate) struct Hop {
    pub(crate) jump_host: SessionId,
    server: Requested,
    pairs: KeyValuePairs,
    pub(crate) person: ProvenUser,
}

/// Held by a hop: a jump host with hops is not idle.
#[derive(Debug)]
pub(crate) struct HopPlace {
    activity: Arc<Activity>,
    hops: Arc<AtomicUsize>,
}

/// Why a hop was not opened. `Display` is for the record, and names nothing that the person does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HopRefused {
    #[error("this is no name and no address of a server")]
    NoServer,
    #[error("the certificate does not permit forwarding")]
    Certificate,
    #[error("the certificate has expired since the log-in")]
    Expired,
    #[error("the log-in is older than 12 hours")]
    Old,
    #[error("the policy of the gateway has changed: connect anew")]
    Changed,
    #[error(transparent)]
    Limit(#[from] Refused),
    #[error("the session has ended")]
    Over,
}

impl HopRefused {
    /// What the person is told.
    pub fn client_message(self) -> &'static str {
        match self {
            Self::NoServer => "this is no name and no address of a server",
            Self::Certificate => "your certificate does not permit forwarding",
            Self::Expired => "your certificate has expired: log in again",
            Self::Old => "your log-in is too old: log in again",
            Self::Changed => "the gateway's policy has changed: connect anew",
            Self::Limit(_) => "the gateway takes no more sessions at the moment",
            Self::Over => "the session was ended by the gateway",
        }
    }
}

impl Named {
    /// Whether the person is at a jump host: the policy has one here, and the login string names no server.
    pub fn is_at_jump_host(&self) -> bool {
        let has_one = matches!(&self.core.connection.target, Target::Inband(Inband { jump_host: true, .. }));
        has_one && self.login.server.is_none() && self.hop.is_none()
    }

    /// Lets the person in at the jump host.
    pub async fn jump_host(self, proof: Proof) -> Result<JumpHost, Ended> {
        let Self { mut core, login, .. } = self;
        let Some(person) = proof.user else {
            return Err(core.end(&Reason::Authentication("nobody has proven who they are".into())));
        };
        person.password.iter().for_each(|password| core.hidden.add(password));
        let facts = SessionFacts {
            gateway_user: Some(person.name.clone()),
            gateway_groups: Some(person.groups.clone()),
            ..SessionFacts::default()
        };
        if let Err(error) = core.shared.store.update_session(&core.id, &facts).await {
            return Err(core.end(&Reason::Ledger(error)));
        }
        if let Some(places) = &mut core.places {
            places.logged_in();
        }
        tracing::info!(session = %core.id, client = %core.client, "logged in on the jump host");
        Ok(JumpHost::of(core, person, login.pairs))
    }
}

impl JumpHost {
    fn of(core: Box<Core>, person: ProvenUser, pairs: KeyValuePairs) -> Self {
        let (activity, hops) = (Activity::new(), Arc::new(AtomicUsize::new(0)));
        let supervisor = {
            let (activity, hops) = (Arc::clone(&activity), Arc::clone(&hops));
            let (connection, stop) = (Arc::clone(&core.connection), core.stop.clone());
            tokio::spawn(async move {
                let is_used = || hops.load(Ordering::Relaxed) > 0;
                supervise(&activity, &connection.settings, &stop, is_used).await;
            })
        };
        let supervisor = AbortOnDropHandle::new(supervisor);
        let proof_age = ProofAge { proven: Instant::now(), valid_before: person.valid_before };
        Self { core, person, proof_age, pairs, activity, hops, noted: Vec::new(), _supervisor: supervisor }
    }

    /// Opens a session with the server that `host` and `port` name: steps 2 and on are its own, as for a client that
    /// connects. Who the person is has been proven.
    pub async fn hop(&mut self, host: &str, port: u16) -> Result<Accepted, HopRefused> {
        match self.accept(host, port) {
            Ok(accepted) => {
                let (host, id) = (Place(host, port), accepted.id());
                self.note(&format!("hop to {host} opened as session {id}")).await?;
                Ok(accepted)
            }
            Err(refused) => {
                if !self.noted.contains(&refused) {
                    self.noted.push(refused);
                    self.note_refused(Place(host, port), refused).await?;
                }
                Err(refused)
            }
        }
    }

    async fn note_refused(&self, host: Place<'_>, refused: HopRefused) -> Result<(), HopRefused> {
        tracing::info!(session = %self.core.id, client = %self.core.client, reason = %refused, "hop refused");
        self.note(&format!("hop to {host} refused: {refused}")).await
    }

    /// Notes that something else was asked for than a hop.
    pub async fn refuse(&self, what: &str) {
        // It is refused whether or not the note could be written.
        let _ = self.note(&format!("{what} refused: this is a jump host")).await;
    }

    /// Waits until the gateway ends the session. Cancel-safe.
    pub fn over(&self) -> impl Future<Output = EndCause> + use<> {
        let activity = Arc::clone(&self.activity);
        async move { activity.over().await }
    }

    /// Ends the session and says how it came, in words for the record.
    pub fn end(mut self, why: &str) {
        self.core.ending = Some(ending(self.activity.ended(), why));
    }

    fn accept(&self, host: &str, port: u16) -> Result<Accepted, HopRefused> {
        let core = &self.core;
        if self.activity.ended().is_some() {
            return Err(HopRefused::Over);
        }
        if !self.person.limits.allow(KeyPermission::Forwarding) {
            return Err(HopRefused::Certificate);
        }
        self.proof_age.check(Instant::now(), SystemTime::now())?;
        let server = Requested::new(host, port).ok_or(HopRefused::NoServer)?;
        let current = core.shared.current();
        // Who may do what was judged by the old one, and a new session is judged by the new one.
        if !Arc::ptr_eq(&current.policy, &core.policy) {
            return Err(HopRefused::Changed);
        }
        let mut hop = core.shared.enter(&current, &core.connection, core.client.0)?;
        self.hops.fetch_add(1, Ordering::Relaxed);
        hop.hop_place = Some(HopPlace { activity: Arc::clone(&self.activity), hops: Arc::clone(&self.hops) });
        let (pairs, person) = (self.pairs.clone(), self.person.clone());
        Ok(Accepted::hop(hop, Hop { jump_host: core.id.clone(), server, pairs, person }))
    }

    /// A hop is not opened when this fails. Of very many notes the ledger only keeps the count; the hop's own row names the
    /// jump host all the same.
    async fn note(&self, text: &str) -> Result<(), HopRefused> {
        let core = &self.core;
        core.shared.store.add_note(&core.id, SystemTime::now().into(), text).await.map_err(|error| {
            tracing::error!(session = %core.id, error = %chain(&error), "hop refused: the ledger cannot be written");
            HopRefused::Over
        })
    }
}

impl Drop for JumpHost {
    fn drop(&mut self) {
        if self.core.ending.is_none() {
            self.core.ending = Some(ending(self.activity.ended(), "the client closed the connection"));
        }
    }
}

impl HopPlace {
    /// Why the gateway has ended the jump host's session, if it has.
    pub(crate) fn ended(&self) -> Option<EndCause> {
        self.activity.ended()
    }

    /// Ends the hop with its jump host, and for the same cause, unless what `watch`es it has done so before.
    pub(crate) fn watch<W: Future<Output = ()>>(
        &self,
        hop: Arc<Activity>,
        watch: W,
    ) -> impl Future<Output = ()> + use<W> {
        let jump_host = Arc::clone(&self.activity);
        async move {
            tokio::select! {
                () = watch => {}
                cause = jump_host.over() => hop.end(cause),
            }
        }
    }
}

impl Drop for HopPlace {
    fn drop(&mut self) {
        self.activity.user_passed();
        self.hops.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hop {
    /// Reads what the client calls its user at the server: pairs and the remote user. The server is the channel's, the
    /// gateway user is the jump host's, and pairs that the jump host was given hold here too.
    pub(crate) fn login(&self, text: &[u8]) -> Result<LoginString, Box<Reason>> {
        let LoginString { pairs: own, user, .. } =
            LoginString::parse(text, Grammar::Terminal, TargetMode::Fixed)
                .map_err(|error| Box::new(Reason::Login(error)))?;
        let own_user = own.get("gu").is_some_and(|user| user != self.person.name);
        if own_user {
            let why = "the login string names another gateway user than the jump host knows";
            return Err(Box::new(Reason::Authentication(why.into())));
        }
        let mut pairs = self.pairs.clone();
        own.iter().for_each(|(key, value)| pairs.insert(key.to_owned(), value.to_owned()));
        Ok(LoginString { pairs, user, domain: None, server: Some(self.server.clone()) })
    }
}

/// For a note: what a client wrote cannot make a line of its own.
struct Place<'a>(&'a str, u16);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(host, port) = self;
        match host.contains(':') {
            true => write!(f, "[{}]:{port}", host.escape_debug()),
            false => write!(f, "{}:{port}", host.escape_debug()),
        }
    }
}
