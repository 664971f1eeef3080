//! A client and a server that talk to each other, and to those who do not keep to the rules.

mod flow;
mod garbage;
mod hostile;
mod messages;
mod rekey;

use std::sync::{Arc, LazyLock};

use bytes::Buf;

use super::*;
use crate::key::KeyKind;
use crate::{Cipher, KexMethod, Mac};

pub(super) const ED25519: SignatureAlgorithm = SignatureAlgorithm::Ed25519;

pub(super) static HOST_KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(KeyKind::Ed25519).unwrap());

/// What one side got from the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Got {
    HostKey(PublicKey),
    Ready,
    Message(Vec<u8>),
    Disconnected(Farewell),
}

pub(super) fn preferences() -> Preferences {
    Preferences {
        kex: vec![KexMethod::Curve25519],
        host_certificates: Vec::new(),
        host_keys: vec![ED25519],
        ciphers: vec![Cipher::Aes128Gcm],
        macs: vec![Mac::HmacSha256Etm],
    }
}

pub(super) fn config(role: Role, preferences: Preferences, host_keys: Vec<SigningKey>) -> Config {
    Config {
        role,
        identification: format!("SSH-2.0-{role:?}"),
        preferences,
        host_keys,
        user_signatures: vec![ED25519, SignatureAlgorithm::RsaSha512],
    }
}

pub(super) fn transport(role: Role, preferences: Preferences) -> Transport {
    Transport::new(Arc::new(config(role, preferences, vec![HOST_KEY.clone()]))).unwrap()
}

/// Both sides, what they got, and the time it is.
pub(super) struct Pair {
    pub(super) client: Transport,
    pub(super) server: Transport,
    pub(super) at_client: Vec<Got>,
    pub(super) at_server: Vec<Got>,
    pub(super) now: Instant,
    /// The sizes of the pieces in which bytes arrive, round and round.
    pub(super) pieces: Vec<usize>,
}

impl Pair {
    /// Nothing has been carried yet.
    pub(super) fn new(preferences: Preferences, host_key: SigningKey) -> Self {
        let config = |role| Arc::new(config(role, preferences.clone(), vec![host_key.clone()]));
        Self {
            client: Transport::new(config(Role::Client)).unwrap(),
            server: Transport::new(config(Role::Server)).unwrap(),
            at_client: Vec::new(),
            at_server: Vec::new(),
            now: Instant::now(),
            pieces: vec![usize::MAX],
        }
    }

    /// The first exchange is done.
    pub(super) fn connected() -> Self {
        Self::connected_with(preferences(), HOST_KEY.clone())
    }

    pub(super) fn connected_with(preferences: Preferences, host_key: SigningKey) -> Self {
        let mut pair = Self::new(preferences, host_key);
        pair.settle().unwrap();
        pair.assert_ready();
        pair
    }

    /// The client has been shown the host key, and has something to read after that.
    pub(super) fn at_judgement() -> Self {
        let mut pair = Self::new(preferences(), HOST_KEY.clone());
        pair.carry_up().unwrap();
        pair.carry_down().unwrap();
        pair.carry_up().unwrap();
        let bytes = take_output(&mut pair.server);
        place(&bytes, &mut pair.client);
        let event = pair.client.next(pair.now).unwrap();
        assert!(matches!(event, Some(Event::HostKey(_))));
        pair
    }

    pub(super) fn assert_ready(&mut self) {
        let host_key = self.server.config.host_keys[0].public().clone();
        assert_eq!(std::mem::take(&mut self.at_client), [Got::HostKey(host_key), Got::Ready]);
        assert_eq!(std::mem::take(&mut self.at_server), [Got::Ready]);
        assert_eq!(self.client.session_id(), self.server.session_id());
        assert_eq!(self.client.protection(), self.server.protection());
        assert!(!self.client.session_id().is_empty());
    }

