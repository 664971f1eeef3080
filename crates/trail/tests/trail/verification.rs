//! What `verify` says of trails that somebody has worked on, without any private key.

use std::sync::Arc;
use std::time::Duration;

use keyward_trail::{
    AuditorKey, Damage, Integrity, Protection, Recipients, SigningKey, TrailError, Verified, VerifyingKey,
    Writer, verify,
};

use crate::blocks::{BLOCK, SEAL, begun, relinked, split};
use crate::{SIGNER, end, end_time, header, session, signed, written, written_for};

fn verified(trail: &[u8]) -> Result<Verified, TrailError> {
    verify(trail, Some(&signer()), |_| ())
}

fn signer() -> VerifyingKey {
    SIGNER.verifying_key()
}

fn integrity(trail: &[u8]) -> Integrity {
    verified(trail).unwrap().integrity
}

/// With a seal after some of the events, of which a block each.
fn sealed() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    for (n, (at, event)) in session().iter().enumerate() {
        writer.write(*at, event).unwrap();
        if n % 3 == 2 { writer.seal().unwrap() } else { writer.flush().unwrap() }
    }
    writer.finish(end_time(&session()), &end()).unwrap()
}

/// Seconds of the event with this number.
fn at(number: usize) -> Duration {
    session()[number].0
}

#[test]
fn a_whole_trail_is_intact_and_says_who_has_signed_it() {
    let trail = sealed();
    let found = verified(&trail).unwrap();
    assert_eq!(found.integrity, Integrity::Intact);
    assert_eq!((found.signer, found.end, found.unsigned), (signer(), Some(end()), 0));
    assert_eq!(found.signed_until, end_time(&session()));
    assert_eq!(found.header, header());
    let mut kinds = Vec::new();
    verify(trail.as_slice(), None, |block| kinds.push((block.kind, block.damage.is_some()))).unwrap();
    assert_eq!(kinds.len() as u64, found.blocks);
    assert!(kinds.iter().all(|(_, damaged)| !damaged));
    assert_eq!((kinds[0].0, kinds[kinds.len() - 2].0, kinds[kinds.len() - 1].0), ("seal", "end", "seal"));
}

#[test]
fn an_encrypted_trail_is_verified_without_its_keys() {
    let key = AuditorKey::generate().unwrap();
    let shown = Recipients::any(vec![key.recipient().clone()]);
    let trail = written_for(&Protection { shown, ..signed() }, &session(), &[1, 4]);
    assert_eq!(integrity(&trail), Integrity::Intact);
    let mut trail = trail;
    let last = trail.len() - 2 * SEAL;
    trail[last] ^= 1;
    assert!(matches!(integrity(&trail), Integrity::Changed { .. }));
}

