//! What is typed, key by key.

/// What a byte is, after those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    /// Text, a byte of it.
    Text(u8),
    /// Text in UTF-8, or a key with Meta where a program takes eight bits for that.
    High(u8),
    /// Takes back a character, a word, the line.
    Erase,
    EraseWord,
    EraseLine,
    /// Ends the line: Enter, and nothing before it that could make it mean something else.
    Accept,
    /// Ends the line in some programs, and not in others: what was typed before it may still be there.
    MayAccept,
    /// The same, and where it does, the next line is there to be ended too (readline's and zsh's ^O, zsh's `ESC a`).
    AcceptAndNext,
    /// Ends what is read, or a line in some editors, or passes a part of one where no editor is (^D).
    End,
    /// The end of a line within a paste that a program takes as one.
    PastedLine,
    /// The last byte of the mark before or after a paste, which changes nothing.
    PasteMark,
    /// Plays keys that were recorded: lines are run that no screen has shown (readline's `^X e`).
    Macro,
    /// What only the screen shows the effect of: completion, history, cursor keys. A byte of it.
    Other(u8),
}

/// Takes sequences of bytes for keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    state: State,
    /// Between the marks of a bracketed paste.
    is_paste: bool,
    /// A key came that can put a line aside, which comes back when another is ended (zsh's push-line, its ESC x).
    has_put_aside: bool,
    /// A key came that begins to record keys.
    has_recorded: bool,
    /// A carriage return ends no line where no program reads keys.
    keeps_returns: bool,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Ground,
    Escape,
    /// After `ESC O`.
    Application,
    /// After `ESC [`, with the parameters.
    Sequence(Vec<u8>),
    /// After ^V or ^Q: the next key is text in some editors.
    Quoted,
    /// After ^X.
    Prefix,
}

/// Bytes of a sequence's parameters that count; longer ones mean nothing here.
const PARAMETERS: usize = 24;

const ESC: u8 = 0x1b;

impl Keys {
    pub(crate) fn new(keeps_returns: bool) -> Self {
        Self { keeps_returns, ..Self::default() }
    }

    /// `takes_pastes`: the program has asked for bracketed pastes, so that what is in one is text.
    pub(crate) fn feed(&mut self, byte: u8, takes_pastes: bool) -> Key {
        match std::mem::take(&mut self.state) {
            State::Ground => match self.ground(byte, takes_pastes) {
                Key::Accept if self.is_paste && takes_pastes => Key::PastedLine,
                key => key,
            },
            State::Escape => self.escape(byte),
            State::Application => match byte {
                b'M' => Key::MayAccept,
                0x00..0x20 => self.within(byte),
                _ => Key::Other(byte),
            },
            State::Sequence(parameters) => self.sequence(parameters, byte, takes_pastes),
            State::Quoted => self.within(byte),
            State::Prefix => self.prefixed(byte),
        }
    }

    /// Whether the next byte goes on with a sequence.
    pub(crate) fn are_in_sequence(&self) -> bool {
        matches!(self.state, State::Escape | State::Application | State::Sequence(_))
    }

    /// The program takes pastes from now on, or takes none any more: what was one is over.
    pub(crate) fn end_paste(&mut self) {
        self.is_paste = false;
    }

    pub(crate) fn have_put_aside(&self) -> bool {
        self.has_put_aside
    }

    pub(crate) fn have_recorded(&self) -> bool {
        self.has_recorded
    }

    fn ground(&mut self, byte: u8, takes_pastes: bool) -> Key {
        match byte {
            b'\r' if self.keeps_returns => Key::MayAccept,
            b'\r' | b'\n' => Key::Accept,
            ESC => {
                self.state = State::Escape;
                Key::Other(byte)
            }
            b'\t' if self.is_paste && takes_pastes => Key::Text(byte),
            0x08 | 0x7f => Key::Erase,
            0x17 => Key::EraseWord,
            // ^U, and ^C, after which a line begins anew.
            0x15 | 0x03 => Key::EraseLine,
            0x0f => Key::AcceptAndNext,
            0x04 => Key::End,
            0x11 | 0x16 => {
                // ^Q puts the line aside in zsh, and quotes as ^V in readline.
                self.has_put_aside |= byte == 0x11;
                self.state = State::Quoted;
                Key::Other(byte)
            }
            0x18 => {
                self.state = State::Prefix;
                Key::Other(byte)
            }
            0x00..0x20 => Key::Other(byte),
            0x80.. => Key::High(byte),
            _ => Key::Text(byte),
        }
    }

    /// A byte that is none of the sequence that it is in: programs differ in what they make of it.
    fn within(&mut self, byte: u8) -> Key {
        match self.ground(byte, false) {
            Key::Accept => Key::MayAccept,
            key => key,
        }
    }

