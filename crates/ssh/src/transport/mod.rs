//! The transport layer (RFC 4253): packets, key exchange and what belongs to them, for either side.
//!
//! [`Transport`] is fed with what the socket brings and emptied into the socket. It answers what the transport layer
//! has to answer by itself; everything else comes out of [`Transport::next`] and goes in by [`Transport::send`].

mod allowance;
mod control;
mod exchange;
mod held;
mod host_key;
mod identification;
mod input;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use zeroize::Zeroize;

use crate::cipher::{HEAD, Opener, Sealer, TAIL};
use crate::key::{PublicKey, SigningKey};
use crate::message::{self, Disconnect};
use crate::negotiate::{Preferences, Protection, Role};
use crate::pool::Pool;
use crate::wire::Write;
use crate::{Error, SignatureAlgorithm};
use allowance::Allowance;
use exchange::Exchange;
use held::Held;
pub use host_key::HostKey;
use input::Input;

/// What all connections of one kind share.
#[derive(Debug)]
pub struct Config {
    pub role: Role,
    /// `SSH-2.0-` and a name, without end of line.
    pub identification: String,
    pub preferences: Preferences,
    /// A server's; each algorithm of `preferences.host_keys` needs one that can sign with it.
    pub host_keys: Vec<SigningKey>,
    /// What a server takes from users, for its `server-sig-algs`.
    pub user_signatures: Vec<SignatureAlgorithm>,
}

/// One side of one connection.
pub struct Transport {
    config: Arc<Config>,
    input: Input,
    output: BytesMut,
    opener: Opener,
    sealer: Sealer,
    /// Sequence numbers (RFC 4253 section 6.4).
    received: u32,
    sent: u32,
    /// Length of the packet that is arriving, once its head has been read.
    arriving: Option<usize>,
    /// Length of the packet whose payload was handed out last.
    handed_out: usize,
    /// It may have held a secret.
    is_private: bool,
    preamble: usize,
    peer_identification: Option<Box<[u8]>>,
    exchange: Option<Box<Exchange>>,
    /// Of the first exchange (RFC 4253 section 7.2).
    session_id: Option<Box<[u8]>>,
    host_key: Option<PublicKey>,
    strict: bool,
    /// `server-sig-algs` of the peer (RFC 8308 section 3.1).
    peer_signatures: Option<Vec<SignatureAlgorithm>>,
    protection: Option<[Protection; 2]>,
    /// Bytes in both directions since the last exchange.
    moved: u64,
    exchanged_at: Option<Instant>,
    allowance: Allowance,
    held: Held,
    closed: bool,
}

/// What came.
pub enum Event<'a> {
    /// A client must judge it, and say so with [`Transport::accept_host_key`]; nothing else comes until then.
    HostKey(HostKey),
    /// The first key exchange is done: services may be asked for.
    Ready,
    /// A message of a layer above, its number first.
    Message(&'a mut [u8]),
    Disconnected(Farewell),
}

/// What a peer said as it left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Farewell {
    pub reason: u32,
    pub description: String,
}

/// After so much, new keys (RFC 4253 section 9).
const REKEY_BYTES: u64 = 1 << 30;
const REKEY_TIME: Duration = Duration::from_secs(3600);
/// After so much, a peer has not heard that we want new keys, or does not want to.
const LATEST_REKEY_BYTES: u64 = 2 * REKEY_BYTES;
/// The numbers of user authentication (RFC 4250 section 4.1.2), whose messages have passwords in them.
const AUTHENTICATION: RangeInclusive<u8> = 50..=79;

/// After a message of this length others follow, and there is room for them.
const LONG: usize = 4 * 1024;
const OUTPUT: usize = 256 * 1024;

static IDLE_OUTPUT: Pool<BytesMut> = Pool::new(16);

