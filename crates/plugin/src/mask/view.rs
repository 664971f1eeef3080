//! A text as it was before a program put it into another form, each byte with its place in the text as it is.

use std::ops::Range;

/// What [`View`]s put between pieces that do not belong together: no byte of any UTF-8 text.
const BREAK: u8 = 0xff;

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// For each byte the part of the text that it was made of.
    places: Vec<(u32, u32)>,
    /// Where a form begins at the end of the text that is not complete.
    pub(super) open: Option<usize>,
}

/// How `+` is read in a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plus {
    Itself,
    /// As in `application/x-www-form-urlencoded`.
    Space,
}

/// What `\xNN` means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hex {
    /// A byte, as in Python's `bytes`, and as lines show what is not UTF-8.
    Byte,
    /// A character, as in Python's `str`.
    Char,
}

/// How bytes are written in digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Digits {
    /// Of either alphabet (RFC 4648 sections 4 and 5).
    Base64,
    /// Of either case (RFC 4648 section 8).
    Hex,
}

impl Digits {
    fn value(self, digit: u8) -> Option<u32> {
        match self {
            Self::Base64 => sextet(digit).map(u32::from),
            Self::Hex => char::from(digit).to_digit(16),
        }
    }

    fn bits(self) -> u32 {
        match self {
            Self::Base64 => 6,
            Self::Hex => 4,
        }
    }

    /// Fewer digits in a row hold nothing that is long enough to be masked.
    fn shortest_run(self) -> usize {
        match self {
            Self::Base64 => 6,
            Self::Hex => 8,
        }
    }
}

impl View {
    /// The text itself, without its line ends: a plugin may print a secret in several lines.
    pub(super) fn of(text: &str) -> Self {
        let mut view = Self::default();
        for (at, byte) in text.bytes().enumerate() {
            view.push(byte, at..at + 1);
        }
        view
    }

