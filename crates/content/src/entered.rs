//! What was typed since the last line was ended.

use crate::keys::Key;

/// The line as its keys make it.
#[derive(Debug, Default)]
pub(crate) struct Entered {
    /// With a line feed where a key may have ended a line, or has ended one of a paste.
    text: Vec<u8>,
    /// All text that was typed, where a terminal shows nothing: what was taken back is in it too.
    raw: Option<Vec<u8>>,
    /// What a terminal shows of the keys while no program reads them: `^[[A` for a cursor key.
    echo: Vec<u8>,
    /// Whether it has a key that stands for something else.
    echoes_keys: bool,
    /// Whether a key came whose effect only the screen shows.
    is_edited: bool,
    /// Whether a key came that stands for something else.
    has_keys: bool,
    /// How many of those came, at least.
    keys: usize,
    /// Whether text came that may be keys with Meta.
    has_high: bool,
    /// Whether lines were pasted into it.
    has_lines: bool,
    /// Whether the line was begun after one that only the screen knew: something may stand in it already.
    is_tainted: bool,
    /// Whether its beginning was forgotten.
    is_cut: bool,
    /// What held before the sequence that is being typed.
    before_sequence: Option<(bool, bool, usize)>,
    /// What stood left of the cursor when the first key came: the prompt.
    prompt: Option<String>,
}

/// Bytes of a line that count. The beginning of a longer one is forgotten, and the screen alone knows it.
const LONGEST: usize = 64 * 1024;
/// Bytes at the end of a paste that are looked at with each of its lines; all of it is when its end is accepted.
const TAIL: usize = 4096;

const ESC: u8 = 0x1b;

impl Entered {
    pub(crate) fn new(is_blind: bool) -> Self {
        Self { raw: is_blind.then(Vec::new), ..Self::default() }
    }

    /// The line after this one has surely been ended.
    pub(crate) fn next(&self) -> Self {
        let is_tainted = self.is_tainted || self.has_keys || self.has_high;
        Self { is_tainted, ..Self::new(self.raw.is_some()) }
    }

    /// The line may have been ended, and may go on.
    pub(crate) fn may_have_ended(&mut self, key: Key) {
        self.text.push(b'\n');
        self.raw.iter_mut().for_each(|raw| raw.push(b'\n'));
        self.echo.clear();
        self.echoes_keys = false;
        self.before_sequence = None;
        match key {
            Key::PastedLine => self.has_lines = true,
            Key::AcceptAndNext => (self.is_edited, self.has_keys) = (true, true),
            _ => self.is_edited = true,
        }
    }

    /// Takes note of a key that does not end the line.
    pub(crate) fn press(&mut self, key: Key, prompt: impl FnOnce() -> String) {
        self.prompt.get_or_insert_with(prompt);
        if let (Some(raw), Key::Text(byte) | Key::High(byte)) = (&mut self.raw, key) {
            raw.push(byte);
        }
        match key {
            Key::Text(byte) => {
                self.text.push(byte);
                self.echo.push(byte);
            }
            Key::High(byte) => {
                self.text.push(byte);
                self.echo.push(byte);
                (self.is_edited, self.has_high) = (true, true);
            }
            Key::Other(byte) => self.other(byte),
            Key::PasteMark => self.forget_sequence(),
            Key::Erase => self.shorten(|text| text.len().saturating_sub(last_character(text))),
            Key::EraseWord => self.shorten(before_last_word),
            Key::EraseLine => self.shorten(|_| 0),
            Key::Macro => self.other(b'e'),
            Key::Accept | Key::MayAccept | Key::AcceptAndNext | Key::PastedLine | Key::End => {}
        }
        if self.text.len() > LONGEST {
            self.text.drain(..self.text.len() / 2);
            (self.is_edited, self.is_cut) = (true, true);
        }
        if let Some(raw) = self.raw.as_mut().filter(|raw| raw.len() > LONGEST) {
            raw.drain(..LONGEST / 2);
            (self.is_edited, self.is_cut) = (true, true);
        }
        if self.echo.len() > LONGEST {
            self.echo.clear();
            self.before_sequence = None;
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
        (self.is_edited, self.has_keys, self.echoes_keys) = (true, true, true);
        self.keys += usize::from(byte < 0x20);
        match byte {
            0x00..0x20 => self.echo.extend([b'^', byte + 0x40]),
            _ => self.echo.push(byte),
        }
    }

    fn shorten(&mut self, length: impl Fn(&[u8]) -> usize) {
        self.is_edited = true;
        // What may have been passed on is not taken back.
        let kept = self.text.iter().rposition(|byte| *byte == b'\n').map_or(0, |joint| joint + 1);
        let left = self.text.get(kept..).map_or(0, &length);
        self.text.truncate(kept + left);
        self.echo.truncate(length(&self.echo));
    }

    /// Whether the text may be another than that of the line.
    pub(crate) fn is_edited(&self) -> bool {
        self.is_edited || self.is_tainted || self.has_lines
    }

    /// The same, by keys since the line was begun.
    pub(crate) fn has_edits(&self) -> bool {
        self.is_edited
    }

    /// Whether its beginning is not known any more.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    pub(crate) fn has_high(&self) -> bool {
        self.has_high
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.prompt.is_some()
    }

