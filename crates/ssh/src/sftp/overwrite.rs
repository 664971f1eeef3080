//! Packets in the place of others, of the same length: whoever passes a stream on may then neither add bytes to a window
//! nor take any from it.

use super::Fault;
use super::packet::{NUMBERED, VERSION, kind};
use crate::wire::{Malformed, Write};

/// What a request of nobody's knowledge is called, as often as it takes. No extension has such a name.
const NOBODY_KNOWS: u8 = b'-';

/// Turns the head of a request into that of an extension that no server has. It keeps its number, so the server answers
/// it with "not supported", and does nothing else. What follows the head goes through [`fill`].
pub fn refuse_request(head: &mut [u8]) -> Result<(), Fault> {
    let length = head.first_chunk().map(|length| u32::from_be_bytes(*length)).unwrap_or_default();
    // Type, number and the length of the name.
    let name = length.checked_sub(9).ok_or(Malformed::Truncated)?;
    let Some((fixed, rest)) = head.split_at_mut_checked(13) else { return Err(Malformed::Truncated.into()) };
    let [_, _, _, _, packet_kind, _, _, _, _, place @ ..] = fixed else {
        return Err(Malformed::Truncated.into());
    };
    *packet_kind = kind::EXTENDED;
    place.copy_from_slice(&name.to_be_bytes());
    fill(rest);
    Ok(())
}

/// The rest of a refused request.
pub fn fill(piece: &mut [u8]) {
    piece.fill(NOBODY_KNOWS);
}

/// Turns any whole answer into a status with this code (draft section 7). `words` are cut, or padded with blanks.
pub fn refusal(answer: &mut [u8], code: u32, words: &str) -> Result<(), Fault> {
    let Some((head, rest)) = answer.split_at_mut_checked(NUMBERED) else {
        return Err(Malformed::Truncated.into());
    };
    let Some((place, text)) = rest.split_first_chunk_mut::<4>() else {
        return Err(Malformed::Truncated.into());
    };
    if let Some(packet_kind) = head.get_mut(4) {
        *packet_kind = kind::STATUS;
    }
    *place = code.to_be_bytes();
    // Behind the code are the lengths of words and language, and old servers leave both out.
    let Some(room) = text.len().checked_sub(8) else {
        text.fill(0);
        return Ok(());
    };
    let mut status = Vec::with_capacity(text.len());
    let end = words.len().min(room);
    status.put_number(u32::try_from(room).map_err(|_| Fault::TooLong)?);
    status.put_bytes(words.as_bytes().get(..end).unwrap_or_default());
    status.resize(4 + room, b' ');
    status.put_number(0);
    text.copy_from_slice(&status);
    Ok(())
}

/// Makes of a client's first packet one that offers version 3 at most. Errs where it is another packet.
pub fn set_version(head: &mut [u8]) -> Result<(), Fault> {
    let [_, _, _, _, kind::INIT, version @ ..] = head else { return Err(Fault::OutOfTurn) };
    let place = version.first_chunk_mut::<4>().ok_or(Malformed::Truncated)?;
    let version = u32::from_be_bytes(*place).min(VERSION);
    *place = version.to_be_bytes();
    Ok(())
}

/// The question where relative paths begin.
pub fn real_path_of_start(number: u32) -> Vec<u8> {
    let mut rest = vec![kind::REALPATH];
    rest.put_number(number);
    rest.put_string(b".");
    let mut packet = Vec::new();
    packet.put_string(&rest);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sftp::{Answer, Packet, Request};

    fn packet(kind: u8, fields: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        packet.put_string(&[&[kind, 0, 0, 0, 7], fields].concat());
        packet
    }

    #[test]
    fn a_refused_request_is_one_that_nobody_knows_and_as_long_as_before() {
        for fields in [&[0, 0, 0, 0][..], b"\0\0\0\x05/some", b"\0\0\0\x01h\0\0\0\0\0\0\0\0\0\0\0\x03abc"] {
            let before = packet(3, fields);
            let mut after = before.clone();
            refuse_request(&mut after).unwrap();
            assert_eq!(after.len(), before.len());
            let read = Packet::begin(&after).unwrap().unwrap();
            assert_eq!(read.whole, before.len());
            let (number, rest) = read.numbered().unwrap().unwrap();
            assert_eq!((number, Request::parse(read.kind, rest)), (7, Ok(Request::Unknown)));
            assert_eq!(crate::wire::Reader::new(rest).string().unwrap().len(), fields.len() - 4);
            assert!(!after.windows(5).any(|part| part == b"/some"));
        }
        assert!(refuse_request(&mut packet(3, &[0, 0])).is_err());
    }

    #[test]
    fn any_answer_becomes_a_refusal_of_its_length() {
        for length in 4..40 {
            let mut answer = packet(104, &vec![0xff; length]);
            let whole = answer.len();
            refusal(&mut answer, 3, "permission denied").unwrap();
            let read = Packet::begin(&answer).unwrap().unwrap();
            assert_eq!((read.whole, answer.len()), (whole, whole));
            let (number, rest) = read.numbered().unwrap().unwrap();
            assert_eq!((number, Answer::parse(read.kind, rest)), (7, Ok(Answer::Status(3))));
            let mut fields = crate::wire::Reader::new(&rest[4..]);
            if length >= 12 {
                assert!("permission denied".starts_with(fields.text().unwrap().trim_end()));
                assert_eq!(fields.text(), Ok(""));
                assert_eq!(fields.end(), Ok(()));
            }
        }
        assert!(refusal(&mut packet(101, &[0, 0]), 3, "").is_err());
    }

    #[test]
    fn a_client_is_held_to_version_3() {
        for (offered, sent) in [(3, 3), (6, 3), (u32::MAX, 3), (2, 2)] {
            let mut init = [&[0, 0, 0, 5, 1][..], &u32::to_be_bytes(offered)].concat();
            set_version(&mut init).unwrap();
            assert_eq!(init[5..], u32::to_be_bytes(sent));
        }
        assert_eq!(set_version(&mut packet(3, &[])), Err(Fault::OutOfTurn));
    }
}
