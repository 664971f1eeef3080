//! Numbers, texts and byte strings as the trail writes them: LEB128 numbers, lengths in front.

use crate::error::Damage;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes `put_varint` appends.
pub(crate) fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// What is left to read of some bytes. A failed read leaves it anywhere: give up then.
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The next `N` bytes: fixed-width fields.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Damage::Cut)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damage> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Damage> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Damage::Number);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damage::Number)
    }

    pub(crate) fn varint_u32(&mut self) -> Result<u32, Damage> {
        self.varint()?.try_into().map_err(|_| Damage::Number)
    }

    /// A byte string with its length in front.
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], Damage> {
        let length = usize::try_from(self.varint()?).map_err(|_| Damage::Cut)?;
        let (head, tail) = self.0.split_at_checked(length).ok_or(Damage::Cut)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damage> {
        std::str::from_utf8(self.prefixed()?).map_err(|_| Damage::Text)
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_reads_back_and_its_length_is_known(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            prop_assert_eq!(Cursor::new(&out).varint(), Ok(value));
        }
    }

    #[test]
    fn a_number_past_64_bits_is_refused() {
        assert_eq!(Cursor::new(&[0xff; 11]).varint(), Err(Damage::Number));
        let mut two_to_the_64th = [0x80; 10];
        two_to_the_64th[9] = 2;
        assert_eq!(Cursor::new(&two_to_the_64th).varint(), Err(Damage::Number));
    }

    #[test]
    fn a_length_past_the_end_is_refused() {
        assert_eq!(Cursor::new(&[5, 1, 2]).prefixed(), Err(Damage::Cut));
        assert_eq!(Cursor::new(&[0x80]).varint(), Err(Damage::Cut));
    }
}
