//! The gateway as a jump host (`ssh -J`): in each `direct-tcpip` channel the client speaks SSH with the gateway, as on a
//! connection of its own, and each is a session of its own. Nothing is passed on to anybody else.
//!
//! A channel and its session are joined by a pair of sockets, so that the session is served as all others are, and what
//! it does not take stops the channel by its window.

mod hop;
mod rest;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_session::{EndCause, HopRefused, JumpHost};
use keyward_ssh::channel::{self, OpenFailure, open_failure};
use keyward_ssh::{Config, Disconnect, Event};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::SshError;
use crate::peer::{Look, Peer, Reads};
use crate::server::serve_hop;
use hop::{Heard, Hops, Wanted};

/// How the connection of a jump host ended.
#[derive(Debug)]
pub(crate) enum End {
    Client(SshError),
    /// The gateway ended it.
    Over(EndCause),
}

/// A client at a jump host, and the sessions that it has opened.
pub(crate) struct Jump {
    client: Peer,
    jump_host: JumpHost,
    /// The client's address, for the log.
    address: String,
    /// What hops are spoken with.
    config: Arc<Config>,
    hops: Hops,
    /// Ends with the connection.
    sessions: JoinSet<()>,
    /// What closed channels have left for their sessions is on its way there. No more of them than sessions for long.
    leaving: JoinSet<()>,
    /// What was refused and noted already: one note for each kind is enough.
    noted: HashSet<&'static str>,
    /// How often the client was told no, whatever it asked for.
    refused: u32,
}

/// Until when the connection is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Until {
    TheClientLeaves,
    NoHopIsLeft,
}

/// With more than this waiting for the client, the hops are not listened to,
const MUCH: usize = 256 * 1024;
/// and with more than this the client is not either. Until then it is: the keys that its messages wait for may be new.
const MOST: usize = 4 * 1024 * 1024;
/// How long hops may take to say goodbye when the gateway ends the connection.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long their sessions may take to end when the connection is closed.
const ENDING: Duration = Duration::from_secs(10);
/// Whoever is told no more often than this on one connection asks without an end. Hops over the number that may be there
/// at one time do not count: a client with much to do may try them again.
const MOST_REFUSED: u32 = 200;

impl Jump {
    pub(crate) fn new(client: Peer, jump_host: JumpHost, address: String, config: Arc<Config>) -> Self {
        Self {
            client,
            jump_host,
            address,
            config,
            hops: Hops::default(),
            sessions: JoinSet::new(),
            leaving: JoinSet::new(),
            noted: HashSet::new(),
            refused: 0,
        }
    }

    /// Serves the hops until the client leaves or the gateway ends the session. Dropping the future cuts them all.
    pub(crate) async fn run(&mut self) -> End {
        let over = self.jump_host.over();
        let cause = tokio::select! {
            biased;
            cause = over => cause,
            served = self.serve(Until::TheClientLeaves) => match served {
                Ok(()) => return End::Client(SshError::Closed),
                Err(error) => return End::Client(error),
            },
        };
        // The sessions end by themselves, for the same cause, and each has a last sentence for the person.
        let _ = tokio::time::timeout(LAST_WORDS, self.serve(Until::NoHopIsLeft)).await;
        End::Over(cause)
    }

