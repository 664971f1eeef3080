//! Exchanges that our own two sides do not have with each other: groups from a server, guesses, and protections
//! that differ by direction.

use bytes::Buf;

use super::*;
use crate::kex::PRIME_14;
use crate::transport::tests::{ED25519, HOST_KEY, Pair, data, feed, packet, place, preferences, take_output};
use crate::wire::Reader;
use crate::{Cipher, KexMethod, Preferences};

/// A server that offers a group (RFC 4419 section 3), on the packets of a [`Transport`].
struct GroupServer {
    transport: Transport,
    prime: Vec<u8>,
    generator: Vec<u8>,
    trailing: Vec<u8>,
    /// The three sizes that the client asked for.
    asked: Vec<u8>,
    got: Vec<Vec<u8>>,
}

fn prime() -> Vec<u8> {
    let digits = PRIME_14.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    let bytes = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap());
    // The sign.
    std::iter::once(0).chain(bytes).collect()
}

impl GroupServer {
    fn new(transport: Transport) -> Self {
        let (generator, trailing) = (vec![2], Vec::new());
        Self { transport, prime: prime(), generator, trailing, asked: Vec::new(), got: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        place(bytes, &mut self.transport);
        assert!(self.transport.read_identification().unwrap());
        while let Some((start, end)) = self.transport.next_packet().unwrap() {
            let payload = self.transport.input.unread()[start..end].to_vec();
            self.transport.let_go();
            self.message(&payload);
        }
    }

    fn message(&mut self, payload: &[u8]) {
        match payload[0] {
            message::KEX_GEX_REQUEST => {
                self.asked = payload[1..].to_vec();
                let mut group = vec![message::KEX_GEX_GROUP];
                group.put_string(&self.prime);
                group.put_string(&self.generator);
                group.put_bytes(&self.trailing);
                self.transport.seal(&[&group]).unwrap();
            }
            message::KEX_GEX_INIT => self.reply(payload),
            number @ 20..=49 => {
                if self.transport.exchange_message(number, payload).unwrap() == Progress::Done {
                    self.transport.finish_exchange(Instant::now());
                }
            }
            _ => self.got.push(payload.to_vec()),
        }
    }

    fn reply(&mut self, init: &[u8]) {
        let server = &mut self.transport;
        let exchange = server.exchange.as_mut().unwrap();
        let announced = exchange.announced.clone();
        let State::Serving(terms) = std::mem::replace(&mut exchange.state, State::Broken) else { panic!() };
        let init = Reader::new(&init[1..]).string().unwrap();
        let group = DhGroup::new(&self.prime, &self.generator).unwrap();
        let (ours, public) = Initiator::start_in_group(group).unwrap();
        let secret = ours.finish(init).unwrap();
        let key = HOST_KEY.clone();
        // RFC 4419 section 3, put together without the code that is tested.
        let mut hashed = Vec::new();
        hashed.put_string(server.peer_identification());
        hashed.put_string(server.config.identification.as_bytes());
        hashed.put_string(&terms.theirs);
        hashed.put_string(&announced);
        hashed.put_string(key.public().blob());
        hashed.put_bytes(&self.asked);
        [&self.prime, &self.generator].iter().for_each(|number| hashed.put_string(number));
        [init, &public].iter().for_each(|number| hashed.put_string(number));
        hashed.put_bytes(secret.encoded());
        let hash = terms.agreed.kex.hash().digest(&[&hashed]);
        server.session_id.get_or_insert_with(|| hash.clone().into_boxed_slice());
        let mut reply = vec![message::KEX_GEX_REPLY];
        reply.put_string(key.public().blob());
        reply.put_string(&public);
        reply.put_string(&key.sign(ED25519, &hash).unwrap());
        server.seal(&[&reply]).unwrap();
        let outcome = Outcome { agreed: terms.agreed, secret, hash, takes_ext_info: terms.takes_ext_info };
        server.switch(outcome).unwrap();
    }
}

/// The client, and the server that it asks for a group.
fn group_pair(kex: KexMethod) -> (Transport, GroupServer) {
    let pair = Pair::new(Preferences { kex: vec![kex], ..preferences() }, HOST_KEY.clone());
    (pair.client, GroupServer::new(pair.server))
}

fn settle(client: &mut Transport, server: &mut GroupServer) -> Result<(), Error> {
    loop {
        let (up, down) = (take_output(client), take_output(&mut server.transport));
        if up.is_empty() && down.is_empty() {
            return Ok(());
        }
        server.take(&up);
        feed(client, &down)?;
    }
}

#[test]
fn a_group_may_come_from_the_server() {
    for kex in [KexMethod::GroupExchangeSha256, KexMethod::GroupExchangeSha1] {
        let (mut client, mut server) = group_pair(kex);
        settle(&mut client, &mut server).unwrap();
        assert_eq!(server.asked, GROUP_BITS.map(u32::to_be_bytes).concat());
        assert_eq!(client.session_id(), server.transport.session_id());
        client.send(&data(b"after")).unwrap();
        // Again, in the group that comes then.
        client.begin_exchange().unwrap();
        settle(&mut client, &mut server).unwrap();
        assert!(client.exchange.is_none() && server.transport.exchange.is_none());
        client.send(&data(b"the second")).unwrap();
        settle(&mut client, &mut server).unwrap();
        assert_eq!(server.got, [data(b"after"), data(b"the second")]);
    }
}

#[test]
fn a_group_of_no_worth_ends_the_connection() {
    let refused = |change: fn(&mut GroupServer)| {
        let (mut client, mut server) = group_pair(KexMethod::GroupExchangeSha256);
        change(&mut server);
        settle(&mut client, &mut server).unwrap_err()
    };
    let kex = |error| matches!(error, Error::Kex(kex::KexError::Group));
    // Of 1024 bits.
    assert!(kex(refused(|server| server.prime.truncate(1 + 128))));
    // Of 16384 bits.
    assert!(kex(refused(|server| server.prime.resize(1 + 2048, 0xff))));
    assert!(kex(refused(|server| *server.prime.last_mut().unwrap() = 0xfe)));
    assert!(kex(refused(|server| server.generator = vec![1])));
    assert!(kex(refused(|server| server.generator = Vec::new())));
    assert!(kex(refused(|server| server.generator.clone_from(&server.prime))));
    assert!(matches!(refused(|server| server.trailing = vec![0]), Error::Malformed(Malformed::Trailing)));
}

/// The hash covers the group, or somebody in between could choose a weak one.
#[test]
fn a_group_that_was_changed_on_the_way_is_noticed() {
    let (mut client, mut server) = group_pair(KexMethod::GroupExchangeSha256);
    let (up, down) = (take_output(&mut client), take_output(&mut server.transport));
    server.take(&up);
    feed(&mut client, &down).unwrap();
    server.take(&take_output(&mut client));
    take_output(&mut server.transport);
    let mut group = vec![message::KEX_GEX_GROUP];
    group.put_string(&server.prime);
    group.put_string(&[5]);
    server.transport.sent -= 1;
    let group = packet(&mut server.transport, &group);
    feed(&mut client, &group).unwrap();
    assert!(matches!(settle(&mut client, &mut server), Err(Error::HostKeySignature(_))));
}

/// Lists of one side, which may guess (RFC 4253 section 7) and differ by direction.
struct Lists<'a> {
    kex: &'a [&'a str],
    host_keys: &'a [&'a str],
    ciphers: [&'a str; 2],
    guesses: bool,
}

