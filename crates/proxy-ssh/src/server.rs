//! One connection from its first byte to its end: the one task that owns a session.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use keyward_model::{SessionId, Verdict};
use keyward_policy::Algorithms;
use keyward_session::{Accepted, Ended, JumpHost, LoggedIn, Named, Proof, Stop};
use keyward_ssh::{Config, Disconnect};
use tokio::net::{TcpStream, UnixStream};

use crate::authentication::{Outcome, prove};
use crate::client::{self, Leg, Reached};
use crate::early::Early;
use crate::error::chain;
use crate::jump::{self, Jump};
use crate::peer::{Incoming, Peer, hung_up, tune};
use crate::relay::{End, Relay};
use crate::talk::{Farewell, Talk};
use crate::{HostKeys, SshError, algorithms, login};

/// For the record.
const CLIENT_LEFT: &str = "the client closed the connection";
/// What is said to a client that asks a jump host again and again for what it does not get.
const TOO_MANY_REFUSED: &str = "Too many requests were refused on this connection.";
/// What is said when the target ends the connection.
const SERVER_LOST: &str = "The connection to the server was lost.";

/// Serves SSH connections; one for all of them.
#[derive(Debug)]
pub struct SshProxy {
    host_keys: HostKeys,
    modern: Arc<Config>,
    /// For the clients of connections that speak legacy algorithms, once there is such a connection.
    legacy: OnceLock<Arc<Config>>,
}

impl SshProxy {
    pub fn new(host_keys: HostKeys) -> Self {
        let modern = algorithms::server(host_keys.clone().into_keys(), Algorithms::Modern);
        Self { host_keys, modern, legacy: OnceLock::new() }
    }

    /// Whether clients of this connection can be served: those that speak legacy algorithms need a host key that old
    /// clients take.
    pub fn can_serve(&self, connection: &keyward_policy::Connection) -> bool {
        self.config(connection.settings.client_algorithms).is_some()
    }

    /// Gives the host key of [`HostKeys::generate_legacy`]. Only the first one counts.
    pub fn serve_legacy_clients(&self, host_key: HostKeys) {
        let keys = [self.host_keys.clone().into_keys(), host_key.into_keys()].concat();
        self.legacy.get_or_init(|| algorithms::server(keys, Algorithms::Legacy));
    }

    fn config(&self, set: Algorithms) -> Option<&Arc<Config>> {
        match set {
            Algorithms::Modern => Some(&self.modern),
            Algorithms::Legacy => self.legacy.get(),
        }
    }

    /// Serves one accepted connection to its end.
    ///
    /// Dropping the future cuts both connections and ends the session.
    pub async fn serve(&self, accepted: Accepted, stream: TcpStream) {
        let (session, client) = (accepted.id().clone(), peer(&stream));
        if let Err(error) = tune(&stream) {
            tracing::debug!(%session, %error, "a socket option was refused");
        }
        let Some(config) = self.config(accepted.connection().settings.client_algorithms) else {
            return tracing::error!(%session, "there is no host key for clients with legacy algorithms");
        };
        match Peer::new(stream, Arc::clone(config)) {
            Ok(peer) => {
                let (stop, config) = (accepted.stop().clone(), Arc::clone(config));
                Connection { stop, session, client, peer, config }.run(accepted).await;
            }
            Err(error) => tracing::error!(%session, error = %chain(&error), "no connection can be served"),
        }
    }
}

/// Serves a connection within that of a jump host. Boxed, since its type would otherwise contain itself.
pub(crate) fn serve_hop(
    accepted: Accepted,
    stream: UnixStream,
    client: String,
    config: Arc<Config>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let (session, stop) = (accepted.id().clone(), accepted.stop().clone());
        match Peer::new(stream, Arc::clone(&config)) {
            Ok(peer) => Connection { stop, session, client, peer, config }.run(accepted).await,
            Err(error) => tracing::error!(%session, error = %chain(&error), "no connection can be served"),
        }
    })
}

/// A client.
struct Connection {
    session: SessionId,
    client: String,
    peer: Peer,
    /// What it is spoken with; hops are as well.
    config: Arc<Config>,
    stop: Stop,
}

/// What a client has logged in on.
enum Opened {
    Target(Box<(LoggedIn, Peer)>),
    JumpHost(Box<JumpHost>),
}

