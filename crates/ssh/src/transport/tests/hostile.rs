//! Peers that break the rules. Each test names the rule.

use super::*;

/// The identification of a peer, and packets that are not protected yet.
struct Plain {
    bytes: Vec<u8>,
    sealer: Sealer,
}

impl Plain {
    fn new() -> Self {
        Self { bytes: b"SSH-2.0-x\r\n".to_vec(), sealer: Sealer::plain() }
    }

    /// The identification has been said.
    fn going_on() -> Self {
        Self { bytes: Vec::new(), sealer: Sealer::plain() }
    }

    fn then(mut self, payload: &[u8]) -> Self {
        let mut packet = BytesMut::zeroed(HEAD);
        packet.put_bytes(payload);
        self.sealer.seal(0, &mut packet, 0).unwrap();
        self.bytes.extend_from_slice(&packet);
        self
    }

    /// What the other side, in this role, makes of it.
    fn to(&self, role: Role) -> Result<Vec<Got>, Error> {
        feed(&mut transport(role, preferences()), &self.bytes)
    }
}

const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// An announcement to a side in this role.
fn announcement(to: Role) -> Vec<u8> {
    preferences().kexinit(other(to)).unwrap()
}

/// Of a peer that does not know of strict key exchange.
fn lax_announcement(to: Role) -> Vec<u8> {
    let announcement = announcement(to);
    let (marker, same) = match to {
        Role::Client => (&b"kex-strict-s-v00@openssh.com"[..], b"kex-lenient-v00@example.com."),
        Role::Server => (&b"kex-strict-c-v00@openssh.com"[..], b"kex-lenient-v00@example.com."),
    };
    let at = announcement.windows(marker.len()).position(|window| window == marker).unwrap();
    let mut lax = announcement;
    lax[at..at + marker.len()].copy_from_slice(same);
    lax
}

fn public_value() -> Vec<u8> {
    let (_, public) = crate::kex::Initiator::start(KexMethod::Curve25519).unwrap();
    let mut init = vec![message::KEX_INIT];
    init.put_string(&public);
    init
}

#[track_caller]
fn assert_unexpected(result: Result<Vec<Got>, Error>, unexpected: u8) {
    match result {
        Err(Error::Unexpected { number }) => assert_eq!(number, unexpected),
        other => panic!("{unexpected}: {other:?}"),
    }
}

/// OpenSSH's PROTOCOL section 1.9: with that, an attacker moves the sequence numbers before the keys, and cuts off
/// the first messages after them (Terrapin, CVE-2023-48795).
#[test]
fn strict_key_exchange_takes_nothing_before_the_announcement() {
    for role in ROLES {
        for number in [message::IGNORE, message::DEBUG, message::UNIMPLEMENTED, message::EXT_INFO, 8] {
            let plain = Plain::new().then(&[number, 0, 0, 0, 0]).then(&announcement(role));
            assert_unexpected(plain.to(role), message::KEXINIT);
        }
    }
}

#[test]
fn strict_key_exchange_takes_nothing_but_itself_until_the_first_keys() {
    for role in ROLES {
        for number in (0..=19).chain(50..=255).filter(|&number| number != message::DISCONNECT) {
            let injected = [number, 0, 0, 0, 0];
            let plain = Plain::new().then(&announcement(role)).then(&injected);
            assert_unexpected(plain.to(role), number);
        }
    }
    // Between the public value and the new keys, too.
    for number in [0, message::IGNORE, message::DEBUG, message::EXT_INFO, message::PING] {
        let plain = Plain::new().then(&announcement(Role::Server)).then(&public_value()).then(&[number, 0]);
        assert_unexpected(plain.to(Role::Server), number);
    }
}

