//! The person's own agent, over a channel that the gateway opens to a client that has lent it. It is as hostile as any
//! peer: what it says is bounded in bytes and in time, and none of its words reach anybody.

use std::time::{Duration, Instant};

use keyward_ssh::SignatureAlgorithm;
use keyward_ssh::agent::{self, AgentKey, Answer, Inbox};
use keyward_ssh::channel::{self, Message, Open};

use crate::SshError;
use crate::early::{AGENT, Early, PACKET, Sent};
use crate::peer::Peer;

/// How long a client may take until it has lent its agent, and to open the channel to it,
const PATIENCE: Duration = Duration::from_secs(30);
/// and to close it.
pub(crate) const CLOSING: Duration = PATIENCE;
/// How long the agent may take for everything together: people confirm signatures, and touch security keys.
const AGENT_PATIENCE: Duration = Duration::from_secs(90);
/// All that an agent may ever say: the window of its channel, which is never widened. Two lists of the longest kind.
const WINDOW: u32 = 512 * 1024;
/// Messages about its channel, whatever is in them: each costs work, some an answer.
const MOST_MESSAGES: u32 = 4096;

/// Why there is no agent, or no more of it; for the record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NoAgent {
    #[error("the client did not forward its agent: it must be told to (ssh -A)")]
    NotLent,
    #[error("no agent was forwarded in time: the client must be told to (ssh -A), and open a session")]
    Late,
    #[error("the client has no agent to forward")]
    None,
    #[error("the agent gave no answer")]
    Silent,
    #[error("it took too long to try the agent's keys")]
    Slow,
    #[error("the agent does not keep to its protocol")]
    Broken,
}

/// What went wrong, by whose fault.
#[derive(Debug)]
pub(crate) enum Fault {
    Agent(NoAgent),
    /// The client's, which ends the session.
    Client(SshError),
}

impl<E: Into<SshError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Client(error.into())
    }
}

/// The open channel.
#[derive(Debug)]
pub(crate) struct UserAgent<'t> {
    client: &'t mut Peer,
    early: &'t mut Early,
    /// The client's number of the channel,
    number: u32,
    /// what it takes before it says more, and the longest data in one packet.
    window: u32,
    packet: u32,
    /// What is left of our own window.
    left: usize,
    /// What is left of [`MOST_MESSAGES`].
    messages_left: u32,
    inbox: Inbox,
    /// When all is to be done, whoever took the time.
    by: Instant,
    /// What is left of [`AGENT_PATIENCE`]; what the target takes in between is not the agent's.
    patience: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Open,
    /// The client has closed it.
    Closed,
}

