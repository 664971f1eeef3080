//! What goes right: every algorithm, in pieces of any size.

use proptest::prelude::*;

use super::*;

/// Kinds of key that ssh-keygen makes, by what signs with them.
fn host_key(algorithm: SignatureAlgorithm) -> SigningKey {
    static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(KeyKind::Rsa3072).unwrap());
    let made = |kind| SigningKey::generate(kind).unwrap();
    match algorithm {
        SignatureAlgorithm::Ed25519 => HOST_KEY.clone(),
        SignatureAlgorithm::EcdsaP256 => made(KeyKind::EcdsaP256),
        SignatureAlgorithm::EcdsaP384 => made(KeyKind::EcdsaP384),
        SignatureAlgorithm::EcdsaP521 => made(KeyKind::EcdsaP521),
        SignatureAlgorithm::RsaSha512 | SignatureAlgorithm::RsaSha256 | SignatureAlgorithm::RsaSha1 => {
            RSA.clone()
        }
        SignatureAlgorithm::Dss => dss_key(),
        SignatureAlgorithm::SkEd25519 | SignatureAlgorithm::SkEcdsaP256 => panic!("no host key"),
    }
}

fn dss_key() -> SigningKey {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    #[expect(clippy::disallowed_methods, reason = "a test runs its peer")]
    let mut keygen = std::process::Command::new("ssh-keygen");
    let status = keygen.args(["-q", "-t", "dsa", "-N", "", "-f"]).arg(&path).status().unwrap();
    assert!(status.success());
    let text = keyward_model::Secret::new(std::fs::read_to_string(path).unwrap());
    SigningKey::from_text(&text, None).unwrap()
}

/// Messages of many sizes, up to the longest that OpenSSH sends.
fn messages() -> Vec<Vec<u8>> {
    [0, 1, 7, 8, 15, 16, 255, 4096, 32768, 200_000].map(|length| data(&vec![b'x'; length])).to_vec()
}

fn assert_all_arrives(pair: &mut Pair) {
    for message in messages() {
        pair.client.send(&message).unwrap();
        let (first, rest) = message.split_at(3);
        pair.server.send_parts(&[first, b"", rest]).unwrap();
    }
    pair.settle().unwrap();
    assert_eq!(pair.messages(), [messages(), messages()]);
}

#[test]
fn every_key_exchange_leads_to_keys_that_fit() {
    for kex in KexMethod::ALL.into_iter().filter(|kex| !kex.is_group_exchange()) {
        let mut pair =
            Pair::connected_with(Preferences { kex: vec![kex], ..preferences() }, HOST_KEY.clone());
        pair.assert_works();
    }
}

#[test]
fn every_host_key_algorithm_proves_the_server() {
    for algorithm in [
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::EcdsaP256,
        SignatureAlgorithm::EcdsaP384,
        SignatureAlgorithm::EcdsaP521,
        SignatureAlgorithm::RsaSha512,
        SignatureAlgorithm::RsaSha256,
        SignatureAlgorithm::RsaSha1,
        SignatureAlgorithm::Dss,
    ] {
        let preferences = Preferences { host_keys: vec![algorithm], ..preferences() };
        Pair::connected_with(preferences, host_key(algorithm)).assert_works();
    }
}

#[test]
fn messages_arrive_whole_and_in_order_under_every_protection() {
    for cipher in Cipher::ALL {
        let macs = if cipher.is_aead() { &Mac::ALL[..1] } else { &Mac::ALL[..] };
        for &mac in macs {
            let preferences = Preferences { ciphers: vec![cipher], macs: vec![mac], ..preferences() };
            let mut pair = Pair::connected_with(preferences, HOST_KEY.clone());
            let mac = Some(mac).filter(|_| !cipher.is_aead());
            assert_eq!(pair.client.protection(), Some([Protection { cipher, mac }; 2]));
            assert_all_arrives(&mut pair);
        }
    }
}