/// RFC 4253 section 7.1 allows it, and older peers do it.
#[test]
fn a_peer_that_is_not_strict_may_say_something_in_between() {
    let mut pair = Pair::new(preferences(), HOST_KEY.clone());
    take_output(&mut pair.client);
    pair.client.output.put_bytes(b"SSH-2.0-Client\r\n");
    pair.client.announce(lax_announcement(Role::Server)).unwrap();
    while pair.client.exchanged_at.is_none() {
        pair.client.seal(&[&[message::IGNORE, 0, 0, 0, 0]]).unwrap();
        pair.carry_up().unwrap();
        pair.carry_down().unwrap();
        pair.client.strict = false;
    }
    pair.settle().unwrap();
    pair.assert_ready();
    assert!(!pair.server.strict);
    assert!(pair.server.received > 4, "the numbers go on");
    pair.assert_works();
}

#[test]
fn nothing_of_the_layers_above_comes_before_the_keys() {
    for role in ROLES {
        for number in [message::SERVICE_REQUEST, message::SERVICE_ACCEPT].into_iter().chain(50..=191) {
            assert_unexpected(Plain::new().then(&[number, 0]).to(role), number);
            let after = Plain::new().then(&lax_announcement(role)).then(&[number, 0]);
            assert_unexpected(after.to(role), number);
        }
    }
}

/// RFC 4253 section 7.1 lists what a side may send after its announcement; pings are not in it.
#[test]
fn a_peer_that_has_announced_an_exchange_sends_nothing_else_until_its_new_keys() {
    for number in [message::SERVICE_REQUEST, 50, 80, message::CHANNEL_DATA, 191, message::PING, 0, 255] {
        let mut pair = Pair::connected();
        pair.client.begin_exchange().unwrap();
        let announcement = take_output(&mut pair.client);
        assert_eq!(feed(&mut pair.server, &announcement).unwrap(), []);
        let forbidden = packet(&mut pair.client, &[number, 0, 0, 0, 0]);
        assert_unexpected(feed(&mut pair.server, &forbidden), number);
    }
    // Other messages of this layer are in it.
    let mut pair = Pair::connected();
    pair.client.begin_exchange().unwrap();
    for number in [message::IGNORE, message::DEBUG, message::UNIMPLEMENTED, 8] {
        pair.client.seal(&[&[number, 0, 0, 0, 0]]).unwrap();
    }
    pair.settle().unwrap();
    assert!(pair.client.exchange.is_none());
    pair.assert_works();
}

#[test]
fn new_keys_come_when_it_is_their_turn_only() {
    for role in ROLES {
        assert_unexpected(Plain::new().then(&[message::NEWKEYS]).to(role), message::NEWKEYS);
        let early = Plain::new().then(&announcement(role)).then(&[message::NEWKEYS]);
        assert_unexpected(early.to(role), message::NEWKEYS);
    }
    let mut pair = Pair::connected();
    let unasked = packet(&mut pair.client, &[message::NEWKEYS]);
    assert_unexpected(feed(&mut pair.server, &unasked), message::NEWKEYS);
}

#[test]
fn a_second_announcement_in_one_exchange_ends_the_connection() {
    for role in ROLES {
        let twice = Plain::new().then(&announcement(role)).then(&announcement(role));
        assert_unexpected(twice.to(role), message::KEXINIT);
    }
    let after_value = Plain::new()
        .then(&announcement(Role::Server))
        .then(&public_value())
        .then(&announcement(Role::Server));
    assert_unexpected(after_value.to(Role::Server), message::KEXINIT);
    let mut pair = Pair::connected();
    let again = packet(&mut pair.client, &announcement(Role::Server));
    assert_eq!(feed(&mut pair.server, &again).unwrap(), []);
    let again = packet(&mut pair.client, &announcement(Role::Server));
    assert_unexpected(feed(&mut pair.server, &again), message::KEXINIT);
}

