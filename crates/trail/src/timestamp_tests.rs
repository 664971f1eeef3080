//! An answer of `openssl ts` to the question for the first seal of the samples, with an RSA key, and what hostile hands
//! make of it.

use std::time::Duration;

use keyward_model::UnixMillis;

use crate::error::Damage;
use crate::reader::Reader;
use crate::samples::{data, end, header, signed};
use crate::timestamp::{Misdated, Sealed, Timestamp, Trust, decode};
use crate::timestamp_authorities::TimestampAuthorities;
use crate::timestamp_request::{AnswerError, TimestampRequest};
use crate::timestamp_token::{MAX_TOKEN, Token, TokenError};
use crate::verify::{Asked, Integrity, Standing, Verified, verify_as};
use crate::writer::Writer;

const ANSWER: &[u8] = include_bytes!("../tests/trail/timestamp.tsr");
const CA: &str = include_str!("../tests/trail/timestamp-ca.pem");
const STRANGER: &str = include_str!("../tests/trail/timestamp-stranger.pem");
/// Of the question.
const NONCE: u64 = 0xDDD7472393C1F263;

fn authorities(pem: &str) -> TimestampAuthorities {
    TimestampAuthorities::from_pem([pem]).unwrap()
}

fn first_seal() -> Sealed {
    Writer::new(Vec::new(), &header(), &signed()).unwrap().sealed().unwrap()
}

/// Behind the status: SEQUENCE, and in it a SEQUENCE with the number 0.
fn token() -> Vec<u8> {
    ANSWER[9..].to_vec()
}

fn time() -> UnixMillis {
    Token::parse(&token()).unwrap().time()
}

fn stamp(token: Vec<u8>) -> Timestamp {
    Timestamp { sealed: first_seal(), token, time: UnixMillis(0) }
}

/// A whole trail whose first seal has this timestamp, or these.
fn trail(stamps: &[Timestamp]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    writer.write(Duration::from_secs(1), &data(b"shown")).unwrap();
    for stamp in stamps {
        writer.timestamp(stamp).unwrap();
    }
    writer.finish(Duration::from_secs(2), &end()).unwrap()
}

fn verified(trail: &[u8], authorities: Option<&TimestampAuthorities>) -> Verified {
    let asked = Asked { signed_by: None, timestamped_by: authorities };
    verify_as(trail, asked, |_| ()).unwrap()
}

