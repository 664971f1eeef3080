//! Text that comes faster than it can be drawn.
//!
//! Of text without sequences only the last lines stay on a screen that scrolls as a whole; all before them need not be
//! drawn. What chooses colours may be in it too, for that goes on.

use std::fmt;

use memchr::{memchr, memchr_iter, memchr3, memrchr_iter};
use zeroize::Zeroizing;

/// Text that is kept at least: more than the last lines of most screens.
const KEPT: usize = 64 * 1024;
/// Text that is looked at in one step.
const STEP: usize = 64 * 1024;
/// Bytes of a sequence, and sequences that are kept of what is gone.
const MOST_SEQUENCE: usize = 64;
const MOST_PEN: usize = 64;

const ESCAPE: u8 = 0x1b;
const SHIFT_OUT: u8 = 0x0e;
const SHIFT_IN: u8 = 0x0f;
/// The first byte of the controls from U+0080 to U+009F, and of some letters.
const LATIN: u8 = 0xc2;

/// Text that was not drawn.
pub(crate) struct Flood {
    /// Its end: all of it, unless it was cut.
    tail: Zeroizing<String>,
    /// Bytes of the tail in which no sequence is unfinished.
    whole: usize,
    is_cut: bool,
    /// Whether the tail begins at the beginning of a line.
    is_line: bool,
    /// What has chosen the colours before the tail.
    pen: Pen,
    /// Bytes that were taken since somebody asked.
    since: usize,
}

/// The parameters of sequences that choose colours (SGR), since the last that took all back. Each says what is so from there
/// on, whatever was before: of two that are the same, the first says nothing.
#[derive(Clone, Default)]
struct Pen(Vec<String>);

impl Flood {
    pub(crate) fn new() -> Self {
        // It never grows, so that no copy is left behind.
        let tail = Zeroizing::new(String::with_capacity(KEPT + 2 * STEP));
        Self { tail, whole: 0, is_cut: false, is_line: false, pen: Pen::default(), since: 0 }
    }

    /// Takes text up to the first that does more than colour what follows; how many bytes of it.
    pub(crate) fn take(&mut self, text: &str) -> usize {
        let mut taken = 0;
        while taken < text.len() {
            let end = text.floor_char_boundary(taken + STEP);
            let step = text.get(taken..end).unwrap_or_default();
            let begun = self.tail.len() - self.whole;
            self.tail.push_str(step);
            let whole = harmless(self.tail.get(self.whole..).unwrap_or_default());
            match whole {
                Harmless::All(bytes) => self.whole += bytes,
                Harmless::UpTo(bytes) => {
                    self.whole += bytes;
                    self.tail.truncate(self.whole);
                    // What was begun before this text is part of the tail, and cannot be given back.
                    return taken + bytes.saturating_sub(begun);
                }
            }
            taken = end;
            self.since = self.since.saturating_add(step.len());
            if self.tail.len() > KEPT + STEP && !self.cut() {
                return taken;
            }
        }
        taken
    }

    /// How many bytes were taken since this was asked.
    pub(crate) fn taken_since(&mut self) -> usize {
        std::mem::take(&mut self.since)
    }

    /// What draws the same as all of it on a screen of so many rows that stood still meanwhile. `None`: nobody knows.
    pub(crate) fn rest(&self, rows: usize) -> Option<Zeroizing<String>> {
        if !self.is_cut {
            return Some(self.tail.clone());
        }
        // Wherever the cursor was: as many lines bring it to the bottom, and as many more push out all that was there.
        let enough = 2 * rows;
        let bytes = self.tail.as_bytes();
        let lines = memchr_iter(b'\n', bytes).count();
        let starts = memrchr_iter(b'\n', bytes).map(|at| at + 1).skip(enough);
        let mut starts =
            starts.filter(|&start| bytes.get(..start).is_some_and(|head| head.ends_with(b"\r\n")));
        let start = match starts.next() {
            Some(start) => start,
            None if self.is_line && lines >= enough => 0,
            None => return None,
        };
        let (gone, lines) = self.tail.split_at_checked(start)?;
        let mut pen = self.pen.clone();
        pen.take(gone).then_some(())?;
        let pen: String = pen.0.iter().map(|parameters| format!("\x1b[{parameters}m")).collect();
        let mut rest = Zeroizing::new(String::with_capacity(pen.len() + 1 + lines.len()));
        rest.push_str(&pen);
        rest.push('\r');
        rest.push_str(lines);
        Some(rest)
    }