#[test]
fn messages_of_an_exchange_come_in_their_order_and_from_their_side() {
    for number in 22..=49 {
        for role in ROLES {
            assert_unexpected(Plain::new().then(&[number, 0]).to(role), number);
            let is_next = role == Role::Server && number == message::KEX_INIT;
            let is_next = is_next || (role == Role::Client && number == message::KEX_REPLY);
            if !is_next {
                let plain = Plain::new().then(&announcement(role)).then(&[number, 0]);
                assert_unexpected(plain.to(role), number);
            }
        }
        let mut pair = Pair::connected();
        let unasked = packet(&mut pair.client, &[number, 0]);
        assert_unexpected(feed(&mut pair.server, &unasked), number);
    }
}

#[test]
fn a_public_value_that_is_none_is_refused() {
    let announced = || Plain::new().then(&announcement(Role::Server));
    let mut trailing = public_value();
    trailing.push(0);
    assert!(matches!(announced().then(&trailing).to(Role::Server), Err(Error::Malformed(_))));
    assert!(matches!(announced().then(&[30]).to(Role::Server), Err(Error::Malformed(_))));
    let mut zeros = vec![message::KEX_INIT];
    zeros.put_string(&[0; 32]);
    assert!(matches!(announced().then(&zeros).to(Role::Server), Err(Error::Kex(_))));
    let mut short = vec![message::KEX_INIT];
    short.put_string(&[9; 31]);
    assert!(matches!(announced().then(&short).to(Role::Server), Err(Error::Kex(_))));
}

#[test]
fn an_announcement_has_an_end() {
    for role in ROLES {
        let announcement = announcement(role);
        for cut in 1..announcement.len() {
            let result = Plain::new().then(&announcement[..cut]).to(role);
            // Some leave out the reserved number at the end.
            assert_eq!(result.is_ok(), cut == announcement.len() - 4, "{cut}");
        }
        for more in [1, 4, 1000] {
            let long = [announcement.clone(), vec![0; more]].concat();
            assert!(matches!(Plain::new().then(&long).to(role), Err(Error::Malformed(_))));
        }
    }
}

#[test]
fn a_peer_with_nothing_in_common_is_told_so() {
    for role in ROLES {
        let theirs = Preferences { ciphers: vec![Cipher::TripleDesCbc], ..preferences() };
        let plain = Plain::new().then(&theirs.kexinit(other(role)).unwrap());
        let error = plain.to(role).unwrap_err();
        assert_eq!(error.to_string(), "no cipher in common: the peer has 3des-cbc");
        assert_eq!(error.disconnect(), Disconnect::KeyExchangeFailed);
    }
}

#[test]
fn exchanges_without_end_are_ended() {
    let mut pair = Pair::connected();
    let mut count = 0;
    let error = loop {
        pair.client.begin_exchange().unwrap();
        match pair.settle() {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::ExchangeFlood));
    // What the exchanges themselves move pays for a few more.
    assert!((99..200).contains(&count), "{count}");
}

#[test]
fn those_who_wait_or_work_between_exchanges_may_go_on() {
    let mut pair = Pair::connected();
    for round in 0..300 {
        pair.client.begin_exchange().unwrap();
        pair.settle().unwrap();
        if round % 2 == 0 {
            pair.now += Duration::from_secs(1);
        } else {
            (0..3).for_each(|_| pair.client.send(&data(&[0; 1 << 12])).unwrap());
            (0..3).for_each(|_| pair.server.send(&data(&[0; 1 << 12])).unwrap());
            pair.settle().unwrap();
        }
    }
}

#[test]
fn a_host_key_may_not_change_during_the_connection() {
    let mut pair = Pair::connected();
    let another = SigningKey::generate(KeyKind::Ed25519).unwrap();
    pair.server.config = Arc::new(config(Role::Server, preferences(), vec![another]));
    pair.client.begin_exchange().unwrap();
    assert!(matches!(pair.settle(), Err(Error::HostKeyChanged)));
}

