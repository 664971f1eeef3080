//! Bytes of every kind in every state: an error or waiting, never a panic, and never much memory.

use proptest::prelude::*;

use super::*;

/// What a connection may own, whatever came: a packet and what it grew by, beside what a read brought.
const MOST_MEMORY: usize = 3 * crate::cipher::MAX_PACKET;

fn assert_bounded(transport: &Transport) {
    assert!(transport.input.capacity() <= MOST_MEMORY);
    assert!(transport.backlog() <= MOST_MEMORY);
}

/// After an error, the peer can still be told.
fn assert_can_leave(transport: &mut Transport) {
    take_output(transport);
    transport.disconnect(Disconnect::ProtocolError, "no");
    assert!(!take_output(transport).is_empty());
    assert!(transport.next(Instant::now()).unwrap().is_none());
    assert_eq!(transport.backlog(), 0);
}

/// How far two sides have come.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Greeted,
    Announced,
    /// The server has answered, the client judges or has judged.
    Answered,
    Connected,
    /// The server has announced another exchange, which the client does not know of.
    ServerBegan,
    ClientBegan,
}

const STAGES: [Stage; 6] = [
    Stage::Greeted,
    Stage::Announced,
    Stage::Answered,
    Stage::Connected,
    Stage::ServerBegan,
    Stage::ClientBegan,
];

/// Two sides in that stage, and nothing on its way.
fn pair_at(stage: Stage) -> Pair {
    let mut pair = match stage {
        Stage::Greeted => {
            let mut pair = Pair::new(preferences(), HOST_KEY.clone());
            place(b"SSH-2.0-Client\r\n", &mut pair.server);
            place(b"SSH-2.0-Server\r\n", &mut pair.client);
            (pair.client.sent, pair.server.sent) = (0, 0);
            pair
        }
        Stage::Announced => {
            let mut pair = Pair::new(preferences(), HOST_KEY.clone());
            pair.carry_up().unwrap();
            pair.carry_down().unwrap();
            pair
        }
        Stage::Answered => {
            let mut pair = Pair::at_judgement();
            pair.client.accept_host_key().unwrap();
            drain(&mut pair.client, pair.now, &mut Vec::new()).unwrap();
            pair
        }
        Stage::Connected | Stage::ServerBegan | Stage::ClientBegan => Pair::connected(),
    };
    match stage {
        Stage::ServerBegan => pair.server.begin_exchange().unwrap(),
        Stage::ClientBegan => {
            pair.client.begin_exchange().unwrap();
            pair.carry_up().unwrap();
        }
        Stage::Greeted | Stage::Announced | Stage::Answered | Stage::Connected => {}
    }
    take_output(&mut pair.client);
    take_output(&mut pair.server);
    pair
}