    fn escape(&mut self, byte: u8) -> Key {
        match byte {
            b'[' => self.state = State::Sequence(Vec::new()),
            b'O' => self.state = State::Application,
            ESC => self.state = State::Escape,
            // Enter with Alt ends a line in some editors.
            b'\r' | b'\n' => return Key::MayAccept,
            // zsh's accept-and-hold.
            b'a' | b'A' => return Key::AcceptAndNext,
            // readline's insert-comment.
            b'#' => return Key::MayAccept,
            // zsh's push-line, and its commands by name.
            b'q' | b'Q' | b'x' | b'z' => self.has_put_aside = true,
            0x00..0x20 => return self.within(byte),
            _ => {}
        }
        Key::Other(byte)
    }

    fn prefixed(&mut self, byte: u8) -> Key {
        match byte {
            b'e' | b'E' => Key::Macro,
            b'(' => {
                self.has_recorded = true;
                Key::Other(byte)
            }
            0x00..0x20 => self.within(byte),
            _ => Key::Other(byte),
        }
    }

    fn sequence(&mut self, mut parameters: Vec<u8>, byte: u8, takes_pastes: bool) -> Key {
        match byte {
            0x00..0x20 => return self.within(byte),
            0x40..=0x7e => return self.end_of_sequence(&parameters, byte, takes_pastes),
            _ => {
                if parameters.len() < PARAMETERS {
                    parameters.push(byte);
                }
                self.state = State::Sequence(parameters);
            }
        }
        Key::Other(byte)
    }

    fn end_of_sequence(&mut self, parameters: &[u8], last: u8, takes_pastes: bool) -> Key {
        match (parameters, last) {
            (b"200", b'~') if takes_pastes => {
                self.is_paste = true;
                return Key::PasteMark;
            }
            (b"201", b'~') if std::mem::take(&mut self.is_paste) => return Key::PasteMark,
            // Enter of the main keys and of the keypad, as kitty and xterm (modifyOtherKeys) may send them.
            (_, b'u') if matches!(first(parameters), b"13" | b"57414") => return Key::MayAccept,
            (_, b'~') if first(parameters) == b"27" && last_of(parameters) == b"13" => return Key::MayAccept,
            _ => {}
        }
        Key::Other(last)
    }
}

fn first(parameters: &[u8]) -> &[u8] {
    parameters.split(|byte| matches!(byte, b';' | b':')).next().unwrap_or_default()
}

fn last_of(parameters: &[u8]) -> &[u8] {
    parameters.rsplit(|byte| *byte == b';').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(bytes: &[u8], wanted: &[Key]) -> usize {
        let mut keys = Keys::default();
        bytes.iter().filter(|byte| wanted.contains(&keys.feed(**byte, false))).count()
    }

    #[test]
    fn enter_may_end_a_line_however_it_is_sent() {
        let accepts = |bytes: &[u8]| ends(bytes, &[Key::Accept, Key::MayAccept]);
        for enter in
            ["\r", "\n", "\x1bOM", "\x1b\r", "\x1b[13u", "\x1b[13;5u", "\x1b[57414;1u", "\x1b[27;5;13~"]
        {
            assert_eq!(accepts(enter.as_bytes()), 1, "{enter:?}");
            assert_eq!(accepts(format!("\x1b[A{enter}x{enter}").as_bytes()), 2, "{enter:?}");
        }
        for other in ["\x1b[A", "\x1b[131u", "\x1b[13~", "\x1bOA", "\x1b[97;13u", "x", "\x1b[<0;13;13M"] {
            assert_eq!(accepts(other.as_bytes()), 0, "{other:?}");
        }
        assert_eq!(accepts(b"\x1b[1;\r"), 1);
        assert_eq!(accepts(b"\x1b\x1b[13u"), 1);
    }

    #[test]
    fn only_an_enter_by_itself_surely_ends_a_line() {
        assert_eq!(ends(b"ls\rls\n", &[Key::Accept]), 2);
        for other in [
            "\x1b\r", "\x1b\n", "\x1bOM", "\x1bO\r", "\x1b[\r", "\x1b[1\n", "\x1b[13u", "\x16\n", "\x11\r",
            "\x18\n",
        ] {
            assert_eq!(ends(other.as_bytes(), &[Key::Accept]), 0, "{other:?}");
            assert_eq!(ends(other.as_bytes(), &[Key::MayAccept]), 1, "{other:?}");
        }
    }

    #[test]
    fn a_control_key_within_a_sequence_is_one() {
        assert_eq!(ends(b"\x1b[\x04\x1bO\x04", &[Key::End]), 2);
        assert_eq!(ends(b"\x1b[\x0f", &[Key::AcceptAndNext]), 1);
    }

    #[test]
    fn a_line_of_a_paste_ends_none_where_pastes_are_taken() {
        let mut keys = Keys::default();
        let mut all = b"\x1b[200~a\rb".iter().map(|byte| keys.feed(*byte, true));
        assert!(all.any(|key| key == Key::PastedLine) && !all.any(|key| key == Key::Accept));
        assert_eq!(ends(b"\x1b[200~a\rb", &[Key::Accept]), 1);
    }
}
