//! Towards the target: the handshake, and the check of who it is.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use keyward_model::{SessionId, TargetAddr};
use keyward_session::{Connected, Ended, HostKeyProblem, Reason};
use russh::client::{self, Handle, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, SshId};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::chain;
use crate::stream::{Guarded, tune};
use crate::{SshError, algorithms};

/// How long a target may take for the handshake, for each step of the log-in, and to open a channel.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A target that has proven its identity.
pub(crate) struct Target {
    handle: Handle<TargetSide>,
    lost: CancellationToken,
}

impl Target {
    pub(crate) async fn open_session(&self) -> Result<Channel<Msg>, russh::Error> {
        tokio::time::timeout(PATIENCE, self.handle.channel_open_session()).await?
    }

    /// Waits until the connection to the target has ended. Cancel-safe.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Says goodbye; that it may not arrive is no matter.
    pub(crate) async fn leave(&self) {
        const BRIEFLY: Duration = Duration::from_secs(1);
        let leaving = async {
            let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "").await;
            self.lost().await;
        };
        let _ = tokio::time::timeout(BRIEFLY, leaving).await;
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled() || self.handle.is_closed()
    }

    pub(crate) fn handle(&mut self) -> &mut Handle<TargetSide> {
        &mut self.handle
    }
}

/// What the library calls for each thing that the target does on its own.
#[derive(Debug)]
pub(crate) struct TargetSide {
    session: SessionId,
    check: mpsc::Sender<Shown>,
    /// The key that was accepted, in OpenSSH's text form: the target must show the same one ever after.
    accepted: Option<String>,
    /// Dropped, with the library's loop, when the connection ends.
    _lost: DropGuard,
}

/// A host key that the stage has to judge.
#[derive(Debug)]
struct Shown {
    key: String,
    accepted: oneshot::Sender<bool>,
}

impl TargetSide {
    async fn ask(&mut self, key: String) -> bool {
        if let Some(accepted) = &self.accepted {
            return *accepted == key;
        }
        let (answer, answered) = oneshot::channel();
        if self.check.send(Shown { key: key.clone(), accepted: answer }).await.is_err() {
            return false;
        }
        // A stage that is gone accepts nothing.
        let is_accepted = answered.await.unwrap_or(false);
        self.accepted = is_accepted.then_some(key);
        is_accepted
    }
}

impl client::Handler for TargetSide {
    type Error = SshError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, SshError> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let mut key = key.clone();
                key.set_comment("");
                match key.to_openssh() {
                    Ok(text) => Ok(self.ask(text).await),
                    Err(_) => Ok(false),
                }
            }
            // None was asked for: the policy knows keys, not authorities.
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }

    async fn disconnected(&mut self, reason: client::DisconnectReason<SshError>) -> Result<(), SshError> {
        match reason {
            client::DisconnectReason::ReceivedDisconnect(info) => {
                tracing::debug!(session = %self.session, reason = ?info.reason_code, "the target disconnected");
            }
            client::DisconnectReason::Error(error) => {
                tracing::debug!(session = %self.session, error = %chain(&error), "the connection to the target ended");
            }
        }
        Ok(())
    }
}

/// A target and the stage that goes with it.
pub(crate) struct Reached {
    pub(crate) connected: Connected,
    pub(crate) target: Target,
}

/// Where a connection leads, and what cuts it.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) session: SessionId,
    pub(crate) address: TargetAddr,
    pub(crate) cut: CancellationToken,
}

/// The SSH handshake on a new connection, with the host key judged by the stage.
pub(crate) async fn reach(connected: Connected, stream: TcpStream, leg: &Leg) -> Result<Reached, Ended> {
    match shake_hands(&connected, stream, leg).await {
        Ok(target) => Ok(Reached { connected, target }),
        Err(reason) => Err(connected.fail(&reason)),
    }
}

async fn shake_hands(connected: &Connected, stream: TcpStream, leg: &Leg) -> Result<Target, Reason> {
    let host_key = |source| Reason::HostKey { target: leg.address.clone(), source };
    let known = connected.known_key_types().await.map_err(host_key)?;
    if let Err(error) = tune(&stream) {
        tracing::debug!(session = %leg.session, %error, "a socket option was refused");
    }
    let (check, mut shown) = mpsc::channel(1);
    let lost = CancellationToken::new();
    let side =
        TargetSide { session: leg.session.clone(), check, accepted: None, _lost: lost.clone().drop_guard() };
    let guarded = Guarded::new(Arc::new(stream), Arc::default(), &leg.cut);
    let connecting = client::connect_stream(Arc::new(config(&known)), guarded, side);
    let mut connecting = std::pin::pin!(tokio::time::timeout(PATIENCE, connecting));
    let mut problem: Option<HostKeyProblem> = None;
    loop {
        tokio::select! {
            connected = &mut connecting => return match (connected, problem) {
                (_, Some(problem)) => Err(host_key(problem)),
                (Ok(Ok(handle)), None) => Ok(Target { handle, lost }),
                (Ok(Err(error)), None) => Err(Reason::Target(chain(&error))),
                (Err(_), None) => Err(Reason::Target("no SSH handshake in time".to_owned())),
            },
            Some(Shown { key, accepted }) = shown.recv() => {
                problem = connected.check_host_key(&key).await.err();
                // The library may have given up meanwhile; its own result says so.
                let _ = accepted.send(problem.is_none());
            }
        }
    }
}

fn config(known_types: &[String]) -> client::Config {
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Keyward")),
        window_size: crate::server::WINDOW,
        maximum_packet_size: crate::server::PACKET,
        channel_buffer_size: crate::server::CHANNEL_QUEUE,
        preferred: algorithms::client(known_types),
        inactivity_timeout: None,
        // Sent after the log-in only.
        keepalive_interval: Some(Duration::from_secs(60)),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    }
}
