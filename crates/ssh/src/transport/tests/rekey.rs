//! New keys, begun by either side, at any moment.

use super::*;

fn begin(transport: &mut Transport) {
    transport.begin_exchange().unwrap();
}

fn numbered(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range.map(|number| data(&number.to_be_bytes())).collect()
}

/// That nobody was asked about a host key again, and that both sides are done.
fn assert_rekeyed(pair: &Pair) {
    for transport in [&pair.client, &pair.server] {
        assert!(transport.exchange.is_none());
        assert_eq!(transport.held.bytes(), 0);
    }
}

#[test]
fn either_side_may_begin_it_and_both() {
    for (client, server) in [(true, false), (false, true), (true, true)] {
        let mut pair = Pair::connected();
        let session = pair.client.session_id().to_vec();
        for _ in 0..3 {
            if client {
                begin(&mut pair.client);
            }
            if server {
                begin(&mut pair.server);
            }
            pair.settle().unwrap();
            assert_rekeyed(&pair);
            pair.assert_works();
        }
        // RFC 4253 section 7.2: it is that of the first exchange.
        assert_eq!(pair.client.session_id(), session);
        assert_eq!(pair.server.session_id(), session);
    }
}

#[test]
fn new_keys_are_really_new() {
    let mut pair = Pair::connected();
    // In strict key exchange, numbers begin anew too; so the same message at the same number, in other keys.
    let old = packet(&mut pair.client, &data(b"same"));
    feed(&mut pair.server, &old).unwrap();
    begin(&mut pair.client);
    pair.settle().unwrap();
    let new = packet(&mut pair.client, &data(b"same"));
    assert_eq!(old.len(), new.len());
    assert_ne!(old[4..20], new[4..20]);
    assert!(matches!(feed(&mut pair.server, &old), Err(Error::Packet(_))));
}

/// RFC 4253 section 7.1: after its announcement a side sends nothing of the layers above until its new keys.
#[test]
fn what_is_sent_meanwhile_waits_and_arrives_in_order() {
    let mut pair = Pair::connected();
    begin(&mut pair.server);
    let announcement = take_output(&mut pair.server);
    for message in numbered(0..5) {
        pair.server.send(&message).unwrap();
    }
    assert!(pair.server.output.is_empty());
    assert_eq!(pair.server.backlog(), numbered(0..5).concat().len());
    // The client does not know of it yet.
    for message in numbered(10..15) {
        pair.client.send(&message).unwrap();
    }
    pair.carry_up().unwrap();
    assert_eq!(pair.messages(), [Vec::new(), numbered(10..15)]);
    assert_eq!(feed(&mut pair.client, &announcement).unwrap(), []);
    for message in numbered(15..20) {
        pair.client.send(&message).unwrap();
    }
    pair.settle().unwrap();
    assert_eq!(pair.messages(), [numbered(0..5), numbered(15..20)]);
    assert_rekeyed(&pair);
    assert_eq!(pair.server.backlog(), 0);
}

#[test]
fn nothing_is_lost_whoever_begins_and_wherever_the_bytes_are_cut() {
    for piece in [1, 7, 100, 1000, usize::MAX] {
        for beginner in 0..3 {
            let mut pair = Pair::connected();
            pair.pieces = vec![piece];
            let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
            for round in 0..60_u32 {
                pair.client.send(&data(&round.to_be_bytes())).unwrap();
                pair.server.send(&data(&round.to_le_bytes())).unwrap();
                if round % 20 == 5 {
                    if beginner != 1 {
                        begin(&mut pair.client);
                    }
                    if beginner != 0 {
                        begin(&mut pair.server);
                    }
                }
                // Not settled: bytes of several rounds are on their way when the next begins.
                if round % 2 == 0 {
                    pair.carry_up().unwrap()
                } else {
                    pair.carry_down().unwrap()
                };
            }
            pair.settle().unwrap();
            for round in 0..60_u32 {
                to_server.push(data(&round.to_be_bytes()));
                to_client.push(data(&round.to_le_bytes()));
            }
            assert_eq!(pair.messages(), [to_client, to_server], "{piece} {beginner}");
            assert_rekeyed(&pair);
        }
    }
}