/// Why a client gets no session.
enum NoSession {
    /// It is gone, or did not keep to the protocol.
    Gone(SshError),
    /// It took too long, or was ended from outside.
    Late,
    /// It is told why, by what it does next.
    Refused(Ended),
}

impl Connection {
    async fn run(mut self, accepted: Accepted) {
        let login_grace = accepted.connection().settings.login_grace;
        let proof_by = tokio::time::Instant::now() + login_grace;
        let farewell = Farewell::by(accepted.authentication());
        let banner = accepted.connection().settings.banner.clone();
        let stop = self.stop.clone();
        let greeting = tokio::select! {
            greeted = tokio::time::timeout_at(proof_by, greet(&mut self.peer)) => greeted,
            () = stop.cancelled() => return,
        };
        let (session, client) = (&self.session, &self.client);
        match greeting {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                log_no_client(session, client, &error);
                return self.break_off(&error).await;
            }
            Err(_) => return tracing::debug!(%session, %client, "no SSH client in time"),
        }
        let mut talk = Talk::new(&mut self.peer, banner.as_deref());
        let proven = tokio::select! {
            proven = tokio::time::timeout_at(proof_by, prove(accepted, &mut talk)) => match proven {
                Ok(Ok(Outcome::Proven(proven))) => Ok(*proven),
                Ok(Ok(Outcome::Refused(ended))) => Err(NoSession::Refused(ended)),
                Ok(Err(error)) => Err(NoSession::Gone(error)),
                Err(_) => {
                    tracing::info!(%session, %client, "not logged in in time");
                    Err(NoSession::Late)
                }
            },
            () = stop.cancelled() => Err(NoSession::Late),
        };
        let opened = match proven {
            Ok((named, proof)) => log_in(named, proof, &mut talk, &self.session, &stop).await,
            Err(none) => Err(none),
        };
        match opened {
            Ok(Opened::Target(opened)) => {
                let (logged_in, target) = *opened;
                match talk.let_in().await {
                    Ok(early) => self.relay(logged_in, target, early).await,
                    Err(_) => logged_in.end(CLIENT_LEFT),
                }
            }
            Ok(Opened::JumpHost(jump_host)) => match talk.let_in().await {
                // Boxed: most sessions are none.
                Ok(_) => Box::pin(self.serve_hops(*jump_host)).await,
                Err(_) => jump_host.end(CLIENT_LEFT),
            },
            Err(NoSession::Gone(error)) => {
                log_end(&self.session, &self.client, &error);
                self.break_off(&error).await;
            }
            Err(NoSession::Late) => {
                let late = || Verdict::AuthFail.sentence().into();
                let text = self.stop.cause().map_or_else(late, |cause| cause.client_message());
                self.peer.leave(Disconnect::NoMoreAuthMethodsAvailable, &text).await;
            }
            Err(NoSession::Refused(ended)) => {
                let sentence = ended.client_message();
                let was_told = tokio::select! {
                    told = talk.send_away(sentence, farewell) => told,
                    () = stop.cancelled() => false,
                };
                // Unless the person has read it already.
                let text = if was_told { "no session" } else { sentence };
                self.peer.leave(Disconnect::NoMoreAuthMethodsAvailable, text).await;
            }
        }
    }

    /// A client that broke the protocol is told what kind of fault that was.
    async fn break_off(mut self, error: &SshError) {
        match error {
            SshError::Protocol(fault) => self.peer.leave(fault.disconnect(), "").await,
            SshError::Io(_) | SshError::Closed | SshError::Left(_) => {}
            _ => self.peer.leave(Disconnect::ProtocolError, "").await,
        }
    }

    async fn relay(self, logged_in: LoggedIn, target: Peer, early: Option<Box<Early>>) {
        let mut relay = Relay::new(self.peer, target, logged_in.channels(), early);
        let end = relay.run().await;
        let why = match &end {
            End::Client(error) => {
                log_end(&self.session, &self.client, error);
                if let SshError::Protocol(fault) = error {
                    relay.client.leave(fault.disconnect(), "").await;
                }
                CLIENT_LEFT
            }
            End::Target(error) => {
                tracing::debug!(session = %self.session, error = %chain(error), "the connection to the target ended");
                relay.say_goodbye(SERVER_LOST).await;
                "the target closed the connection"
            }
            End::Over(cause) => {
                relay.say_goodbye(&cause.client_message()).await;
                "the gateway ended the session"
            }
        };
        relay.leave_target().await;
        logged_in.end(why);
    }

    async fn serve_hops(self, jump_host: JumpHost) {
        let Self { session, client, peer, config, .. } = self;
        let mut jump = Jump::new(peer, jump_host, client.clone(), config);
        let end = jump.run().await;
        let why = match &end {
            jump::End::Client(error) => {
                log_end(&session, &client, error);
                match error {
                    SshError::TooManyRequests => "the client was refused too often",
                    _ => CLIENT_LEFT,
                }
            }
            jump::End::Over(_) => "the gateway ended the session",
        };
        match end {
            jump::End::Client(SshError::Protocol(fault)) => jump.close(fault.disconnect(), "").await,
            jump::End::Client(SshError::TooManyRequests) => {
                jump.close(Disconnect::ByApplication, TOO_MANY_REFUSED).await;
            }
            jump::End::Client(_) => jump.close(Disconnect::ByApplication, "").await,
            jump::End::Over(cause) => jump.close(Disconnect::ByApplication, &cause.client_message()).await,
        }
        jump.into_session().end(why);
    }
}

