//! The data types of SSH (RFC 4251 section 5): read from a slice, written to the end of a buffer.

use bytes::{BufMut, BytesMut};

/// What a peer sent is not what the protocol says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    #[error("a message ends too early")]
    Truncated,
    #[error("a message has something after its end")]
    Trailing,
    #[error("text is not UTF-8")]
    NotUtf8,
    #[error("a name list has a name that is none")]
    BadName,
}

/// Reads one field after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    /// Any byte but zero is true.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        Ok(self.u8()? != 0)
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let (&bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(bytes))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        let (&bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(u64::from_be_bytes(bytes))
    }

    /// A length and that many bytes; also the form of an `mpint`.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed::Truncated)?;
        self.take(length)
    }

    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.string()?).map_err(|_| Malformed::NotUtf8)
    }

    /// Names separated by commas; the list may be empty, a name may not.
    pub fn names(&mut self) -> Result<Vec<&'a str>, Malformed> {
        let list = self.string()?;
        if list.is_empty() {
            return Ok(Vec::new());
        }
        let names = str::from_utf8(list).map_err(|_| Malformed::BadName)?;
        let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        let names: Vec<&str> = names.split(',').collect();
        if names.iter().all(is_name) { Ok(names) } else { Err(Malformed::BadName) }
    }

    /// Nothing may follow.
    pub fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }
}

/// Writes one field after the other.
pub trait Write {
    fn put_bytes(&mut self, bytes: &[u8]);

    fn put_byte(&mut self, byte: u8) {
        self.put_bytes(&[byte]);
    }

    fn put_bool(&mut self, value: bool) {
        self.put_byte(u8::from(value));
    }

    fn put_number(&mut self, number: u32) {
        self.put_bytes(&number.to_be_bytes());
    }

    /// A length and the bytes. What is longer than 4 GiB is no packet of ours, and is cut.
    fn put_string(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.put_number(length);
        self.put_bytes(bytes.get(..length as usize).unwrap_or(bytes));
    }

    /// A non-negative number from its big-endian bytes, in the shortest form.
    fn put_mpint(&mut self, big_endian: &[u8]) {
        let first = big_endian.iter().position(|&byte| byte != 0).unwrap_or(big_endian.len());
        let digits = big_endian.get(first..).unwrap_or_default();
        // A leading one would make it negative.
        let pad = digits.first().is_some_and(|&byte| byte & 0x80 != 0);
        self.put_number(u32::try_from(digits.len() + usize::from(pad)).unwrap_or(u32::MAX));
        if pad {
            self.put_byte(0);
        }
        self.put_bytes(digits);
    }

    fn put_names<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        self.put_string(names.into_iter().collect::<Vec<_>>().join(",").as_bytes());
    }
}

impl Write for BytesMut {
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

impl Write for Vec<u8> {
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_forms_of_the_rfc() {
        let written = |bytes: &[u8]| {
            let mut out = Vec::new();
            out.put_mpint(bytes);
            out
        };
        // The examples of RFC 4251 section 5.
        assert_eq!(written(&[0]), [0, 0, 0, 0]);
        assert_eq!(
            written(&[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]),
            [0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]
        );
        assert_eq!(written(&[0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(written(&[0, 0, 0x80]), [0, 0, 0, 2, 0, 0x80]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = Vec::new();
        out.put_byte(50);
        out.put_bool(true);
        out.put_number(7);
        out.put_string(b"abc");
        out.put_names(["zlib", "none"]);
        out.put_names([]);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.u8(), Ok(50));
        assert_eq!(reader.bool(), Ok(true));
        assert_eq!(reader.u32(), Ok(7));
        assert_eq!(reader.text(), Ok("abc"));
        assert_eq!(reader.names().unwrap(), ["zlib", "none"]);
        assert_eq!(reader.names().unwrap(), [""; 0]);
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn a_field_that_is_cut_is_refused_at_every_byte() {
        let mut out = Vec::new();
        out.put_string(b"abc");
        out.put_number(1);
        for cut in 0..out.len() {
            let mut reader = Reader::new(&out[..cut]);
            assert!(reader.string().and_then(|_| reader.u32()).is_err(), "{cut}");
        }
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0]).string(), Err(Malformed::Truncated));
    }

    #[test]
    fn a_list_has_no_empty_names() {
        for list in [&b","[..], b"a,", b",a", b"a,,b", b"a b", b"\xff"] {
            let mut out = Vec::new();
            out.put_string(list);
            assert_eq!(Reader::new(&out).names(), Err(Malformed::BadName));
        }
    }
}