    /// Carries bytes both ways until nothing moves any more.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        while self.carry_up()? | self.carry_down()? {}
        Ok(())
    }

    /// To the server, what the client has written. Whether it was anything.
    pub(super) fn carry_up(&mut self) -> Result<bool, Error> {
        let bytes = take_output(&mut self.client);
        carry(&bytes, &mut self.server, &self.pieces, self.now, &mut self.at_server)?;
        Ok(!bytes.is_empty())
    }

    pub(super) fn carry_down(&mut self) -> Result<bool, Error> {
        let bytes = take_output(&mut self.server);
        carry(&bytes, &mut self.client, &self.pieces, self.now, &mut self.at_client)?;
        Ok(!bytes.is_empty())
    }

    /// Messages that the client, and that the server got, since this was asked last.
    pub(super) fn messages(&mut self) -> [Vec<Vec<u8>>; 2] {
        [&mut self.at_client, &mut self.at_server].map(|got| {
            let messages = std::mem::take(got).into_iter().map(|got| match got {
                Got::Message(message) => message,
                other => panic!("{other:?}"),
            });
            messages.collect()
        })
    }

    /// That messages still go both ways.
    pub(super) fn assert_works(&mut self) {
        self.client.send(&data(b"there")).unwrap();
        self.server.send(&data(b"back")).unwrap();
        self.settle().unwrap();
        assert_eq!(self.messages(), [vec![data(b"back")], vec![data(b"there")]]);
    }
}

/// A message of the connection protocol.
pub(super) fn data(text: &[u8]) -> Vec<u8> {
    let mut message = vec![message::CHANNEL_DATA, 0, 0, 0, 0];
    message.put_string(text);
    message
}

pub(super) fn take_output(transport: &mut Transport) -> Vec<u8> {
    let output = transport.output();
    let bytes = output.to_vec();
    output.advance(bytes.len());
    bytes
}

/// Feeds bytes that there is room for, and does not look at what they say.
pub(super) fn place(bytes: &[u8], to: &mut Transport) {
    to.room()[..bytes.len()].copy_from_slice(bytes);
    to.filled(bytes.len());
}

/// Feeds bytes in pieces of these sizes, and takes out what they say; host keys are accepted.
pub(super) fn carry(
    mut bytes: &[u8],
    to: &mut Transport,
    pieces: &[usize],
    now: Instant,
    got: &mut Vec<Got>,
) -> Result<(), Error> {
    let mut pieces = pieces.iter().cycle();
    while !bytes.is_empty() {
        let count = bytes.len().min(to.room().len()).min(*pieces.next().unwrap());
        let (piece, rest) = bytes.split_at(count);
        place(piece, to);
        bytes = rest;
        drain(to, now, got)?;
    }
    Ok(())
}

pub(super) fn drain(transport: &mut Transport, now: Instant, got: &mut Vec<Got>) -> Result<(), Error> {
    while let Some(event) = transport.next(now)? {
        got.push(match event {
            Event::HostKey(key) => {
                transport.accept_host_key()?;
                Got::HostKey(key.key)
            }
            Event::Ready => Got::Ready,
            Event::Message(message) => Got::Message(message.to_vec()),
            Event::Disconnected(farewell) => Got::Disconnected(farewell),
        });
    }
    Ok(())
}

/// What all the bytes at once bring.
pub(super) fn feed(to: &mut Transport, bytes: &[u8]) -> Result<Vec<Got>, Error> {
    let mut got = Vec::new();
    carry(bytes, to, &[usize::MAX], Instant::now(), &mut got).map(|()| got)
}

/// The payloads in `bytes`, by one who can read what `to` is sent. `to` keeps nothing of them.
pub(super) fn payloads(to: &mut Transport, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = rest.len().min(to.room().len());
        place(&rest[..count], to);
        rest = &rest[count..];
        if !to.read_identification().unwrap() {
            continue;
        }
        while let Some((start, end)) = to.next_packet().unwrap() {
            payloads.push(to.input.unread()[start..end].to_vec());
            to.let_go();
        }
    }
    payloads
}

/// The packet that `from` would send with this payload now, whatever the rules say.
pub(super) fn packet(from: &mut Transport, payload: &[u8]) -> Vec<u8> {
    assert!(from.output.is_empty());
    from.seal(&[payload]).unwrap();
    take_output(from)
}
