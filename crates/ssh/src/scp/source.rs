//! What the side says that has the files.

use super::{Fault, LONGEST_LINE, Record};

/// Takes its stream apart. Nothing but a line that is not whole is kept.
#[derive(Debug, Default)]
pub struct Source {
    reading: Reading,
    line: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Reading {
    #[default]
    Line,
    /// So many bytes of a file.
    Data(u64),
    /// Whether the file was read without an error.
    Status,
    /// Why it was not.
    Complaint,
}

#[derive(Debug, Eq, PartialEq)]
pub enum Piece<'d> {
    /// A line, but for its end.
    PartOfLine,
    Record(Record),
    /// Bytes of the file that the last record named.
    Bytes(&'d [u8]),
    /// All of that file was read.
    FileEnds,
    /// It was not, and why. The file has all its bytes all the same, of which some are made up.
    FileFails(Vec<u8>),
}

impl Source {
    /// The first piece of `data`, and what comes behind it. `None`: there is no data.
    pub fn next<'d>(&mut self, data: &'d [u8]) -> Result<Option<(Piece<'d>, &'d [u8])>, Fault> {
        let Some((&first, rest)) = data.split_first() else { return Ok(None) };
        Ok(Some(match self.reading {
            Reading::Line | Reading::Complaint => self.piece_of_line(data)?,
            Reading::Data(left) => self.piece_of_file(data, left),
            Reading::Status if first == 0 => {
                self.reading = Reading::Line;
                (Piece::FileEnds, rest)
            }
            Reading::Status => {
                self.reading = Reading::Complaint;
                (Piece::PartOfLine, rest)
            }
        }))
    }

    /// All bytes of a file have come, and not yet whether it was read without an error.
    pub fn is_at_the_end_of_a_file(&self) -> bool {
        matches!(self.reading, Reading::Status | Reading::Complaint)
    }

    /// The other side does not take the file that the last record named, so its bytes do not come.
    pub fn leave_file(&mut self) {
        self.reading = Reading::Line;
    }

    fn piece_of_file<'d>(&mut self, data: &'d [u8], left: u64) -> (Piece<'d>, &'d [u8]) {
        let end = usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
        let (piece, rest) = data.split_at(end);
        self.reading = match left.saturating_sub(piece.len() as u64) {
            0 => Reading::Status,
            left => Reading::Data(left),
        };
        (Piece::Bytes(piece), rest)
    }

    fn piece_of_line<'d>(&mut self, data: &'d [u8]) -> Result<(Piece<'d>, &'d [u8]), Fault> {
        let end = data.iter().position(|&byte| byte == b'\n');
        let (piece, rest) = data.split_at(end.map_or(data.len(), |end| end + 1));
        // Before its end: what waits for one could be another protocol.
        let begins = self.line.is_empty() && self.reading == Reading::Line;
        if begins && !piece.first().is_some_and(|first| b"CDET\x01\x02".contains(first)) {
            return Err(Fault::Line);
        }
        if self.line.len() + piece.len() > LONGEST_LINE {
            return Err(Fault::TooLong);
        }
        self.line.extend_from_slice(piece);
        if end.is_none() {
            return Ok((Piece::PartOfLine, rest));
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop();
        Ok((self.whole_line(line)?, rest))
    }

    fn whole_line(&mut self, line: Vec<u8>) -> Result<Piece<'static>, Fault> {
        if self.reading == Reading::Complaint {
            self.reading = Reading::Line;
            return Ok(Piece::FileFails(line));
        }
        let record = Record::parse(&line).ok_or(Fault::Line)?;
        if let Record::File { size, .. } = record {
            self.reading = if size == 0 { Reading::Status } else { Reading::Data(size) };
        }
        Ok(Piece::Record(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said, bytes of files put together; the fault that ends it.
    fn said(stream: &[u8], piece: usize) -> (Vec<String>, Option<Fault>) {
        let (mut source, mut all, mut bytes) = (Source::default(), Vec::new(), Vec::new());
        for mut data in stream.chunks(piece) {
            loop {
                let (piece, rest) = match source.next(data) {
                    Ok(Some(next)) => next,
                    Ok(None) => break,
                    Err(fault) => return (all, Some(fault)),
                };
                data = rest;
                match piece {
                    Piece::PartOfLine => {}
                    Piece::Bytes(more) => bytes.extend_from_slice(more),
                    Piece::FileEnds => all.push(format!("{:?}", String::from_utf8_lossy(&bytes))),
                    Piece::FileFails(why) => all.push(format!("fails: {:?}", String::from_utf8_lossy(&why))),
                    Piece::Record(record) => {
                        bytes.clear();
                        all.push(format!("{record:?}"));
                    }
                }
            }
        }
        (all, None)
    }

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        let stream = b"D0755 0 d\nT1 0 1 0\nC0644 6 a b\nabc\nef\0C0644 0 empty\n\0C0600 2 y\n\0\0\x01y: I/O error\nE\n";
        let (whole, fault) = said(stream, stream.len());
        assert_eq!(fault, None);
        assert_eq!(whole.len(), 9, "{whole:?}");
        assert_eq!(whole[3], r#""abc\nef""#);
        assert_eq!(whole[5], r#""""#);
        assert_eq!(whole[7], r#"fails: "y: I/O error""#);
        for piece in 1..stream.len() {
            assert_eq!(said(stream, piece), (whole.clone(), None), "{piece}");
        }
    }

    #[test]
    fn another_protocol_is_no_line_from_its_first_byte_on() {
        assert_eq!(said(b"\0\0\0\x05\x02", 1).1, Some(Fault::Line));
        assert_eq!(said(b"X", 1).1, Some(Fault::Line));
    }

    #[test]
    fn no_line_is_longer_than_its_bound() {
        let long = [b"C0644 1 ", vec![b'x'; LONGEST_LINE].as_slice()].concat();
        let complaint = [b"C0644 0 x\n\x01", vec![b'!'; LONGEST_LINE + 1].as_slice()].concat();
        for piece in [1, 100, 10_000] {
            assert_eq!(said(&long, piece).1, Some(Fault::TooLong));
            assert_eq!(said(&complaint, piece).1, Some(Fault::TooLong));
        }
    }

    #[test]
    fn what_comes_behind_a_file_that_was_not_taken_is_a_line() {
        let mut source = Source::default();
        let (_, rest) = source.next(b"C0644 6 x\n").unwrap().unwrap();
        assert!(rest.is_empty() && !source.is_at_the_end_of_a_file());
        source.leave_file();
        assert_eq!(source.next(b"E\n").unwrap(), Some((Piece::Record(Record::End), &b""[..])));
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(stream: Vec<u8>, lines in "[CDETx0-9 \\n\\x00\\x01]{0,60}", piece in 1_usize..20) {
            let _ = said(&stream, piece);
            let _ = said(lines.as_bytes(), piece);
        }
    }
}
