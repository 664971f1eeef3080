//! One connection from its first byte to its end: the one task that owns a session.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use keyward_model::{SessionId, Verdict};
use keyward_session::{Accepted, EndCause, Ended, LoggedIn, Named, Proof};
use russh::server::{self, Handle, RunningSession};
use russh::{Disconnect, MethodKind, MethodSet, SshId};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Authentication;
use crate::client::{self, Leg, Reached, Target};
use crate::error::chain;
use crate::front::Front;
use crate::gate::Gate;
use crate::opened::{MOST_CHANNELS, Opened};
use crate::stream::{Guarded, hung_up, tune};
use crate::talk::{STEPS, Step, Talk};
use crate::{HostKeys, SshError, algorithms, login};

/// Larger windows were slower, and a stalled peer can fill a window's worth of memory.
pub(crate) const WINDOW: u32 = 2 * 1024 * 1024;
/// The largest packet that the library takes.
pub(crate) const PACKET: u32 = 65_535;
/// Messages of one channel that wait for the other side: with full packets, a window's worth.
pub(crate) const CHANNEL_QUEUE: usize = 32;
/// Messages of all channels that wait to be sent to the client.
const CLIENT_QUEUE: usize = 16;

/// A wrong password costs a client this long, a right one no less.
const REJECTION_TIME: Duration = Duration::from_millis(200);
/// Every unknown key of an agent, every wrong password, every detour by keyboard-interactive is one.
const MOST_REJECTIONS: usize = 40;
/// How long a client may take to fetch the sentence with which it is sent away.
const NOTICE_TIME: Duration = Duration::from_secs(10);
/// How long the relays of a session may take for what they still have to say.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// OpenSSH forgets what it has not shown yet when a request fails or the server leaves: a sentence gets this long.
pub(crate) const TIME_TO_READ: Duration = Duration::from_millis(100);
/// What is said when the target ends the connection.
pub(crate) const SERVER_LOST: &str = "The connection to the server was lost.";

/// Serves SSH connections; one for all of them.
#[derive(Debug)]
pub struct SshProxy {
    config: Arc<server::Config>,
}

impl SshProxy {
    pub fn new(host_keys: HostKeys) -> Self {
        let methods = [MethodKind::PublicKey, MethodKind::Password, MethodKind::KeyboardInteractive];
        let config = server::Config {
            server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Keyward")),
            methods: MethodSet::from(methods.as_slice()),
            auth_rejection_time: REJECTION_TIME,
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: host_keys.into_keys(),
            window_size: WINDOW,
            maximum_packet_size: PACKET,
            channel_buffer_size: CHANNEL_QUEUE,
            event_buffer_size: CLIENT_QUEUE,
            preferred: algorithms::server(),
            max_auth_attempts: MOST_REJECTIONS,
            inactivity_timeout: None,
            nodelay: true,
            ..server::Config::default()
        };
        Self { config: Arc::new(config) }
    }

    /// Serves one accepted connection to its end.
    ///
    /// Dropping the future cuts both connections and ends the session.
    pub async fn serve(&self, accepted: Accepted, stream: TcpStream) {
        let session = accepted.id().clone();
        let client = peer(&stream);
        match Box::pin(Connection::begin(&self.config, accepted, stream)).await {
            Ok(Some(connection)) => connection.run().await,
            Ok(None) => tracing::debug!(%session, %client, "no SSH client in time"),
            Err(error) => tracing::debug!(%session, %client, error = %chain(&error), "no SSH client"),
        }
    }
}

/// A client that speaks SSH.
struct Connection {
    session: SessionId,
    client: String,
    stream: Arc<TcpStream>,
    running: Running,
    handle: Handle,
    proven: oneshot::Receiver<(Named, Proof)>,
    steps: mpsc::Sender<Step>,
    told: CancellationToken,
    stopping: CancellationToken,
    cut: CancellationToken,
    proof_by: Instant,
}

/// The library's loop. Its end comes once; whoever waits again waits for ever.
struct Running {
    session: RunningSession<Front>,
    is_over: bool,
}

impl Running {
    /// Cancel-safe.
    async fn ended(&mut self) -> Result<(), SshError> {
        if self.is_over {
            return std::future::pending().await;
        }
        let ended = (&mut self.session).await;
        self.is_over = true;
        ended
    }
}

