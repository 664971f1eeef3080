//! The channels of a jump host (RFC 4254 sections 5 and 7.2), each with one end of a session's pair of sockets.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use keyward_ssh::Transport;
use keyward_ssh::channel::{self, Message, Open, OpenFailure, open_failure};
use rustix::net::{Shutdown, shutdown};
use tokio::net::UnixStream;

use super::rest::Rest;
use crate::SshError;
use crate::peer::Reads;

/// What a client may send in a channel before it is told of more room.
pub(super) const WINDOW: u32 = 2 * 1024 * 1024;
/// The longest data of a packet, either way; RFC 4253 section 6.1 asks for as much.
pub(super) const PACKET: u32 = 32 * 1024;
/// Hops at one time on one connection.
const MOST_HOPS: usize = 100;
/// The longest host that can be one, in bytes: a name has 253 characters at most (RFC 1035 section 2.3.4).
const LONGEST_HOST: usize = 255;

/// Whoever forgets `-J` reads this.
const NO_PROGRAMS: &str = "this is a jump host: name the server too, as in ssh -J you@gateway user@server";
const NOTHING_ELSE: &str = "a jump host leads to servers and does nothing else";

/// The channels by the gateway's number.
#[derive(Debug, Default)]
pub(super) struct Hops {
    by_number: BTreeMap<u32, Hop>,
    next: u32,
    /// What sessions have written, on its way; empty while nothing moves.
    buffer: Vec<u8>,
}

/// One channel.
#[derive(Debug)]
struct Hop {
    /// The client's number.
    theirs: u32,
    /// `None` once the channel is closed by either side.
    stream: Option<UnixStream>,
    /// What the client may still send.
    window: u32,
    /// What it has sent and the session has not taken yet.
    waiting: BytesMut,
    /// What the session has taken and the client has not been told of.
    taken: u32,
    from_client: FromClient,
    /// What the client still takes, at all and in one packet.
    room: u32,
    packet: u32,
}

/// What the client has said of its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FromClient {
    More,
    /// It sends no more; the session is told once it has the rest.
    Eof,
    /// The session has been told.
    Told,
}

/// A hop that a client asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) sender: u32,
    window: u32,
    packet: u32,
}

/// What a message leads to.
#[derive(Debug)]
pub(super) enum Heard {
    Nothing,
    Answer(Vec<u8>),
    Hop(Wanted),
    /// The client has closed a channel that was open.
    Closed {
        rest: Rest,
        answer: Vec<u8>,
    },
    /// Something else than a hop, for the record, and what the client is told if it wants to know.
    Refused {
        what: &'static str,
        answer: Option<Vec<u8>>,
    },
}

impl Hops {
    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// With `sessions` that have not ended yet, whether or not their channels are still there.
    pub(super) fn is_full(&self, sessions: usize) -> bool {
        self.by_number.len().max(sessions) >= MOST_HOPS
    }

    /// The sessions see their client leave, once they have what is left for them.
    pub(super) fn close(&mut self) -> impl Iterator<Item = Rest> {
        std::mem::take(&mut self.by_number).into_values().filter_map(Hop::rest)
    }

    /// Adds a channel; its number.
    pub(super) fn open(&mut self, wanted: Wanted, stream: UnixStream) -> u32 {
        while self.by_number.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let hop = Hop {
            theirs: wanted.sender,
            stream: Some(stream),
            window: WINDOW,
            waiting: BytesMut::new(),
            taken: 0,
            from_client: FromClient::More,
            room: wanted.window,
            packet: wanted.packet.min(PACKET),
        };
        self.by_number.insert(number, hop);
        number
    }

