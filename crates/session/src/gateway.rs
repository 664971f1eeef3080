//! The gateway as its sessions see it: policy, plugins, ledger, and the door (gateway section 1, steps 1 and 2).

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use keyward_model::{ClientAddr, InstanceName, LoginString, SessionId};
use keyward_policy::{Authentication, Connection, KeyLimits, Policy};
use keyward_store::{NewSession, Store, StoreError};
use keyward_trail::SigningKey;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::authority::Authorities;
use crate::core::Core;
use crate::finding::LineSink;
use crate::hidden::Hidden;
use crate::jump_host::Hop;
use crate::limits::Limits;
use crate::named::Named;
use crate::off_site::OffSite;
use crate::rehearsal::{Mapping, Script};
use crate::resolve::Resolver;
use crate::settle::Settling;
use crate::termination::{Stop, Stops};
use crate::version::Current;
use crate::{Ended, OldVersions, PluginVersion, Reason, Refused};

/// What a gateway is made of.
#[derive(Debug)]
pub struct GatewayParts {
    pub policy: Policy,
    pub store: Store,
    /// The plugin instances that the policy names. A session that needs one which is not here is refused.
    pub plugins: HashMap<InstanceName, PluginVersion>,
    pub old_versions: Arc<dyn OldVersions>,
    /// Where recordings are written.
    pub trails: PathBuf,
    /// What recordings are signed with.
    pub signer: Arc<SigningKey>,
    /// Takes the lines of sessions that are indexed as they are recorded; `None`: none is.
    pub lines: Option<Arc<dyn LineSink>>,
}

