//! What `verify` says of trails that somebody has worked on, without any private key.

use std::sync::Arc;
use std::time::Duration;

use keyward_trail::{
    AuditorKey, Damage, Integrity, Protection, Recipients, SigningKey, Standing, TrailError, Verified,
    VerifyingKey, Writer, verify,
};

use crate::blocks::{BLOCK, SEAL, begun, header_len, put_checksum, relinked, split};
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
    verify(trail.as_slice(), None, |block| kinds.push((block.kind, block.standing.clone()))).unwrap();
    assert_eq!(kinds.len() as u64, found.blocks);
    assert!(kinds.iter().all(|(_, standing)| *standing == Standing::Signed));
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
                Ok(Verified {
                    integrity: Integrity::Changed { .. } | Integrity::Unsigned { .. }, ..
                })
                | Err(_) => {}
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
    let mut standings = Vec::new();
    let found = verify(trail.as_slice(), None, |block| standings.push(block.standing.clone())).unwrap();
    let (damage, changed) = (Damage::Chain, Standing::Damaged(Damage::Chain));
    assert_eq!(found.integrity, Integrity::Changed { at: Duration::ZERO, from: 1, block: 3, damage });
    // What follows fits, and a seal among it is right: that proves nothing of what was before the change.
    let chained = |count| vec![Standing::Chained; count];
    let expected = [vec![Standing::Signed], chained(2), vec![changed], chained(parts.len() - 5)].concat();
    assert_eq!(standings, expected);
}

#[test]
fn a_block_is_said_to_be_signed_by_the_seal_behind_it_and_no_sooner() {
    let parts = split(&sealed());
    let standings = |trail: &[u8]| {
        let mut standings = Vec::new();
        verify(trail, None, |block| standings.push((block.number, block.standing.clone()))).unwrap();
        standings
    };
    let seals = |until: usize| parts[1..=until].iter().rposition(|part| part.len() == SEAL);
    for last in 1..parts.len() {
        let found = standings(&parts[..=last].concat());
        let signed = found.iter().filter(|(_, standing)| *standing == Standing::Signed).count();
        assert_eq!(signed, seals(last).map_or(0, |seal| seal + 1));
        assert!(found.iter().map(|(number, _)| *number).eq(0..last as u64), "{found:?}");
    }
}

#[test]
fn a_header_that_no_signature_covers_is_nobodys() {
    // A stranger knows the public key of the node, and what its trails look like.
    let stranger = Arc::new(SigningKey::generate().unwrap());
    let mut facts = header();
    facts.remote_user = "toor".into();
    let forged = Writer::new(Vec::new(), &facts, &Protection::signed(stranger)).unwrap();
    let mut forged = split(&forged.finish(Duration::ZERO, &end()).unwrap());
    let (place, node) = (forged[0].len() - 32, &begun()[..header_len(&begun())]);
    forged[0][place..].copy_from_slice(&node[node.len() - 32..]);
    put_checksum(&mut forged[0]);
    for cut in [0, 1, SEAL - 1] {
        let trail = [&forged[0][..], &forged[1][..cut]].concat();
        let found = verified(&trail).unwrap();
        assert_eq!((found.integrity, found.signer), (Integrity::Unsigned { damage: None }, signer()));
    }
    let damage = Some(Damage::Signature);
    assert_eq!(integrity(&relinked(&forged)), Integrity::Unsigned { damage });
}

#[test]
fn a_cut_anywhere_is_said_with_the_time_of_what_is_left() {
    let parts = split(&sealed());
    let (trail, first_seal) = (parts.concat(), parts[0].len() + SEAL);
    let mut times = Vec::new();
    for cut in 0..trail.len() {
        match verified(&trail[..cut]) {
            Ok(Verified { integrity: Integrity::Truncated { at }, end: None, signed_until, .. }) => {
                assert!(cut >= first_seal);
                assert_eq!(at, signed_until);
                times.push(at);
            }
            Ok(Verified { integrity: Integrity::Unsigned { damage: None }, .. }) if cut < first_seal => {}
            Err(TrailError::HeaderCut) => {}
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    assert!(times.is_sorted());
    times.dedup();
    assert_eq!(times, [Duration::ZERO, at(2), at(5), at(8)]);
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
                // Without its first seal a header is nobody's.
                let caught =
                    matches!(found, Integrity::Changed { .. } | Integrity::Unsigned { damage: Some(_) });
                assert!(caught, "{what} {one}: {found:?}");
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
    assert_eq!(
        found,
        Integrity::Changed { at: Duration::ZERO, from: 1, block: 5 - 1, damage: Damage::Signature }
    );
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
    let mut standings = Vec::new();
    verify(trail.as_slice(), Some(&signer()), |block| standings.push(block.standing.clone())).unwrap();
    assert_eq!(standings, vec![Standing::SignedByOther; standings.len()]);
    assert_eq!(standings.len() as u64, by_other.blocks);
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
            let found = integrity(&trail);
            assert!(matches!(found, Integrity::Changed { .. } | Integrity::Unsigned { .. }), "{found:?}");
        }
    }
    let changed = [&other[..1], &split(&begun())[1..]].concat();
    assert!(matches!(integrity(&relinked(&changed)), Integrity::Unsigned { damage: Some(_) }));
}