    /// Where in the text the bytes of `range` come from.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        let start = self.places.get(range.start).map_or(0, |place| place.0);
        let end =
            range.end.checked_sub(1).and_then(|last| self.places.get(last)).map_or(start, |place| place.1);
        start as usize..end as usize
    }

    /// `%41` as `A`. `None`: there is nothing of that form.
    pub(super) fn percent(&self, plus: Plus) -> Option<Self> {
        let digit = |at: usize| char::from(*self.bytes.get(at)?).to_digit(16);
        self.changed(|view, at| match self.bytes.get(at)? {
            b'%' => match (digit(at + 1), digit(at + 2)) {
                (Some(high), Some(low)) => {
                    view.push(u8::try_from(high * 16 + low).ok()?, self.source(at..at + 3));
                    Some(3)
                }
                _ => {
                    let cut =
                        at + 1 == self.bytes.len() || (at + 2 == self.bytes.len() && digit(at + 1).is_some());
                    view.open_if(cut, self.source(at..at + 1));
                    None
                }
            },
            b'+' if plus == Plus::Space => {
                view.push(b' ', self.source(at..at + 1));
                Some(1)
            }
            _ => None,
        })
    }

    /// Without the escapes of JSON, Python, and the log itself. `None`: there are none.
    pub(super) fn unescaped(&self, hex: Hex) -> Option<Self> {
        self.changed(|view, at| {
            if self.bytes.get(at) != Some(&b'\\') {
                return None;
            }
            let Some((text, length)) = self.escape(at, hex) else {
                view.open_if(self.is_cut(at), self.source(at..at + 1));
                return None;
            };
            let place = self.source(at..at + length);
            match text {
                Escaped::Byte(byte) => view.push(byte, place),
                Escaped::Char(char) => {
                    let mut buffer = [0; 4];
                    let bytes = char.encode_utf8(&mut buffer).as_bytes();
                    bytes.iter().for_each(|byte| view.push(*byte, place.clone()));
                }
            }
            Some(length)
        })
    }

    /// Each run of digits as the bytes that they stand for, when the first `skip` digits belong to a group that begins
    /// before. `None`: there is no run.
    pub(super) fn decoded(&self, digits: Digits, skip: usize) -> Option<Self> {
        let mut view = Self::default();
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at) {
            if digits.value(*byte).is_none() {
                at += 1;
                continue;
            }
            let run = self.run(digits, at);
            if run.len() >= digits.shortest_run() {
                self.decode(digits, run.start + skip..run.end, &mut view);
                if run.end < self.bytes.len() {
                    view.push(BREAK, self.source(run.end..run.end + 1));
                }
            }
            at = run.end;
        }
        (!view.bytes.is_empty()).then_some(view)
    }

    /// Whether a word ends before `at`, or begins there: also between lines, whose ends are left out.
    pub(super) fn is_edge_of_word(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1) else { return true };
        let is_word = |at: usize| self.bytes.get(at).is_some_and(|byte| is_word(*byte));
        let place = |at: usize| self.places.get(at).copied().unwrap_or((u32::MAX, u32::MAX));
        !is_word(before) || !is_word(at) || place(before).1 < place(at).0
    }

    /// The run of base64 digits that the text ends with.
    pub(super) fn last_run(&self) -> Range<usize> {
        let digits = self.bytes.iter().rev().take_while(|byte| sextet(**byte).is_some()).count();
        self.bytes.len() - digits..self.bytes.len()
    }

    fn run(&self, digits: Digits, start: usize) -> Range<usize> {
        let rest = self.bytes.get(start..).unwrap_or_default();
        start..start + rest.iter().take_while(|byte| digits.value(**byte).is_some()).count()
    }

    /// Every eight bits of `run` that are complete.
    fn decode(&self, digits: Digits, run: Range<usize>, view: &mut Self) {
        let (mut bits, mut held) = (0_u32, 0);
        for at in run.clone() {
            let Some(value) = self.bytes.get(at).and_then(|digit| digits.value(*digit)) else { return };
            bits = bits << digits.bits() | value;
            held += digits.bits();
            if held >= 8 {
                held -= 8;
                // A byte is made of two digits, or of the whole of one and parts of its neighbours.
                let from = at.saturating_sub(1).max(run.start);
                view.push_raw((bits >> held & 0xff) as u8, self.source(from..at + 1));
            }
        }
    }

    /// The character that the escape at `at` stands for, and its length.
    fn escape(&self, at: usize, hex: Hex) -> Option<(Escaped, usize)> {
        let simple = |char| Some((Escaped::Char(char), 2));
        match self.bytes.get(at + 1)? {
            b'n' => simple('\n'),
            b'r' => simple('\r'),
            b't' => simple('\t'),
            b'b' => simple('\u{8}'),
            b'f' => simple('\u{c}'),
            byte @ (b'"' | b'\'' | b'\\' | b'/') => simple(char::from(*byte)),
            b'x' => {
                let value = self.number(at + 2, 2)?;
                let text = match hex {
                    Hex::Byte => Escaped::Byte(u8::try_from(value).ok()?),
                    Hex::Char => Escaped::Char(char::from_u32(value)?),
                };
                Some((text, 4))
            }
            b'U' => Some((Escaped::Char(char::from_u32(self.number(at + 2, 8)?)?), 10)),
            b'u' if self.bytes.get(at + 2) == Some(&b'{') => {
                let rest = self.bytes.get(at + 3..)?.iter().take(7);
                let digits = rest.take_while(|byte| **byte != b'}').count();
                let char = char::from_u32(self.number(at + 3, digits)?)?;
                (self.bytes.get(at + 3 + digits) == Some(&b'}')).then_some((Escaped::Char(char), digits + 4))
            }
            b'u' => {
                let first = self.number(at + 2, 4)?;
                if let Some(char) = char::from_u32(first) {
                    return Some((Escaped::Char(char), 6));
                }
                // A character beyond the first 65,536 is two escapes (RFC 8259 section 7).
                let is_pair = self.bytes.get(at + 6..at + 8) == Some(b"\\u");
                let second = is_pair.then(|| self.number(at + 8, 4)).flatten()?;
                let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
                let char = char::decode_utf16(pair).next()?.ok()?;
                Some((Escaped::Char(char), 12))
            }
            _ => None,
        }
    }

    /// Whether what follows the backslash may be the beginning of an escape.
    fn is_cut(&self, at: usize) -> bool {
        const LONGEST: usize = 12;
        let rest = self.bytes.get(at + 1..).unwrap_or_default();
        let in_escape =
            |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'u' | b'U' | b'x' | b'{' | b'\\');
        rest.len() < LONGEST && rest.iter().all(in_escape)
    }

    fn number(&self, at: usize, digits: usize) -> Option<u32> {
        let text = self.bytes.get(at..at + digits).filter(|text| !text.is_empty())?;
        text.iter().try_fold(0_u32, |number, byte| {
            number.checked_mul(16)?.checked_add(char::from(*byte).to_digit(16)?)
        })
    }

    /// This view with some parts in another form. `form` writes the form of what begins at a place, and says how many
    /// bytes that was; `None`: it stays as it is.
    fn changed(&self, mut form: impl FnMut(&mut Self, usize) -> Option<usize>) -> Option<Self> {
        let mut view = Self { open: self.open, ..Self::default() };
        let (mut at, mut is_other) = (0, false);
        while let Some(byte) = self.bytes.get(at) {
            match form(&mut view, at) {
                Some(length) => {
                    is_other = true;
                    at += length;
                }
                None => {
                    view.push(*byte, self.source(at..at + 1));
                    at += 1;
                }
            }
        }
        (is_other || view.open != self.open).then_some(view)
    }

    fn open_if(&mut self, cut: bool, place: Range<usize>) {
        if cut {
            self.open = Some(self.open.map_or(place.start, |open| open.min(place.start)));
        }
    }

    /// Line ends are left out.
    fn push(&mut self, byte: u8, place: Range<usize>) {
        if !matches!(byte, b'\n' | b'\r') {
            self.push_raw(byte, place);
        }
    }

    fn push_raw(&mut self, byte: u8, place: Range<usize>) {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.bytes.push(byte);
        self.places.push((narrow(place.start), narrow(place.end)));
    }
}

