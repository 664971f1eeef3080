//! Steps 10 to 12: the permit is spent on a connection, the target proves itself, the gateway logs in.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use keyward_model::{Secret, TargetAddr};
use keyward_policy::{Connection, CredentialSource, LogInMeans};
use keyward_store::Role;
use tokio::net::TcpStream;

use crate::certificate::{self, CertificateOrder};
use crate::core::Core;
use crate::credentials::{self, OfferedKey, TotpCode, Wanted};
use crate::host_key::{self, KnownHostKeys, ShownHostKey};
use crate::identify::Person;
use crate::{Conversation, Echo, Ended, HostKeyProblem, Located, LoggedIn, Question, Reason};

/// The permission to connect to one target as one user: everything before step 10 has been passed.
///
/// Nothing outside this crate can make one, and [`Permit::dial`] is the only way to a target:
///
/// ```compile_fail,E0451
/// # fn located() -> keyward_session::Located { unimplemented!() }
/// let permit = keyward_session::Permit { stage: Box::new(located()) };
/// ```
#[derive(Debug)]
#[must_use]
pub struct Permit {
    stage: Box<Located>,
}

const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

impl Permit {
    pub(crate) fn of(stage: Located) -> Self {
        Self { stage: Box::new(stage) }
    }

    pub fn target(&self) -> &TargetAddr {
        &self.stage.target
    }

    pub(crate) fn into_stage(self) -> Located {
        *self.stage
    }

    /// Connects to the target. Cancel-safe: a dropped call ends the session.
    pub async fn dial(self) -> Result<(Connected, TcpStream), Ended> {
        let Located { core, person, remote_user, remote_domain, target, .. } = *self.stage;
        if core.shared.script.is_some() {
            let source = io::Error::other("a rehearsal opens no socket");
            return Err(core.end(&Reason::Connect { target, source }));
        }
        match connect(&target).await {
            Ok(stream) => {
                let host_key_accepted = AtomicBool::new(false);
                let stage = Connected { core, person, remote_user, remote_domain, target, host_key_accepted };
                Ok((stage, stream))
            }
            Err(source) => Err(core.end(&Reason::Connect { target, source })),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "INVARIANT: the one place that connects, and it takes a Permit"
)]
async fn connect(target: &TargetAddr) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect(target.addr))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A TCP connection to the target exists. Nobody is logged in.
#[derive(Debug)]
pub struct Connected {
    pub(crate) core: Box<Core>,
    pub(crate) person: Person,
    pub(crate) remote_user: String,
    pub(crate) remote_domain: Option<String>,
    pub(crate) target: TargetAddr,
    /// INVARIANT: no credential leaves this stage, and no session opens, before the target has proven itself.
    pub(crate) host_key_accepted: AtomicBool,
}

impl Connected {
    pub fn connection(&self) -> &Connection {
        &self.core.connection
    }

    /// The user to log in as.
    pub fn remote_user(&self) -> &str {
        &self.remote_user
    }

    /// How the target is known, so that the protocol can ask for what can be judged.
    pub async fn known_host_keys(&self) -> Result<KnownHostKeys, HostKeyProblem> {
        host_key::known(self).await
    }

    /// Whether the target's key is one that it may have. Trusts a first key where the policy allows that, and
    /// never a changed one.
    pub async fn check_host_key(&self, shown: &ShownHostKey) -> Result<(), HostKeyProblem> {
        host_key::check(self, shown).await
    }

    /// The private keys for the log-in, in the order to try them. Asks the credential store again at each call.
    pub async fn private_keys(mut self) -> Result<(Self, Vec<OfferedKey>), Ended> {
        self = self.proven()?;
        match credentials::private_keys(&mut self).await {
            Ok(keys) => Ok((self, keys)),
            Err(reason) => Err(self.core.end(&reason)),
        }
    }

    /// The certificate to log in with, where the connection has an authority for them. The ledger has a note of it
    /// before it is made.
    pub async fn certificate(mut self) -> Result<(Self, Option<CertificateOrder>), Ended> {
        self = self.proven()?;
        let Some(order) = certificate::order(&self) else { return Ok((self, None)) };
        match certificate::note(&self, &order).await {
            Ok(()) => Ok((self, Some(order))),
            Err(error) => Err(self.core.end(&Reason::Ledger(error))),
        }
    }

    /// The passwords for the log-in, in the order to try them. Asks the credential store again at each call.
    pub async fn passwords(mut self) -> Result<(Self, Vec<Secret>), Ended> {
        self = self.proven()?;
        match credentials::passwords(&mut self).await {
            Ok(passwords) => Ok((self, passwords)),
            Err(reason) => Err(self.core.end(&reason)),
        }
    }

    /// The one-time codes for the log-in, once the target has asked for one. Asks the credential store again at each
    /// call.
    pub async fn totp_codes(mut self) -> Result<(Self, Vec<TotpCode>), Ended> {
        self = self.proven()?;
        match credentials::totp_codes(&mut self).await {
            Ok(codes) => Ok((self, codes)),
            Err(reason) => Err(self.core.end(&reason)),
        }
    }

    /// The target's password from the person, where the policy allows to ask and the protocol can.
    pub async fn ask_password<C: Conversation>(
        mut self,
        conversation: &mut C,
    ) -> Result<(Self, Option<Secret>), Ended> {
        self = self.proven()?;
        if !self.core.connection.log_in.contains(&LogInMeans::Ask) || !conversation.can_ask() {
            return Ok((self, None));
        }
        let prompt = format!("Password of {} on the server: ", self.remote_user);
        match self.core.ask(conversation, Question { prompt, echo: Echo::Off }).await {
            Ok(password) => Ok((self, Some(password))),
            Err(reason) => Err(self.core.end(&reason)),
        }
    }

    /// Step 12: the target let the gateway in; the credential store plugin hears of it, and recording begins.
    pub async fn logged_in(mut self) -> Result<LoggedIn, Ended> {
        self = self.proven()?;
        if let CredentialSource::Plugin(instance) = self.core.connection.credential_store.clone()
            && let Err(reason) = credentials::authentication_completed(&mut self, &instance).await
        {
            return Err(self.core.end(&reason));
        }
        LoggedIn::open(self).await
    }

    /// The log-in did not succeed.
    pub fn fail(self, reason: &Reason) -> Ended {
        self.core.end(reason)
    }

    /// This stage, with a note in the record.
    pub(crate) async fn noted(self, text: &str) -> Result<Self, Ended> {
        let core = &self.core;
        match core.shared.store.add_note(&core.id, SystemTime::now().into(), text).await {
            Ok(()) => Ok(self),
            Err(error) => Err(self.core.end(&Reason::Ledger(error))),
        }
    }

    /// This stage, if the target's key has been accepted.
    pub(crate) fn proven(self) -> Result<Self, Ended> {
        if self.host_key_accepted.load(Ordering::Acquire) {
            return Ok(self);
        }
        let target = self.target.clone();
        Err(self.core.end(&Reason::HostKey { target, source: HostKeyProblem::Unchecked }))
    }

    pub(crate) fn accept_host_key(&self) {
        self.host_key_accepted.store(true, Ordering::Release);
    }

    pub(crate) fn wanted(&self) -> Wanted {
        Wanted::of(self)
    }

    pub(crate) const ROLE: Role = Role::CredentialStore;
}