    /// Forgets the front. `false`: it has chosen more colours than are kept.
    fn cut(&mut self) -> bool {
        let excess = self.tail.len().saturating_sub(KEPT);
        let behind = self.tail.as_bytes().get(excess..self.whole).unwrap_or_default();
        // Behind the end of a line, else behind all of it: the line is longer than what is kept.
        let line = memchr_iter(b'\n', behind).map(|at| excess + at);
        let mut line = line.filter(|&at| at > 0 && self.tail.as_bytes().get(at - 1) == Some(&b'\r'));
        let line = line.next();
        let at = line.map_or(self.whole, |line| line + 1);
        let fits = self.pen.take(self.tail.get(..at).unwrap_or_default());
        // What lies behind the text now is wiped with it.
        self.tail.drain(..at);
        self.whole -= at;
        (self.is_cut, self.is_line) = (true, line.is_some());
        fits
    }
}

/// How much of a text leaves nothing behind but letters and their colours, in bytes.
#[derive(Debug, Eq, PartialEq)]
enum Harmless {
    /// All, but for a sequence that may go on.
    All(usize),
    UpTo(usize),
}

fn harmless(text: &str) -> Harmless {
    let bytes = text.as_bytes();
    let end = first_latin_control(bytes).unwrap_or(bytes.len());
    let mut at = 0;
    while let Some(found) = bytes.get(at..end).and_then(|rest| memchr3(ESCAPE, SHIFT_OUT, SHIFT_IN, rest)) {
        let start = at + found;
        match bytes.get(start..end).map(sequence) {
            Some(Sequence::Colour(length)) => at = start + length,
            Some(Sequence::Begun) if end == bytes.len() => return Harmless::All(start),
            Some(Sequence::Begun | Sequence::Other) | None => return Harmless::UpTo(start),
        }
    }
    if end == bytes.len() { Harmless::All(end) } else { Harmless::UpTo(end) }
}

