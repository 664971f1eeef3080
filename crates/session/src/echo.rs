//! Whether a terminal shows what is typed at it. Nobody tells a gateway that the echo is off: it sees that keys are not
//! answered, and what the line says that they are typed at.

use std::iter::Peekable;
use std::str::Chars;

/// The most of a line that is kept, its end: a prompt is shorter.
const MOST_LINE: usize = 256;
/// The most of an answer that is looked at.
const MOST_ANSWER: usize = 4096;

/// What is known of a terminal's echo.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    /// What was shown since the last line end, as far as it is kept: control sequences are in it.
    line: Vec<u8>,
    /// Keys of the line that is typed were not shown.
    hides: bool,
}

/// What is to become of keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keys {
    Shown,
    /// `begins`: those before on the line were shown, or there were none.
    Hidden {
        begins: bool,
    },
}

impl Echo {
    /// Whether it takes an answer, or its absence, to tell.
    pub(crate) fn wants_answer(&self, keys: &[u8]) -> bool {
        self.hides && !is_end(keys) || has_text(keys)
    }

    /// `answer`: what was shown after the keys, of which that is taken away that they account for; `None`: that will not
    /// come any more. `line_is_whole`: its end was typed as well before that. Gives `None` where only more of the answer
    /// can tell.
    pub(crate) fn judge(
        &mut self,
        keys: &[u8],
        answer: Option<&mut Answer>,
        line_is_whole: bool,
    ) -> Option<Keys> {
        let were_hidden = self.hides;
        self.hides = !self.is_shown(keys, answer, line_is_whole)?;
        let judged = if self.hides { Keys::Hidden { begins: !were_hidden } } else { Keys::Shown };
        self.hides &= !keys.iter().any(|key| ends_line(*key));
        Some(judged)
    }

    /// Takes note of keys that no answer was needed for.
    pub(crate) fn typed(&mut self, keys: &[u8]) {
        self.hides &= !keys.iter().any(|key| ends_line(*key));
    }

    pub(crate) fn shown(&mut self, bytes: &[u8]) {
        let after = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if after > 0 {
            self.line.clear();
        }
        let bytes = bytes.get(after..).unwrap_or_default();
        let kept = bytes.get(bytes.len().saturating_sub(MOST_LINE)..).unwrap_or_default();
        let too_many = (self.line.len() + kept.len()).saturating_sub(MOST_LINE);
        self.line.drain(..too_many.min(self.line.len()));
        self.line.extend_from_slice(kept);
    }

    fn is_shown(&self, keys: &[u8], answer: Option<&mut Answer>, line_is_whole: bool) -> Option<bool> {
        let Some(answer) = answer else { return Some(false) };
        if answer.takes(&text(keys)) {
            return Some(true);
        }
        // What comes at a prompt for a secret, or after keys of it, may have other reasons: a clock in the corner.
        if self.hides || asks_for_secret(&self.line) || answer.is_mask() {
            return Some(false);
        }
        if !line_is_whole || answer.is_drawn {
            return Some(true);
        }
        // The answer to a whole line may be that of who has read it without showing it, or what was on its way when the
        // line was typed, a prompt: then the line itself follows.
        answer.is_full.then_some(false)
    }
}

/// What was shown after keys.
#[derive(Debug)]
pub(crate) struct Answer {
    text: String,
    /// It begins with a control sequence: a program draws.
    is_drawn: bool,
    /// No more of it is looked at.
    is_full: bool,
}