/// Why a client is sent away without session.
enum NoSession {
    /// It is gone, or was told already.
    Gone,
    /// It is to be told, by what it does next.
    Refused(Ended),
}

impl Connection {
    /// Reads the client's greeting; `None` when that takes too long.
    async fn begin(
        config: &Arc<server::Config>,
        accepted: Accepted,
        stream: TcpStream,
    ) -> Result<Option<Self>, SshError> {
        let (session, stopping) = (accepted.id().clone(), accepted.stopping().clone());
        let proof_by = Instant::now() + accepted.connection().settings.login_grace;
        let client = peer(&stream);
        if let Err(error) = tune(&stream) {
            tracing::debug!(%session, %error, "a socket option was refused");
        }
        let (prove, proven) = oneshot::channel();
        let (steps, received) = mpsc::channel(STEPS);
        let (told, cut) = (CancellationToken::new(), CancellationToken::new());
        let (stream, gate) = (Arc::new(stream), Arc::new(Gate::default()));
        let front =
            Front::new(Authentication::new(accepted, prove, received, told.clone()), Arc::clone(&gate));
        let guarded = Guarded::new(Arc::clone(&stream), gate, &cut);
        let greeting = server::run_stream(Arc::clone(config), guarded, front);
        let Ok(running) = tokio::time::timeout_at(proof_by, greeting).await else { return Ok(None) };
        let running = Running { session: running?, is_over: false };
        let handle = running.session.handle();
        Ok(Some(Self {
            session,
            client,
            stream,
            running,
            handle,
            proven,
            steps,
            told,
            stopping,
            cut,
            proof_by,
        }))
    }

    async fn run(mut self) {
        let _cut = self.cut.clone().drop_guard();
        match self.log_in().await {
            Ok((logged_in, target)) => self.relay(logged_in, target).await,
            Err(NoSession::Gone) => {}
            Err(NoSession::Refused(ended)) => self.send_away(&ended).await,
        }
    }

    /// Everything from the proof to the log-in on the target. When the client leaves meanwhile, the stages are
    /// dropped, and with them a plugin call that may be running.
    async fn log_in(&mut self) -> Result<(LoggedIn, Target), NoSession> {
        let (named, proof) = self.proof().await?;
        let mut talk = Talk::new(self.steps.clone());
        // Boxed, so that what it needs is gone once the session is open.
        let stages = Box::pin(stages(named, proof, &mut talk, &self.session, &self.cut));
        tokio::select! {
            done = stages => done.map_err(NoSession::Refused),
            ended = self.running.ended() => Err(gone(&self.session, &self.client, ended)),
            () = hung_up(&self.stream) => Err(NoSession::Gone),
            () = self.stopping.cancelled() => Err(NoSession::Gone),
        }
    }

    async fn proof(&mut self) -> Result<(Named, Proof), NoSession> {
        let told_off = tokio::select! {
            proven = &mut self.proven => match proven {
                Ok(proven) => return Ok(proven),
                // The handler has refused the client, and is telling it.
                Err(_) => true,
            },
            ended = self.running.ended() => return Err(gone(&self.session, &self.client, ended)),
            () = tokio::time::sleep_until(self.proof_by) => false,
            () = self.stopping.cancelled() => false,
        };
        if told_off {
            self.wait_until_told().await;
        } else {
            tracing::info!(session = %self.session, client = %self.client, "not logged in in time");
        }
        self.say_no(Verdict::AuthFail.sentence()).await;
        Err(NoSession::Gone)
    }

    /// The handler shows the sentence when the client next asks; a client that does not ask finds it in the
    /// disconnect message.
    async fn send_away(mut self, ended: &Ended) {
        let sentence = ended.client_message().to_owned();
        if self.steps.send(Step::Refused(sentence.clone())).await.is_ok() {
            self.wait_until_told().await;
        }
        self.say_no(&sentence).await;
    }

    /// Says the sentence with the disconnect message, unless the person has read it already.
    async fn say_no(&mut self, sentence: &str) {
        let text = if self.told.is_cancelled() { "no session" } else { sentence };
        self.disconnect(Disconnect::NoMoreAuthMethodsAvailable, text).await;
    }