fn sides(pair: &mut Pair, to_server: bool) -> (&mut Transport, &mut Transport) {
    if to_server { (&mut pair.client, &mut pair.server) } else { (&mut pair.server, &mut pair.client) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_at_all_are_survived(
        is_greeted in any::<bool>(),
        role in prop::sample::select(vec![Role::Client, Role::Server]),
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut peer = transport(role, preferences());
        let greeting: &[u8] = if is_greeted { b"SSH-2.0-x\r\n" } else { b"" };
        if feed(&mut peer, &[greeting, &bytes].concat()).is_err() {
            assert_can_leave(&mut peer);
        }
        assert_bounded(&peer);
    }

    #[test]
    fn any_bytes_instead_of_a_packet_are_survived(
        stage in prop::sample::select(STAGES.to_vec()),
        to_server in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut pair = pair_at(stage);
        let (_, to) = sides(&mut pair, to_server);
        if feed(to, &bytes).is_err() {
            assert_can_leave(to);
        }
        assert_bounded(to);
    }

    #[test]
    fn any_message_in_any_state_is_survived(
        stage in prop::sample::select(STAGES.to_vec()),
        to_server in any::<bool>(),
        numbers in prop::collection::vec(
            prop_oneof![Just(20_u8), Just(21), Just(30), Just(31), Just(7), Just(192), any::<u8>()], 1..4),
        body in prop::collection::vec(any::<u8>(), 0..300),
        zeros in 0..40_usize,
    ) {
        let mut pair = pair_at(stage);
        let (from, to) = sides(&mut pair, to_server);
        for number in numbers {
            // Zeros make short strings of what would be too long ones.
            let payload = [&[number][..], &vec![0; zeros], &body].concat();
            let sealed = packet(from, &payload);
            if feed(to, &sealed).is_err() {
                assert_can_leave(to);
                break;
            }
            assert_bounded(to);
        }
    }

    /// The first bytes that either side says, with one bit changed on the way.
    #[test]
    fn one_changed_bit_is_noticed_or_means_nothing(
        at in 0..1200_usize,
        bit in 0..8_u32,
        to_server in any::<bool>(),
        piece in prop::sample::select(vec![1, 100, usize::MAX]),
    ) {
        let mut pair = Pair::new(preferences(), HOST_KEY.clone());
        pair.pieces = vec![piece];
        let mut seen = 0;
        let outcome = loop {
            let (mut up, mut down) = (take_output(&mut pair.client), take_output(&mut pair.server));
            if up.is_empty() && down.is_empty() {
                break Ok(());
            }
            let changed = if to_server { &mut up } else { &mut down };
            if let Some(byte) = at.checked_sub(seen).and_then(|at| changed.get_mut(at)) {
                *byte ^= 1_u8.rotate_left(bit);
            }
            seen += changed.len();
            let at_server = carry(&up, &mut pair.server, &pair.pieces, pair.now, &mut pair.at_server);
            let at_client = carry(&down, &mut pair.client, &pair.pieces, pair.now, &mut pair.at_client);
            if let Err(error) = at_server.and(at_client) {
                break Err(error);
            }
        };
        assert_bounded(&pair.client);
        assert_bounded(&pair.server);
        // Padding before the keys is nobody's; else one side has failed, or waits for what never comes.
        if outcome.is_ok() && pair.at_client.contains(&Got::Ready) && pair.at_server.contains(&Got::Ready) {
            prop_assert_eq!(pair.client.session_id(), pair.server.session_id());
            pair.assert_ready();
        }
    }
}

/// Those who wait have no error, no answer, and little memory; a timer of the layers above ends it.
#[test]
fn a_peer_that_stops_in_the_middle_is_waited_for() {
    for stops in [Role::Client, Role::Server] {
        for cut in (0..1200).step_by(3) {
            let mut pair = Pair::new(preferences(), HOST_KEY.clone());
            let mut left = cut;
            loop {
                let (mut up, mut down) = (take_output(&mut pair.client), take_output(&mut pair.server));
                let stopped = if stops == Role::Client { &mut up } else { &mut down };
                stopped.truncate(left);
                left -= stopped.len();
                if up.is_empty() && down.is_empty() {
                    break;
                }
                carry(&up, &mut pair.server, &pair.pieces, pair.now, &mut pair.at_server).unwrap();
                carry(&down, &mut pair.client, &pair.pieces, pair.now, &mut pair.at_client).unwrap();
            }
            let waits = if stops == Role::Client { &mut pair.server } else { &mut pair.client };
            assert!(waits.next(pair.now).unwrap().is_none());
            assert_bounded(waits);
        }
    }
}

#[test]
fn a_banner_without_end_is_ended() {
    for line in [&b"\n"[..], b"hello\r\n", b"SSH\n", b"x", b"SSH-", b"\0"] {
        for role in [Role::Client, Role::Server] {
            let mut peer = transport(role, preferences());
            let mut said = 0;
            let error = loop {
                match feed(&mut peer, line) {
                    Ok(got) => assert_eq!(got, []),
                    Err(error) => break error,
                }
                said += line.len();
                assert!(said < 40_000);
            };
            assert!(matches!(error, Error::EndlessBanner | Error::NotSsh(_)), "{error:?}");
            assert!(role == Role::Client || said <= 256);
            assert_can_leave(&mut peer);
        }
    }
}

/// Inputs that were made to break something.
#[test]
fn nasty_inputs_are_refused() {
    let greeted = |packet: &[u8]| [b"SSH-2.0-x\r\n", packet].concat();
    let nasty: [(&str, Vec<u8>); 16] = [
        ("a browser", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n".to_vec()),
        ("an old version", b"SSH-1.5-x\r\n".to_vec()),
        ("a version that begins like ours", b"SSH-2.05-x\r\n".to_vec()),
        ("a name with a zero", b"SSH-2.0-\0\r\n".to_vec()),
        ("no packet", greeted(&[0; 16])),
        ("nothing but padding", greeted(&[0, 0, 0, 12, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("more padding than packet", greeted(&[0, 0, 0, 12, 255, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("too little padding", greeted(&[0, 0, 0, 12, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("not a whole block", greeted(&[0, 0, 0, 13, 4, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("a length with a sign", greeted(&[0x80, 0, 0, 12, 4, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("an announcement of nothing", greeted(&[0, 0, 0, 12, 10, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("a farewell that is cut", greeted(&[0, 0, 0, 12, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("a request before the keys", greeted(&[0, 0, 0, 12, 10, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("new keys at once", greeted(&[0, 0, 0, 12, 10, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("number zero", greeted(&[0, 0, 0, 12, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    ];
    for (what, bytes) in nasty {
        let mut server = transport(Role::Server, preferences());
        assert!(feed(&mut server, &bytes).is_err(), "{what}");
        // The same when it comes byte by byte.
        let mut server = transport(Role::Server, preferences());
        assert!(carry(&bytes, &mut server, &[1], Instant::now(), &mut Vec::new()).is_err(), "{what}");
    }
}

/// Lists of names that cost more than they look.
#[test]
fn long_lists_of_names_are_read_and_cost_little() {
    for list in ["a,".repeat(60_000) + "a", "x".repeat(100_000), String::new()] {
        let mut announcement = vec![message::KEXINIT];
        announcement.put_bytes(&[0; 16]);
        announcement.put_string(list.as_bytes());
        (0..9).for_each(|_| announcement.put_string(b""));
        announcement.put_bytes(&[0; 5]);
        let mut server = transport(Role::Server, preferences());
        place(b"SSH-2.0-x\r\n", &mut server);
        let mut client = transport(Role::Client, preferences());
        take_output(&mut client);
        let error = feed(&mut server, &packet(&mut client, &announcement)).unwrap_err();
        // And nobody's log is filled.
        assert!(matches!(&error, Error::NothingInCommon { theirs, .. } if theirs.len() < 400));
    }
}
