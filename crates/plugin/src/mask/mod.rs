//! Secrets in what a plugin prints and raises: they are found also in the forms that programs put texts into, and
//! masked before anything is logged or kept (contract section 8).
//!
//! The text is brought back from JSON, Python, URL, base64 and hexadecimal forms, and two of them in each other, and then searched for the
//! secrets; the other way round there would be no end of spellings.

mod automaton;
mod view;

use std::ops::Range;

use automaton::Automaton;
use view::{Digits, Hex, Plus, View};

/// Shorter pieces would mask parts of words that are no secret: they are looked for as whole words.
const MIN_BYTES: usize = 4;
/// A single byte keeps no secret, and masked it would spoil every count from 1 to 9.
const MIN_WORD: usize = 2;
/// A longer piece is masked in parts.
const MAX_PIECE: usize = 512;
/// Of all pieces. Where secrets have more, nothing that the plugin prints is shown.
const MAX_TOTAL: usize = 1024 * 1024;
/// A run of base64 digits that is at least so long may go on in the next line.
const LONG_RUN: usize = 16;

const MASKED: &str = "[masked]";

/// Secrets to be masked.
pub(crate) struct Masks(Kind);

enum Kind {
    These(Patterns),
    /// There is too much to look for.
    Everything,
}

/// What is looked for.
#[derive(Default)]
struct Patterns {
    anywhere: Automaton,
    /// Whole words only, and only where the text is readable: short bytes are everywhere in what was base64 or hexadecimal.
    words: Automaton,
}

/// What a text has of secrets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Scan {
    /// Where they lie, in no order.
    pub(crate) found: Vec<Range<usize>>,
    /// Where the text may begin one at its end; its length where it does not.
    pub(crate) begun: usize,
    /// As `begun`, with what cannot be told before the text goes on.
    pub(crate) open: usize,
    /// How many bytes were looked at.
    pub(crate) cost: usize,
}

impl Masks {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut all, mut total) = (Vec::new(), 0);
        for secret in secrets {
            for piece in pieces(secret) {
                total += piece.len();
                if total > MAX_TOTAL {
                    return Self(Kind::Everything);
                }
                all.push(piece);
            }
        }
        let (anywhere, words): (Vec<_>, Vec<_>) = all.iter().partition(|piece| piece.len() >= MIN_BYTES);
        let automaton = |pieces: Vec<&zeroize::Zeroizing<String>>| {
            Automaton::new(pieces.into_iter().map(|piece| piece.as_bytes()))
        };
        Self(Kind::These(Patterns { anywhere: automaton(anywhere), words: automaton(words) }))
    }

    /// Looks through lines that are joined by line ends, which do not count.
    pub(crate) fn scan(&self, text: &str) -> Scan {
        let mut scan = Scan { begun: text.len(), open: text.len(), ..Scan::default() };
        match &self.0 {
            Kind::Everything => scan.found.push(0..text.len()),
            Kind::These(Patterns { anywhere, words }) if anywhere.is_empty() && words.is_empty() => {}
            Kind::These(patterns) => {
                let plain = View::of(text);
                let run = plain.last_run();
                if run.len() >= LONG_RUN {
                    scan.open = plain.source(run).start;
                }
                for (view, is_readable) in forms(plain) {
                    scan.look(&patterns.anywhere, &view);
                    if is_readable {
                        scan.look_for_words(&patterns.words, &view);
                    }
                }
            }
        }
        scan
    }

    /// A whole text without its secrets. What it may begin at its end is masked as well, for it may have been cut.
    pub(crate) fn mask(&self, text: &str) -> String {
        let Scan { mut found, begun, .. } = self.scan(text);
        if text.len() - begun >= MIN_BYTES {
            found.push(begun..text.len());
        }
        masked(text, 0..text.len(), &found)
    }
}

impl Scan {
    fn look(&mut self, patterns: &Automaton, view: &View) {
        let bytes = &view.bytes;
        let begun = patterns.scan(bytes, |end, length| self.found.push(view.source(end - length..end)));
        if begun > 0 {
            let start = view.source(bytes.len() - begun..bytes.len()).start;
            self.begun = self.begun.min(start);
        }
        self.open = self.open.min(self.begun).min(view.open.unwrap_or(usize::MAX));
        self.cost += bytes.len();
    }

    fn look_for_words(&mut self, words: &Automaton, view: &View) {
        words.scan(&view.bytes, |end, length| {
            if view.is_edge_of_word(end - length) && view.is_edge_of_word(end) {
                self.found.push(view.source(end - length..end));
            }
        });
    }
}

