//! What was typed since the last line was ended.

use crate::keys::Key;

/// The line as its keys make it.
#[derive(Debug, Default)]
pub(crate) struct Entered {
    text: Vec<u8>,
    /// What a terminal shows of the keys while no program reads them: `^[[A` for a cursor key.
    echo: Vec<u8>,
    /// Whether a key came whose effect only the screen shows.
    is_edited: bool,
    /// Whether `echo` has a key that stands for something else.
    has_keys: bool,
    /// What held before the sequence that is being typed.
    before_sequence: Option<(bool, bool, usize)>,
    /// What stood left of the cursor when the first key came: the prompt.
    prompt: Option<String>,
}

/// Bytes of a line that count. The beginning of a longer one is forgotten, and the screen alone knows it.
const LONGEST: usize = 64 * 1024;

const ESC: u8 = 0x1b;

impl Entered {
    /// After `^O` the next line is there before anything is typed.
    pub(crate) fn after(key: Key) -> Self {
        let goes_on = key == Key::AcceptAndNext;
        Self { is_edited: goes_on, has_keys: goes_on, ..Self::default() }
    }

    /// Takes note of a key that does not end the line.
    pub(crate) fn press(&mut self, key: Key, prompt: impl FnOnce() -> String) {
        self.prompt.get_or_insert_with(prompt);
        match key {
            Key::Text(byte) => {
                self.text.push(byte);
                self.echo.push(byte);
            }
            Key::Other(byte) => self.other(byte),
            Key::PasteMark => self.forget_sequence(),
            Key::Erase => self.shorten(|text| text.len().saturating_sub(last_character(text))),
            Key::EraseWord => self.shorten(before_last_word),
            Key::EraseLine => self.shorten(|_| 0),
            Key::Accept | Key::AcceptAndNext | Key::End => {}
        }
        if self.text.len() > LONGEST || self.echo.len() > LONGEST {
            self.text.drain(..self.text.len() / 2);
            self.echo.clear();
            (self.is_edited, self.before_sequence) = (true, None);
        }
    }

    /// The sequence that is being typed does nothing to the line.
    pub(crate) fn forget_sequence(&mut self) {
        if let Some((is_edited, has_keys, echo)) = self.before_sequence.take() {
            (self.is_edited, self.has_keys) = (is_edited, has_keys);
            self.echo.truncate(echo);
        }
    }

    fn other(&mut self, byte: u8) {
        if byte == ESC {
            self.before_sequence = Some((self.is_edited, self.has_keys, self.echo.len()));
        }
        (self.is_edited, self.has_keys) = (true, true);
        match byte {
            0x00..0x20 => self.echo.extend([b'^', byte + 0x40]),
            _ => self.echo.push(byte),
        }
    }

    fn shorten(&mut self, length: impl Fn(&[u8]) -> usize) {
        self.is_edited = true;
        self.text.truncate(length(&self.text));
        self.echo.truncate(length(&self.echo));
    }

    /// Whether the text may be another than that of the line.
    pub(crate) fn is_edited(&self) -> bool {
        self.is_edited
    }

    /// Whether a key came that could stand for any text; taking back some of it cannot.
    pub(crate) fn has_keys(&self) -> bool {
        self.has_keys
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.is_edited
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// The line without its prompt, where it begins with what was one.
    pub(crate) fn without_prompt<'l>(&self, line: &'l str) -> Option<&'l str> {
        line.strip_prefix(self.prompt.as_deref()?.trim_end()).map(str::trim_start)
    }

    /// Whether the keys stand on the screen as they were pressed: no program has read them yet.
    pub(crate) fn is_unread(&self, before_cursor: &str) -> bool {
        self.has_keys
            && !self.echo.is_empty()
            && before_cursor.ends_with(&*String::from_utf8_lossy(&self.echo))
    }
}

/// Bytes of the last character.
fn last_character(text: &[u8]) -> usize {
    let continuation = text.iter().rev().take_while(|byte| **byte & 0xc0 == 0x80).count();
    (continuation + 1).min(4)
}

fn before_last_word(text: &[u8]) -> usize {
    let trimmed = text.trim_ascii_end();
    trimmed.iter().rposition(u8::is_ascii_whitespace).map_or(0, |space| space + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;

    fn typed(bytes: &[u8], takes_pastes: bool) -> Entered {
        let (mut keys, mut entered) = (Keys::default(), Entered::default());
        for byte in bytes {
            entered.press(keys.feed(*byte, takes_pastes), || "$ ".to_owned());
        }
        entered
    }

    #[test]
    fn plain_text_is_the_line() {
        let entered = typed("echo h\u{e4}".as_bytes(), false);
        assert!(!entered.is_edited() && entered.text() == "echo h\u{e4}");
        assert_eq!(entered.without_prompt("$ echo h\u{e4}"), Some("echo h\u{e4}"));
        assert_eq!(entered.without_prompt("# other"), None);
    }

    #[test]
    fn what_is_taken_back_is_not_in_the_line() {
        assert_eq!(typed("ab\u{e4}\x7f\x7fc".as_bytes(), false).text(), "ac");
        assert_eq!(typed(b"echo one two  \x17x", false).text(), "echo one x");
        assert_eq!(typed(b"rm -rf /\x15ls", false).text(), "ls");
        assert!(typed(b"a\x7f", false).is_edited());
    }

    #[test]
    fn keys_that_only_the_screen_knows_make_the_text_a_guess() {
        for keys in ["\x1b[A", "a\tb", "\x12re", "\x10", "\x1b[200~x"] {
            assert!(typed(keys.as_bytes(), false).is_edited(), "{keys:?}");
        }
    }

    #[test]
    fn a_paste_is_text_where_the_program_takes_it_as_one() {
        let entered = typed(b"\x1b[200~one\ttwo\x1b[201~", true);
        assert!(!entered.is_edited() && entered.text() == "one\ttwo", "{}", entered.text());
        assert!(typed(b"\x1b[A\x1b[200~one\x1b[201~", true).is_edited());
    }

    #[test]
    fn keys_that_no_program_has_read_are_known_by_their_echo() {
        let entered = typed(b"\x1b[A x", false);
        assert!(entered.is_unread("^[[A x") && !entered.is_unread("^[[A$ rm x"));
        assert!(!typed(b"ls", false).is_unread("$ ls"));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let entered = typed(&[b'x'; 3 * LONGEST], false);
        assert!(entered.text.len() <= LONGEST && entered.is_edited());
        let entered = typed(&[0x10; 3 * LONGEST], false);
        assert!(entered.echo.len() <= LONGEST);
    }
}