impl<'t> UserAgent<'t> {
    /// Waits for the client to lend its agent, and opens a channel to it. The client is let in already.
    pub(crate) async fn open(client: &'t mut Peer, early: &'t mut Early, by: Instant) -> Result<Self, Fault> {
        let until = by.min(Instant::now() + PATIENCE);
        loop {
            match in_time(until, early.next(client), NoAgent::Late).await? {
                Sent::Lent => break,
                Sent::NotLent => return Err(Fault::Agent(NoAgent::NotLent)),
                Sent::Held => {}
                Sent::OfAgent(_) => return Err(SshError::OutOfTurn.into()),
            }
        }
        let kind = "auth-agent@openssh.com";
        client.send(&channel::open(&Open {
            kind,
            sender: AGENT,
            window: WINDOW,
            packet: PACKET,
            rest: b"",
        }))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let sent = match in_time(until, early.next(client), NoAgent::Silent).await {
                // An answer that came later could be taken for the target's, or the relay's.
                Err(Fault::Agent(_)) => return Err(SshError::OutOfTurn.into()),
                sent => sent?,
            };
            let Sent::OfAgent(message) = sent else { continue };
            return match Message::parse(&message)? {
                Message::Confirmation { sender, window, packet, .. } => Ok(Self {
                    client,
                    early,
                    number: sender,
                    window,
                    packet,
                    left: WINDOW as usize,
                    messages_left: MOST_MESSAGES,
                    inbox: Inbox::default(),
                    by,
                    patience: AGENT_PATIENCE,
                    state: State::Open,
                }),
                Message::OpenFailure { .. } => Err(Fault::Agent(NoAgent::None)),
                _ => Err(SshError::OutOfTurn.into()),
            };
        }
    }

    /// The keys and certificates of the agent that the gateway knows how to use, in the agent's order.
    pub(crate) async fn keys(&mut self) -> Result<Vec<AgentKey>, Fault> {
        let answer = self.ask(&agent::request_identities()).await?;
        match Answer::parse(&answer) {
            Ok(Answer::Identities(blobs)) => {
                Ok(blobs.into_iter().filter_map(|blob| AgentKey::from_blob(blob).ok()).collect())
            }
            Ok(Answer::Refused) => Ok(Vec::new()),
            Ok(Answer::Signature(_)) | Err(_) => Err(Fault::Agent(NoAgent::Broken)),
        }
    }

    /// A signature blob; `None` where the agent, or the person, does not want to make it.
    pub(crate) async fn sign(
        &mut self,
        key: &AgentKey,
        algorithm: SignatureAlgorithm,
        data: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        let answer = self.ask(&agent::request_signature(key.blob(), algorithm, data)).await?;
        match Answer::parse(&answer) {
            Ok(Answer::Signature(signature)) => {
                Ok(AgentKey::is_made_with(signature, algorithm).then(|| signature.to_vec()))
            }
            Ok(Answer::Refused) => Ok(None),
            Ok(Answer::Identities(_)) | Err(_) => Err(Fault::Agent(NoAgent::Broken)),
        }
    }

    /// Closes the channel, and waits until the client has done so too: nothing of it is left for the relay.
    pub(crate) async fn close(mut self) -> Result<(), SshError> {
        self.client.send(&channel::close(self.number))?;
        let until = Instant::now() + CLOSING;
        while self.state == State::Open {
            match self.step(until).await {
                Ok(()) => {}
                Err(Fault::Client(error)) => return Err(error),
                Err(Fault::Agent(_)) => return Err(SshError::OutOfTurn),
            }
        }
        Ok(())
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, Fault> {
        let asked = Instant::now();
        let answer = self.ask_until(self.by.min(asked + self.patience), request).await;
        self.patience = self.patience.saturating_sub(asked.elapsed());
        answer
    }

    async fn ask_until(&mut self, until: Instant, request: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut unsent = request;
        loop {
            unsent = self.send(unsent)?;
            match self.inbox.take() {
                Ok(Some(answer)) if unsent.is_empty() => return Ok(answer),
                Ok(None) if self.state == State::Open => self.step(until).await?,
                Ok(None) => return Err(Fault::Agent(NoAgent::Silent)),
                // An answer to a question that was not asked yet, or a length that none has.
                Ok(Some(_)) | Err(_) => return Err(Fault::Agent(NoAgent::Broken)),
            }
        }
    }

    /// Sends what the client's window has room for; gives what is left.
    fn send<'d>(&mut self, data: &'d [u8]) -> Result<&'d [u8], SshError> {
        let mut rest = data;
        while !rest.is_empty() {
            let room = self.window.min(self.packet).min(PACKET) as usize;
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            if piece.is_empty() {
                break;
            }
            self.client.send(&channel::data(self.number, piece))?;
            self.window = self.window.saturating_sub(u32::try_from(piece.len()).unwrap_or(u32::MAX));
            rest = behind;
        }
        Ok(rest)
    }

    /// Waits for the next message about the channel, and takes it in.
    async fn step(&mut self, until: Instant) -> Result<(), Fault> {
        let sent = in_time(until, self.early.next(self.client), NoAgent::Silent).await?;
        let Sent::OfAgent(message) = sent else { return Ok(()) };
        self.messages_left = self.messages_left.checked_sub(1).ok_or(SshError::TooManyRequests)?;
        match Message::parse(&message)? {
            Message::Data { data, .. } => {
                self.left = self.left.checked_sub(data.len()).ok_or(Fault::Agent(NoAgent::Broken))?;
                self.inbox.put(data);
            }
            Message::WindowAdjust { bytes, .. } => self.window = self.window.saturating_add(bytes),
            Message::Close { .. } => self.state = State::Closed,
            // There is nothing behind it: the close follows.
            Message::Eof { .. } => {}
            Message::Request { wants_reply: true, .. } => self.client.send(&channel::failure(self.number))?,
            _ => {}
        }
        Ok(())
    }
}

async fn in_time(
    until: Instant,
    next: impl Future<Output = Result<Sent, SshError>>,
    late: NoAgent,
) -> Result<Sent, Fault> {
    // A time-out looks at the clock only where there is something to wait for.
    if Instant::now() >= until {
        return Err(Fault::Agent(late));
    }
    match tokio::time::timeout_at(until.into(), next).await {
        Ok(sent) => Ok(sent?),
        Err(_) => Err(Fault::Agent(late)),
    }
}