#[test]
fn a_host_key_may_not_change_its_kind_either() {
    let host_keys = vec![ED25519, SignatureAlgorithm::EcdsaP256];
    let mut pair = Pair::connected_with(Preferences { host_keys, ..preferences() }, HOST_KEY.clone());
    let p256 = SigningKey::generate(KeyKind::EcdsaP256).unwrap();
    let host_keys = vec![SignatureAlgorithm::EcdsaP256];
    let preferences = Preferences { host_keys, ..preferences() };
    pair.server.config = Arc::new(config(Role::Server, preferences, vec![p256]));
    pair.server.begin_exchange().unwrap();
    assert!(matches!(pair.settle(), Err(Error::HostKeyChanged)));
}

/// Lets a client get a reply of the server's that was changed on the way.
fn tampered(change: impl FnOnce(&mut [Vec<u8>; 3]) -> Vec<u8>) -> Error {
    let mut pair = Pair::new(preferences(), HOST_KEY.clone());
    pair.carry_up().unwrap();
    pair.carry_down().unwrap();
    pair.carry_up().unwrap();
    let bytes = take_output(&mut pair.server);
    let mut opener = Opener::plain();
    let length = opener.packet_len(0, &mut bytes[..4].to_vec()).unwrap();
    let payload = bytes[opener.open(0, &mut bytes[..length].to_vec()).unwrap()].to_vec();
    let mut reader = crate::wire::Reader::new(&payload[1..]);
    let mut parts = [(); 3].map(|()| reader.string().unwrap().to_vec());
    let trailing = change(&mut parts);
    let mut reply = vec![message::KEX_REPLY];
    parts.iter().for_each(|part| reply.put_string(part));
    reply.put_bytes(&trailing);
    feed(&mut pair.client, &Plain::going_on().then(&reply).bytes).unwrap_err()
}

#[test]
fn a_reply_is_signed_whole_by_the_host_key_that_it_brings() {
    let another = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let is_forged = |error| matches!(error, Error::HostKeySignature(_));
    // Another key, another value, another signature; one bit each.
    assert!(is_forged(tampered(|reply| {
        reply[0] = another.public().blob().to_vec();
        Vec::new()
    })));
    for (part, at) in [(2, 30), (2, 82), (2, 8), (0, 30)] {
        assert!(is_forged(tampered(|reply| {
            reply[part][at] ^= 1;
            Vec::new()
        })));
    }
    let error = tampered(|reply| {
        reply[1][7] ^= 1;
        Vec::new()
    });
    assert!(matches!(error, Error::HostKeySignature(_) | Error::Kex(_)));
}

#[test]
fn a_reply_ends_where_it_ends() {
    assert!(matches!(tampered(|_| vec![0]), Error::Malformed(_)));
    assert!(matches!(
        tampered(|reply| {
            reply[2].push(0);
            Vec::new()
        }),
        Error::HostKeySignature(_)
    ));
    assert!(matches!(
        tampered(|reply| {
            reply[0].push(0);
            Vec::new()
        }),
        Error::HostKeySignature(_)
    ));
}

/// RFC 4253 section 7.1: the host key has the algorithm that was agreed on.
#[test]
fn a_host_key_of_another_kind_than_agreed_is_refused() {
    let p256 = SigningKey::generate(KeyKind::EcdsaP256).unwrap();
    let error = tampered(|reply| {
        reply[0] = p256.public().blob().to_vec();
        reply[2] = p256.sign(SignatureAlgorithm::EcdsaP256, b"anything").unwrap();
        Vec::new()
    });
    assert!(matches!(error, Error::HostKeySignature(crate::KeyError::OtherAlgorithm)));
}

#[test]
fn new_keys_have_nothing_after_them() {
    let mut pair = Pair::at_judgement();
    pair.client.accept_host_key().unwrap();
    take_output(&mut pair.client);
    let long = Plain::going_on().then(&[message::NEWKEYS, 0]).bytes;
    assert!(matches!(feed(&mut pair.server, &long), Err(Error::Malformed(_))));
}