    /// What the client says. Of channels that are not there it may still speak, as both sides close them.
    pub(super) fn hear(&mut self, message: &[u8]) -> Result<Heard, SshError> {
        match Message::parse(message)? {
            Message::Open(open) => return asked(&open),
            Message::GlobalRequest { name, wants_reply, .. } => return Ok(asked_of_all(name, wants_reply)),
            Message::Data { recipient, data } => {
                if let Some(hop) = self.by_number.get_mut(&recipient) {
                    hop.take(data)?;
                }
            }
            Message::WindowAdjust { recipient, bytes } => {
                if let Some(hop) = self.by_number.get_mut(&recipient) {
                    hop.room = hop.room.saturating_add(bytes);
                }
            }
            Message::Eof { recipient } => {
                if let Some(hop) = self.by_number.get_mut(&recipient).filter(|hop| hop.sends()) {
                    hop.from_client = FromClient::Eof;
                }
            }
            Message::Close { recipient } => return Ok(self.closed_by_client(recipient)),
            Message::Request { recipient, wants_reply: true, .. } => {
                if let Some(hop) = self.by_number.get(&recipient) {
                    return Ok(Heard::Answer(channel::failure(hop.theirs)));
                }
            }
            // There is no other stream towards a server (RFC 4254 section 5.2).
            Message::ExtendedData { .. } => return Err(SshError::OutOfTurn),
            // The gateway opens nothing and asks for nothing. A request to be let in, after one was, is ignored (RFC 4252
            // section 5.1).
            Message::Request { .. }
            | Message::Confirmation { .. }
            | Message::OpenFailure { .. }
            | Message::Success { .. }
            | Message::Failure { .. }
            | Message::RequestSuccess
            | Message::RequestFailure
            | Message::Unknown { .. } => {}
        }
        Ok(Heard::Nothing)
    }

    fn closed_by_client(&mut self, number: u32) -> Heard {
        let Some(hop) = self.by_number.remove(&number) else { return Heard::Nothing };
        let answer = channel::close(hop.theirs);
        match hop.rest() {
            Some(rest) => Heard::Closed { rest, answer },
            // The gateway has said so before.
            None => Heard::Nothing,
        }
    }

    /// Moves what can be moved, each way. Whether anything did. With more than `much` waiting for the client, nothing is
    /// read for it.
    pub(super) fn pump(&mut self, client: &mut Transport, much: usize) -> Result<bool, SshError> {
        let mut moved = false;
        if !self.is_empty() {
            self.buffer.resize(PACKET as usize, 0);
        }
        for hop in self.by_number.values_mut() {
            moved |= hop.up(client)?;
            if client.backlog() <= much {
                moved |= hop.down(client, &mut self.buffer)?;
            }
        }
        Ok(moved)
    }