#[test]
fn every_single_changed_byte_is_caught() {
    let trail = sealed();
    for place in 0..trail.len() {
        for change in [1, 0x80, 0xff] {
            let mut trail = trail.clone();
            trail[place] ^= change;
            match verified(&trail) {
                Ok(Verified { integrity: Integrity::Changed { .. }, .. }) | Err(_) => {}
                other => panic!("byte {place} changed by {change:#x}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_changed_block_is_named_and_those_around_it_are_not() {
    let parts = split(&sealed());
    let offset: usize = parts[..4].iter().map(Vec::len).sum();
    let mut trail = parts.concat();
    trail[offset + BLOCK] ^= 1;
    let mut damaged = Vec::new();
    let found =
        verify(trail.as_slice(), None, |block| damaged.extend(block.damage.clone().map(|_| block.number)));
    assert_eq!(damaged, [3]);
    assert_eq!(found.unwrap().integrity, Integrity::Changed { at: at(1), block: 3, damage: Damage::Chain });
}

#[test]
fn a_cut_anywhere_is_said_with_the_time_of_what_is_left() {
    let trail = sealed();
    let mut times = Vec::new();
    for cut in 0..trail.len() {
        match verified(&trail[..cut]) {
            Ok(Verified { integrity: Integrity::Truncated { at }, end: None, .. }) => times.push(at),
            Err(TrailError::HeaderCut) => {}
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    assert!(times.is_sorted());
    times.dedup();
    assert_eq!(times.len(), session().len() + 1);
}

#[test]
fn dropped_repeated_and_swapped_blocks_are_caught_even_with_a_chain_made_anew() {
    let parts = split(&sealed());
    let last = parts.len() - 1;
    for one in 1..parts.len() {
        let mut dropped = parts.clone();
        dropped.remove(one);
        let mut repeated = parts.clone();
        repeated.insert(one, parts[one].clone());
        let mut swapped = parts.clone();
        swapped.swap(one, if one == last { 1 } else { one + 1 });
        for (what, changed) in [("dropped", dropped), ("repeated", repeated), ("swapped", swapped)] {
            // Without the last seal it is a cut like any other.
            if (what, one) == ("dropped", last) {
                assert!(matches!(integrity(&changed.concat()), Integrity::Truncated { .. }));
                continue;
            }
            for trail in [changed.concat(), relinked(&changed)] {
                let found = integrity(&trail);
                assert!(matches!(found, Integrity::Changed { .. }), "{what} {one}: {found:?}");
            }
        }
    }
}

#[test]
fn a_changed_block_with_a_chain_made_anew_is_caught_by_the_next_seal() {
    let mut parts = split(&sealed());
    let place = parts[3].len() - 1;
    parts[3][place] ^= 1;
    let found = integrity(&relinked(&parts));
    assert_eq!(found, Integrity::Changed { at: Duration::ZERO, block: 5 - 1, damage: Damage::Signature });
}

#[test]
fn what_is_put_behind_the_last_seal_proves_nothing() {
    let parts = split(&sealed());
    // The first three events, sealed; then what somebody else has made, with an end.
    let seal = parts.iter().take(7).rposition(|part| part.len() == SEAL).unwrap();
    let end = parts[parts.len() - 2].clone();
    let forged = [&parts[..=seal], &[parts[seal + 1].clone(), end]].concat();
    let found = verified(&relinked(&forged)).unwrap();
    assert!(matches!(found.integrity, Integrity::Truncated { .. }));
    assert_eq!((found.unsigned, found.end, found.signed_until), (2, None, at(2)));
    // Behind a signed end nothing may stand.
    let forged = [parts.clone(), vec![parts[2].clone()]].concat();
    assert!(matches!(integrity(&relinked(&forged)), Integrity::Changed { damage: Damage::AfterEnd, .. }));
    let half = [parts.concat(), vec![0; 10]].concat();
    assert!(matches!(integrity(&half), Integrity::Changed { damage: Damage::AfterEnd, .. }));
}

#[test]
fn another_signer_is_told_from_the_one_who_was_asked_for() {
    let other = Arc::new(SigningKey::generate().unwrap());
    let trail = written_for(&Protection::signed(Arc::clone(&other)), &session(), &[]);
    assert_eq!(integrity(&trail), Integrity::OtherSigner);
    let by_other = verify(trail.as_slice(), Some(&other.verifying_key()), |_| ()).unwrap();
    assert_eq!(by_other.integrity, Integrity::Intact);
}

#[test]
fn a_session_cannot_be_put_into_the_place_of_another() {
    let one = split(&written(&session(), &[]));
    let mut header = header();
    header.remote_user = "toor".into();
    let other = Writer::new(Vec::new(), &header, &signed()).unwrap();
    let other = split(&other.finish(Duration::ZERO, &end()).unwrap());
    for first in [1, 2] {
        let swapped = [&other[..first], &one[first..]].concat();
        for trail in [swapped.concat(), relinked(&swapped)] {
            assert!(matches!(integrity(&trail), Integrity::Changed { .. }));
        }
    }
    let changed = [&other[..1], &split(&begun())[1..]].concat();
    assert!(matches!(integrity(&relinked(&changed)), Integrity::Changed { block: 0, .. }));
}