#[test]
fn a_packet_with_a_length_that_cannot_be_is_refused_before_it_has_come() {
    for role in ROLES {
        for length in [0, 1, 5, 11, 13, 256 * 1024 + 4, 256 * 1024 + 12, 0x7fff_fffc, u32::MAX] {
            let mut peer = transport(role, preferences());
            let bytes = [b"SSH-2.0-x\r\n", &length.to_be_bytes()[..]].concat();
            assert!(matches!(feed(&mut peer, &bytes), Err(Error::Packet(_))), "{length}");
            assert!(peer.input.capacity() <= 4096);
        }
    }
}

#[test]
fn memory_for_a_packet_is_bounded_by_the_longest_one() {
    let mut server = transport(Role::Server, preferences());
    let length = u32::try_from(crate::cipher::MAX_PACKET - 4).unwrap();
    feed(&mut server, &[b"SSH-2.0-x\r\n", &length.to_be_bytes()[..]].concat()).unwrap();
    server.room();
    assert!(server.input.capacity() <= 2 * crate::cipher::MAX_PACKET);
}

/// Pings of a client that reads none of the answers, and unknown messages.
#[test]
fn a_peer_that_does_not_read_answers_gets_a_bounded_number_of_them() {
    let mut ping = vec![message::PING];
    ping.put_string(&[0; 100_000]);
    for (payload, in_exchange) in [(ping.clone(), false), (ping, true), (vec![200; 50_000], false)] {
        let mut pair = Pair::connected();
        if in_exchange {
            // The client never answers that, so the server keeps its pongs.
            pair.server.begin_exchange().unwrap();
        }
        pair.server.output.extend_from_slice(&vec![0; (8 << 20) - 1_000_000]);
        let mut most = 0;
        let error = loop {
            let asked = packet(&mut pair.client, &payload);
            match feed(&mut pair.server, &asked) {
                Ok(got) => assert_eq!(got, []),
                Err(error) => break error,
            }
            most = most.max(pair.server.backlog());
            assert!(most < 9 << 20);
        };
        assert!(matches!(error, Error::AnswerFlood));
    }
}

#[test]
fn what_was_changed_on_the_way_is_noticed_wherever_it_was_changed() {
    for cipher in Cipher::ALL {
        for mac in [Mac::HmacSha256Etm, Mac::HmacSha256] {
            let preferences = Preferences { ciphers: vec![cipher], macs: vec![mac], ..preferences() };
            // One change ends a connection; a few places stand for all.
            for at in (0..44).step_by(7) {
                let mut pair = Pair::connected_with(preferences.clone(), HOST_KEY.clone());
                let mut sealed = packet(&mut pair.client, &data(b"some text"));
                sealed[at] ^= 0x10;
                // The length may have become longer: more has to come before that is noticed.
                sealed.extend_from_slice(&vec![0; 300_000]);
                assert!(matches!(feed(&mut pair.server, &sealed), Err(Error::Packet(_))), "{cipher:?} {at}");
            }
        }
    }
}

#[test]
fn packets_that_are_left_out_repeated_or_swapped_are_noticed() {
    for cipher in Cipher::ALL {
        let connect = || {
            let preferences = Preferences { ciphers: vec![cipher], ..preferences() };
            let mut pair = Pair::connected_with(preferences, HOST_KEY.clone());
            let packets = [b"a", b"b"].map(|text| packet(&mut pair.client, &data(text)));
            (pair.server, packets)
        };
        for order in [&[1][..], &[0, 0], &[1, 0]] {
            let (mut server, packets) = connect();
            let mut all: Vec<u8> = order.iter().flat_map(|&index: &usize| packets[index].clone()).collect();
            all.extend_from_slice(&vec![0; 300_000]);
            assert!(matches!(feed(&mut server, &all), Err(Error::Packet(_))), "{cipher:?} {order:?}");
        }
    }
}
