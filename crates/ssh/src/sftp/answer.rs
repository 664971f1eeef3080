//! What a server answers (draft section 7).

use super::Fault;
use super::packet::{LONGEST_HANDLE, Packet, kind};
use crate::wire::{Malformed, Reader};

/// An answer behind its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer<'a> {
    /// One of [`status`](super::status).
    Status(u32),
    Handle(&'a [u8]),
    /// So many bytes of a file follow the head.
    Data(u32),
    /// The first of the names, where the whole packet was wanted.
    Name(Option<&'a [u8]>),
    /// Attributes, and what belongs to extensions.
    Other,
}

/// How many bytes [`Answer::parse`] needs of a server's packet. `wants_all` tells by its number of which answer it needs
/// all.
pub fn answer_head(so_far: &[u8], wants_all: impl Fn(u32) -> bool) -> Result<usize, Fault> {
    let Some(packet) = Packet::begin(so_far)? else { return Ok(5) };
    if packet.kind == kind::VERSION {
        return packet.all();
    }
    let Some((number, _)) = packet.numbered()? else { return Ok(9) };
    match packet.kind {
        _ if wants_all(number) => packet.all(),
        kind::DATA | kind::STATUS if packet.whole < 13 => Err(Malformed::Truncated.into()),
        kind::DATA | kind::STATUS => Ok(13),
        kind::HANDLE if packet.whole > 13 + LONGEST_HANDLE => Err(Fault::TooLong),
        kind::HANDLE => Ok(packet.whole),
        _ => Ok(9),
    }
}

impl<'a> Answer<'a> {
    /// Reads what follows the number.
    pub fn parse(kind: u8, rest: &'a [u8]) -> Result<Self, Fault> {
        let mut fields = Reader::new(rest);
        Ok(match kind {
            kind::STATUS => Self::Status(fields.u32()?),
            kind::HANDLE => Self::Handle(fields.string()?),
            kind::DATA => Self::Data(fields.u32()?),
            kind::NAME => Self::Name(first_name(fields)),
            _ => Self::Other,
        })
    }

    /// The version of a server's first packet: `None` for another packet.
    pub fn version(packet: &Packet<'_>) -> Option<u32> {
        let is_version = packet.kind == kind::VERSION;
        is_version.then(|| Reader::new(packet.rest).u32().ok()).flatten()
    }
}

fn first_name(mut fields: Reader<'_>) -> Option<&[u8]> {
    match fields.u32().ok()? {
        0 => None,
        _ => fields.string().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Write;

    fn packet(kind: u8, fields: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        packet.put_string(&[&[kind, 0, 0, 0, 7], fields].concat());
        packet
    }

    fn parsed(packet: &[u8], all: bool) -> Result<Answer<'_>, Fault> {
        let head = &packet[..answer_head(packet, |number| all && number == 7)?];
        let packet = Packet::begin(head)?.unwrap();
        Answer::parse(packet.kind, packet.numbered()?.unwrap().1)
    }

    #[test]
    fn answers_have_the_fields_of_the_draft() {
        assert_eq!(parsed(&packet(kind::STATUS, &[0, 0, 0, 3]), false), Ok(Answer::Status(3)));
        assert_eq!(parsed(&packet(kind::HANDLE, &[0, 0, 0, 1, b'h']), false), Ok(Answer::Handle(b"h")));
        assert_eq!(parsed(&packet(kind::DATA, &[0, 0, 0, 1, b'd']), false), Ok(Answer::Data(1)));
        let name = packet(kind::NAME, &[0, 0, 0, 1, 0, 0, 0, 2, b'/', b'x']);
        assert_eq!(parsed(&name, true), Ok(Answer::Name(Some(b"/x"))));
        assert_eq!(parsed(&name, false), Ok(Answer::Name(None)));
        assert_eq!(parsed(&packet(105, &[1; 20]), false), Ok(Answer::Other));
    }

    #[test]
    fn short_answers_and_long_handles_are_refused() {
        for kind in [kind::STATUS, kind::DATA] {
            assert!(parsed(&packet(kind, &[0, 0]), false).is_err());
        }
        assert_eq!(parsed(&packet(kind::HANDLE, &[0; 300]), false), Err(Fault::TooLong));
        assert_eq!(answer_head(&[0, 0, 0, 3, 101, 0, 0], |_| false), Err(Malformed::Truncated.into()));
        assert_eq!(parsed(&packet(kind::NAME, &[0; 40_000]), true), Err(Fault::TooLong));
    }

    #[test]
    fn no_answer_makes_the_reader_panic() {
        for kind in 0..=255 {
            for length in 0..12 {
                let _ = parsed(&packet(kind, &vec![0xff; length]), true);
                let _ = parsed(&packet(kind, &vec![0; length]), false);
            }
        }
    }
}