impl Lists<'_> {
    fn announce(&self, transport: &mut Transport, name: &[u8]) {
        let mut message = vec![message::KEXINIT];
        message.put_bytes(&[7; 16]);
        message.put_names(self.kex.iter().copied());
        message.put_names(self.host_keys.iter().copied());
        self.ciphers.iter().for_each(|ciphers| message.put_names([*ciphers]));
        (0..2).for_each(|_| message.put_names(["hmac-sha2-256"]));
        (0..2).for_each(|_| message.put_names(["none"]));
        (0..2).for_each(|_| message.put_names([]));
        message.put_bool(self.guesses);
        message.put_number(0);
        let output = transport.output();
        output.advance(output.len());
        output.put_bytes(name);
        output.put_bytes(b"\r\n");
        transport.sent = 0;
        transport.announce(message).unwrap();
    }
}

const PLAIN: Lists<'_> = Lists {
    kex: &["curve25519-sha256"],
    host_keys: &["ssh-ed25519"],
    ciphers: ["aes128-gcm@openssh.com"; 2],
    guesses: false,
};

#[test]
fn each_direction_may_have_its_own_protection() {
    let ciphers = vec![Cipher::ChaCha20Poly1305, Cipher::Aes128Ctr];
    let macs = vec![crate::Mac::HmacSha256];
    let preferences = Preferences { ciphers, macs, ..preferences() };
    let mut pair = Pair::new(preferences, HOST_KEY.clone());
    let lists = Lists { ciphers: ["chacha20-poly1305@openssh.com", "aes128-ctr"], ..PLAIN };
    lists.announce(&mut pair.client, b"SSH-2.0-Client");
    lists.announce(&mut pair.server, b"SSH-2.0-Server");
    pair.settle().unwrap();
    pair.assert_ready();
    let [to_server, to_client] = pair.client.protection().unwrap();
    assert_eq!((to_server.cipher, to_client.cipher), (Cipher::ChaCha20Poly1305, Cipher::Aes128Ctr));
    assert_eq!(to_client.to_string(), "aes128-ctr with hmac-sha2-256");
    pair.assert_works();
}