impl Answer {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut answer = Self { text: String::new(), is_drawn: bytes.first() == Some(&0x1b), is_full: false };
        answer.goes_on(bytes);
        answer
    }

    pub(crate) fn goes_on(&mut self, bytes: &[u8]) {
        let room = MOST_ANSWER.saturating_sub(self.text.len());
        self.is_full |= bytes.len() >= room;
        self.text.push_str(&text(bytes.get(..room).unwrap_or(bytes)));
    }

    /// Whether it begins with what the keys say, or has that somewhere where that is no accident.
    fn takes(&mut self, typed: &str) -> bool {
        const NO_ACCIDENT: usize = 3;
        let Some(typed) = typed.split(LINE_ENDS).find(|line| !line.is_empty()) else { return false };
        let begins = self.text.trim_start_matches(LINE_ENDS);
        if let Some(rest) = begins.strip_prefix(typed) {
            self.text = rest.to_owned();
            return true;
        }
        match typed.chars().count() {
            NO_ACCIDENT.. => self.text.contains(typed),
            2 => self.text.contains(&format!("{typed}\r")),
            _ => false,
        }
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_used_up(&self) -> bool {
        self.text.is_empty()
    }

    /// A character of its own for each key.
    fn is_mask(&self) -> bool {
        let text = self.text.trim_matches(LINE_ENDS);
        !text.is_empty() && text.chars().all(|c| matches!(c, '*' | '•' | '●' | '·' | '⬤'))
    }
}

const LINE_ENDS: [char; 2] = ['\r', '\n'];

/// Whether a key ends the line that is typed: Enter, ^C, ^D, ^J, ^Z, ^\.
pub(crate) fn ends_line(key: u8) -> bool {
    matches!(key, b'\r' | b'\n' | 0x03 | 0x04 | 0x1a | 0x1c)
}

fn is_end(keys: &[u8]) -> bool {
    keys.iter().all(|key| ends_line(*key))
}

fn has_text(keys: &[u8]) -> bool {
    text(keys).chars().any(|c| !LINE_ENDS.contains(&c))
}

/// Without control sequences (ECMA-48) and control characters but line ends.
fn text(bytes: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(lossy.len());
    let mut chars = lossy.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\r' | '\n' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn skip_sequence(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        Some('[') => _ = chars.find(|c| ('\u{40}'..='\u{7e}').contains(c)),
        // Strings, up to their end: BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    return;
                }
            }
        }
        // One more: SS3 of a function key, the choice of a character set.
        Some('O' | '(' | ')' | '*' | '+' | '#' | '%' | ' ') => _ = chars.next(),
        Some(_) | None => {}
    }
}

