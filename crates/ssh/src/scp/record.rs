//! A line of the side that has the files.

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// A file, whose bytes come next.
    File {
        /// One name, without folders.
        name: Vec<u8>,
        /// Bytes.
        size: u64,
    },
    /// A folder that is entered.
    Folder(Vec<u8>),
    /// The end of a folder.
    End,
    /// Times for what comes next.
    Times,
    /// Why something does not come.
    Error(Vec<u8>),
}

impl Record {
    /// Of a line without its end. `None`: no line of scp, or a name that is more than a name.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let (&kind, rest) = line.split_first()?;
        match kind {
            b'C' | b'D' => {
                let mut words = rest.splitn(3, |&byte| byte == b' ');
                let (mode, size, name) = (words.next()?, words.next()?, words.next()?);
                let is_number = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
                let is_name =
                    !name.is_empty() && name != b".." && !name.contains(&b'/') && !name.contains(&0);
                if !is_number(mode) || !is_number(size) || !is_name {
                    return None;
                }
                let (size, name) = (std::str::from_utf8(size).ok()?.parse().ok()?, name.to_vec());
                Some(if kind == b'C' { Self::File { name, size } } else { Self::Folder(name) })
            }
            b'E' if rest.is_empty() => Some(Self::End),
            b'T' if rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b' ') => Some(Self::Times),
            1 | 2 => Some(Self::Error(rest.to_vec())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_one_file_or_folder_and_nothing_beside_it() {
        let file = |name: &[u8], size| Some(Record::File { name: name.to_vec(), size });
        assert_eq!(Record::parse(b"C0644 6 a b"), file(b"a b", 6));
        assert_eq!(Record::parse(b"C0644 18446744073709551615 x"), file(b"x", u64::MAX));
        assert_eq!(Record::parse(b"D0755 0 ."), Some(Record::Folder(b".".to_vec())));
        assert_eq!(Record::parse(b"E"), Some(Record::End));
        assert_eq!(Record::parse(b"T1 0 1 0"), Some(Record::Times));
        assert_eq!(Record::parse(b"\x01no"), Some(Record::Error(b"no".to_vec())));
        for none in [
            &b""[..],
            b"X",
            b"Ex",
            b"T-1 0 1 0",
            b"C",
            b"C0644 6",
            b"C0644 6 ",
            b"C 6 x",
            b"C0644 -1 x",
            b"C0644 +1 x",
            b"C0644 18446744073709551616 x",
            b"C0644 6 ..",
            b"C0644 6 ../x",
            b"D0755 0 a/b",
            b"C0644 6 a\0b",
        ] {
            assert_eq!(Record::parse(none), None, "{none:?}");
        }
    }
}