    async fn wait_until_told(&mut self) {
        tokio::select! {
            // How it ended makes no difference any more.
            _ = self.running.ended() => {}
            () = self.told.cancelled() => {}
            () = tokio::time::sleep(NOTICE_TIME) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    async fn relay(mut self, logged_in: LoggedIn, target: Target) {
        let (farewell, said) = watch::channel(None);
        let opened = Arc::new(Opened {
            session: self.session.clone(),
            channels: logged_in.channels(),
            target,
            relays: TaskTracker::new(),
            cut: self.cut.clone(),
            farewell: said,
            places: Arc::new(Semaphore::new(MOST_CHANNELS)),
        });
        let channels = logged_in.channels();
        if self.steps.send(Step::Open(Arc::clone(&opened))).await.is_err() {
            return logged_in.end("the client closed the connection");
        }
        let why = tokio::select! {
            ended = self.running.ended() => {
                log_end(&self.session, &self.client, &ended);
                "the client closed the connection"
            }
            () = opened.target.lost() => {
                last_words(&opened).await;
                tokio::time::sleep(TIME_TO_READ).await;
                self.disconnect(Disconnect::ByApplication, SERVER_LOST).await;
                "the target closed the connection"
            }
            cause = channels.over() => {
                let sentence = sentence(&cause);
                farewell.send_replace(Some(sentence));
                last_words(&opened).await;
                tokio::time::sleep(TIME_TO_READ).await;
                self.disconnect(Disconnect::ByApplication, sentence).await;
                "the gateway ended the session"
            }
        };
        last_words(&opened).await;
        opened.target.leave().await;
        logged_in.end(why);
    }

    /// Sends the disconnect message and waits a little for the client to take it; then the connection is cut.
    async fn disconnect(&mut self, reason: Disconnect, sentence: &str) {
        if self.running.is_over {
            return;
        }
        let leaving = async {
            // A client that is gone needs no message.
            let _ = self.handle.disconnect(reason, sentence.to_owned(), String::new()).await;
            let _ = self.running.ended().await;
        };
        let _ = tokio::time::timeout(LAST_WORDS, leaving).await;
    }
}

/// Steps 5 to 12 of the gateway's order of events.
async fn stages(
    named: Named,
    proof: Proof,
    talk: &mut Talk,
    session: &SessionId,
    cut: &CancellationToken,
) -> Result<(LoggedIn, Target), Ended> {
    let identified = named.identify(proof, talk).await?;
    let located = identified.locate(talk).await?;
    let permit = located.authorize(talk).await?;
    let leg = Leg { session: session.clone(), address: permit.target().clone(), cut: cut.clone() };
    let (connected, stream) = permit.dial().await?;
    let reached = client::reach(connected, stream, &leg).await?;
    let Reached { connected, target } = login::log_in(reached, &leg, talk).await?;
    Ok((connected.logged_in().await?, target))
}

/// Lets the relays finish, for a moment: what a client sent before it left is still on its way to the target.
async fn last_words(opened: &Opened) {
    opened.relays.close();
    let _ = tokio::time::timeout(LAST_WORDS, opened.relays.wait()).await;
}

fn sentence(cause: &EndCause) -> &'static str {
    match cause {
        EndCause::Idle | EndCause::UserIdle | EndCause::TooLong => Verdict::Timeout.sentence(),
        EndCause::Stopping | EndCause::Recording(_) | EndCause::Closed => {
            Verdict::AcceptTerminated.sentence()
        }
    }
}

fn peer(stream: &TcpStream) -> String {
    stream.peer_addr().map_or_else(|_| "gone".to_owned(), |address| address.to_string())
}

fn gone(session: &SessionId, client: &str, ended: Result<(), SshError>) -> NoSession {
    log_end(session, client, &ended);
    NoSession::Gone
}

fn log_end(session: &SessionId, client: &str, ended: &Result<(), SshError>) {
    match ended {
        Ok(()) => tracing::debug!(%session, %client, "the client closed the connection"),
        Err(error) => {
            tracing::info!(%session, %client, error = %chain(error), "the connection to the client ended")
        }
    }
}