/// Whether a line ends as one that asks for something that others should not read.
fn asks_for_secret(line: &[u8]) -> bool {
    const WITHIN: [&str; 15] = [
        "password",
        "passphrase",
        "passcode",
        "passwort",
        "kennwort",
        "mot de passe",
        "contraseña",
        "senha",
        "wachtwoord",
        "hasło",
        "пароль",
        "密码",
        "密碼",
        "パスワード",
        "암호",
    ];
    const ALONE: [&str; 7] = ["pin", "otp", "token", "secret", "code", "puk", "tan"];
    let line = text(line).to_lowercase();
    let line = line.trim_end();
    if !line.ends_with([':', '：', '?', '>']) {
        return false;
    }
    let mut words = line.split(|c: char| !c.is_alphanumeric());
    WITHIN.iter().any(|word| line.contains(word)) || words.any(|word| ALONE.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first keys after this was shown, and what came after them.
    fn judge(before: &str, keys: &str, answer: Option<&str>) -> bool {
        let mut echo = Echo::default();
        echo.shown(before.as_bytes());
        if !echo.wants_answer(keys.as_bytes()) {
            return true;
        }
        let mut answer = answer.map(|text| Answer::new(text.as_bytes()));
        let is_whole = keys.bytes().any(ends_line);
        let judged = echo.judge(keys.as_bytes(), answer.as_mut(), is_whole);
        judged.or_else(|| echo.judge(keys.as_bytes(), None, is_whole)) == Some(Keys::Shown)
    }

    #[test]
    fn keys_that_are_answered_with_themselves_are_shown() {
        let prompt = "\x1b[01;32malice@db\x1b[00m:~$ ";
        for (keys, answer) in [
            ("l", "l"),
            ("ls", "ls"),
            ("ls\r", "ls\r\nfile\r\n"),
            ("s", "\x1b[4ms\x1b[24m"),
            ("s", "\x08\x1b[1mls\x1b[0m"),
            ("ü", "ü"),
            ("\x1b[200~two words\x1b[201~", "\x1b[7mtwo words\x1b[27m"),
        ] {
            assert!(judge(prompt, keys, Some(answer)), "{keys:?} {answer:?}");
        }
        // At a prompt that asks for more than it hides.
        assert!(judge("Token or user name: ", "bob", Some("bob")));
    }

    #[test]
    fn keys_without_an_answer_are_hidden_and_so_is_what_is_masked() {
        for before in ["$ ", "[sudo] password for alice: ", ""] {
            assert!(!judge(before, "h", None), "{before:?}");
            assert!(!judge(before, "hunter2\r", Some("\r\n")), "{before:?}");
            assert!(!judge(before, "hunter2\r", Some("\r\nroot@db:~# ")), "{before:?}");
            assert!(!judge(before, "h", Some("*")), "{before:?}");
        }
        // Where something else is drawn at that moment.
        let clock = "\x1b7\x1b[24;70H12:31\x1b8";
        assert!(!judge("alice@db's password: ", "h", Some(clock)));
        assert!(!judge("Enter PIN: ", "1", Some("\r\nbackground job\r\n")));
        // Editors and menus answer in their own way.
        assert!(judge("", "j", Some("\x1b[2;1H")));
        assert!(judge("", ":wq\r", Some("\x1b[24;1H:wq\x1b[?1049l")));
    }

    #[test]
    fn keys_without_text_are_never_hidden_by_themselves() {
        for keys in ["\r", "\x03", "\x1b[A", "\x1bOP", "\t", "\x7f", "\x1b[200~"] {
            assert!(judge("Password: ", keys, None), "{keys:?}");
        }
    }

    #[test]
    fn a_line_is_hidden_up_to_its_end() {
        let mut echo = Echo::default();
        echo.shown(b"Password: ");
        assert_eq!(echo.judge(b"h", None, false), Some(Keys::Hidden { begins: true }));
        // A correction tells how long a password is.
        assert!(echo.wants_answer(b"\x7f"));
        assert_eq!(echo.judge(b"\x7f", None, false), Some(Keys::Hidden { begins: false }));
        let mut clock = Answer::new(b"\x1b7\x1b[24;70H12:31\x1b8");
        assert_eq!(echo.judge(b"u", Some(&mut clock), false), Some(Keys::Hidden { begins: false }));
        assert!(!echo.wants_answer(b"\r"));
        echo.typed(b"\r");
        echo.shown(b"\r\n$ ");
        let mut answer = Answer::new(b"l");
        assert_eq!(echo.judge(b"l", Some(&mut answer), false), Some(Keys::Shown));
    }

    #[test]
    fn one_answer_may_be_that_of_several_keys() {
        let mut echo = Echo::default();
        echo.shown(b"Password (shown): ");
        let mut answer = Answer::new(b"abc");
        for key in [b"a", b"b", b"c"] {
            assert_eq!(echo.judge(key, Some(&mut answer), false), Some(Keys::Shown));
        }
    }

    #[test]
    fn a_line_without_end_is_kept_as_far_as_a_prompt_goes() {
        let mut echo = Echo::default();
        for _ in 0..1000 {
            echo.shown(&[b'x'; 100]);
            echo.shown(&[b'x'; 1000]);
        }
        assert_eq!(echo.line.len(), MOST_LINE);
        echo.shown(b"\r\nPass");
        echo.shown(b"phrase for key 'id_ed25519': ");
        assert!(asks_for_secret(&echo.line));
        for line in ["Shipping: ", "$ ", "password", "Decode: ", "the passwords are:\r\n"] {
            let mut echo = Echo::default();
            echo.shown(line.as_bytes());
            assert!(!asks_for_secret(&echo.line), "{line:?}");
        }
    }
}