/// The text in every form that it may have been before, and whether it is one that a person could read.
fn forms(plain: View) -> Vec<(View, bool)> {
    let mut all = Vec::new();
    let encoded = encoded(&plain).into_iter().map(|view| (view, false));
    for (once, is_readable) in escaped(&plain).into_iter().map(|view| (view, true)).chain(encoded) {
        // What was base64 within base64, or a URL in a URL, is nothing that plugins print by accident; the others are.
        let twice = [once.unescaped(Hex::Byte), once.percent(Plus::Space)];
        all.extend(twice.into_iter().flatten().map(|view| (view, is_readable)));
        all.push((once, is_readable));
    }
    for decoded in [plain.unescaped(Hex::Byte), plain.percent(Plus::Itself)].into_iter().flatten() {
        all.extend((0..4).filter_map(|skip| Some((decoded.decoded(Digits::Base64, skip)?, false))));
    }
    all.push((plain, true));
    all
}

fn escaped(plain: &View) -> Vec<View> {
    let escapes = [plain.unescaped(Hex::Byte), plain.unescaped(Hex::Char)];
    let urls = [plain.percent(Plus::Itself), plain.percent(Plus::Space)];
    escapes.into_iter().chain(urls).flatten().collect()
}

fn encoded(plain: &View) -> Vec<View> {
    let base64 = (0..4).map(|skip| plain.decoded(Digits::Base64, skip));
    let hexadecimal = (0..2).map(|skip| plain.decoded(Digits::Hex, skip));
    base64.chain(hexadecimal).flatten().collect()
}

/// What of a secret is looked for: each line of it, as a key is printed, and the whole.
fn pieces(secret: &str) -> Vec<zeroize::Zeroizing<String>> {
    let lines: Vec<&str> = secret.lines().map(str::trim).filter(|line| !is_frame(line)).collect();
    let mut pieces = Vec::new();
    for line in &lines {
        pieces.extend(parts(line));
        pieces.extend(parts(&on_one_line(line)));
    }
    let whole = zeroize::Zeroizing::new(lines.concat());
    if lines.len() > 1 && whole.len() <= MAX_PIECE {
        pieces.push(whole);
    }
    pieces.retain(|piece| piece.len() >= MIN_WORD);
    pieces.sort_unstable_by(|one, other| one.as_str().cmp(other));
    pieces.dedup();
    pieces
}

/// The lines around a key (RFC 7468), which are the same around all keys.
fn is_frame(line: &str) -> bool {
    (line.starts_with("-----BEGIN ") || line.starts_with("-----END ")) && line.ends_with("-----")
}

/// The worker puts the message of an exception on one line.
fn on_one_line(text: &str) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Parts of nearly the same length, so that none is too short to be masked.
fn parts(text: &str) -> Vec<zeroize::Zeroizing<String>> {
    let count = text.len().div_ceil(MAX_PIECE).max(1);
    let (mut parts, mut start) = (Vec::new(), 0);
    for n in 1..=count {
        let end = text.ceil_char_boundary(text.len() * n / count);
        parts.push(zeroize::Zeroizing::new(text.get(start..end).unwrap_or_default().to_owned()));
        start = end;
    }
    parts
}

/// The part of `text` in `range`, with a mark in the place of each secret.
pub(crate) fn masked(text: &str, range: Range<usize>, found: &[Range<usize>]) -> String {
    let mut found: Vec<Range<usize>> = found
        .iter()
        .map(|place| text.floor_char_boundary(place.start)..text.ceil_char_boundary(place.end))
        .map(|place| place.start.max(range.start)..place.end.min(range.end))
        .filter(|place| place.start < place.end)
        .collect();
    found.sort_unstable_by_key(|place| place.start);
    let (mut out, mut at) = (String::new(), range.start);
    let mut last_end = None;
    for place in found {
        if place.start > at || last_end.is_none_or(|end| place.start > end) {
            out.push_str(text.get(at..place.start).unwrap_or_default());
            out.push_str(MASKED);
        }
        at = at.max(place.end);
        last_end = Some(at);
    }
    out.push_str(text.get(at..range.end).unwrap_or_default());
    out
}

/// Whether a piece at the end of a text that was cut is long enough to be masked.
pub(crate) fn is_telling(length: usize) -> bool {
    length >= MIN_BYTES
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks(..)")
    }
}

#[cfg(test)]
mod tests;
