//! What a plugin prints, line by line (contract section 3, rule 7).

use std::cmp::Reverse;
use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::{LogLine, Stream};

/// A longer line is cut, and says so.
const MAX_LINE: usize = 8 * 1024;
/// What is kept of one call, in bytes; each line counts [`LINE_COST`] besides its text.
const MAX_KEPT: usize = 1024 * 1024;
const LINE_COST: usize = 64;

/// Cuts the bytes of one stream into lines.
#[derive(Debug)]
pub(super) struct Lines {
    stream: Stream,
    line: Vec<u8>,
    cut: u64,
}

impl Lines {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, line: Vec::new(), cut: 0 }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(LogLine)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            let room = MAX_LINE.saturating_sub(self.line.len()).min(text.len());
            let (kept, cut) = text.split_at(room);
            self.line.extend_from_slice(kept);
            self.cut += cut.len() as u64;
            if ended {
                each(self.take());
            }
        }
    }

    /// The last line, when nothing ended it.
    pub(super) fn finish(&mut self) -> Option<LogLine> {
        (!self.line.is_empty() || self.cut > 0).then(|| self.take())
    }

    fn take(&mut self) -> LogLine {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let mut text = escaped(line);
        if self.cut > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, " [cut: {} more bytes]", self.cut);
        }
        self.line.clear();
        self.cut = 0;
        LogLine { stream: self.stream, line: text }
    }
}

/// Bytes that are not UTF-8 as `\xNN`; control characters too, since a log may be read on a terminal.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() && c != '\t' { text.extend(c.escape_default()) } else { text.push(c) }
        }
        for byte in chunk.invalid() {
            // Writing into a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The lines of one call, as many as are kept.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) lines: Vec<LogLine>,
    pub(super) left_out: u64,
    kept: usize,
}

impl Log {
    /// The line, when it is kept.
    pub(super) fn push(&mut self, line: LogLine) -> Option<&LogLine> {
        let cost = line.line.len() + LINE_COST;
        if self.kept + cost > MAX_KEPT {
            self.left_out += 1;
            return None;
        }
        self.kept += cost;
        self.lines.push(line);
        self.lines.last()
    }
}

/// Secrets to be masked in what a plugin prints and raises.
#[derive(Default)]
pub(super) struct Masks(Vec<Zeroizing<String>>);

impl Masks {
    /// Shorter pieces would mask words that are no secret.
    const MIN_BYTES: usize = 4;

    /// Each line of `secret` by itself, as a key is printed; and as exceptions show it.
    pub(super) fn add(&mut self, secret: &str) {
        for piece in secret.lines().map(str::trim) {
            for form in [piece.to_owned(), on_one_line(piece), quoted(piece)] {
                let form = Zeroizing::new(form);
                if form.len() >= Self::MIN_BYTES && !self.0.contains(&form) {
                    self.0.push(form);
                }
            }
        }
        // One that is part of another must not leave the rest of it.
        self.0.sort_by_key(|form| Reverse(form.len()));
    }

    pub(super) fn apply(&self, text: &mut String) {
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), "[masked]");
            }
        }
    }
}

/// The worker puts the message of an exception on one line.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As Python's `repr` shows a str, without the quotes around it: `KeyError` does.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    if text.contains('\'') && text.contains('"') { text.replace('\'', "\\'") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut splitter = Lines::new(Stream::Stdout);
        let mut seen = Vec::new();
        for part in parts {
            splitter.feed(part, |line| seen.push(line.line));
        }
        seen.extend(splitter.finish().map(|line| line.line));
        seen
    }

    #[test]
    fn lines_cut_at_every_byte_are_the_same_lines() {
        let text = "one\r\n\ntwo ä\nthree".as_bytes();
        for cut in 0..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), ["one", "", "two ä", "three"]);
        }
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = vec![b'x'; MAX_LINE + 5];
        assert_eq!(
            lines(&[&long, b"\nok"]),
            [format!("{} [cut: 5 more bytes]", "x".repeat(MAX_LINE)), "ok".into()]
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_and_control_characters_are_escaped() {
        assert_eq!(lines(&[b"a\xffb\x1b[31m\tc"]), ["a\\xffb\\u{1b}[31m\tc"]);
    }

    #[test]
    fn what_is_kept_of_a_call_is_bounded() {
        let mut log = Log::default();
        for _ in 0..100_000 {
            log.push(LogLine { stream: Stream::Stderr, line: String::new() });
        }
        assert_eq!(log.lines.len(), MAX_KEPT / LINE_COST);
        assert_eq!(log.left_out, 100_000 - log.lines.len() as u64);
    }

    #[test]
    fn a_secret_is_masked_line_by_line() {
        let mut masks = Masks::default();
        masks.add("hunter2");
        masks.add("abc");
        masks.add("LINE-ONE\nLINE-TWO\n");
        let mut text = "got hunter2, abc and LINE-TWO".to_owned();
        masks.apply(&mut text);
        assert_eq!(text, "got [masked], abc and [masked]");
    }

    #[test]
    fn a_secret_is_masked_as_exceptions_show_it_and_with_a_shorter_one_in_it() {
        let mut masks = Masks::default();
        for secret in ["pass", r"back\slash", "two  spaces", r#"'both' "quotes""#, "password"] {
            masks.add(secret);
        }
        let shown = r#"KeyError: 'back\\slash', two spaces, '\'both\' "quotes"', password, two  spaces"#;
        let mut text = shown.to_owned();
        masks.apply(&mut text);
        assert_eq!(text, "KeyError: '[masked]', [masked], '[masked]', [masked], [masked]");
    }
}
