//! Text from bytes that come in pieces.

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