#[test]
fn bytes_may_come_one_at_a_time() {
    for cipher in [Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305, Cipher::Aes128Ctr, Cipher::TripleDesCbc] {
        let mut pair = Pair::new(
            Preferences { ciphers: vec![cipher], macs: Mac::ALL.to_vec(), ..preferences() },
            HOST_KEY.clone(),
        );
        pair.pieces = vec![1];
        pair.settle().unwrap();
        pair.assert_ready();
        pair.assert_works();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn how_bytes_are_cut_changes_nothing(
        pieces in prop::collection::vec(1..9000_usize, 1..8),
        cipher in prop::sample::select(Cipher::ALL.to_vec()),
        mac in prop::sample::select(Mac::ALL.to_vec()),
        lengths in prop::collection::vec(0..40_000_usize, 0..12),
    ) {
        let preferences = Preferences { ciphers: vec![cipher], macs: vec![mac], ..preferences() };
        let mut pair = Pair::new(preferences, HOST_KEY.clone());
        pair.pieces = pieces;
        pair.settle().unwrap();
        pair.assert_ready();
        let sent: Vec<_> = lengths.into_iter().map(|length| data(&vec![b'y'; length])).collect();
        for message in &sent {
            pair.client.send(message).unwrap();
            pair.server.send(message).unwrap();
        }
        pair.settle().unwrap();
        prop_assert_eq!(pair.messages(), [sent.clone(), sent]);
    }
}

#[test]
fn the_client_is_told_what_signatures_the_server_takes_from_users() {
    let pair = Pair::connected();
    assert_eq!(pair.client.peer_signatures(), Some(&[ED25519, SignatureAlgorithm::RsaSha512][..]));
    assert_eq!(pair.server.peer_signatures(), None);
}

#[test]
fn each_side_knows_what_the_other_calls_itself() {
    let pair = Pair::connected();
    assert_eq!(pair.client.peer_identification(), b"SSH-2.0-Server");
    assert_eq!(pair.server.peer_identification(), b"SSH-2.0-Client");
}

#[test]
fn nothing_comes_until_the_host_key_is_judged() {
    let mut pair = Pair::at_judgement();
    let now = pair.now;
    take_output(&mut pair.client);
    for _ in 0..3 {
        assert!(pair.client.next(now).unwrap().is_none());
    }
    assert!(take_output(&mut pair.client).is_empty());
    pair.client.accept_host_key().unwrap();
    assert!(matches!(pair.client.next(now).unwrap(), Some(Event::Ready)));
    pair.settle().unwrap();
    assert_eq!(std::mem::take(&mut pair.at_server), [Got::Ready]);
    pair.assert_works();
}

#[test]
fn a_host_key_that_nobody_was_shown_cannot_be_accepted() {
    let mut pair = Pair::new(preferences(), HOST_KEY.clone());
    let (now, mut got) = (pair.now, Vec::new());
    while got.is_empty() {
        pair.client.accept_host_key().unwrap();
        pair.carry_up().unwrap();
        let bytes = take_output(&mut pair.server);
        place(&bytes, &mut pair.client);
        pair.client.accept_host_key().unwrap();
        if let Some(Event::HostKey(key)) = pair.client.next(now).unwrap() {
            got.push(key.key);
        }
    }
    assert_eq!(got, [HOST_KEY.public().clone()]);
    assert!(pair.client.next(now).unwrap().is_none() && pair.client.host_key.is_none());
}

#[test]
fn a_silent_connection_owns_no_buffers() {
    let mut pair = Pair::connected();
    assert_all_arrives(&mut pair);
    for transport in [&mut pair.client, &mut pair.server] {
        transport.rest();
        assert_eq!(transport.output.capacity(), 0);
        assert_eq!(transport.input.capacity(), 0);
    }
    pair.assert_works();
}

#[test]
fn a_rest_in_the_middle_of_a_packet_loses_nothing() {
    let mut pair = Pair::connected();
    pair.client.send(&data(b"cut")).unwrap();
    let bytes = take_output(&mut pair.client);
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    assert_eq!(feed(&mut pair.server, first).unwrap(), []);
    pair.server.rest();
    assert_eq!(feed(&mut pair.server, rest).unwrap(), [Got::Message(data(b"cut"))]);
}
