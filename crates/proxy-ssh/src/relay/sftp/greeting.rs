//! The gateway's own question before a client's first one: where do relative paths begin?

use keyward_ssh::sftp::{Answer, Fault, Packet, VERSION, answer_head, real_path_of_start};

use super::path;

/// The number of the question.
const OURS: u32 = 0x6b77_7264;

/// How many bytes the question has. So many of the target's window must be the gateway's own.
pub(crate) const QUESTION: u32 = 14;

pub(super) fn question() -> Vec<u8> {
    real_path_of_start(OURS)
}

/// What a target says first. It is kept back until the question is answered, so that no request of the client comes
/// before that.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    said: Vec<u8>,
}

/// What it comes to.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Greeted {
    /// For the client.
    pub(super) version: Vec<u8>,
    /// Bytes that were for the gateway.
    pub(super) ours: usize,
    /// Where relative paths begin, where the target says so.
    pub(super) start: Option<Vec<u8>>,
}

impl Greeting {
    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<Option<Greeted>, Fault> {
        self.said.extend_from_slice(piece);
        let Some(first) = packet(&self.said)? else { return Ok(None) };
        check_version(first)?;
        let (version, rest) = self.said.split_at(first.len());
        let Some(second) = packet(rest)? else { return Ok(None) };
        let (number, fields) = parts(second)?;
        // Nothing else was asked yet.
        if number != OURS || second.len() != rest.len() {
            return Err(Fault::Unasked);
        }
        let start = match fields {
            Answer::Name(Some(name)) => path::start(name),
            _ => None,
        };
        Ok(Some(Greeted { version: version.to_vec(), ours: second.len(), start }))
    }
}

/// A version that can be followed.
pub(super) fn check_version(packet: &[u8]) -> Result<(), Fault> {
    let packet = Packet::begin(packet)?.ok_or(Fault::OutOfTurn)?;
    match Answer::version(&packet) {
        Some(version) if version <= VERSION => Ok(()),
        Some(_) => Err(Fault::Version),
        None => Err(Fault::OutOfTurn),
    }
}

/// The first packet of some bytes, once it is whole.
fn packet(bytes: &[u8]) -> Result<Option<&[u8]>, Fault> {
    Ok(bytes.get(..answer_head(bytes, |_| true)?))
}

fn parts(bytes: &[u8]) -> Result<(u32, Answer<'_>), Fault> {
    let packet = Packet::begin(bytes)?.ok_or(Fault::OutOfTurn)?;
    let (number, rest) = packet.numbered()?.ok_or(Fault::OutOfTurn)?;
    Ok((number, Answer::parse(packet.kind, rest)?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answer, version};
    use super::*;

    #[test]
    fn the_question_is_as_long_as_the_room_for_it() {
        assert_eq!(question().len(), QUESTION as usize);
    }

    #[test]
    fn the_start_is_known_before_the_client_hears_anything() {
        let name = answer(104, OURS, b"\0\0\0\x01\0\0\0\x05/home\0\0\0\0\0\0\0\0");
        let said = [version(3), name.clone()].concat();
        for cut in 0..said.len() {
            let mut greeting = Greeting::default();
            assert_eq!(greeting.feed(&said[..cut]).unwrap(), None);
            let greeted = greeting.feed(&said[cut..]).unwrap().unwrap();
            let start = Some(b"/home".to_vec());
            assert_eq!(greeted, Greeted { version: version(3), ours: name.len(), start });
        }
    }

    #[test]
    fn a_target_that_does_not_say_leaves_the_start_unknown() {
        for last in [answer(101, OURS, &[0, 0, 0, 4]), answer(104, OURS, b"\0\0\0\x01\0\0\0\x01x")] {
            let mut greeting = Greeting::default();
            assert_eq!(greeting.feed(&[version(3), last].concat()).unwrap().unwrap().start, None);
        }
    }

    #[test]
    fn another_version_and_what_nobody_asked_are_faults() {
        let feed = |said: Vec<u8>| Greeting::default().feed(&said);
        assert_eq!(feed(version(4)), Err(Fault::Version));
        assert_eq!(feed([version(3), answer(101, 9, &[0; 4])].concat()), Err(Fault::Unasked));
        let more = [version(3), answer(101, OURS, &[0; 4]), vec![0]].concat();
        assert_eq!(feed(more), Err(Fault::Unasked));
        assert_eq!(feed(answer(101, OURS, &[0; 4])), Err(Fault::OutOfTurn));
    }
}
