//! Answers of the side that writes files: a zero byte, or a complaint up to the end of its line.

use super::{LONGEST_LINE, ScpFault};

#[derive(Debug, Default)]
pub(super) struct Replies {
    complaint: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    Yes,
    No(Vec<u8>),
}

impl Replies {
    /// The next byte is the first of a reply.
    pub(super) fn begins(&self) -> bool {
        self.complaint.is_none()
    }

    /// `None`: it is not whole yet.
    pub(super) fn feed(&mut self, byte: u8) -> Result<Option<Reply>, ScpFault> {
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
                Err(ScpFault::TooLong)
            }
            Some(text) => {
                text.push(byte);
                Ok(None)
            }
        }
    }
}
