//! What a client sent before the relay began, and the first session channel, which it knows by a number of the
//! gateway's (see [`crate::early`]): here that becomes the target's, and nothing behind this file knows of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_ssh::Transport;
use keyward_ssh::channel::{self, Message, STDERR};
use keyward_ssh::message::{CHANNEL_CLOSE, CHANNEL_FAILURE, CHANNEL_OPEN_CONFIRMATION};

use super::desk::{Desk, pass};
use super::{End, Relay, Stop, end};
use crate::SshError;
use crate::early::{AGENT, Early, PACKET, SESSION};
use crate::peer::hung_up;
use crate::socket::Socket;

const NOT_OPENED: &str = "keyward: The server did not open the session.\r\n";
/// Of targets that take less in one packet nobody has heard; they get packets of this length all the same.
const SHORTEST_PACKET: u32 = 1024;
/// How long a target may take to open the channel; the client is not listened to meanwhile.
const TIME_TO_OPEN: Duration = Duration::from_secs(30);

/// Dropped once there is nothing left to do for it.
#[derive(Debug)]
pub(super) struct Beginning {
    held: VecDeque<Vec<u8>>,
    channel: Option<Renumbered>,
}

#[derive(Debug)]
struct Renumbered {
    /// The client's number of it.
    client: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Among what is held.
    Held,
    /// The target has been asked to open it, and has until then.
    Asked {
        until: Instant,
    },
    Open {
        target: u32,
        packet: u32,
    },
    /// The target did not open it.
    Refused,
    /// The client says no more on it.
    Over,
}

/// What becomes of a message of the client.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Renamed {
    /// It is passed on, in its place.
    Passes,
    /// It has data of more than the target takes in one packet: this instead.
    Pieces(Vec<Vec<u8>>),
    /// It is about a channel that the target did not open.
    Nothing,
}

impl Beginning {
    pub(super) fn of(early: Early) -> Self {
        let channel = early.session.map(|session| Renumbered { client: session.client, state: State::Held });
        Self { held: early.held, channel }
    }

    /// Whether the client has to wait, since the target has not said yet what number the channel has.
    pub(super) fn waits(&self) -> bool {
        self.waits_until().is_some()
    }

    pub(super) fn waits_until(&self) -> Option<Instant> {
        match self.channel.as_ref()?.state {
            State::Asked { until } => Some(until),
            State::Held | State::Open { .. } | State::Refused | State::Over => None,
        }
    }

    fn is_done(&self) -> bool {
        let has_channel = self.channel.as_ref().is_some_and(|channel| channel.state != State::Over);
        self.held.is_empty() && !has_channel
    }

    fn next_held(&mut self) -> Option<Vec<u8>> {
        if self.waits() {
            return None;
        }
        let message = self.held.pop_front()?;
        if let Some(channel) = &mut self.channel
            && channel.state == State::Held
            && matches!(Message::parse(&message), Ok(Message::Open(open)) if open.kind == "session" && open.sender == channel.client)
        {
            channel.state = State::Asked { until: Instant::now() + TIME_TO_OPEN };
        }
        Some(message)
    }

    /// Puts the target's number into a message of the client that is about the channel.
    pub(super) fn rename(&mut self, message: &mut [u8]) -> Renamed {
        let Some(channel) = &mut self.channel else { return Renamed::Passes };
        if recipient_of(message).is_none_or(|number| *number != SESSION.to_be_bytes()) {
            return Renamed::Passes;
        }
        let State::Open { target, packet } = channel.state else {
            if message.first() == Some(&CHANNEL_CLOSE) {
                channel.state = State::Over;
            }
            return Renamed::Nothing;
        };
        if let Some(number) = recipient_of(message) {
            *number = target.to_be_bytes();
        }
        match Message::parse(message) {
            Ok(Message::Close { .. }) => channel.state = State::Over,
            Ok(Message::Data { data, .. }) if data.len() > packet as usize => {
                let pieces = data.chunks(packet.max(1) as usize);
                return Renamed::Pieces(pieces.map(|piece| channel::data(target, piece)).collect());
            }
            _ => {}
        }
        Renamed::Passes
    }