/// Takes connections and makes sessions of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// For sessions that begin; those that are there keep theirs.
    current: RwLock<Arc<Current>>,
    pub(crate) store: Store,
    pub(crate) old_versions: Arc<dyn OldVersions>,
    pub(crate) trails: PathBuf,
    pub(crate) signer: Arc<SigningKey>,
    /// Told to every session when the gateway stops.
    pub(crate) stopping: CancellationToken,
    pub(crate) settling: Settling,
    pub(crate) stops: Stops,
    pub(crate) authorities: Authorities,
    pub(crate) lines: Option<Arc<dyn LineSink>>,
    pub(crate) off_site: OffSite,
    limits: Limits,
    pub(crate) resolver: Resolver,
    /// Where the gateway rehearses.
    pub(crate) script: Option<Script>,
    /// Checks of passwords at one time: each takes a core and much memory.
    pub(crate) password_checks: Arc<Semaphore>,
    numbers: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the ledger cannot be read")]
    Ledger(#[from] StoreError),
    #[error("the folder for recordings cannot be made: {0}")]
    Trails(#[source] std::io::Error),
}

impl Gateway {
    /// Builds the gateway, and pays what an earlier run of it left owing: sessions without an end become
    /// `lost`, and their plugins hear `session_ended`.
    ///
    /// Must be called within a tokio runtime, which the gateway's own tasks then run on.
    pub async fn start(parts: GatewayParts) -> Result<Self, StartError> {
        Self::build(parts, None).await
    }

    /// A gateway for trying plugins: its sessions take the same stages, and [`Permit::rehearse`](crate::Permit::rehearse)
    /// in the place of a connection. Their ids count from one that is always the same.
    pub async fn rehearse(parts: GatewayParts, script: Script) -> Result<Self, StartError> {
        Self::build(parts, Some(script)).await
    }

    async fn build(parts: GatewayParts, script: Option<Script>) -> Result<Self, StartError> {
        let mut private = DirBuilder::new();
        private.recursive(true).mode(0o700).create(&parts.trails).map_err(StartError::Trails)?;
        let shared = Arc::new(Shared {
            limits: Limits::default(),
            resolver: Resolver::new(script.clone()),
            script,
            password_checks: Arc::new(Semaphore::new(processors())),
            current: RwLock::new(Arc::new(Current::new(Arc::new(parts.policy), parts.plugins))),
            store: parts.store,
            old_versions: parts.old_versions,
            trails: parts.trails,
            signer: parts.signer,
            lines: parts.lines,
            stopping: CancellationToken::new(),
            numbers: AtomicU64::new(0),
            settling: Settling::new(),
            stops: Stops::default(),
            authorities: Authorities::default(),
            off_site: OffSite::default(),
        });
        shared.recover().await?;
        shared.collect_debts();
        shared.take_orders();
        Ok(Self { shared })
    }

    /// What connections are judged by that come now.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.shared.current().policy)
    }

    /// The versions that sessions get which begin now.
    pub fn plugins(&self) -> HashMap<InstanceName, PluginVersion> {
        self.shared.current().plugins.clone()
    }

    /// Judges the connections to come by `policy`, with `plugins`, the instances that it names. Sessions that are there keep what they began with, and the versions that only they use keep no idle workers.
    pub fn replace(&self, policy: Arc<Policy>, plugins: HashMap<InstanceName, PluginVersion>) {
        let new = Arc::new(Current::new(policy, plugins));
        let old = {
            let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::clone(&new))
        };
        for (name, version) in &old.plugins {
            let stays = new.plugins.get(name).is_some_and(|now| now.instance.is(&version.instance));
            if !stays {
                version.instance.retire();
            }
        }
    }

    /// Where it is told how far recordings are in another place than the disk, if they have to be.
    pub fn off_site(&self) -> &OffSite {
        &self.shared.off_site
    }

    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Steps 1 and 2: the first connection policy that takes the client, and the limits.
    pub fn accept(&self, listener: SocketAddr, client: SocketAddr) -> Result<Accepted, Refused> {
        if self.shared.stopping.is_cancelled() {
            return Err(Refused::Stopping);
        }
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let current = self.shared.current();
        let connection = current.policy.connection_for(listener, client.ip()).ok_or(Refused::NoPolicy)?;
        Ok(Accepted { core: self.shared.enter(&current, connection, client)?, hop: None })
    }

    /// Cancelled when the gateway stops: listeners close and sessions end.
    pub fn stopping(&self) -> &CancellationToken {
        &self.shared.stopping
    }

    /// Tells every session to end, and waits until each has been settled, for `deadline` at most.
    /// What is still owed then is paid at the next start. Cancel-safe.
    pub async fn stop(&self, deadline: Duration) {
        self.shared.stopping.cancel();
        let settled = async {
            self.shared.limits.everyone_gone().await;
            self.shared.settling.finished().await;
        };
        if tokio::time::timeout(deadline, settled).await.is_err() {
            tracing::warn!(
                "sessions were open or being settled at the end of the drain time; what is owed is paid at the next start"
            );
        }
        self.shared.settling.close();
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A session id has no second chance to be unique, so a failing generator ends the process that relies on it.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    #[expect(
        clippy::expect_used,
        reason = "without the system's generator no id, nonce or key can be trusted"
    )]
    getrandom::fill(&mut bytes).expect("the system's random generator works");
    bytes
}

impl Shared {
    /// For the random part of a session's id, and other numbers that are not secret. What a rehearsal prints can be compared with the last time's.
    pub(crate) fn random(&self) -> [u8; 16] {
        if self.script.is_some() { [0; 16] } else { random() }
    }

    /// Step 2: a session, if there is a place for it.
    pub(crate) fn enter(
        self: &Arc<Self>,
        current: &Current,
        connection: &Arc<Connection>,
        client: SocketAddr,
    ) -> Result<Box<Core>, Refused> {
        let places = self.limits.admit(&current.policy, connection, client.ip())?;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let id = SessionId::new(self.random(), &connection.name, number);
        Ok(Box::new(Core {
            stop: self.stops.enter(&id, &self.stopping),
            id,
            connection: Arc::clone(connection),
            policy: Arc::clone(&current.policy),
            plugins: current.plugins_of(connection),
            directory: current.directory_of(connection),
            limits: KeyLimits::default(),
            client: ClientAddr(client),
            client_hostname: None,
            started_at: SystemTime::now().into(),
            session_cookie: Value::Object(serde_json::Map::new()),
            engaged: Vec::new(),
            unwritten: None,
            under_way: None,
            hidden: Hidden::default(),
            recorder: None,
            entered: false,
            ending: None,
            places: Some(places),
            hop_place: None,
            log_in_by: None,
            shared: Arc::clone(self),
        }))
    }

