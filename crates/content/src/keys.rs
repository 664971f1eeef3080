//! What is typed, key by key.

/// What a byte is, after those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    /// Text, a byte of it.
    Text(u8),
    /// Takes back a character, a word, the line.
    Erase,
    EraseWord,
    EraseLine,
    /// Ends the line: Enter.
    Accept,
    /// Ends the line, and the next of the history is there to be ended too (readline's and zsh's ^O).
    AcceptAndNext,
    /// Ends what is read, or a line where no editor is (^D).
    End,
    /// The last byte of the mark before or after a paste, which changes nothing.
    PasteMark,
    /// What only the screen shows the effect of: completion, history, cursor keys. A byte of it.
    Other(u8),
}

/// Takes sequences of bytes for keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    state: State,
    /// Between the marks of a bracketed paste.
    is_paste: bool,
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
}

/// Bytes of a sequence's parameters that count; longer ones mean nothing here.
const PARAMETERS: usize = 24;

const ESC: u8 = 0x1b;

impl Keys {
    /// `takes_pastes`: the program has asked for bracketed pastes, so that what is in one is text.
    pub(crate) fn feed(&mut self, byte: u8, takes_pastes: bool) -> Key {
        match std::mem::take(&mut self.state) {
            State::Ground => self.ground(byte, takes_pastes),
            State::Escape => self.escape(byte),
            State::Application => match byte {
                b'M' => Key::Accept,
                _ => Key::Other(byte),
            },
            State::Sequence(parameters) => self.sequence(parameters, byte, takes_pastes),
        }
    }

    /// Whether the next byte goes on with a sequence.
    pub(crate) fn are_in_sequence(&self) -> bool {
        !matches!(self.state, State::Ground)
    }

    fn ground(&mut self, byte: u8, takes_pastes: bool) -> Key {
        match byte {
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
            0x00..0x20 => Key::Other(byte),
            _ => Key::Text(byte),
        }
    }

    fn escape(&mut self, byte: u8) -> Key {
        match byte {
            b'[' => self.state = State::Sequence(Vec::new()),
            b'O' => self.state = State::Application,
            ESC => self.state = State::Escape,
            // Enter with Alt ends a line in some editors.
            b'\r' | b'\n' => return Key::Accept,
            _ => {}
        }
        Key::Other(byte)
    }

    fn sequence(&mut self, mut parameters: Vec<u8>, byte: u8, takes_pastes: bool) -> Key {
        match byte {
            b'\r' | b'\n' => return Key::Accept,
            ESC => self.state = State::Escape,
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
            (_, b'u') if matches!(first(parameters), b"13" | b"57414") => return Key::Accept,
            (_, b'~') if first(parameters) == b"27" && last_of(parameters) == b"13" => return Key::Accept,
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

    fn accepts(bytes: &[u8]) -> usize {
        let mut keys = Keys::default();
        bytes.iter().filter(|byte| keys.feed(**byte, false) == Key::Accept).count()
    }

    #[test]
    fn enter_ends_a_line_however_it_is_sent() {
        for enter in
            ["\r", "\n", "\x1bOM", "\x1b\r", "\x1b[13u", "\x1b[13;5u", "\x1b[57414;1u", "\x1b[27;5;13~"]
        {
            assert_eq!(accepts(enter.as_bytes()), 1, "{enter:?}");
            assert_eq!(accepts(format!("\x1b[A{enter}x{enter}").as_bytes()), 2, "{enter:?}");
        }
        for other in ["\x1b[A", "\x1b[131u", "\x1b[13~", "\x1bOA", "\x1b[97;13u", "x", "\x1b[<0;13;13M"] {
            assert_eq!(accepts(other.as_bytes()), 0, "{other:?}");
        }
    }

    #[test]
    fn enter_ends_a_line_in_the_middle_of_a_sequence_too() {
        assert_eq!(accepts(b"\x1b[1;\r"), 1);
        assert_eq!(accepts(b"\x1b\x1b[13u"), 1);
    }
}