impl Transport {
    /// Says who it is, and begins the key exchange.
    pub fn new(config: Arc<Config>) -> Result<Self, Error> {
        let mut transport = Self {
            config,
            input: Input::default(),
            output: BytesMut::new(),
            opener: Opener::plain(),
            sealer: Sealer::plain(),
            received: 0,
            sent: 0,
            arriving: None,
            handed_out: 0,
            preamble: 0,
            peer_identification: None,
            exchange: None,
            session_id: None,
            host_key: None,
            strict: false,
            peer_signatures: None,
            protection: None,
            moved: 0,
            exchanged_at: None,
            allowance: Allowance::new(),
            held: Held::default(),
            is_private: false,
            closed: false,
        };
        transport.output.put_bytes(transport.config.identification.as_bytes());
        transport.output.put_bytes(b"\r\n");
        transport.begin_exchange()?;
        Ok(transport)
    }

    /// Room for what the socket brings.
    pub fn room(&mut self) -> &mut [u8] {
        self.let_go();
        self.input.room(self.arriving.unwrap_or(0))
    }

    /// So many bytes of [`room`](Self::room) were filled.
    pub fn filled(&mut self, count: usize) {
        self.input.filled(count);
    }

    /// What is to be written; the writer advances it.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// How many bytes wait to be written, those that wait for the end of a key exchange included.
    pub fn backlog(&self) -> usize {
        self.output.len() + self.held.bytes()
    }

    /// Gives memory back that only traffic needs.
    pub fn rest(&mut self) {
        self.let_go();
        self.input.rest();
        if self.output.is_empty() {
            let mut output = std::mem::take(&mut self.output);
            if output.try_reclaim(OUTPUT) && output.capacity() < 2 * OUTPUT {
                IDLE_OUTPUT.give(output);
            }
        }
    }