    /// Says goodbye, and waits a little for the sessions of the hops to end: their client is gone.
    pub(crate) async fn close(&mut self, reason: Disconnect, text: &str) {
        for rest in self.hops.close() {
            self.leaving.spawn(rest.hand_over());
        }
        self.client.leave(reason, text).await;
        let ended = async { while self.sessions.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(ENDING, ended).await;
    }

    pub(crate) fn into_session(self) -> JumpHost {
        self.jump_host
    }

    async fn serve(&mut self, until: Until) -> Result<(), SshError> {
        let mut turns = 0_u32;
        while until == Until::TheClientLeaves || !self.hops.is_empty() {
            if self.step().await? {
                turns = turns.wrapping_add(1);
                give_way(turns).await;
                continue;
            }
            self.client.transport.rest();
            self.hops.rest();
            let (from_client, from_hops) = (self.reads(MOST), self.reads(MUCH));
            let hops = pin!(self.hops.ready(from_hops));
            tokio::select! {
                ready = self.client.ready(from_client) => ready?,
                () = hops => {}
                Some(_) = self.sessions.join_next() => {}
            }
        }
        Ok(())
    }

    /// One look at the client's socket and at those of the hops, each way. Whether anything moved.
    async fn step(&mut self) -> Result<bool, SshError> {
        let now = Instant::now();
        // Where traffic never pauses, nobody waits for them.
        while self.sessions.try_join_next().is_some() {}
        while self.leaving.try_join_next().is_some() {}
        let look = match self.reads(MOST) {
            Reads::Yes => self.client.try_read().map_err(SshError::Io)?,
            Reads::No => Look::Nothing,
        };
        self.hear(now).await?;
        let mut moved = look == Look::Something;
        moved |= self.hops.pump(&mut self.client.transport, MUCH)?;
        self.client.transport.rekey_if_due(now)?;
        moved |= self.client.write()? == Look::Something;
        if look == Look::End { Err(SshError::Closed) } else { Ok(moved) }
    }

    /// With so much at most waiting for the client.
    fn reads(&self, most: usize) -> Reads {
        if self.client.transport.backlog() > most { Reads::No } else { Reads::Yes }
    }

    async fn hear(&mut self, now: Instant) -> Result<(), SshError> {
        while let Some(event) = self.client.transport.next(now)? {
            let heard = match event {
                Event::Message(message) => self.hops.hear(message)?,
                Event::Disconnected(farewell) => return Err(SshError::Left(farewell.description)),
                Event::HostKey(_) | Event::Ready => return Err(SshError::OutOfTurn),
            };
            match heard {
                Heard::Nothing => {}
                Heard::Answer(answer) => self.client.send(&answer)?,
                Heard::Closed { rest, answer } => {
                    self.leaving.spawn(rest.hand_over());
                    self.client.send(&answer)?;
                }
                Heard::Refused { what, answer } => {
                    if let Some(answer) = answer {
                        self.client.send(&answer)?;
                    }
                    if self.noted.insert(what) {
                        self.jump_host.refuse(what).await;
                    }
                    self.count_refused()?;
                }
                // Boxed: what is rare would make the future larger.
                Heard::Hop(wanted) => Box::pin(self.open(wanted)).await?,
            }
        }
        Ok(())
    }

    async fn open(&mut self, wanted: Wanted) -> Result<(), SshError> {
        let (reason, text) = match self.begin(&wanted).await {
            Ok(stream) => {
                // Who gets somewhere does not ask in vain without an end.
                self.refused = 0;
                let sender = wanted.sender;
                let number = self.hops.open(wanted, stream);
                let answer = channel::confirmation(sender, number, hop::WINDOW, hop::PACKET, b"");
                return self.client.send(&answer);
            }
            Err(NoHop::Refused(refused)) => {
                self.count_refused()?;
                let reason = match refused {
                    HopRefused::Limit(_) => OpenFailure::ResourceShortage,
                    HopRefused::NoServer => OpenFailure::ConnectFailed,
                    HopRefused::Certificate
                    | HopRefused::Expired
                    | HopRefused::Old
                    | HopRefused::Changed
                    | HopRefused::Over => OpenFailure::AdministrativelyProhibited,
                };
                (reason, refused.client_message())
            }
            Err(NoHop::TooMany) => (OpenFailure::ResourceShortage, "too many servers at one time"),
        };
        self.client.send(&open_failure(wanted.sender, reason, text))
    }

    fn count_refused(&mut self) -> Result<(), SshError> {
        self.refused += 1;
        if self.refused > MOST_REFUSED { Err(SshError::TooManyRequests) } else { Ok(()) }
    }

    /// Begins the session of a hop; the other end of its connection.
    async fn begin(&mut self, wanted: &Wanted) -> Result<UnixStream, NoHop> {
        if self.hops.is_full(self.sessions.len()) {
            return Err(NoHop::TooMany);
        }
        let accepted = self.jump_host.hop(&wanted.host, wanted.port).await.map_err(NoHop::Refused)?;
        let (ours, theirs) = UnixStream::pair().map_err(|error| {
            tracing::warn!(session = %accepted.id(), %error, "a hop could not be opened");
            NoHop::TooMany
        })?;
        let session = serve_hop(accepted, theirs, self.address.clone(), Arc::clone(&self.config));
        self.sessions.spawn(session);
        Ok(ours)
    }
}

/// Why there is no hop.
enum NoHop {
    Refused(HopRefused),
    TooMany,
}

/// Looks in a row after which the other sessions of this thread have their turn.
const TURNS: u32 = 16;

async fn give_way(turns: u32) {
    if turns.is_multiple_of(TURNS) {
        tokio::task::yield_now().await;
    }
}
