//! Answers of the side that writes files: a zero byte, or a complaint up to the end of its line.

use super::{Fault, LONGEST_LINE};

/// Finds the answers in a stream of pieces.
#[derive(Debug, Default)]
pub struct Replies {
    complaint: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    Yes,
    /// Why not, in the words of that side.
    No(Vec<u8>),
}

impl Replies {
    /// The next byte is the first of a reply.
    pub fn begins(&self) -> bool {
        self.complaint.is_none()
    }

    /// `None`: it is not whole yet.
    pub fn feed(&mut self, byte: u8) -> Result<Option<Reply>, Fault> {
        match &mut self.complaint {
            None if byte == 0 => Ok(Some(Reply::Yes)),
            // A warning or an end; anything else is a word of an old program.
            None => {
                self.complaint = Some(if byte <= 2 { Vec::new() } else { vec![byte] });
                Ok(None)
            }
            Some(_) if byte == b'\n' => Ok(self.complaint.take().map(Reply::No)),
            Some(text) if text.len() >= LONGEST_LINE => {
                text.clear();
                Err(Fault::TooLong)
            }
            Some(text) => {
                text.push(byte);
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_a_zero_byte_or_a_line() {
        let mut replies = Replies::default();
        let said = b"\0\x01no space\n\0oh\n";
        let found: Vec<Reply> = said.iter().filter_map(|byte| replies.feed(*byte).unwrap()).collect();
        let no = |words: &[u8]| Reply::No(words.to_vec());
        assert_eq!(found, [Reply::Yes, no(b"no space"), Reply::Yes, no(b"oh")]);
        assert!(replies.begins());
    }

    #[test]
    fn a_complaint_is_bounded() {
        let mut replies = Replies::default();
        let fault = (0..=LONGEST_LINE + 1).find_map(|_| replies.feed(b'!').err());
        assert_eq!(fault, Some(Fault::TooLong));
    }
}