    /// What the peer's bytes say next; `None` until more have come. After an error only
    /// [`disconnect`](Self::disconnect) makes sense.
    pub fn next(&mut self, now: Instant) -> Result<Option<Event<'_>>, Error> {
        self.let_go();
        loop {
            if self.closed || !self.read_identification()? {
                return Ok(None);
            }
            if let Some(key) = self.exchange.as_mut().and_then(|exchange| exchange.host_key_to_judge()) {
                return Ok(Some(Event::HostKey(key)));
            }
            if self.exchange.as_ref().is_some_and(|exchange| exchange.waits_for_judgement()) {
                return Ok(None);
            }
            let Some((start, end)) = self.next_packet()? else { return Ok(None) };
            let number = self.input.unread().get(start).copied().unwrap_or_default();
            match number {
                message::SERVICE_REQUEST | message::SERVICE_ACCEPT | 50..=191 => {
                    self.is_private = AUTHENTICATION.contains(&number);
                    self.allows_message(number)?;
                    let payload = self.input.unread().get_mut(start..end).unwrap_or_default();
                    return Ok(Some(Event::Message(payload)));
                }
                _ => {
                    let payload = self.input.unread().get(start..end).unwrap_or_default().to_vec();
                    self.let_go();
                    if let Some(event) = self.control(number, &payload, now)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    /// The key that [`Event::HostKey`] brought is the one of the server that was meant.
    pub fn accept_host_key(&mut self) -> Result<(), Error> {
        let judged = self.exchange.as_ref().and_then(|exchange| exchange.judged_host_key());
        let Some(key) = judged else { return Ok(()) };
        self.host_key = Some(key);
        self.send_new_keys()
    }

    /// Sends a message of a layer above, its number first. During a key exchange it waits.
    pub fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.send_parts(&[message])
    }

    /// Sends one message that lies in several pieces.
    pub fn send_parts(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        if self.exchange.as_ref().is_some_and(|exchange| exchange.holds_messages()) {
            self.held.push(parts);
            return Ok(());
        }
        self.seal(parts)
    }

    /// Begins a key exchange when the keys are due.
    pub fn rekey_if_due(&mut self, now: Instant) -> Result<(), Error> {
        let is_old = self.exchanged_at.is_some_and(|at| now.saturating_duration_since(at) >= REKEY_TIME);
        if self.exchange.is_none() && !self.closed && (is_old || self.moved >= REKEY_BYTES) {
            self.begin_exchange()?;
        }
        Ok(())
    }

    /// Says goodbye; nothing is read or sent afterwards.
    pub fn disconnect(&mut self, reason: Disconnect, description: &str) {
        if self.closed {
            return;
        }
        let mut message = vec![message::DISCONNECT];
        message.put_number(reason as u32);
        message.put_string(description.as_bytes());
        message.put_string(b"");
        // What cannot be sealed is not sent.
        let _ = self.seal(&[&message]);
        self.close();
    }

    /// The exchange hash of the first key exchange, which user authentication signs.
    pub fn session_id(&self) -> &[u8] {
        self.session_id.as_deref().unwrap_or_default()
    }

    /// The signatures that the peer said it takes; `None` when it did not say.
    pub fn peer_signatures(&self) -> Option<&[SignatureAlgorithm]> {
        self.peer_signatures.as_deref()
    }

    /// The signatures that a server takes from its users.
    pub fn user_signatures(&self) -> &[SignatureAlgorithm] {
        &self.config.user_signatures
    }

    /// `SSH-2.0-...` as the peer said it.
    pub fn peer_identification(&self) -> &[u8] {
        self.peer_identification.as_deref().unwrap_or_default()
    }

    /// How packets are protected, to the server and to the client.
    pub fn protection(&self) -> Option<[Protection; 2]> {
        self.protection
    }

    fn read_identification(&mut self) -> Result<bool, Error> {
        if self.peer_identification.is_none() {
            let read = identification::read(&mut self.input, self.config.role, &mut self.preamble)?;
            self.peer_identification = read.map(Vec::into_boxed_slice);
        }
        Ok(self.peer_identification.is_some())
    }

    /// Where the payload of the next whole packet is, decrypted, in what is unread.
    fn next_packet(&mut self) -> Result<Option<(usize, usize)>, Error> {
        let length = match self.arriving {
            Some(length) => length,
            None => {
                let head = self.opener.head_len();
                let Some(head) = self.input.unread().get_mut(..head) else { return Ok(None) };
                let length = self.opener.packet_len(self.received, head)?;
                self.arriving = Some(length);
                length
            }
        };
        let Some(packet) = self.input.unread().get_mut(..length) else { return Ok(None) };
        let payload = self.opener.open(self.received, packet)?;
        self.received = self.received.wrapping_add(1);
        self.moved += length as u64;
        if self.moved >= LATEST_REKEY_BYTES && self.exchange.is_some() {
            return Err(Error::OldKeys);
        }
        self.arriving = None;
        self.handed_out = length;
        Ok(Some((payload.start, payload.end)))
    }

    fn seal(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let start = self.output.len();
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.output.capacity() == 0 && length >= LONG {
            self.output = IDLE_OUTPUT.take().unwrap_or_else(|| BytesMut::with_capacity(OUTPUT));
        }
        self.output.reserve(HEAD + length + TAIL);
        self.output.put_bytes(&[0; HEAD]);
        for part in parts {
            self.output.put_bytes(part);
        }
        if let Err(error) = self.sealer.seal(self.sent, &mut self.output, start) {
            // What is there is plain text, and no packet.
            self.output.get_mut(start..).unwrap_or_default().zeroize();
            self.output.truncate(start);
            return Err(error.into());
        }
        self.sent = self.sent.wrapping_add(1);
        self.moved += (self.output.len() - start) as u64;
        Ok(())
    }

    /// Sends what waited for the end of an exchange, in its order.
    fn release_held(&mut self) -> Result<(), Error> {
        self.held.release().iter().try_for_each(|message| self.seal(&[message]))
    }

    /// What was handed out has been used.
    fn let_go(&mut self) {
        let used = std::mem::take(&mut self.handed_out);
        if std::mem::take(&mut self.is_private) {
            self.input.wipe(used);
        }
        self.input.consume(used);
    }

    /// Nothing comes or goes any more; what waits to be written still does.
    fn close(&mut self) {
        self.closed = true;
        self.exchange = None;
        self.held = Held::default();
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Without what a message says: it may be a password.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostKey(key) => f.debug_tuple("HostKey").field(key).finish(),
            Self::Ready => f.write_str("Ready"),
            Self::Message(message) => {
                write!(
                    f,
                    "Message({:?}, {} bytes)",
                    message.first().copied().unwrap_or_default(),
                    message.len()
                )
            }
            Self::Disconnected(farewell) => f.debug_tuple("Disconnected").field(farewell).finish(),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("role", &self.config.role)
            .field("unread", &self.input.len())
            .field("unwritten", &self.output.len())
            .finish_non_exhaustive()
    }
}
