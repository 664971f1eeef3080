mod vectors;

use proptest::prelude::*;

use super::*;

type Suite = (Cipher, Option<Mac>);

/// Every cipher, with every MAC where it takes one.
fn suites() -> impl Iterator<Item = Suite> {
    Cipher::ALL.into_iter().flat_map(|cipher| {
        let macs = if cipher.is_aead() { vec![None] } else { Mac::ALL.map(Some).to_vec() };
        macs.into_iter().map(move |mac| (cipher, mac))
    })
}

fn with_keys<T>((cipher, mac): Suite, make: impl FnOnce(&Keys<'_>) -> T) -> T {
    let rising =
        |first: u8, count| (0..).map(|step: u8| first.wrapping_add(step)).take(count).collect::<Vec<_>>();
    make(&Keys {
        iv: &vectors::iv(cipher),
        key: &rising(vectors::KEY, cipher.key_len()),
        mac: &rising(vectors::MAC_KEY, mac.map_or(0, Mac::key_len)),
    })
}

fn sealer(suite: Suite) -> Sealer {
    with_keys(suite, |keys| Sealer::new(suite.0, suite.1, keys)).unwrap()
}

fn opener(suite: Suite) -> Opener {
    with_keys(suite, |keys| Opener::new(suite.0, suite.1, keys)).unwrap()
}

fn sealed(sealer: &mut Sealer, sequence: u32, payload: &[u8]) -> BytesMut {
    // Something before the packet, as in a write buffer that has not been sent yet.
    let mut buffer = BytesMut::from(&b"earlier"[..]);
    buffer.extend_from_slice(&[0; HEAD]);
    buffer.extend_from_slice(payload);
    sealer.seal(sequence, &mut buffer, 7).unwrap();
    assert_eq!(&buffer.split_to(7)[..], b"earlier");
    buffer
}

/// Reads a packet as a transport does: the head, then as many bytes as that says. What is missing is zeros.
fn opened(opener: &mut Opener, sequence: u32, packet: &[u8]) -> Result<Vec<u8>, CipherError> {
    let mut packet = packet.to_vec();
    let head = opener.head_len();
    let length = opener.packet_len(sequence, &mut packet[..head])?;
    packet.resize(length, 0);
    let payload = opener.open(sequence, &mut packet)?;
    Ok(packet[payload].to_vec())
}

fn payload_of(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn what_is_sealed_is_opened() {
    for suite in suites() {
        let (mut sealer, mut opener) = (sealer(suite), opener(suite));
        // Across the end of the sequence numbers.
        let mut sequence = u32::MAX - 100;
        for length in (1..300).chain([32 * 1024]) {
            let payload = payload_of(length);
            let packet = sealed(&mut sealer, sequence, &payload);
            assert!(packet.len() <= HEAD + length + TAIL, "{suite:?} {length}");
            assert_eq!(opened(&mut opener, sequence, &packet), Ok(payload), "{suite:?} {length}");
            sequence = sequence.wrapping_add(1);
        }
    }
}

#[test]
fn what_is_plain_is_read() {
    for length in (1..300).chain([32 * 1024]) {
        let payload = payload_of(length);
        let packet = sealed(&mut Sealer::plain(), 0, &payload);
        assert!(packet.len() >= 16 && packet.len().is_multiple_of(8), "{length}");
        assert_eq!(opened(&mut Opener::plain(), 0, &packet), Ok(payload));
    }
}

#[test]
fn another_implementation_reads_what_is_sealed() {
    for (cipher, mac, stream) in vectors::STREAMS {
        // Their padding is random.
        if cipher.is_cbc() {
            continue;
        }
        let mut sealer = sealer((cipher, mac));
        let [first, second] = vectors::PAYLOADS;
        let ours = [sealed(&mut sealer, 7, first), sealed(&mut sealer, 8, second)].concat();
        assert_eq!(ours, unhex(stream), "{cipher:?} {mac:?}");
    }
}

#[test]
fn what_another_implementation_seals_is_opened() {
    for (cipher, mac, stream) in vectors::STREAMS {
        let (mut opener, mut stream) = (opener((cipher, mac)), unhex(stream));
        let mut rest = &mut stream[..];
        for (sequence, payload) in (7..).zip(vectors::PAYLOADS) {
            let head = opener.head_len();
            let length = opener.packet_len(sequence, &mut rest[..head]).unwrap();
            let (packet, next) = rest.split_at_mut(length);
            let range = opener.open(sequence, packet).unwrap();
            assert_eq!(&packet[range], payload, "{cipher:?} {mac:?}");
            rest = next;
        }
        assert!(rest.is_empty(), "{cipher:?} {mac:?}");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for suite in suites() {
        let packet = sealed(&mut sealer(suite), 3, b"\x5eto be changed");
        for (byte, bit) in (0..packet.len()).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let mut changed = packet.to_vec();
            changed[byte] ^= 1 << bit;
            let result = opened(&mut opener(suite), 3, &changed);
            let is_refused = matches!(result, Err(CipherError::Forged | CipherError::Length));
            assert!(is_refused, "{suite:?} {byte}.{bit}: {result:?}");
        }
    }
}

#[test]
fn a_changed_packet_never_says_what_its_encrypted_length_became() {
    for suite in suites().filter(|&suite| opener(suite).head_len() > LENGTH) {
        let packet = sealed(&mut sealer(suite), 3, b"\x5eto be changed");
        for byte in 0..packet.len() {
            let mut changed = packet.to_vec();
            changed[byte] ^= 0x40;
            assert_eq!(opened(&mut opener(suite), 3, &changed), Err(CipherError::Forged), "{suite:?} {byte}");
        }
    }
}

#[test]
fn a_packet_is_refused_with_another_sequence_number() {
    // AES-GCM counts by itself; see the next test.
    for suite in suites().filter(|suite| !matches!(suite.0, Cipher::Aes128Gcm | Cipher::Aes256Gcm)) {
        let packet = sealed(&mut sealer(suite), 3, b"\x5epayload");
        assert_eq!(opened(&mut opener(suite), 4, &packet), Err(CipherError::Forged), "{suite:?}");
    }
}

#[test]
fn a_packet_is_refused_the_second_time_and_out_of_order() {
    for suite in suites() {
        let mut sealer = sealer(suite);
        let (first, second) = (sealed(&mut sealer, 0, b"\x5eone"), sealed(&mut sealer, 1, b"\x5etwo"));
        let mut replayed = opener(suite);
        assert!(opened(&mut replayed, 0, &first).is_ok(), "{suite:?}");
        assert_eq!(opened(&mut replayed, 1, &first), Err(CipherError::Forged), "{suite:?}");
        assert_eq!(opened(&mut opener(suite), 0, &second), Err(CipherError::Forged), "{suite:?}");
    }
}

#[test]
fn lengths_that_the_protocol_does_not_allow_are_refused() {
    let readable =
        suites().filter(|suite| suite.1.is_none_or(Mac::is_etm) && suite.0 != Cipher::ChaCha20Poly1305);
    let openers = readable.map(opener).chain([Opener::plain()]);
    for mut opener in openers {
        let block = opener.frame.block();
        // The one length that fits, then those around it.
        let fits =
            |length: usize| opener.frame.packet_len(u32::try_from(length).unwrap().to_be_bytes()).is_ok();
        let allowed: Vec<usize> = (0..1000).filter(|&length| fits(length)).collect();
        assert!(allowed[0] > 6 && allowed.windows(2).all(|pair| pair[1] - pair[0] == block), "{opener:?}");
        let longest = allowed[0] + (MAX_PACKET - allowed[0]) / block * block;
        let mut ask = |length: usize| opener.packet_len(0, &mut u32::try_from(length).unwrap().to_be_bytes());
        assert!(ask(longest).is_ok());
        let refused =
            [0, 1, 5, allowed[0] - 1, allowed[0] + 1, longest + 1, longest + block, u32::MAX as usize];
        assert!(refused.into_iter().all(|length| ask(length) == Err(CipherError::Length)));
    }
}

#[test]
fn a_plain_packet_that_is_not_as_long_as_it_says_is_refused() {
    let packet = sealed(&mut Sealer::plain(), 0, b"\x14payload");
    for cut in 0..packet.len() {
        assert_eq!(Opener::plain().open(0, &mut packet[..cut].to_vec()), Err(CipherError::Length), "{cut}");
    }
    let longer = [&packet[..], &[0; 8]].concat();
    assert_eq!(Opener::plain().open(0, &mut longer.clone()), Err(CipherError::Length));
}

#[test]
fn a_padding_that_does_not_fit_is_refused() {
    let with_padding = |padding: u8| {
        let mut packet = [&[0, 0, 0, 12, padding][..], &[9; 11]].concat();
        Opener::plain().open(0, &mut packet)
    };
    assert_eq!(with_padding(3), Err(CipherError::Padding));
    assert_eq!(with_padding(4), Ok(5..12));
    assert_eq!(with_padding(10), Ok(5..6));
    assert_eq!(with_padding(11), Err(CipherError::Empty));
    assert_eq!(with_padding(12), Err(CipherError::Padding));
    assert_eq!(with_padding(255), Err(CipherError::Padding));
}

#[test]
fn only_a_payload_that_fits_a_packet_is_sealed() {
    for suite in suites() {
        let mut longest = BytesMut::zeroed(MAX_PACKET - 30);
        assert_eq!(sealer(suite).seal(0, &mut longest, 0), Ok(()), "{suite:?}");
        assert!(opened(&mut opener(suite), 0, &longest).is_ok(), "{suite:?}");
        let mut longer = BytesMut::zeroed(MAX_PACKET + 1);
        assert_eq!(sealer(suite).seal(0, &mut longer, 0), Err(CipherError::TooLong), "{suite:?}");
        let mut empty = BytesMut::zeroed(HEAD);
        assert_eq!(sealer(suite).seal(0, &mut empty, 0), Err(CipherError::Empty), "{suite:?}");
        let mut headless = BytesMut::zeroed(HEAD);
        assert_eq!(sealer(suite).seal(0, &mut headless, 3), Err(CipherError::Empty), "{suite:?}");
    }
}

#[test]
fn sealing_does_not_move_a_buffer_that_has_room_for_the_tail() {
    for suite in suites() {
        let mut buffer = BytesMut::with_capacity(HEAD + 100 + TAIL);
        buffer.resize(HEAD + 100, 1);
        let before = buffer.as_ptr();
        sealer(suite).seal(0, &mut buffer, 0).unwrap();
        assert_eq!(before, buffer.as_ptr(), "{suite:?}");
    }
}

#[test]
fn padding_of_cbc_does_not_repeat() {
    let suite = (Cipher::Aes128Cbc, Some(Mac::HmacSha256Etm));
    // The padding is in the only block.
    assert_ne!(sealed(&mut sealer(suite), 0, b"\x5e"), sealed(&mut sealer(suite), 0, b"\x5e"));
}

#[test]
fn keys_of_another_length_are_refused() {
    for suite in suites() {
        with_keys(suite, |keys| {
            let longer = |bytes: &[u8]| [bytes, &[0]].concat();
            let (iv, key, mac) = (longer(keys.iv), longer(keys.key), longer(keys.mac));
            let mut wrong = vec![Keys { key: &key, ..*keys }, Keys { key: &keys.key[1..], ..*keys }];
            if suite.0.iv_len() > 0 {
                wrong.extend([Keys { iv: &iv, ..*keys }, Keys { iv: &keys.iv[1..], ..*keys }]);
            }
            if suite.1.is_some() {
                wrong.extend([Keys { mac: &mac, ..*keys }, Keys { mac: &keys.mac[1..], ..*keys }]);
            }
            for keys in wrong {
                assert_eq!(Sealer::new(suite.0, suite.1, &keys).unwrap_err(), CipherError::Key, "{suite:?}");
                assert_eq!(Opener::new(suite.0, suite.1, &keys).unwrap_err(), CipherError::Key, "{suite:?}");
            }
        });
    }
}

#[test]
fn a_cipher_that_needs_a_mac_is_refused_without() {
    for cipher in Cipher::ALL.into_iter().filter(|cipher| !cipher.is_aead()) {
        with_keys((cipher, None), |keys| {
            assert_eq!(Sealer::new(cipher, None, keys).unwrap_err(), CipherError::NoMac);
            assert_eq!(Opener::new(cipher, None, keys).unwrap_err(), CipherError::NoMac);
        });
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    assert!(Cipher::ALL.into_iter().all(|cipher| Cipher::from_name(cipher.name()) == Some(cipher)));
    assert!(Mac::ALL.into_iter().all(|mac| Mac::from_name(mac.name()) == Some(mac)));
    assert_eq!(Cipher::from_name("none"), None);
    assert_eq!(Mac::from_name("none"), None);
}

#[test]
fn a_direction_is_small_and_moves_between_threads() {
    fn is_sent<T: Send + Sync>() -> usize {
        size_of::<T>()
    }
    assert!(is_sent::<Sealer>() <= 64 && is_sent::<Opener>() <= 64);
}

#[test]
fn nothing_of_the_keys_is_printed() {
    let suite = (Cipher::Aes128Ctr, Some(Mac::HmacSha256));
    let printed = with_keys(suite, |keys| format!("{keys:?} {:?} {:?}", sealer(suite), opener(suite)));
    let frame = "frame: Frame { block: 16, tail: 32, aligned: WithLength }, .. }";
    assert_eq!(printed, format!("Keys {{ .. }} Sealer {{ {frame} Opener {{ {frame}"));
}

proptest! {
    #[test]
    fn no_bytes_make_an_opener_panic_or_believe_them(
        head in prop::collection::vec(any::<u8>(), 0..40),
        packet in prop::collection::vec(any::<u8>(), 0..300),
        sequence in any::<u32>(),
    ) {
        for suite in suites() {
            let mut opener = opener(suite);
            let _ = opener.packet_len(sequence, &mut head.clone());
            prop_assert!(opener.open(sequence, &mut packet.clone()).is_err(), "{suite:?}");
            prop_assert!(opener.open(sequence, &mut packet.clone()).is_err(), "{suite:?}");
        }
    }

    #[test]
    fn the_payload_of_a_plain_packet_is_within_it(mut packet in prop::collection::vec(any::<u8>(), 5..300)) {
        let length = u32::try_from(packet.len() - LENGTH).unwrap();
        packet[..LENGTH].copy_from_slice(&length.to_be_bytes());
        if let Ok(payload) = Opener::plain().open(0, &mut packet) {
            prop_assert!(payload.start == HEAD && payload.end + 4 <= packet.len() && !payload.is_empty());
        }
    }
}
