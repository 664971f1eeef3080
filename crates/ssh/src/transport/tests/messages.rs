//! What the transport layer answers by itself, and how connections end.

use super::*;

const GOODBYE: &str = "until\nlater";

fn farewell(reason: Disconnect, description: &str) -> Got {
    Got::Disconnected(Farewell { reason: reason as u32, description: description.to_owned() })
}

fn ping(data: &[u8]) -> Vec<u8> {
    let mut message = vec![message::PING];
    message.put_string(data);
    message
}

#[test]
fn a_ping_is_answered_with_what_it_brought() {
    let mut pair = Pair::connected();
    let ping = packet(&mut pair.client, &ping(b"are you there"));
    assert_eq!(feed(&mut pair.server, &ping).unwrap(), []);
    let answer = take_output(&mut pair.server);
    let mut pong = vec![message::PONG];
    pong.put_string(b"are you there");
    assert_eq!(payloads(&mut pair.client, &answer), [pong]);
}

#[test]
fn a_ping_is_answered_after_an_exchange_that_the_peer_does_not_know_of_yet() {
    let mut pair = Pair::connected();
    pair.server.begin_exchange().unwrap();
    let announcement = take_output(&mut pair.server);
    let ping = packet(&mut pair.client, &ping(b"x"));
    assert_eq!(feed(&mut pair.server, &ping).unwrap(), []);
    assert!(pair.server.output.is_empty());
    assert_eq!(feed(&mut pair.client, &announcement).unwrap(), []);
    pair.settle().unwrap();
    assert!(pair.client.exchange.is_none() && pair.server.held.bytes() == 0);
    pair.assert_works();
}

/// RFC 4253 section 11.4.
#[test]
fn a_message_that_nobody_knows_is_said_to_be_so_by_its_number_in_the_sequence() {
    for strict in [true, false] {
        let mut pair = Pair::connected();
        pair.client.strict = strict;
        pair.server.strict = strict;
        for number in [0, 8, 19, 194, 255] {
            let sequence = pair.client.sent;
            let unknown = packet(&mut pair.client, &[number, 1, 2, 3]);
            assert_eq!(feed(&mut pair.server, &unknown).unwrap(), []);
            let answer = take_output(&mut pair.server);
            let expected = [&[message::UNIMPLEMENTED][..], &sequence.to_be_bytes()].concat();
            assert_eq!(payloads(&mut pair.client, &answer), [expected]);
        }
        pair.assert_works();
    }
}

#[test]
fn what_says_nothing_is_passed_over() {
    let mut pair = Pair::connected();
    for number in [message::IGNORE, message::DEBUG, message::UNIMPLEMENTED, message::PONG] {
        let idle = packet(&mut pair.client, &[number, 0xff]);
        assert_eq!(feed(&mut pair.server, &idle).unwrap(), []);
        assert!(pair.server.output.is_empty());
    }
    pair.assert_works();
}

#[test]
fn either_side_may_leave_and_nothing_goes_after_that() {
    let mut pair = Pair::connected();
    pair.client.send(&data(b"last")).unwrap();
    pair.client.disconnect(Disconnect::ByApplication, GOODBYE);
    pair.client.disconnect(Disconnect::ProtocolError, "again");
    pair.client.send(&data(b"too late")).unwrap();
    pair.settle().unwrap();
    // Without what would act on a terminal.
    let expected = [Got::Message(data(b"last")), farewell(Disconnect::ByApplication, "untillater")];
    assert_eq!(pair.at_server, expected);
    pair.server.send(&data(b"too late")).unwrap();
    pair.server.disconnect(Disconnect::ByApplication, "me too");
    assert_eq!(pair.server.backlog(), 0);

    let mut pair = Pair::connected();
    pair.server.disconnect(Disconnect::NoMoreAuthMethodsAvailable, "no");
    pair.settle().unwrap();
    assert_eq!(pair.at_client, [farewell(Disconnect::NoMoreAuthMethodsAvailable, "no")]);
}

#[test]
fn what_comes_after_a_farewell_is_not_read() {
    let mut pair = Pair::connected();
    let goodbye = packet(&mut pair.client, &[message::DISCONNECT, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0]);
    let late = packet(&mut pair.client, &data(b"late"));
    let got = feed(&mut pair.server, &[goodbye, late, b"garbage".repeat(100)].concat()).unwrap();
    assert_eq!(got, [farewell(Disconnect::ByApplication, "")]);
}