/// The handshake.
async fn greet(client: &mut Peer) -> Result<(), SshError> {
    match client.next().await? {
        Incoming::Ready => Ok(()),
        Incoming::HostKey(_) | Incoming::Message(_) => Err(SshError::OutOfTurn),
    }
}

/// Everything from the proof to the log-in on the target. When the client leaves meanwhile, the stages are
/// dropped, and with them a plugin call that may be running.
async fn log_in(
    mut named: Named,
    proof: Proof,
    talk: &mut Talk<'_>,
    session: &SessionId,
    stop: &Stop,
) -> Result<Opened, NoSession> {
    if named.is_at_jump_host() {
        let jump_host = named.jump_host(proof).await.map_err(NoSession::Refused)?;
        return Ok(Opened::JumpHost(Box::new(jump_host)));
    }
    let deadline = named.log_in_deadline();
    let stream = talk.client.stream();
    // Boxed, so that what it needs is gone once the session is open.
    let stages = Box::pin(stages(named, proof, talk, session));
    tokio::select! {
        done = deadline.keep(stages) => match done {
            Ok(opened) => Ok(Opened::Target(Box::new(opened))),
            Err(ended) => Err(NoSession::Refused(ended)),
        },
        () = hung_up(&stream) => Err(NoSession::Gone(SshError::Closed)),
        () = stop.cancelled() => Err(NoSession::Late),
    }
}

/// Steps 5 to 12 of the gateway's order of events.
async fn stages(
    named: Named,
    proof: Proof,
    talk: &mut Talk<'_>,
    session: &SessionId,
) -> Result<(LoggedIn, Peer), Ended> {
    let identified = named.identify(proof, talk).await?;
    let located = identified.locate(talk).await?;
    let permit = located.authorize(talk).await?;
    let leg = Leg { session: session.clone(), address: permit.target().clone() };
    let (connected, stream) = permit.dial().await?;
    let reached = client::reach(connected, stream, &leg).await?;
    let Reached { connected, target } = login::log_in(reached, &leg, talk).await?;
    Ok((connected.logged_in().await?, target))
}

fn peer(stream: &TcpStream) -> String {
    stream.peer_addr().map_or_else(|_| "gone".to_owned(), |address| address.to_string())
}

fn log_no_client(session: &SessionId, client: &str, error: &SshError) {
    match error {
        SshError::Protocol(keyward_ssh::Error::NothingInCommon { theirs, .. })
            if algorithms::some_are_legacy(theirs) =>
        {
            tracing::info!(
                %session, %client, error = %chain(error),
                "a client speaks nothing but legacy algorithms, which `client-algorithms = \"legacy\"` in the settings would allow"
            );
        }
        _ => tracing::debug!(%session, %client, error = %chain(error), "no SSH client"),
    }
}

fn log_end(session: &SessionId, client: &str, error: &SshError) {
    match error {
        SshError::Closed | SshError::Left(_) => {
            tracing::debug!(%session, %client, error = %chain(error), "the client closed the connection");
        }
        _ => tracing::info!(%session, %client, error = %chain(error), "the connection to the client ended"),
    }
}