/// What is wrong with the first block that is.
fn damage(trail: &[u8]) -> Option<Damage> {
    match verified(trail, Some(&authorities(CA))).integrity {
        Integrity::Changed { damage, .. } => Some(damage),
        Integrity::Intact => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_timestamp_is_told_with_its_authority_and_how_far_it_reaches() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    writer.write(Duration::from_secs(1), &data(b"shown")).unwrap();
    writer.timestamp(&stamp(token())).unwrap();
    let trail = writer.finish(Duration::from_secs(2), &end()).unwrap();
    let ca = authorities(CA);
    let found = verified(&trail, Some(&ca)).timestamp.unwrap();
    assert_eq!(
        (found.time, &found.trust, found.whole, found.until),
        (time(), &Trust::Trusted, false, Duration::ZERO)
    );
    assert_eq!(found.by, "CN=Test TSA,O=Keyward tests");
    assert_eq!(verified(&trail, None).timestamp.unwrap().trust, Trust::Unchecked);
    let stranger = authorities(STRANGER);
    let found = verified(&trail, Some(&stranger)).timestamp.unwrap();
    assert!(matches!(found.trust, Trust::Untrusted(TokenError::Untrusted(_))), "{found:?}");
    // Who plays it sees what was there without it.
    let mut reader = Reader::new(trail.as_slice(), &[]).unwrap();
    assert_eq!(reader.by_ref().map(|event| event.unwrap().0).collect::<Vec<_>>(), [Duration::from_secs(1)]);
    assert!(!reader.has_unsigned());
}

#[test]
fn a_trail_that_claims_to_be_older_than_its_timestamp_is_misdated() {
    // The samples claim to be of 2023.
    let found = verified(&trail(&[stamp(token())]), None).misdated.unwrap();
    let apart = Duration::from_millis(time().0.abs_diff(header().started.0));
    assert_eq!(found.misdated, Some(Misdated::Late(apart)));
}

#[test]
fn a_timestamp_behind_the_end_covers_it() {
    let writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    let mut finished = writer.end(Duration::from_secs(2), &end()).unwrap();
    let before = finished.extent();
    assert_eq!(finished.sealed().map(|sealed| sealed.sequence), Some(2));
    finished.timestamp(&stamp(token())).unwrap();
    let after = finished.extent();
    let trail = finished.into_inner();
    let found = verified(&trail, Some(&authorities(CA)));
    assert_eq!((found.integrity, found.extent), (Integrity::Intact, after));
    assert!(after.length > before.length && after.length == trail.len() as u64);
    assert!(!found.timestamp.unwrap().whole, "the sample is about the first seal");
}

#[test]
fn a_timestamp_stands_for_a_seal_of_its_own_trail_and_is_alone_before_the_next() {
    let good = stamp(token());
    assert_eq!(damage(&trail(std::slice::from_ref(&good))), None);
    let twice = damage(&trail(&[good.clone(), good.clone()]));
    assert_eq!(twice, Some(Damage::Timestamp(TokenError::NotAlone)));
    let mut moved = good.clone();
    moved.sealed.sequence += 1;
    assert_eq!(damage(&trail(&[moved])), Some(Damage::Timestamp(TokenError::NoSeal)));
    let mut other = good;
    other.sealed.link.0[0] ^= 1;
    assert_eq!(damage(&trail(&[other])), Some(Damage::Timestamp(TokenError::Imprint)));
}

#[test]
fn a_timestamp_that_no_signature_covers_is_not_told() {
    let mut writer = Writer::new(Vec::new(), &header(), &signed()).unwrap();
    writer.timestamp(&stamp(token())).unwrap();
    writer.flush().unwrap();
    let trail = writer.finish(Duration::ZERO, &end()).unwrap();
    let whole = verified(&trail, None);
    assert!(whole.timestamp.is_some());
    // The end has 25 bytes, each block a header of 72, and the seal 64.
    let cut = verified(&trail[..trail.len() - (72 + 25) - (72 + 64)], None);
    assert_eq!((cut.timestamp, cut.blocks, cut.unsigned), (None, 2, 1));
}

#[test]
fn a_changed_byte_of_a_timestamp_is_told() {
    let trail = trail(&[stamp(token())]);
    let at = trail.windows(16).position(|window| window == &token()[..16]).unwrap();
    for place in (at..at + token().len()).step_by(97) {
        let mut changed = trail.clone();
        changed[place] ^= 1;
        let mut standings = Vec::new();
        let asked = Asked::default();
        let found =
            verify_as(changed.as_slice(), asked, |block| standings.push(block.standing.clone())).unwrap();
        assert!(
            matches!(found.integrity, Integrity::Changed { block: 2, .. }),
            "{place}: {:?}",
            found.integrity
        );
        assert!(standings.contains(&Standing::Damaged(Damage::Chain)), "{place}");
    }
}

#[test]
fn no_part_of_a_token_and_no_changed_bit_of_it_is_believed() {
    let (token, ca, imprint) = (token(), authorities(CA), first_seal().imprint());
    let is_believed = |token: &[u8]| {
        let read = Token::parse(token);
        read.is_ok_and(|token| token.check(&imprint).is_ok() && ca.trust(&token).is_ok())
    };
    assert!(is_believed(&token));
    for length in 0..token.len() {
        assert!(!is_believed(&token[..length]), "{length}");
    }
    assert!(!is_believed(&[token.as_slice(), &[0]].concat()));
    for place in 0..token.len() {
        for bit in 0..8 {
            let mut changed = token.clone();
            changed[place] ^= 1 << bit;
            assert!(!is_believed(&changed), "bit {bit} of byte {place}");
        }
    }
}

#[test]
fn a_token_has_a_limit_and_a_payload_is_no_token() {
    assert_eq!(Token::parse(&vec![0x30; MAX_TOKEN + 1]).err(), Some(TokenError::TooLong(MAX_TOKEN + 1)));
    for length in 0..41 {
        assert!(decode(&vec![0x30; length]).is_err());
    }
    // A signature is none of its own about something else.
    assert_eq!(Token::parse(&token()).unwrap().check(&[0; 32]), Err(TokenError::Imprint));
}

#[test]
fn an_answer_is_taken_when_it_is_to_the_question_and_of_the_authority() {
    let ask = |nonce| TimestampRequest::with_nonce(first_seal(), nonce).unwrap();
    let (ca, now) = (authorities(CA), time());
    assert_eq!(ask(NONCE).answer(ANSWER, &ca, now).unwrap().token, token());
    assert_eq!(ask(NONCE + 1).answer(ANSWER, &ca, now), Err(AnswerError::Nonce));
    let stranger = ask(NONCE).answer(ANSWER, &authorities(STRANGER), now);
    assert!(matches!(stranger, Err(AnswerError::Token(TokenError::Untrusted(_)))), "{stranger:?}");
    let late = UnixMillis(now.0 + 601_000);
    assert_eq!(ask(NONCE).answer(ANSWER, &ca, late), Err(AnswerError::Clock(601)));
    let mut sealed = first_seal();
    sealed.link.0[31] ^= 1;
    let other = TimestampRequest::with_nonce(sealed, NONCE).unwrap().answer(ANSWER, &ca, now);
    assert_eq!(other, Err(AnswerError::Token(TokenError::Imprint)));
    for length in 0..ANSWER.len() {
        assert!(ask(NONCE).answer(&ANSWER[..length], &ca, now).is_err(), "{length}");
    }
    assert_eq!(ask(NONCE).answer(&vec![0x30; 1 << 20], &ca, now), Err(AnswerError::Form));
}

#[test]
fn a_refusal_says_why_in_words_that_do_nothing_to_a_log() {
    // Rejected, "no\n", badAlg.
    let refusal = b"\x30\x10\x30\x0e\x02\x01\x02\x30\x05\x0c\x03no\n\x03\x02\x07\x80";
    let request = TimestampRequest::with_nonce(first_seal(), NONCE).unwrap();
    let refused = request.answer(refusal, &authorities(CA), time()).unwrap_err();
    assert_eq!(refused.to_string(), "it refuses: status 2, failure 0, \"no\\n\"");
}

#[test]
fn a_question_has_the_hash_a_number_and_asks_for_the_certificate() {
    let request = TimestampRequest::with_nonce(first_seal(), 0x1234).unwrap();
    let body = request.body();
    let head =
        b"\x30\x3d\x02\x01\x01\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
    assert!(body.starts_with(head) && body.ends_with(b"\x02\x02\x12\x34\x01\x01\xff"), "{body:x?}");
    assert_eq!(body[head.len()..][..32], first_seal().imprint());
    let one = TimestampRequest::new(first_seal()).unwrap();
    let two = TimestampRequest::new(first_seal()).unwrap();
    assert_ne!(one.body(), two.body());
}

#[test]
fn a_file_of_authorities_has_one_at_least() {
    assert!(TimestampAuthorities::from_pem([""]).is_err());
    assert!(TimestampAuthorities::from_pem([CA.replace('A', "B").as_str()]).is_err());
    let both = TimestampAuthorities::from_pem([CA, STRANGER]).unwrap();
    assert!(both.trust(&Token::parse(&token()).unwrap()).is_ok());
}