/// The messages that wait for its end are not waited for any more, by those who look at the backlog.
#[test]
fn leaving_in_the_middle_of_an_exchange_drops_what_waits_for_its_end() {
    for leaves in [true, false] {
        let mut pair = Pair::connected();
        pair.server.begin_exchange().unwrap();
        pair.server.send(&data(b"held")).unwrap();
        if leaves {
            pair.server.disconnect(Disconnect::ByApplication, "bye");
            pair.carry_down().unwrap();
            assert_eq!(pair.at_client, [farewell(Disconnect::ByApplication, "bye")]);
        } else {
            pair.client.disconnect(Disconnect::ByApplication, "bye");
            pair.carry_up().unwrap();
            take_output(&mut pair.server);
        }
        assert_eq!(pair.server.backlog(), 0);
        assert!(pair.server.exchange.is_none());
    }
}

#[test]
fn nothing_begins_after_the_end() {
    let mut pair = Pair::at_judgement();
    let now = pair.now;
    pair.client.disconnect(Disconnect::HostKeyNotVerifiable, "");
    take_output(&mut pair.client);
    pair.client.accept_host_key().unwrap();
    pair.client.rekey_if_due(now + 2 * REKEY_TIME).unwrap();
    assert!(pair.client.next(now).unwrap().is_none());
    assert!(take_output(&mut pair.client).is_empty());

    let mut pair = Pair::connected();
    pair.client.disconnect(Disconnect::ByApplication, "");
    take_output(&mut pair.client);
    pair.client.rekey_if_due(pair.now + 2 * REKEY_TIME).unwrap();
    assert!(take_output(&mut pair.client).is_empty());
}

#[test]
fn a_farewell_in_the_first_exchange_is_understood() {
    let mut pair = Pair::new(preferences(), HOST_KEY.clone());
    pair.server.disconnect(Disconnect::ProtocolError, "too many connections");
    pair.settle().unwrap();
    assert_eq!(pair.at_client, [farewell(Disconnect::ProtocolError, "too many connections")]);
}

/// As after any other error, the peer can be told.
#[test]
fn a_farewell_that_is_cut_is_an_error() {
    for cut in [&[message::DISCONNECT][..], &[1, 0, 0, 0, 2], &[1, 0, 0, 0, 2, 0, 0, 0, 9, b'x']] {
        let mut pair = Pair::connected();
        let cut = packet(&mut pair.client, cut);
        assert!(matches!(feed(&mut pair.server, &cut), Err(Error::Malformed(_))));
        pair.server.disconnect(Disconnect::ProtocolError, "what?");
        pair.carry_down().unwrap();
        assert_eq!(pair.at_client, [farewell(Disconnect::ProtocolError, "what?")]);
    }
}

/// What cannot be a packet must not be left in the output: it would go out as it is, in plain text.
#[test]
fn a_message_that_is_no_packet_leaves_nothing_behind() {
    let mut pair = Pair::connected();
    for message in [vec![b'p'; crate::cipher::MAX_PACKET + 1], Vec::new()] {
        assert!(matches!(pair.client.send(&message), Err(Error::Packet(_))));
        assert!(pair.client.output.is_empty());
        pair.assert_works();
    }
}

#[test]
fn accepting_a_host_key_out_of_turn_changes_nothing() {
    let mut pair = Pair::connected();
    pair.client.accept_host_key().unwrap();
    pair.client.begin_exchange().unwrap();
    pair.client.accept_host_key().unwrap();
    pair.settle().unwrap();
    // The host key is still known: nobody is asked again.
    assert_eq!(pair.at_client, []);
    pair.assert_works();
}

/// A password is gone from memory once it has been used, and in no output for people.
#[test]
fn what_may_be_a_password_is_wiped_and_not_shown() {
    let secret = keyward_model::Secret::new("correct horse".into());
    let request = crate::auth::request_password("ann", &secret);
    let shown = |bytes: &[u8]| bytes.windows(13).any(|window| window == b"correct horse");

    let mut pair = Pair::connected();
    let bytes = packet(&mut pair.client, &request);
    place(&bytes, &mut pair.server);
    let now = pair.now;
    let event = pair.server.next(now).unwrap().unwrap();
    assert_eq!(format!("{event:?}"), format!("Message(50, {} bytes)", request.len()));
    assert!(matches!(event, Event::Message(message) if message == *request));
    assert!(shown(pair.server.input.all()));
    assert!(pair.server.next(now).unwrap().is_none());
    assert!(!shown(pair.server.input.all()));

    pair.client.begin_exchange().unwrap();
    pair.client.send(&request).unwrap();
    let debug = format!("{:?} {:?} {:?}", pair.client, pair.client.exchange, pair.client.config);
    assert!(!debug.contains("correct") && !debug.contains(&format!("{:?}", &request[1..9])), "{debug}");
}
