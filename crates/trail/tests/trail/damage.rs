//! Cuts are told apart from damage, and nothing that a file holds can hurt its reader.

use std::time::Duration;

use keyward_model::Verdict;
use keyward_trail::{ChannelId, Damage, End, Ending, Event, TrailError, Writer};
use proptest::prelude::*;

use crate::{end, header, read, session, written};

/// The prelude, and the header of a block: their lengths in the file.
const PRELUDE: usize = 24;
const BLOCK: usize = 48;

#[test]
fn a_cut_at_every_byte_leaves_the_events_of_the_blocks_before_it() {
    let trail = written(&session(), &[1, 4]);
    let mut seen = Vec::new();
    for cut in 0..trail.len() {
        match read(&trail[..cut]) {
            Ok((events, ending)) => {
                assert_eq!(ending, Ending::Unfinished, "{cut}");
                assert_eq!(events, session()[..events.len()], "{cut}");
                seen.push(events.len());
            }
            Err((_, error)) => assert!(matches!(error, TrailError::HeaderCut), "{cut}: {error}"),
        }
    }
    assert!(seen.is_sorted());
    seen.dedup();
    assert_eq!(seen, [0, 2, 5, 10]);
}

#[test]
fn a_changed_byte_anywhere_is_an_error() {
    let trail = written(&session(), &[1, 4]);
    for place in 0..trail.len() {
        for change in [1, 0x80, 0xff] {
            let mut trail = trail.clone();
            trail[place] ^= change;
            let (events, _) = read(&trail).expect_err(&format!("byte {place} changed by {change:#x}"));
            assert_eq!(events, session()[..events.len()]);
        }
    }
}

#[test]
fn damage_names_its_block_and_the_place_of_that() {
    let trail = written(&session(), &[1, 4]);
    let block_0 = PRELUDE + u32::from_le_bytes(trail[12..16].try_into().unwrap()) as usize;
    let stored = u32::from_le_bytes(trail[block_0 + 4..block_0 + 8].try_into().unwrap()) as usize;
    let block_1 = block_0 + BLOCK + stored;
    let mut trail = trail;
    trail[block_1 + BLOCK] ^= 1;
    let (events, error) = read(&trail).unwrap_err();
    assert_eq!(events.len(), 2);
    assert_eq!(
        error.to_string(),
        format!(
            "block 1, at byte {block_1} of the trail, is damaged: the checksum of its content does not match"
        )
    );
}

#[test]
fn nothing_may_follow_the_end() {
    for tail in [&b"x"[..], &[0; BLOCK]] {
        let trail = [written(&session(), &[]), tail.to_vec()].concat();
        assert!(read(&trail).is_err());
    }
    let mut again = written(&[], &[]);
    let extra = block(2, 0, 1, u64::MAX, &end_payload());
    again.extend_from_slice(&extra);
    let damage = |result| match result {
        Err((_, TrailError::Block { damage, .. })) => damage,
        other => panic!("{other:?}"),
    };
    assert_eq!(damage(read(&again)), Damage::AfterEnd);
}

#[test]
fn kinds_of_a_newer_version_are_skipped() {
    // An event of kind 99, then a close of channel 3 with a field that is not known yet.
    let events = [99, 0, 2, 1, 2, 8, 0, 3, 3, 0xaa, 0xbb];
    let trail = trail_of(&[
        block(77, 0xfff0, 0, 0, b"an index, perhaps"),
        block(1, 0, 1, 5, &events),
        block(2, 0, 2, 5, &[b"\x09\x01x".to_vec(), end_payload()].concat()),
        block(78, 0, 3, 0, b"a signature, perhaps"),
    ]);
    let (events, ending) = read(&trail).unwrap();
    assert_eq!(events, [(Duration::from_micros(5), Event::Close { channel: ChannelId(3) })]);
    let end = End { verdict: Verdict::Accept, reason: None };
    assert_eq!(ending, Ending::Finished { at: Duration::from_micros(5), end });
}

