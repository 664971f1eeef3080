//! What an LDAP server sends, bounded before anybody parses it.
//!
//! The LDAP library reads a message by recursion and keeps all of it: a server could take the gateway's stack by
//! nesting elements, and its memory by many or large ones. This looks at each message first, without I/O, reading
//! lengths as the library does (BER with definite lengths and one-byte tags, RFC 4511 section 5.1).

/// Bytes of one message.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Bytes of all messages of a connection.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Elements of all messages of a connection; each takes some hundred bytes once it is parsed.
const MAX_ELEMENTS: usize = 100_000;
/// A search result entry is the deepest: message, entry, attributes, attribute, values, value.
const MAX_DEPTH: usize = 8;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const CONSTRUCTED: u8 = 0x20;
const TAG_NUMBER: u8 = 0x1f;

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::service) enum GuardError {
    #[error("a message is over {MAX_MESSAGE} bytes")]
    Message,
    #[error("its messages are over {MAX_BYTES} bytes")]
    Bytes,
    #[error("its messages have over {MAX_ELEMENTS} elements")]
    Elements,
    #[error("a message is nested deeper than {MAX_DEPTH} levels")]
    Depth,
    #[error("a message is not in the encoding of LDAP")]
    Encoding,
}

/// Counts what one connection has brought.
#[derive(Debug, Default)]
pub(super) struct Guard {
    bytes: usize,
    elements: usize,
}

impl Guard {
    /// The length of the message that `received` begins with; `None` while it is not whole.
    pub(super) fn message(&mut self, received: &[u8]) -> Result<Option<usize>, GuardError> {
        let Some(element) = element(received)? else { return Ok(None) };
        if element.tag != SEQUENCE {
            return Err(GuardError::Encoding);
        }
        let length = element.head + element.length;
        if length > MAX_MESSAGE {
            return Err(GuardError::Message);
        }
        let Some(message) = received.get(..length) else { return Ok(None) };
        // It begins with its number.
        if message.get(element.head) != Some(&INTEGER) {
            return Err(GuardError::Encoding);
        }
        self.bytes += length;
        if self.bytes > MAX_BYTES {
            return Err(GuardError::Bytes);
        }
        self.walk(message, 0)?;
        Ok(Some(length))
    }

    fn walk(&mut self, mut elements: &[u8], depth: usize) -> Result<(), GuardError> {
        if depth > MAX_DEPTH {
            return Err(GuardError::Depth);
        }
        while !elements.is_empty() {
            self.elements += 1;
            if self.elements > MAX_ELEMENTS {
                return Err(GuardError::Elements);
            }
            let head = element(elements)?.ok_or(GuardError::Encoding)?;
            let body = elements.get(head.head..head.head + head.length).ok_or(GuardError::Encoding)?;
            if head.tag & CONSTRUCTED != 0 {
                self.walk(body, depth + 1)?;
            }
            elements = elements.get(head.head + head.length..).unwrap_or_default();
        }
        Ok(())
    }
}

struct Element {
    tag: u8,
    /// Bytes of tag and length.
    head: usize,
    length: usize,
}

/// The element that `bytes` begins with; `None` while its tag and length are not there.
fn element(bytes: &[u8]) -> Result<Option<Element>, GuardError> {
    let [tag, first, rest @ ..] = bytes else { return Ok(None) };
    if tag & TAG_NUMBER == TAG_NUMBER {
        return Err(GuardError::Encoding);
    }
    let digits = match first {
        0..=0x7f => {
            return Ok(Some(Element { tag: *tag, head: 2, length: usize::from(*first) }));
        }
        0x81..=0x84 => usize::from(first & 0x7f),
        // No length in advance, or one that no message has.
        0x80 | 0x85.. => return Err(GuardError::Encoding),
    };
    let Some(digits) = rest.get(..digits) else { return Ok(None) };
    let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    if length > MAX_MESSAGE {
        return Err(GuardError::Message);
    }
    Ok(Some(Element { tag: *tag, head: 2 + digits.len(), length }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An element with this tag and content.
    fn of(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x84][..], &length, content].concat()
    }

    fn nested(levels: usize) -> Vec<u8> {
        let inner = (1..levels).fold(vec![4, 0], |inner, _| of(SEQUENCE, &inner));
        of(SEQUENCE, &[&[INTEGER, 1, 1][..], &inner].concat())
    }

    #[test]
    fn a_message_cut_at_every_byte_is_the_same_message() {
        let message = nested(6);
        for cut in 0..message.len() {
            assert_eq!(Guard::default().message(&message[..cut]), Ok(None), "{cut}");
        }
        let followed = [&message[..], b"next"].concat();
        assert_eq!(Guard::default().message(&followed), Ok(Some(message.len())));
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(Guard::default().message(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(Guard::default().message(&nested(MAX_DEPTH + 1)), Err(GuardError::Depth));
        assert_eq!(Guard::default().message(&nested(20_000)), Err(GuardError::Depth));
    }

    #[test]
    fn a_long_message_is_refused_by_its_length() {
        assert_eq!(Guard::default().message(&[SEQUENCE, 0x84, 0, 0x20, 0, 0]), Err(GuardError::Message));
        assert_eq!(Guard::default().message(&[SEQUENCE, 0x84, 255, 255, 255, 255]), Err(GuardError::Message));
        let inner = [SEQUENCE, 9, INTEGER, 1, 1, 4, 0x84, 255, 255, 255, 255];
        assert_eq!(Guard::default().message(&inner), Err(GuardError::Message));
    }

    #[test]
    fn all_messages_together_are_bounded() {
        let mut guard = Guard::default();
        let number = [INTEGER, 1, 1];
        let message = of(SEQUENCE, &[&number[..], &of(4, &vec![0; MAX_MESSAGE - 20])].concat());
        let taken = (0..20).take_while(|_| guard.message(&message).is_ok()).count();
        assert_eq!(taken, MAX_BYTES / message.len());
        let mut guard = Guard::default();
        let message = of(SEQUENCE, &[&number[..], &[4, 0].repeat(999)].concat());
        let taken = (0..1000).take_while(|_| guard.message(&message).is_ok()).count();
        assert_eq!(taken, MAX_ELEMENTS / 1001);
    }

    #[test]
    fn what_ldap_does_not_use_is_refused() {
        for bytes in
            [&[0x04, 0][..], b"HTTP/1.1 400", &[SEQUENCE, 0x80, 0, 0], &[SEQUENCE, 0x85, 0, 0, 0, 0, 1]]
        {
            assert_eq!(Guard::default().message(bytes), Err(GuardError::Encoding), "{bytes:?}");
        }
        // An element that reaches beyond the one that it is in.
        assert_eq!(Guard::default().message(&[SEQUENCE, 3, INTEGER, 2, 0]), Err(GuardError::Encoding));
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Guard::default().message(&bytes);
            let _ = Guard::default().message(&of(SEQUENCE, &bytes));
        }
    }
}
