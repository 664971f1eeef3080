//! What a plugin prints, line by line (contract section 3, rule 7).

use std::fmt::Write as _;
use std::ops::Range;

use super::LogLine;
use crate::mask::{Masks, Scan, is_telling, masked};

/// A longer line is cut, and says so.
const MAX_LINE: usize = 8 * 1024;
/// What is kept of one call, in bytes; each line counts [`LINE_COST`] besides its text.
const MAX_KEPT: usize = 1024 * 1024;
const LINE_COST: usize = 64;

/// A line as it was printed, its secrets included.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Bytes that are left out at the end.
    pub(super) cut: u64,
}

impl Line {
    /// The text, with a word on what is left out.
    pub(super) fn whole(mut self) -> String {
        if self.cut > 0 {
            // Writing into a String cannot fail.
            let _ = write!(self.text, " [cut: {} more bytes]", self.cut);
        }
        self.text
    }
}

/// Cuts the bytes of one stream into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    cut: u64,
}

impl Lines {
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Line)) {
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
    pub(super) fn finish(&mut self) -> Option<Line> {
        (!self.line.is_empty() || self.cut > 0).then(|| self.take())
    }

    fn take(&mut self) -> Line {
        let text = escaped(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
        self.line.clear();
        Line { text, cut: std::mem::take(&mut self.cut) }
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
    /// Whether a line may still be kept. One that is not need not be looked at.
    pub(super) fn has_room(&self) -> bool {
        self.kept + LINE_COST <= MAX_KEPT
    }

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

/// Masks the lines of one stream, in order. A line is held back for as long as a secret may go on in the next one.
#[derive(Debug, Default)]
pub(super) struct Masking {
    /// The lines that are held, joined by line ends.
    held: String,
    lines: usize,
    /// Where secrets lie in them, also those that began in a line before.
    found: Vec<Range<usize>>,
}

/// More is held back by a plugin only that wants it so.
const MAX_HELD_LINES: usize = 256;
const MAX_HELD: usize = 16 * 1024;

impl Masking {
    /// Gives `each` line that can be shown now, and says how many bytes were looked at.
    pub(super) fn push(&mut self, masks: &Masks, line: Line, mut each: impl FnMut(String)) -> usize {
        if self.lines > 0 {
            self.held.push('\n');
        }
        self.held.push_str(&line.text);
        self.lines += 1;
        let Scan { found, begun, open, cost } = masks.scan(&self.held);
        // All that was found before is found again, but for what began in a line that is gone.
        let carried = self.found.iter().filter(|place| place.start == 0).map(|place| place.end).max();
        self.found = found;
        self.found.extend(carried.map(|end| 0..end));
        let too_much = self.lines >= MAX_HELD_LINES || self.held.len() >= MAX_HELD;
        if line.cut == 0 && !too_much {
            self.release(open, &mut each);
            return cost;
        }
        // What comes next does not tell any more whether this is the beginning of a secret.
        if is_telling(self.held.len() - begun) {
            self.found.push(begun..self.held.len());
        }
        let cut = line.cut;
        let mut last = None;
        self.release(usize::MAX, &mut |text| {
            if let Some(text) = last.replace(text) {
                each(text);
            }
        });
        if let Some(text) = last {
            each(Line { text, cut }.whole());
        }
        cost
    }

    /// Gives `each` line that was held back: nothing comes any more.
    pub(super) fn finish(&mut self, mut each: impl FnMut(String)) {
        self.release(usize::MAX, &mut each);
    }

    /// The same in the middle of what would have come: the beginning of a secret is masked as well.
    pub(super) fn cut_off(&mut self, masks: &Masks, each: impl FnMut(String)) {
        let begun = masks.scan(&self.held).begun;
        if is_telling(self.held.len() - begun) {
            self.found.push(begun..self.held.len());
        }
        self.finish(each);
    }

    /// Lets go of the lines that end at `open` or before.
    fn release(&mut self, open: usize, each: &mut dyn FnMut(String)) {
        let mut start = 0;
        while self.lines > 0 {
            let rest = self.held.get(start..).unwrap_or_default();
            let end = start + rest.find('\n').unwrap_or(rest.len());
            if end > open {
                break;
            }
            each(masked(&self.held, start..end, &self.found));
            self.lines -= 1;
            start = (end + 1).min(self.held.len());
        }
        if self.lines == 0 {
            *self = Self::default();
            return;
        }
        self.held.drain(..start);
        self.found.retain(|place| place.end > start);
        for place in &mut self.found {
            *place = place.start.saturating_sub(start)..place.end - start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Stream;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        shown(&[], parts)
    }

    /// What is shown of a stream that comes in these parts.
    fn shown(secrets: &[&str], parts: &[&[u8]]) -> Vec<String> {
        let masks = Masks::new(secrets.iter().copied());
        let (mut lines, mut masking, mut shown) = (Lines::default(), Masking::default(), Vec::new());
        for part in parts {
            lines.feed(part, |line| {
                masking.push(&masks, line, |text| shown.push(text));
            });
        }
        if let Some(line) = lines.finish() {
            masking.push(&masks, line, |text| shown.push(text));
        }
        masking.finish(|text| shown.push(text));
        shown
    }

    #[test]
    fn what_is_cut_off_in_a_secret_shows_none_of_it() {
        let masks = Masks::new(["correct horse\nbattery staple"]);
        for cut in ["it is correct ho", "it is correct horse\nbattery st"] {
            let (mut lines, mut masking, mut shown) = (Lines::default(), Masking::default(), Vec::new());
            lines.feed(cut.as_bytes(), |line| {
                masking.push(&masks, line, |text| shown.push(text));
            });
            if let Some(line) = lines.finish() {
                masking.push(&masks, line, |text| shown.push(text));
            }
            masking.cut_off(&masks, |text| shown.push(text));
            let shown = shown.join("\n");
            assert!(
                shown.starts_with("it is ") && !shown.contains("corr") && !shown.contains("batt"),
                "{shown}"
            );
        }
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
    fn a_secret_that_is_printed_in_pieces_is_masked_in_each_line() {
        let secrets = ["correct horse battery"];
        assert_eq!(
            shown(&secrets, &[b"one\nis corr\nect hor", b"se bat\ntery, two\n\nthree\n"]),
            ["one", "is [masked]", "[masked]", "[masked], two", "", "three"]
        );
    }

    #[test]
    fn base64_that_is_cut_in_lines_of_any_length_shows_nothing() {
        use base64::Engine as _;
        let text = format!("{{\"user\": \"{}\", \"password\": \"correct horse\"}}", "x".repeat(50));
        let digits = base64::engine::general_purpose::STANDARD.encode(&text);
        for width in 7..=80 {
            let wrapped: String = digits
                .as_bytes()
                .chunks(width)
                .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
                .collect();
            let whole = shown(&["correct horse"], &[wrapped.as_bytes()]).concat();
            let whole = whole.replace("[masked]", "");
            let secret = text.find("correct").unwrap();
            // The digits in the middle of the secret, which are the same wherever it begins.
            let middle = &digits[(secret + 1).div_ceil(3) * 4..(secret + 12) / 3 * 4];
            assert!(!whole.contains(&middle[..4]), "{width}: {middle} in {whole}");
        }
    }

    #[test]
    fn a_line_is_shown_at_once_unless_a_secret_may_go_on_in_the_next() {
        let masks = Masks::new(["correct horse"]);
        let mut masking = Masking::default();
        let mut push = |text: &str| {
            let mut shown = Vec::new();
            masking.push(&masks, Line { text: text.into(), cut: 0 }, |line| shown.push(line));
            shown
        };
        assert_eq!(push("waiting."), ["waiting."]);
        assert_eq!(push("the corr"), Vec::<String>::new());
        assert_eq!(push("al is shut."), ["the corr", "al is shut."]);
        assert_eq!(push("the correct"), Vec::<String>::new());
        assert_eq!(push(" horse."), ["the [masked]", "[masked]."]);
    }

    #[test]
    fn a_secret_that_the_limit_of_a_line_cuts_is_masked_as_far_as_it_is_there() {
        let line = format!("{}correct horse\n", "x ".repeat(MAX_LINE / 2 - 4));
        let shown = shown(&["correct horse"], &[line.as_bytes()]);
        assert_eq!(shown, [format!("{}[masked] [cut: 5 more bytes]", "x ".repeat(MAX_LINE / 2 - 4))]);
    }

    #[test]
    fn what_is_held_back_is_bounded_and_comes_in_order() {
        let endless: String = (0..1000).map(|_| "c\n").collect();
        assert_eq!(shown(&["correct horse"], &[endless.as_bytes()]).len(), 1000);
    }
}
