//! A trail that is read while it is written.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use keyward_trail::{AuditorKey, Ending, Reader};

use crate::golden::{AUDITORS, ENCRYPTED, bytes};
use crate::session;

/// A file of which so many bytes are written.
struct Growing<'a> {
    file: Cursor<&'a [u8]>,
    written: &'a Cell<u64>,
}

impl Read for Growing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.written.get().saturating_sub(self.file.position());
        self.file.by_ref().take(left).read(out)
    }
}

impl Seek for Growing<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn wherever_the_writer_is_each_event_is_read_once_and_in_order() {
    let (whole, keys) = (bytes(ENCRYPTED), AuditorKey::parse(AUDITORS).unwrap());
    let length = whole.len() as u64;
    for step in [1, 7, 100] {
        let written = Cell::new(length);
        // The header is there before anybody reads.
        let begins = (1..).find(|begun| Reader::new(&whole[..*begun], &keys).is_ok()).unwrap() as u64;
        written.set(begins);
        let mut reader =
            Reader::new(Growing { file: Cursor::new(&whole), written: &written }, &keys).unwrap();
        reader.expect_more();
        let mut events = Vec::new();
        while reader.resume().unwrap() {
            events.extend(reader.by_ref().map(Result::unwrap));
            let is_finished = matches!(reader.ending(), Some(Ending::Finished { .. }));
            assert_eq!(is_finished, written.get() == length, "at {} of {length}", written.get());
            written.set((written.get() + step).min(length));
        }
        assert_eq!(events, session());
        assert!(!reader.has_unsigned());
    }
}
