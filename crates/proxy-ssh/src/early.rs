//! A client that is let in before the gateway is in on the target, so that it can lend its agent (OpenSSH's PROTOCOL.agent:
//! clients do so on their first session channel, before they ask for a program).
//!
//! What it sends meanwhile is held for the relay. One thing cannot wait, since clients wait for it in turn: that first
//! channel is opened by the gateway, with no room for data, under a number of the gateway's own. The relay translates
//! that number once the target has given one.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use keyward_ssh::channel::{self, Message, Open, Request, STDERR};

use zeroize::Zeroizing;

use crate::SshError;
use crate::peer::Peer;
use crate::relay::TIME_TO_READ;

/// The gateway's number of the first session channel. Targets count from zero; one that uses this number is cut off.
pub(crate) const SESSION: u32 = 0x4b57_0000;
/// The gateway's number of the channel to the agent, which is closed before the relay begins.
pub(crate) const AGENT: u32 = 0x4b57_0001;
/// The longest data that every side must take in one packet (RFC 4253 section 6.1).
pub(crate) const PACKET: u32 = 32 * 1024;

/// What is held at most; a client that has no window sends requests only.
const MOST_BYTES: usize = 256 * 1024;
/// What each message counts at least.
const MESSAGE: usize = 64;

const KEEP_ALIVE: &str = "keepalive@openssh.com";

/// What has come of such a client.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// Messages for the relay, as they came and in their order.
    pub(crate) held: VecDeque<Vec<u8>>,
    pub(crate) bytes: usize,
    /// The client's numbers of the channels that it has opened.
    pub(crate) opened: HashSet<u32>,
    /// Whether a global request that wants an answer is held: answers come in their order (RFC 4254 section 4).
    pub(crate) has_asked: bool,
    pub(crate) session: Option<EarlySession>,
}

/// The channel that the gateway has opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct EarlySession {
    /// The client's number of it.
    pub(crate) client: u32,
    pub(crate) window: u32,
}

/// What a message of the client means for its agent.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Sent {
    /// Nothing; it is held, or answered.
    Held,
    /// The client lends its agent.
    Lent,
    /// The client asks for a program, and has lent no agent.
    NotLent,
    /// It is about the channel to the agent, and was not held.
    OfAgent(Vec<u8>),
}

impl Early {
    /// Waits for what the client says next. Not more than is bounded is held. Cancel-safe.
    pub(crate) async fn next(&mut self, client: &mut Peer) -> Result<Sent, SshError> {
        let message = client.message().await?;
        let (sent, answer) = self.hear(message)?;
        answer.map_or(Ok(()), |answer| client.send(&answer))?;
        Ok(sent)
    }

    /// What a message means, and what is answered at once.
    fn hear(&mut self, message: Vec<u8>) -> Result<(Sent, Option<Vec<u8>>), SshError> {
        let mut answer = None;
        let sent = match Message::parse(&message)? {
            Message::Open(open) => {
                if !self.opened.insert(open.sender) {
                    return Err(SshError::SameChannel);
                }
                if self.session.is_none() && open.kind == "session" {
                    answer = Some(self.open(&open));
                }
                Sent::Held
            }
            Message::Request { recipient: SESSION, .. } | Message::Close { recipient: SESSION }
                if self.session.is_none() =>
            {
                return Err(SshError::OutOfTurn);
            }
            Message::Request { recipient: SESSION, name, rest, .. } => match Request::parse(name, rest)? {
                Request::Agent => Sent::Lent,
                Request::Shell | Request::Command(_) | Request::Subsystem(_) => Sent::NotLent,
                _ => Sent::Held,
            },
            Message::Close { recipient: SESSION } => Sent::NotLent,
            // The client wants to know whether anybody is there.
            Message::GlobalRequest { name: KEEP_ALIVE, wants_reply: true, .. } if !self.has_asked => {
                self.count(&message)?;
                return Ok((Sent::Held, Some(channel::request_failure())));
            }
            Message::GlobalRequest { wants_reply, .. } => {
                self.has_asked |= wants_reply;
                Sent::Held
            }
            // The relay ignores them. A late request to be let in may have a password.
            Message::Unknown { .. } => {
                self.count(&message)?;
                drop(Zeroizing::new(message));
                return Ok((Sent::Held, None));
            }
            parsed if recipient(&parsed) == Some(AGENT) => return Ok((Sent::OfAgent(message), None)),
            _ => Sent::Held,
        };
        self.count(&message)?;
        self.held.push_back(message);
        Ok((sent, answer))
    }

