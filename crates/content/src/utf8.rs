//! Text from bytes that come in pieces.

/// Decodes UTF-8 over the ends of packets; what is none becomes U+FFFD, as in terminals.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    /// The beginning of a character, at most three bytes.
    rest: Vec<u8>,
}

impl Utf8 {
    pub(crate) fn decode(&mut self, data: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(data);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let may_go_on = chunks.peek().is_none() && begins_a_character(invalid);
            if may_go_on {
                self.rest = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }
}

fn begins_a_character(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => false,
        // None where the end of the bytes is all that is wrong.
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_at_every_byte_the_text_is_the_same() {
        let bytes = "a\u{e4}\u{20ac}\u{1f600}b".as_bytes();
        let all: Vec<u8> = [bytes, b"\xff\xe2\x82x\x80".as_slice(), bytes].concat();
        let whole = Utf8::default().decode(&all);
        assert!(whole.contains("\u{fffd}\u{fffd}x\u{fffd}"), "{whole}");
        for cut in 0..=all.len() {
            let mut utf8 = Utf8::default();
            let (one, two) = all.split_at(cut);
            assert_eq!(utf8.decode(one) + &utf8.decode(two), whole, "at {cut}");
        }
        let mut utf8 = Utf8::default();
        assert_eq!(all.iter().map(|byte| utf8.decode(&[*byte])).collect::<String>(), whole);
    }
}