#[test]
fn every_key_exchange_and_protection_can_follow_itself() {
    let lists =
        KexMethod::ALL.into_iter().filter(|kex| !kex.is_group_exchange() && *kex != KexMethod::DhGroup18);
    for (kex, cipher) in lists.zip(Cipher::ALL.into_iter().cycle()) {
        let preferences = Preferences { kex: vec![kex], ciphers: vec![cipher], ..preferences() };
        let mut pair = Pair::connected_with(preferences, HOST_KEY.clone());
        begin(&mut pair.server);
        pair.settle().unwrap();
        assert_rekeyed(&pair);
        pair.assert_works();
    }
}

#[test]
fn it_is_due_after_so_many_bytes() {
    let mut pair = Pair::connected();
    let now = pair.now;
    pair.client.moved = REKEY_BYTES - 1;
    pair.client.rekey_if_due(now).unwrap();
    assert!(pair.client.exchange.is_none());
    // Both what goes and what comes counts.
    let moved = pair.server.moved;
    pair.client.send(&data(b"x")).unwrap();
    pair.carry_up().unwrap();
    assert!(pair.server.moved > moved && pair.client.moved >= REKEY_BYTES);
    pair.client.rekey_if_due(now).unwrap();
    assert!(pair.client.exchange.is_some());
    pair.settle().unwrap();
    assert_rekeyed(&pair);
    assert!(pair.client.moved < 1000);
    // Once is enough.
    pair.client.rekey_if_due(now).unwrap();
    assert!(pair.client.exchange.is_none());
}

#[test]
fn it_is_due_after_so_much_time() {
    let mut pair = Pair::connected();
    pair.now += REKEY_TIME;
    let now = pair.now;
    pair.server.rekey_if_due(now - Duration::from_millis(1)).unwrap();
    assert!(pair.server.exchange.is_none());
    pair.server.rekey_if_due(now).unwrap();
    pair.server.rekey_if_due(now).unwrap();
    pair.settle().unwrap();
    assert_rekeyed(&pair);
    pair.server.rekey_if_due(now).unwrap();
    assert!(pair.server.exchange.is_none());
}

/// Without new keys, sequence numbers would come round, and with them the nonces of some ciphers.
#[test]
fn a_peer_that_does_not_take_part_may_not_go_on_for_ever() {
    let mut pair = Pair::connected();
    begin(&mut pair.server);
    take_output(&mut pair.server);
    pair.server.moved = LATEST_REKEY_BYTES - 1000;
    let ignored = packet(&mut pair.client, &[message::IGNORE, 0, 0, 0, 0]);
    assert_eq!(feed(&mut pair.server, &ignored).unwrap(), []);
    let long = packet(&mut pair.client, &data(&[0; 1000]));
    assert!(matches!(feed(&mut pair.server, &long), Err(Error::OldKeys)));
}

/// OpenSSH's PROTOCOL section 1.9: each set of keys begins with number zero; without it, numbers go on.
#[test]
fn sequence_numbers_begin_anew_with_each_keys_only_in_strict_key_exchange() {
    for strict in [true, false] {
        let mut pair = Pair::connected();
        (pair.client.strict, pair.server.strict) = (strict, strict);
        for _ in 0..5 {
            pair.assert_works();
        }
        let before = [pair.client.sent, pair.client.received];
        assert!(before.iter().all(|&number| number >= 5));
        begin(&mut pair.client);
        pair.settle().unwrap();
        let after = [pair.client.sent, pair.client.received];
        // The announcement, the public value, the new keys.
        let expected = if strict { [0, 0] } else { before.map(|number| number + 3) };
        assert_eq!(after, expected);
        assert_eq!([pair.server.received, pair.server.sent], expected);
        pair.assert_works();
    }
}

/// Some peers are not strict, and count on.
#[test]
fn sequence_numbers_come_round() {
    for cipher in [Cipher::Aes128Ctr, Cipher::ChaCha20Poly1305] {
        let preferences = Preferences { ciphers: vec![cipher], ..preferences() };
        let mut pair = Pair::connected_with(preferences, HOST_KEY.clone());
        (pair.client.sent, pair.server.received) = (u32::MAX - 1, u32::MAX - 1);
        for _ in 0..4 {
            pair.assert_works();
        }
        assert_eq!((pair.client.sent, pair.server.received), (2, 2));
    }
}