#[test]
fn a_decompression_bomb_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    for plain in [0, 65_536, 1 << 20] {
        let trail = trail_of(&[block_of_length(1, 1, 0, 0, &bomb, plain)]);
        let (_, error) = read(&trail).unwrap_err();
        assert!(matches!(error, TrailError::Block { damage: Damage::Length, .. }), "{error}");
    }
    let trail = trail_of(&[block_of_length(1, 1, 0, 0, &bomb, 64 << 20)]);
    let (_, error) = read(&trail).unwrap_err();
    assert!(matches!(error, TrailError::Block { damage: Damage::TooLong { .. }, .. }), "{error}");
}

#[test]
fn blocks_out_of_order_and_times_that_run_backwards_are_damage() {
    let close = [8, 0, 1, 3];
    let damage = |blocks: &[Vec<u8>]| match read(&trail_of(blocks)).unwrap_err() {
        (_, TrailError::Block { damage, .. }) => damage,
        (_, other) => panic!("{other}"),
    };
    assert_eq!(damage(&[block(1, 0, 1, 0, &close)]), Damage::Sequence(1));
    assert_eq!(damage(&[block(1, 0, 0, 9, &close), block(1, 0, 1, 8, &close)]), Damage::Time);
    assert_eq!(damage(&[block(1, 0, 0, 9, &[8, 1, 1, 3])]), Damage::Time);
    assert_eq!(damage(&[block(1, 2, 0, 0, &close)]), Damage::Flags(2));
}

#[test]
fn a_trail_of_another_version_or_with_protection_says_so() {
    let trail = written(&[], &[]);
    let message = |place: usize, byte: u8| {
        let mut trail = trail.clone();
        trail[place] = byte;
        read(&trail).unwrap_err().1.to_string()
    };
    assert_eq!(message(0, b'P'), "this is no trail: it does not begin as one");
    assert_eq!(
        message(8, 2),
        "the trail has format version 2, this program reads version 1: use a newer one"
    );
    assert_eq!(
        message(10, 3),
        "the trail is encrypted or signed in a way that this version does not know (protection 3): use a newer one"
    );
}

fn end_payload() -> Vec<u8> {
    b"\x01\x06accept".to_vec()
}

/// A block with right checksums, whatever its content. All its events happen at `time`.
fn block(kind: u16, flags: u16, sequence: u64, time: u64, payload: &[u8]) -> Vec<u8> {
    block_of_length(kind, flags, sequence, time, payload, payload.len() as u32)
}

fn block_of_length(kind: u16, flags: u16, sequence: u64, time: u64, payload: &[u8], plain: u32) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(kind.to_le_bytes());
    out.extend(flags.to_le_bytes());
    out.extend((payload.len() as u32).to_le_bytes());
    out.extend(plain.to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend(time.to_le_bytes());
    out.extend(time.to_le_bytes());
    out.extend(crc32fast::hash(payload).to_le_bytes());
    out.extend(crc32fast::hash(&out).to_le_bytes());
    out.extend(payload);
    out
}

/// A header and these blocks, as an unfinished trail.
fn trail_of(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut trail = Writer::new(Vec::new(), &header()).unwrap().finish(Duration::ZERO, &end()).unwrap();
    let facts = u32::from_le_bytes(trail[12..16].try_into().unwrap()) as usize;
    trail.truncate(PRELUDE + facts);
    trail.extend(blocks.concat());
    trail
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        _ = read(&bytes);
        _ = read(&trail_of(&[bytes]));
    }

    #[test]
    fn no_content_of_a_block_panics(
        kind in 0u16..4,
        flags in 0u16..3,
        time: u64,
        payload in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..60),
        plain in 0u32..100,
    ) {
        _ = read(&trail_of(&[block(kind, 0, 0, time, &payload)]));
        _ = read(&trail_of(&[block_of_length(kind, flags, 0, time, &payload, plain)]));
        let packed = zstd::bulk::compress(&payload, 1).unwrap();
        _ = read(&trail_of(&[block_of_length(kind, 1, 0, time, &packed, payload.len() as u32)]));
    }
}