    /// The program draws the line anew from where the cursor is.
    pub(crate) fn is_drawn_anew(&mut self) {
        self.prompt = None;
    }

    pub(crate) fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref()
    }

    /// Whether a key came that could stand for any text; taking back some of it cannot.
    pub(crate) fn has_keys(&self) -> bool {
        self.has_keys
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.is_edited()
    }

    /// What was typed, with a line feed where a line may have been ended.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(self.raw.as_deref().unwrap_or_default()).into_owned()
    }

    /// The end of what was typed.
    pub(crate) fn tail(&self) -> String {
        let from = self.text.len().saturating_sub(TAIL);
        String::from_utf8_lossy(self.text.get(from..).unwrap_or_default()).into_owned()
    }

    /// The line without its prompt, where it begins with what was one.
    pub(crate) fn without_prompt<'l>(&self, line: &'l str) -> Option<&'l str> {
        line.strip_prefix(self.prompt.as_deref()?.trim_end()).map(str::trim_start)
    }

    /// The line without its prompt, where it may be what was typed: what is typed unseen may be a password.
    pub(crate) fn shown<'l>(&self, line: &'l str) -> Option<&'l str> {
        let text = self.text();
        let last = text.rsplit('\n').next().unwrap_or_default().trim();
        self.without_prompt(line).filter(|shown| self.is_edited() || shown.ends_with(last))
    }

    /// Whether the end of a line is what was typed.
    pub(crate) fn is_shown(&self, line: &str) -> bool {
        line.trim_end().ends_with(self.text().trim_end())
    }

    /// Whether the shell may join the next line to it.
    pub(crate) fn goes_on(&self) -> bool {
        self.text.ends_with(b"\\")
    }

    /// Whether what has come behind the prompt is the echo of the keys, or its beginning: it may be switched off at any of
    /// them.
    pub(crate) fn is_echoed(&self, before_cursor: &str) -> bool {
        let shown = before_cursor.strip_prefix(self.prompt().unwrap_or_default()).unwrap_or(before_cursor);
        self.is_unread(before_cursor) || !shown.is_empty() && self.echo.starts_with(shown.as_bytes())
    }

    /// Whether the keys stand on the screen as they were pressed: no program has read them yet.
    pub(crate) fn is_unread(&self, before_cursor: &str) -> bool {
        self.has_keys
            && self.echoes_keys
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
            match keys.feed(*byte, takes_pastes) {
                key @ (Key::MayAccept | Key::PastedLine | Key::End) => entered.may_have_ended(key),
                Key::Accept => entered = entered.next(),
                key => entered.press(key, || "$ ".to_owned()),
            }
        }
        entered
    }

    #[test]
    fn plain_text_is_the_line() {
        let entered = typed(b"echo ha", false);
        assert!(!entered.is_edited() && entered.text() == "echo ha");
        assert_eq!(entered.without_prompt("$ echo ha"), Some("echo ha"));
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

    /// With eight bits for Meta, they are keys.
    #[test]
    fn text_that_is_not_ascii_makes_the_text_a_guess() {
        let entered = typed("echo h\u{e4}".as_bytes(), false);
        assert!(entered.is_edited() && !entered.has_keys() && entered.text() == "echo h\u{e4}");
    }

    #[test]
    fn a_key_that_may_end_a_line_keeps_what_was_typed_before_it() {
        for key in ["\x04", "\x1b\r", "\x1bOM", "\x1b[\r", "\x16\n"] {
            let entered = typed(format!("touch forb{key}idden").as_bytes(), false);
            assert!(entered.is_edited() && entered.text() == "touch forb\nidden", "{key:?}");
        }
    }

    #[test]
    fn after_a_line_that_only_the_screen_knows_the_next_is_one_too() {
        assert!(typed(b"\x1b[A\r", false).is_edited() && typed(b"\x1b[A\rls\rls", false).is_edited());
        assert!(!typed(b"lx\x7fs\rls", false).is_edited());
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
        assert!(entered.text.len() <= LONGEST && entered.is_edited() && entered.is_cut());
        let entered = typed(&[0x10; 3 * LONGEST], false);
        assert!(entered.echo.len() <= LONGEST);
    }
}
