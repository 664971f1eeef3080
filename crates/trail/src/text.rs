//! Text from bytes that come in pieces, and what becomes of it in JSON.

use serde::Serialize;

use crate::error::Damage;
use crate::wire::{Cursor, put_bytes};

/// What a key frame says of a text, as bits.
const RETURNS: u8 = 1;
const AFTER_RETURN: u8 = 2;

/// What becomes of the ends of lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lines {
    AsTheyAre,
    /// With the carriage return that a terminal would have added.
    WithCarriageReturn,
}

/// Bytes becoming text piece by piece: a character that a piece breaks off waits for the next one.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    lines: Lines,
    /// The beginning of a character, 3 bytes at most.
    held: Vec<u8>,
    after_return: bool,
}

impl Text {
    pub(crate) fn new(lines: Lines) -> Self {
        Self { lines, held: Vec::new(), after_return: false }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) -> String {
        // Nearly always, and ten times as fast.
        if let (true, Lines::AsTheyAre, Ok(text)) =
            (self.held.is_empty(), self.lines, std::str::from_utf8(bytes))
        {
            return text.to_owned();
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut text = String::with_capacity(all.len());
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let broken = chunk.invalid();
            if broken.is_empty() {
                continue;
            }
            if chunks.peek().is_none() && may_continue(broken) {
                self.held = broken.to_vec();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        match self.lines {
            Lines::AsTheyAre => text,
            Lines::WithCarriageReturn => self.with_returns(&text),
        }
    }

    /// For a key frame.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let returns = if self.lines == Lines::WithCarriageReturn { RETURNS } else { 0 };
        let after = if self.after_return { AFTER_RETURN } else { 0 };
        out.push(returns | after);
        put_bytes(out, &self.held);
    }

    /// What [`encode`](Self::encode) made.
    pub(crate) fn decode(from: &mut Cursor<'_>) -> Result<Self, Damage> {
        let bits = from.byte()?;
        let lines = if bits & RETURNS != 0 { Lines::WithCarriageReturn } else { Lines::AsTheyAre };
        let held = from.prefixed()?.to_vec();
        if held.len() > 3 || (!held.is_empty() && !may_continue(&held)) {
            return Err(Damage::Value("character that was begun"));
        }
        Ok(Self { lines, held, after_return: bits & AFTER_RETURN != 0 })
    }

    /// What stands for a character that was never completed.
    pub(crate) fn end(&mut self) -> &'static str {
        if std::mem::take(&mut self.held).is_empty() { "" } else { "\u{fffd}" }
    }

    fn with_returns(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if c == '\n' && !self.after_return {
                out.push('\r');
            }
            out.push(c);
            self.after_return = c == '\r';
        }
        out
    }
}

/// Whether bytes are the beginning of a character rather than an error.
fn may_continue(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
/// JSON in a line, without any character that a terminal obeys or that turns the direction of text: who looks at an export
/// sees what it says. serde_json escapes only those below U+0020.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // They stand in strings only.
            '\u{7f}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_nothing_that_a_terminal_obeys() {
        let text = "id #\u{9d}52;c;x\u{9c}\x1b]0;\u{7f}\u{202e}ü\u{2603}";
        let shown = json(&text).unwrap();
        assert!(!shown.chars().any(char::is_control) && !shown.contains('\u{202e}'), "{shown}");
        assert!(shown.contains("ü\u{2603}"));
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