    /// Step 8: whether this gateway user may be `remote_user` on the target.
    pub(crate) fn mapping_allows(
        &self,
        connection: &Connection,
        gateway_user: Option<&str>,
        groups: &[String],
        remote_user: &str,
    ) -> bool {
        match self.script.as_ref().map(|script| script.mapping) {
            Some(Mapping::Anybody) => true,
            Some(Mapping::Policy) | None => connection.mapping_allows(gateway_user, groups, remote_user),
        }
    }

    /// What holds now. It may be replaced while the caller looks at it.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The version of today, or `own` where the policy of today has no such instance, or one of another type.
    pub(crate) fn newest(&self, name: &InstanceName, own: &PluginVersion) -> PluginVersion {
        let kind = own.instance.manifest().kind;
        let current = self.current();
        let newest = current.plugins.get(name).filter(|version| version.instance.manifest().kind == kind);
        newest.unwrap_or(own).clone()
    }
}

/// Step 1 and 2 are done: a connection policy has taken the client.
#[derive(Debug)]
pub struct Accepted {
    core: Box<Core>,
    /// `None`: the client connected to the gateway itself.
    hop: Option<Box<Hop>>,
}

impl Accepted {
    pub(crate) fn hop(core: Box<Core>, hop: Hop) -> Self {
        Self { core, hop: Some(Box::new(hop)) }
    }

    /// What the policy asks for as a proof of who it is that connects.
    pub fn authentication(&self) -> Option<&Authentication> {
        self.core.connection.authentication.as_ref().filter(|_| self.hop.is_none())
    }

    pub fn id(&self) -> &SessionId {
        &self.core.id
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.core.connection
    }

    /// Cancelled when the session is to end: the gateway stops, or somebody wants it.
    pub fn stop(&self) -> &Stop {
        &self.core.stop
    }

    /// Step 3: reads the login string, and enters the session into the ledger.
    ///
    /// The row is written here and not at the TCP accept, so that a port scan writes nothing.
    /// Not cancel-safe in one regard: a dropped call may leave a row that the settling ends.
    pub async fn name(mut self, login: &[u8]) -> Result<Named, Ended> {
        if self.core.calls_plugins() {
            let ip = self.core.client.0.ip();
            self.core.client_hostname = self.core.shared.resolver.name_of(ip).await;
        }
        let login = match &self.hop {
            Some(hop) => hop.login(login),
            None => crate::named::parse(&self.core.connection, login)
                .map_err(|error| Box::new(Reason::Login(error))),
        };
        let row = NewSession {
            id: self.core.id.clone(),
            protocol: self.core.connection.protocol,
            connection: self.core.connection.name.clone(),
            client: self.core.client,
            login: login.as_ref().ok().map(LoginString::without_values),
            jump_host: self.hop.as_ref().map(|hop| hop.jump_host.clone()),
            started: self.core.started_at,
        };
        self.core.entered = true;
        if let Err(error) = self.core.shared.store.begin_session(&row).await {
            return Err(self.core.end(&Reason::Ledger(error)));
        }
        // Before anything is asked of the person, of a plugin or of the target.
        if self.core.is_recorded()
            && let Err(late) = self.core.shared.off_site.check()
        {
            return Err(self.core.end(&Reason::Recording(late.to_string())));
        }
        match login {
            Ok(login) => Ok(Named::new(self.core, login, self.hop)),
            Err(reason) => Err(self.core.end(&reason)),
        }
    }
}
