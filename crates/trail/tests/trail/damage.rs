//! Cuts are told apart from damage, and nothing that a file holds can hurt its reader.

use std::time::Duration;

use keyward_model::Verdict;
use keyward_trail::{ChannelId, Damage, End, Ending, Event, TrailError, verify};
use proptest::prelude::*;

use crate::blocks::{BLOCK, Plain, begun, block, relinked, split, trail_of, with_protection};
use crate::{read, session, written};

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
    let parts = split(&trail);
    let block_2: usize = parts[..3].iter().map(Vec::len).sum();
    let mut trail = trail;
    trail[block_2 + BLOCK] ^= 1;
    let (events, error) = read(&trail).unwrap_err();
    assert_eq!(events.len(), 2);
    let start = format!("block 2, at byte {block_2} of the trail, is damaged: it does not fit the chain");
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[test]
fn nothing_may_follow_the_end() {
    for tail in [&b"x"[..], &[0; BLOCK]] {
        let trail = [written(&session(), &[]), tail.to_vec()].concat();
        assert!(read(&trail).is_err());
    }
    let end = block(2, 0, 9, &end_payload());
    for again in [end.clone(), block(1, 0, 9, &[8, 0, 1, 3])] {
        let (_, error) = read(&trail_of(&[end.clone(), again])).unwrap_err();
        assert!(matches!(error, TrailError::Block { damage: Damage::AfterEnd, .. }), "{error}");
    }
}

#[test]
fn kinds_of_a_newer_version_are_skipped() {
    // An event of kind 99, then a close of channel 3 with a field that is not known yet.
    let events = [99, 0, 2, 1, 2, 8, 0, 3, 3, 0xaa, 0xbb];
    let trail = trail_of(&[
        block(77, 0xfff0, 0, b"an index, perhaps"),
        block(1, 0, 5, &events),
        block(2, 0, 5, &[b"\x09\x01x".to_vec(), end_payload()].concat()),
        block(78, 0, 0, b"a time stamp, perhaps"),
    ]);
    let (events, ending) = read(&trail).unwrap();
    assert_eq!(events, [(Duration::from_micros(5), Event::Close { channel: ChannelId(3) })]);
    assert_eq!(ending, Ending::Unfinished, "nobody has signed that end");
}

#[test]
fn an_end_counts_when_it_is_signed() {
    let trail = written(&session(), &[]);
    let parts = split(&trail);
    let (_, ending) = read(&trail).unwrap();
    assert!(matches!(ending, Ending::Finished { end: End { verdict: Verdict::Accept, .. }, .. }));
    let (events, ending) = read(&parts[..parts.len() - 1].concat()).unwrap();
    assert_eq!((events, ending), (session(), Ending::Unfinished));
}

#[test]
fn a_decompression_bomb_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    for plain in [0, 65_536, 1 << 20] {
        let trail = trail_of(&[Plain { plain, ..block(1, 1, 0, &bomb) }]);
        let (_, error) = read(&trail).unwrap_err();
        assert!(matches!(error, TrailError::Block { damage: Damage::Length, .. }), "{error}");
    }
    let trail = trail_of(&[Plain { plain: 64 << 20, ..block(1, 1, 0, &bomb) }]);
    let (_, error) = read(&trail).unwrap_err();
    assert!(matches!(error, TrailError::Block { damage: Damage::TooLong { .. }, .. }), "{error}");
}

fn damage_of(trail: &[u8]) -> Damage {
    match read(trail).unwrap_err() {
        (_, TrailError::Block { damage, .. }) => damage,
        (_, other) => panic!("{other}"),
    }
}

#[test]
fn times_that_run_backwards_and_unknown_flags_are_damage() {
    let close = [8, 0, 1, 3];
    let damage = |blocks: &[Plain]| damage_of(&trail_of(blocks));
    assert_eq!(damage(&[block(1, 0, 9, &close), block(1, 0, 8, &close)]), Damage::Time);
    assert_eq!(damage(&[block(1, 0, 9, &[8, 1, 1, 3])]), Damage::Time);
    assert_eq!(damage(&[block(1, 16, 0, &close)]), Damage::Flags(16));
    assert_eq!(damage(&[block(2, 1, 0, &end_payload())]), Damage::Flags(1));
}

#[test]
fn blocks_out_of_order_are_damage() {
    let parts = split(&trail_of(&[block(1, 0, 0, &[8, 0, 1, 3]), block(1, 0, 0, &[8, 0, 1, 4])]));
    let [head, seal, one, two] = parts.as_slice() else { panic!() };
    assert_eq!(damage_of(&[head.as_slice(), seal, two].concat()), Damage::Sequence(2));
    assert_eq!(damage_of(&[head.as_slice(), seal, one, one].concat()), Damage::Sequence(1));
    assert_eq!(damage_of(&relinked(&[head.clone(), one.clone(), two.clone()])), Damage::Unsigned);
}

#[test]
fn blocks_of_streams_that_the_header_does_not_have_are_damage() {
    let close = [8, 0, 1, 3];
    assert_eq!(damage_of(&trail_of(&[block(1, 2, 0, &close)])), Damage::Protection);
    assert_eq!(damage_of(&trail_of(&[block(1, 4, 0, &close)])), Damage::Protection);
    assert_eq!(damage_of(&trail_of(&[block(1, 8, 0, &close)])), Damage::Together);
}

#[test]
fn a_trail_of_another_version_or_with_unknown_features_says_so() {
    let trail = written(&[], &[]);
    let message = |place: usize, byte: u8| {
        let mut trail = trail.clone();
        trail[place] = byte;
        read(&trail).unwrap_err().1.to_string()
    };
    assert_eq!(message(0, b'P'), "this is no trail: it does not begin as one");
    assert_eq!(message(8, 1), "the trail has format version 1, this program reads version 2 only");
    assert_eq!(
        message(10, 4),
        "the trail uses the features 0x4, which this version does not know: use a newer one"
    );
}

fn end_payload() -> Vec<u8> {
    b"\x01\x06accept".to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        _ = read(&bytes);
        _ = read(&[begun(), bytes.clone()].concat());
        _ = verify([begun(), bytes.clone()].concat().as_slice(), None, |_| ());
        _ = read(&trail_of(&[block(1, 0, 0, &bytes)]));
    }

    #[test]
    fn no_protection_in_a_header_panics(
        bytes in prop::collection::vec(prop_oneof![0u8..9, any::<u8>()], 0..200),
        cut: prop::sample::Index,
    ) {
        let lock = [&[7; 32], bytes.as_slice()].concat();
        let signer = [vec![1, 32], vec![9; 32]].concat();
        let length = [lock.len() as u8 | 0x80, (lock.len() >> 7) as u8];
        let whole = [signer, [&[2], length.as_slice(), &lock].concat()].concat();
        for protection in [bytes.as_slice(), &whole, &whole[..cut.index(whole.len())]] {
            let trail = with_protection(protection);
            _ = read(&trail);
            _ = verify(trail.as_slice(), None, |_| ());
        }
    }

    #[test]
    fn no_content_of_a_block_panics(
        kind in 0u16..5,
        flags in 0u16..17,
        time: u64,
        payload in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..60),
        plain in 0u32..100,
    ) {
        let whole = block(kind, flags, time, &payload);
        _ = read(&trail_of(&[whole.clone(), whole.clone()]));
        _ = read(&trail_of(&[Plain { plain, ..whole }]));
        let packed = zstd::bulk::compress(&payload, 1).unwrap();
        _ = read(&trail_of(&[Plain { plain: payload.len() as u32, ..block(kind, 1, time, &packed) }]));
    }
}