    /// Gives memory back that only traffic needs.
    pub(super) fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    /// Waits until something can be moved. Cancel-safe.
    pub(super) async fn ready(&self, reads: Reads) {
        poll_fn(|context| {
            let is_ready = self.by_number.values().any(|hop| hop.is_ready(reads, context));
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Hop {
    /// What the session has not taken yet.
    fn rest(self) -> Option<Rest> {
        self.stream.map(|stream| Rest { stream, waiting: self.waiting })
    }

    fn sends(&self) -> bool {
        self.from_client == FromClient::More
    }

    /// Data of the client.
    fn take(&mut self, data: &[u8]) -> Result<(), SshError> {
        let length = u32::try_from(data.len()).map_err(|_| SshError::WindowExceeded)?;
        self.window = self.window.checked_sub(length).ok_or(SshError::WindowExceeded)?;
        if !self.sends() {
            return Err(SshError::OutOfTurn);
        }
        let Some(stream) = &self.stream else { return Ok(()) };
        // Mostly the session takes it at once.
        let written = match self.waiting.is_empty() {
            true => stream.try_write(data).unwrap_or(0),
            false => 0,
        };
        self.has_taken(written);
        self.waiting.extend_from_slice(data.get(written..).unwrap_or_default());
        Ok(())
    }

    fn has_taken(&mut self, count: usize) {
        self.taken = self.taken.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Towards the session.
    fn up(&mut self, client: &mut Transport) -> Result<bool, SshError> {
        let Some(stream) = &self.stream else { return Ok(false) };
        let mut written = 0;
        while !self.waiting.is_empty() {
            match stream.try_write(&self.waiting) {
                Ok(count) => {
                    self.waiting.advance(count);
                    written += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Nobody reads it any more: the session's end is on its way.
                Err(_) => self.waiting.clear(),
            }
        }
        if self.waiting.is_empty() {
            self.waiting = BytesMut::new();
            if self.from_client == FromClient::Eof {
                // A session that is gone needs not be told.
                let _ = shutdown(stream, Shutdown::Write);
                self.from_client = FromClient::Told;
            }
        }
        self.has_taken(written);
        if self.taken >= WINDOW / 2 {
            client.send(&channel::window_adjust(self.theirs, self.taken))?;
            self.window = self.window.saturating_add(std::mem::take(&mut self.taken));
        }
        Ok(written > 0)
    }

    /// Towards the client.
    fn down(&mut self, client: &mut Transport, buffer: &mut [u8]) -> Result<bool, SshError> {
        let most = usize::try_from(self.room.min(self.packet)).unwrap_or_default();
        let (Some(stream), Some(buffer)) = (&self.stream, buffer.get_mut(..most)) else { return Ok(false) };
        if buffer.is_empty() {
            return Ok(false);
        }
        match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Ok(count) if count > 0 => {
                let length = u32::try_from(count).unwrap_or(u32::MAX);
                self.room = self.room.saturating_sub(length);
                let head = channel::data_head(self.theirs, length);
                client.send_parts(&[&head, buffer.get(..count).unwrap_or_default()])?;
                Ok(true)
            }
            // The session is over.
            Ok(_) | Err(_) => {
                self.stream = None;
                self.waiting = BytesMut::new();
                client.send(&channel::eof(self.theirs))?;
                client.send(&channel::close(self.theirs))?;
                Ok(true)
            }
        }
    }

    fn is_ready(&self, reads: Reads, context: &mut Context<'_>) -> bool {
        let Some(stream) = &self.stream else { return false };
        let writes = !self.waiting.is_empty() && stream.poll_write_ready(context).is_ready();
        let takes = reads == Reads::Yes && self.room > 0 && self.packet > 0;
        writes || (takes && stream.poll_read_ready(context).is_ready())
    }
}

fn asked(open: &Open<'_>) -> Result<Heard, SshError> {
    let no = |reason, text| Some(open_failure(open.sender, reason, text));
    Ok(match open.kind {
        "direct-tcpip" => match channel::host_and_port(open.rest)? {
            Some((host, _)) if host.len() > LONGEST_HOST => Heard::Refused {
                what: "hop to a name that is too long",
                answer: no(OpenFailure::ConnectFailed, "there is no such server"),
            },
            Some((host, port)) => Heard::Hop(Wanted {
                host: host.to_owned(),
                port,
                sender: open.sender,
                window: open.window,
                packet: open.packet,
            }),
            None => Heard::Refused {
                what: "hop to a port that none can be",
                answer: no(OpenFailure::ConnectFailed, "there is no such port"),
            },
        },
        "session" => Heard::Refused {
            what: "shell, command or subsystem",
            answer: no(OpenFailure::AdministrativelyProhibited, NO_PROGRAMS),
        },
        _ => Heard::Refused {
            what: "channel of another type",
            answer: no(OpenFailure::AdministrativelyProhibited, NOTHING_ELSE),
        },
    })
}

/// A global request: all of them are refused, but only those that want something are worth a note.
fn asked_of_all(name: &str, wants_reply: bool) -> Heard {
    let answer = wants_reply.then(channel::request_failure);
    match name {
        "tcpip-forward" | "streamlocal-forward@openssh.com" => {
            Heard::Refused { what: "remote forward", answer }
        }
        _ => answer.map_or(Heard::Nothing, Heard::Answer),
    }
}