enum Escaped {
    Byte(u8),
    Char(char),
}

/// Letters of all languages, digits and `_`.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The value of a base64 digit (RFC 4648 sections 4 and 5).
fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(view: Option<View>) -> String {
        String::from_utf8_lossy(&view.unwrap().bytes).into_owned()
    }

    #[test]
    fn the_forms_are_undone() {
        let of = View::of;
        assert_eq!(text(of("a%2Fb%2fc+d").percent(Plus::Itself)), "a/b/c+d");
        assert_eq!(text(of("a%2Fb+c").percent(Plus::Space)), "a/b c");
        assert_eq!(
            text(of(r#"\u00e4\u00E4\"\\\/\x41\U0001F600\ud83d\ude00\u{1b}"#).unescaped(Hex::Char)),
            "ää\"\\/A😀😀\u{1b}"
        );
        assert_eq!(text(of(r"p\xc3\xa4\n").unescaped(Hex::Byte)), "pä");
        assert_eq!(text(of("YWJjZGVm").decoded(Digits::Base64, 0)), "abcdef");
        assert_eq!(text(of("xYWJjZGVm").decoded(Digits::Base64, 1)), "abcdef");
        assert_eq!(text(of("<616a4A4b>").decoded(Digits::Hex, 0)), "ajJK\u{fffd}");
        assert_eq!(of("?? plain ??").percent(Plus::Space), None);
        assert_eq!(of("?? plain ??").unescaped(Hex::Byte), None);
        assert_eq!(of("a b c").decoded(Digits::Base64, 0), None);
        assert_eq!(of("616a4a4").decoded(Digits::Hex, 0), None);
    }

    #[test]
    fn bytes_know_where_they_come_from() {
        let view = View::of("x%41\ny").percent(Plus::Itself).unwrap();
        assert_eq!(view.bytes, b"xAy");
        assert_eq!(view.source(1..3), 1..6);
    }

    #[test]
    fn words_end_at_signs_and_at_line_ends() {
        let view = View::of("ab-ä\ncd");
        let edges: Vec<usize> = (0..=view.bytes.len()).filter(|at| view.is_edge_of_word(*at)).collect();
        assert_eq!(edges, [0, 2, 3, 5, 7]);
    }

    #[test]
    fn a_form_that_the_text_ends_in_is_open() {
        for cut in ["x%", "x%4"] {
            assert_eq!(View::of(cut).percent(Plus::Itself).unwrap().open, Some(1), "{cut}");
        }
        for cut in ["x\\", "x\\u", "x\\u00", "x\\ud83d", "x\\ud83d\\", "x\\ud83d\\ude0", "x\\u{1", "x\\x4"] {
            assert_eq!(View::of(cut).unescaped(Hex::Byte).unwrap().open, Some(1), "{cut}");
        }
        assert_eq!(View::of("x\\q").unescaped(Hex::Byte), None);
    }
}