    /// The target has opened a channel of the client's: whether the client takes it for open already.
    pub(super) fn is_opened(&mut self, client: u32, target: u32, packet: u32) -> bool {
        let state = State::Open { target, packet: packet.clamp(SHORTEST_PACKET, PACKET) };
        self.is_answered(client, state)
    }

    /// The target has not, or was not asked: the same.
    pub(super) fn is_refused(&mut self, client: u32) -> bool {
        self.is_answered(client, State::Refused)
    }

    fn is_answered(&mut self, client: u32, state: State) -> bool {
        let is_asked = |it: &&mut Renumbered| it.client == client && matches!(it.state, State::Asked { .. });
        let asked = self.channel.as_mut().filter(is_asked);
        asked.map(|channel| channel.state = state).is_some()
    }

    /// A target that uses one of the gateway's numbers could get what is meant for another channel.
    pub(super) fn check_number(&self, target: u32) -> Result<(), SshError> {
        let is_ours = self.channel.is_some() && matches!(target, SESSION | AGENT);
        if is_ours { Err(SshError::SameChannel) } else { Ok(()) }
    }
}

/// What tells the client that a channel that it takes for open is none.
pub(super) fn not_opened(client: u32, window: u32) -> Vec<Vec<u8>> {
    let has_room = window as usize >= NOT_OPENED.len();
    let line = has_room.then(|| channel::extended_data(client, STDERR, NOT_OPENED.as_bytes()));
    line.into_iter().chain([channel::close(client)]).collect()
}

/// Where the number of a channel is in a message that is about one.
fn recipient_of(message: &mut [u8]) -> Option<&mut [u8; 4]> {
    let (kind, rest) = message.split_first_mut()?;
    let is_about_one = (CHANNEL_OPEN_CONFIRMATION..=CHANNEL_FAILURE).contains(kind);
    if is_about_one { rest.first_chunk_mut() } else { None }
}

/// Waits for what the wait for the target may end with: the client leaves, or it takes too long. Cancel-safe.
pub(super) async fn waited_in_vain(wait: Option<(Instant, Arc<Socket>)>) -> End {
    let Some((until, client)) = wait else { return std::future::pending().await };
    // Boxed: most clients are let in when the target is reached.
    match tokio::time::timeout_at(until.into(), Box::pin(hung_up(&client))).await {
        Ok(()) => End::Client(SshError::Closed),
        Err(_) => End::Target(SshError::Closed),
    }
}

impl Relay {
    /// The wait for the target's number of the channel.
    pub(super) fn wait(&self) -> Option<(Instant, Arc<Socket>)> {
        let until = self.desk.early.as_ref()?.waits_until()?;
        Some((until, self.client.stream()))
    }

    /// Passes on what the client sent before, as far as the target has given a number.
    pub(super) async fn hear_held(&mut self) -> Result<(), Option<End>> {
        let Self { client, target, desk, is_unrecorded } = self;
        // Also where the target says other things all the time.
        let until = desk.early.as_ref().and_then(|early| early.waits_until());
        if until.is_some_and(|until| until <= Instant::now()) {
            return Err(Some(End::Target(SshError::Closed)));
        }
        let mut back = Vec::new();
        while let Some(mut message) = desk.early.as_mut().and_then(|early| early.next_held()) {
            let passed = desk.pass_renamed(&mut message, &mut target.transport, &mut back).await;
            *is_unrecorded |= matches!(passed, Err(Stop::Unrecorded));
            passed.map_err(|stop| end(stop, End::Client, End::Target))?;
            for message in back.drain(..) {
                client.send(&message).map_err(|error| Some(End::Client(error)))?;
            }
        }
        if desk.early.as_ref().is_some_and(|early| early.is_done()) {
            desk.early = None;
        }
        Ok(())
    }
}

impl Desk {
    /// Passes up a message in which the client may speak of the channel by the gateway's number.
    pub(super) async fn pass_renamed(
        &mut self,
        message: &mut [u8],
        target: &mut Transport,
        back: &mut Vec<Vec<u8>>,
    ) -> Result<(), Stop> {
        match self.early.as_mut().map_or(Renamed::Passes, |early| early.rename(message)) {
            Renamed::Passes => self.pass_up(message, target, back).await,
            Renamed::Nothing => Ok(()),
            Renamed::Pieces(pieces) => {
                for mut piece in pieces {
                    Box::pin(self.pass_up(&mut piece, target, back)).await?;
                }
                Ok(())
            }
        }
    }