    fn open(&mut self, open: &Open<'_>) -> Vec<u8> {
        self.session = Some(EarlySession { client: open.sender, window: open.window });
        channel::confirmation(open.sender, SESSION, 0, PACKET, b"")
    }

    fn count(&mut self, message: &[u8]) -> Result<(), SshError> {
        self.bytes += MESSAGE + message.len();
        if self.bytes > MOST_BYTES { Err(SshError::TooManyRequests) } else { Ok(()) }
    }

    /// Shows the sentence with which the person is sent away, where there is a channel to show it on.
    pub(crate) async fn show(&self, client: &mut Peer, sentence: &str) {
        let shown = format!("keyward: {sentence}\r\n");
        let has_room = |session: &EarlySession| session.window as usize >= shown.len();
        let shows = async {
            let session = self.session.filter(has_room);
            let words = session.map(|session| last_words(session.client, &shown)).into_iter().flatten();
            words.into_iter().try_for_each(|message| client.send(&message))?;
            client.flush().await
        };
        // Whoever takes nothing any more is cut off all the same.
        let _ = tokio::time::timeout(LAST_WORDS, shows).await;
        tokio::time::sleep(TIME_TO_READ).await;
    }
}

/// How long a client may take for the sentence.
const LAST_WORDS: Duration = Duration::from_secs(2);

fn last_words(client: u32, shown: &str) -> [Vec<u8>; 3] {
    [channel::extended_data(client, STDERR, shown.as_bytes()), channel::eof(client), channel::close(client)]
}

/// The number of the channel that a message is about.
pub(crate) fn recipient(parsed: &Message<'_>) -> Option<u32> {
    match *parsed {
        Message::Confirmation { recipient, .. }
        | Message::OpenFailure { recipient }
        | Message::WindowAdjust { recipient, .. }
        | Message::Data { recipient, .. }
        | Message::ExtendedData { recipient, .. }
        | Message::Eof { recipient }
        | Message::Close { recipient }
        | Message::Request { recipient, .. }
        | Message::Success { recipient }
        | Message::Failure { recipient } => Some(recipient),
        Message::GlobalRequest { .. }
        | Message::RequestSuccess
        | Message::RequestFailure
        | Message::Open(_)
        | Message::Unknown { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(kind: &str, sender: u32) -> Vec<u8> {
        channel::open(&Open { kind, sender, window: 100, packet: 100, rest: b"" })
    }

    #[test]
    fn the_first_session_is_opened_and_no_number_counts_twice() {
        let mut early = Early::default();
        assert_eq!(early.hear(open("direct-tcpip", 7)).unwrap(), (Sent::Held, None));
        assert!(matches!(early.hear(open("session", 7)), Err(SshError::SameChannel)));
        assert!(early.hear(open("session", 8)).unwrap().1.is_some());
        assert_eq!(early.session, Some(EarlySession { client: 8, window: 100 }));
        assert!(early.hear(open("session", 9)).unwrap().1.is_none());
        assert_eq!(early.held.len(), 3);
    }

    #[test]
    fn nobody_speaks_of_a_session_that_is_not_open() {
        assert!(Early::default().hear(channel::close(SESSION)).is_err());
        let mut early = Early::default();
        early.hear(open("session", 1)).unwrap();
        assert_eq!(early.hear(channel::close(SESSION)).unwrap().0, Sent::NotLent);
    }

    #[test]
    fn what_nobody_knows_is_not_held_and_counts() {
        let mut early = Early::default();
        let late = [&[50][..], &[0; 60_000]].concat();
        for _ in 0..4 {
            assert_eq!(early.hear(late.clone()).unwrap(), (Sent::Held, None));
        }
        assert!(early.held.is_empty());
        assert!(matches!(early.hear(late), Err(SshError::TooManyRequests)));
    }

    #[test]
    fn a_keep_alive_is_answered_at_once_unless_another_request_waits_for_its_answer() {
        let global = |name: &str| {
            let length = u32::try_from(name.len()).unwrap();
            [&[80][..], &length.to_be_bytes(), name.as_bytes(), &[1]].concat()
        };
        let mut early = Early::default();
        assert_eq!(early.hear(global(KEEP_ALIVE)).unwrap().1, Some(channel::request_failure()));
        assert!(early.held.is_empty());
        for name in ["tcpip-forward", KEEP_ALIVE] {
            assert_eq!(early.hear(global(name)).unwrap(), (Sent::Held, None));
        }
        assert_eq!(early.held.len(), 2);
    }
}