const WRONG_KEX: &[&str] = &["ecdh-sha2-nistp256", "curve25519-sha256"];
const WRONG_KEY: &[&str] = &["ecdsa-sha2-nistp256", "ssh-ed25519"];

#[test]
fn a_wrong_guess_of_the_client_is_passed_over() {
    for (kex, host_keys) in [(WRONG_KEX, PLAIN.host_keys), (PLAIN.kex, WRONG_KEY)] {
        let mut pair = Pair::new(preferences(), HOST_KEY.clone());
        Lists { kex, host_keys, guesses: true, ..PLAIN }.announce(&mut pair.client, b"SSH-2.0-Client");
        pair.client.seal(&[&[message::KEX_INIT, 1, 2, 3]]).unwrap();
        pair.settle().unwrap();
        pair.assert_ready();
        pair.assert_works();
    }
}

#[test]
fn a_wrong_guess_of_the_server_is_passed_over() {
    let mut pair = Pair::new(preferences(), HOST_KEY.clone());
    Lists { kex: WRONG_KEX, guesses: true, ..PLAIN }.announce(&mut pair.server, b"SSH-2.0-Server");
    pair.server.seal(&[&[message::KEX_REPLY, 1, 2, 3]]).unwrap();
    pair.settle().unwrap();
    pair.assert_ready();
    pair.assert_works();
}

#[test]
fn a_right_guess_is_the_message_itself() {
    let mut pair = Pair::new(preferences(), HOST_KEY.clone());
    Lists { guesses: true, ..PLAIN }.announce(&mut pair.client, b"SSH-2.0-Client");
    pair.settle().unwrap();
    pair.assert_ready();
    pair.assert_works();
}

#[test]
fn one_wrong_guess_is_passed_over_and_not_two() {
    let mut pair = Pair::new(preferences(), HOST_KEY.clone());
    Lists { kex: WRONG_KEX, guesses: true, ..PLAIN }.announce(&mut pair.client, b"SSH-2.0-Client");
    pair.client.seal(&[&[message::KEX_INIT, 1, 2, 3]]).unwrap();
    pair.client.seal(&[&[message::KEX_INIT, 1, 2, 3]]).unwrap();
    assert!(matches!(pair.carry_up(), Err(Error::Malformed(_))));
    // And where nobody has guessed, none.
    let mut pair = Pair::new(preferences(), HOST_KEY.clone());
    Lists { kex: WRONG_KEX, ..PLAIN }.announce(&mut pair.client, b"SSH-2.0-Client");
    pair.client.seal(&[&[message::KEX_INIT, 1, 2, 3]]).unwrap();
    assert!(matches!(pair.carry_up(), Err(Error::Malformed(_))));
}

/// A guess is a message of the exchange; anything else is none, and does not use it up.
#[test]
fn a_guess_does_not_excuse_other_messages() {
    for number in [message::NEWKEYS, message::KEXINIT, 50] {
        let mut pair = Pair::new(preferences(), HOST_KEY.clone());
        Lists { kex: WRONG_KEX, guesses: true, ..PLAIN }.announce(&mut pair.client, b"SSH-2.0-Client");
        pair.client.seal(&[&[number, 1, 2, 3]]).unwrap();
        assert!(matches!(pair.carry_up(), Err(Error::Unexpected { .. })));
    }
}

#[test]
fn what_an_exchange_knows_is_not_shown() {
    let mut pair = Pair::at_judgement();
    let State::Judging { outcome, .. } = &pair.client.exchange.as_ref().unwrap().state else { panic!() };
    let secret = outcome.secret.encoded().to_vec();
    let debug = format!("{:?}", pair.client.exchange);
    let digits = format!("{:?}", &secret[4..12]);
    assert!(!debug.contains(digits.trim_matches(['[', ']'])), "{debug}");
    assert!(debug.contains("SharedSecret { .. }"));
    pair.client.accept_host_key().unwrap();
}