    /// A channel that the client takes for open gets what the target gives beyond that: its window.
    pub(super) fn widen(client: &mut Transport, number: u32, window: u32) -> Result<(), Stop> {
        if window == 0 { Ok(()) } else { pass(client, &channel::window_adjust(number, window)) }
    }
}

#[cfg(test)]
mod tests {
    use keyward_ssh::channel::{Open, data, eof, open, window_adjust};

    use super::*;
    use crate::early::EarlySession;

    fn beginning() -> Beginning {
        let message = open(&Open { kind: "session", sender: 7, window: 100, packet: 100, rest: b"" });
        let held = VecDeque::from([channel::request_failure(), message, eof(SESSION)]);
        let session = Some(EarlySession { client: 7, window: 100 });
        Beginning::of(Early { held, session, ..Early::default() })
    }

    #[test]
    fn what_follows_the_channel_waits_until_the_target_has_given_a_number() {
        let mut early = beginning();
        assert_eq!(early.next_held(), Some(channel::request_failure()));
        assert!(early.next_held().is_some() && early.waits());
        assert_eq!(early.next_held(), None);
        assert!(!early.is_opened(8, 3, 500), "another channel of the client");
        assert!(early.is_opened(7, 3, 40_000) && !early.waits());
        let mut message = early.next_held().unwrap();
        assert_eq!(early.rename(&mut message), Renamed::Passes);
        assert_eq!(message, eof(3));
        assert!(!early.is_done());
        assert_eq!(early.rename(&mut channel::close(SESSION)), Renamed::Passes);
        assert!(early.is_done());
    }

    #[test]
    fn only_a_session_is_what_the_client_takes_for_open() {
        let mut early = beginning();
        let other = Open { kind: "direct-tcpip", sender: 7, window: 100, packet: 100, rest: b"" };
        early.held.push_front(open(&other));
        assert!(early.next_held().is_some() && !early.waits());
        assert!(early.next_held().is_some() && early.next_held().is_some());
        assert!(early.waits() && early.next_held().is_none());
    }

    #[tokio::test]
    async fn a_target_that_does_not_open_the_channel_is_not_waited_for_for_ever() {
        let (client, peer) = tokio::net::UnixStream::pair().unwrap();
        let (until, client) = (Instant::now() + Duration::from_millis(1), Arc::new(Socket::from(client)));
        let end = waited_in_vain(Some((until, Arc::clone(&client)))).await;
        assert!(matches!(end, End::Target(SshError::Closed)));
        drop(peer);
        let end = waited_in_vain(Some((until + TIME_TO_OPEN, client))).await;
        assert!(matches!(end, End::Client(SshError::Closed)));
    }

    #[test]
    fn only_what_is_about_the_channel_is_renamed() {
        let mut early = beginning();
        while early.next_held().is_some() {}
        assert!(early.is_opened(7, 3, 2000));
        for other in [
            data(9, b"abc"),
            window_adjust(9, SESSION),
            open(&Open { kind: "session", sender: SESSION, window: 1, packet: 1, rest: b"" }),
        ] {
            let mut message = other.clone();
            assert_eq!(early.rename(&mut message), Renamed::Passes);
            assert_eq!(message, other);
        }
        let pieces = vec![data(3, &[1; 2000]), data(3, &[1; 1])];
        assert_eq!(early.rename(&mut data(SESSION, &[1; 2001])), Renamed::Pieces(pieces));
        assert!(early.check_number(AGENT).is_err());
        assert!(early.check_number(SESSION).is_err() && early.check_number(3).is_ok());
    }

    #[test]
    fn what_is_about_a_channel_that_the_target_refused_goes_nowhere() {
        let mut early = beginning();
        while early.next_held().is_some() {}
        assert!(early.is_refused(7));
        let mut held = early.next_held().unwrap();
        assert_eq!((early.rename(&mut held), early.next_held()), (Renamed::Nothing, None));
        assert!(!early.is_done());
        assert_eq!(early.rename(&mut channel::close(SESSION)), Renamed::Nothing);
        assert!(early.is_done());
        assert_eq!(not_opened(7, 0), [channel::close(7)]);
        assert_eq!(not_opened(7, 100).len(), 2);
    }
}