fn first_latin_control(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = memchr(LATIN, bytes.get(from..)?) {
        let at = from + found;
        if bytes.get(at + 1).is_some_and(|next| (0x80..=0x9f).contains(next)) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

enum Sequence {
    /// Chooses colours (SGR), in so many bytes.
    Colour(usize),
    Begun,
    Other,
}

/// Of bytes that begin with a control.
fn sequence(bytes: &[u8]) -> Sequence {
    match bytes {
        [ESCAPE] => Sequence::Begun,
        [ESCAPE, b'[', rest @ ..] => {
            let parameters = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).count();
            match rest.get(parameters) {
                _ if parameters > MOST_SEQUENCE - 3 => Sequence::Other,
                Some(b'm') => Sequence::Colour(parameters + 3),
                Some(_) => Sequence::Other,
                None => Sequence::Begun,
            }
        }
        _ => Sequence::Other,
    }
}

impl Pen {
    /// `false`: that is more than is kept.
    fn take(&mut self, text: &str) -> bool {
        // From the last that takes all back by itself.
        let is_reset = |at: &usize| {
            text.get(*at..).is_some_and(|it| it.starts_with("\x1b[m") || it.starts_with("\x1b[0m"))
        };
        let start = memrchr_iter(ESCAPE, text.as_bytes()).find(is_reset).unwrap_or_default();
        let mut rest = text.get(start..).unwrap_or_default();
        while let Some(begun) = memchr(ESCAPE, rest.as_bytes()).and_then(|at| rest.get(at + 1..)) {
            let Some((parameters, behind)) = begun.strip_prefix('[').and_then(|it| it.split_once('m')) else {
                return false;
            };
            let first = parameters.split([';', ':']).next().unwrap_or_default();
            if first.bytes().all(|digit| digit == b'0') {
                self.0.clear();
            }
            self.0.retain(|before| before != parameters);
            self.0.push(parameters.to_owned());
            if self.0.len() > MOST_PEN {
                return false;
            }
            rest = behind;
        }
        true
    }
}

/// Without what it has seen.
impl fmt::Debug for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flood").field("kept", &self.tail.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::screen::Screen;
    use crate::shown::Sight;

    #[test]
    fn letters_and_colours_are_harmless_and_nothing_else() {
        let up_to = |text: &str| match harmless(text) {
            Harmless::All(bytes) => (true, bytes),
            Harmless::UpTo(bytes) => (false, bytes),
        };
        assert_eq!(up_to("a\r\n\tü\u{4e2d}\x08"), (true, 9 + 1));
        assert_eq!(up_to("a\x1b[1;38:5:7mb\x1b[m"), (true, 16));
        for begun in ["a\x1b", "a\x1b[", "a\x1b[3", "a\x1b[3;"] {
            assert_eq!(up_to(begun), (true, 1), "{begun:?}");
        }
        for other in
            ["a\x1b[2J", "a\x1b]0;t\x07", "a\x1bc", "a\x0e", "a\x0f", "a\u{85}b", "a\u{9b}3m", "a\x1b[>4m"]
        {
            assert_eq!(up_to(other), (false, 1), "{other:?}");
        }
        assert_eq!(up_to("a©b"), (true, 4), "a letter with the same first byte");
        assert_eq!(up_to(&format!("\x1b[{}", "1;".repeat(40))), (false, 0));
    }

    #[test]
    fn the_last_lines_and_their_colours_are_left_of_a_flood() {
        let mut flood = Flood::new();
        let line = format!("{}\r\n", "x".repeat(100));
        assert_eq!(flood.take("\x1b[1m\x1b[0;31m\x1b[4m"), 15);
        assert_eq!(flood.rest(10).unwrap().as_str(), "\x1b[1m\x1b[0;31m\x1b[4m");
        for _ in 0..10 {
            assert_eq!(flood.take(&line.repeat(10_000)), 1_020_000);
        }
        assert_eq!(flood.rest(10).unwrap().as_str(), format!("\x1b[0;31m\x1b[4m\r{}", line.repeat(20)));
        // A sequence in two pieces, and one that does more.
        assert_eq!(flood.take("end\x1b[3"), 6);
        assert_eq!(flood.take("2mgreen\x1b[H"), 7);
        assert!(flood.rest(10).unwrap().ends_with("end\x1b[32mgreen"));
    }

    #[test]
    fn of_one_long_line_nobody_knows_what_is_left() {
        let mut flood = Flood::new();
        flood.take(&"x".repeat(1 << 20));
        assert!(flood.rest(2).is_none());
        flood.take("\r\n1\r\n2\r\n3\r\n4\r\n5");
        assert_eq!(flood.rest(2).unwrap().as_str(), "\r1\r\n2\r\n3\r\n4\r\n5");
        assert!(flood.rest(3).is_none(), "there are lines of before on the screen");
    }

    /// What a program may have done to the screen before.
    fn before() -> impl Strategy<Value = String> {
        let pieces = vec![
            "text",
            "\r\n",
            "\n",
            "\x1b[?1049h",
            "\x1b[?1049l",
            "\x1b(0",
            "\x1b(B",
            "\x0e",
            "\x1b[3g",
            "\x1bH",
            "\x1b7",
            "\x1b8",
            "\x1b[4h",
            "\x1b[?7l",
            "\x1b[?25l",
            "\x1b[?6h",
            "\x1b[20h",
            "\x1b[2;7H",
            "\x1b[1;44m",
            "\x1b[m",
            "\u{4e2d}",
            "0123456789",
        ];
        proptest::collection::vec(proptest::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
    }

    fn line() -> impl Strategy<Value = String> {
        let colours =
            vec!["", "\x1b[31m", "\x1b[m", "\x1b[0;42m", "\x1b[7m", "\x1b[27m", "\x1b[0m", "\x1b[38:5:7m"];
        let ends = vec!["\r\n", "\r\n", "\r\n", "\n", "\r", "\t", "\x08\x08", "\u{4e2d}\u{6587}"];
        let (colour, end) = (proptest::sample::select(colours), proptest::sample::select(ends));
        (colour, "[ -~]{0,60}", end).prop_map(|(colour, text, end)| format!("{text}{colour}{text}{end}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_left_of_a_flood_draws_what_all_of_it_draws(
            before in before(),
            some in proptest::collection::vec(line(), 40..60),
            size in (5u32..60, 2u32..12),
            cut in 1usize..5000,
        ) {
            let mut whole = Screen::new();
            whole.show(&Sight::Size(size.0, size.1), &mut ());
            whole.show_text(&before, &mut ());
            let (dump, rows) = (whole.dump().unwrap(), size.1 as usize);
            let all = some.concat().repeat(60);
            let (mut flood, mut taken) = (Flood::new(), 0);
            while taken < all.len() {
                let end = all.floor_char_boundary((taken + cut).max(taken + 4));
                prop_assert_eq!(flood.take(&all[taken..end]), end - taken);
                taken = end;
            }
            whole.show_text(&all, &mut ());
            // A tail without any end of a line is rare, and nobody's loss.
            let Some(rest) = flood.rest(rows) else { return Ok(()) };
            prop_assert!(rest.len() <= KEPT + 2 * STEP);
            let mut quick = Screen::restored(whole.terminal().size(), &dump);
            quick.show_text(&rest, &mut ());
            prop_assert_eq!(quick.dump(), whole.dump());
        }
    }
}
