//! The terminal of whoever watches a recording.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

/// The second screen of the terminal, without line breaks of its own, so that the last column can be drawn in.
const BEGIN: &str = "\x1b[?1049h\x1b[?7l\x1b[2J";
const END: &str = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Keys that are kept. Each may lead to another moment, which takes its time.
const MOST_AHEAD: usize = 16;

/// `_POSIX_VDISABLE`: no key.
const DISABLED: u8 = 0;

/// A key that steers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    Pause,
    Back,
    Forward,
    End,
    Faster,
    Slower,
    Quit,
}

/// A terminal that gives each key at once and shows a screen of ours. Dropped, it is what it was.
pub(super) struct Tty {
    before: Termios,
    keys: Keys,
    /// Keys that were pressed while nobody could do what they say.
    ahead: Vec<Key>,
}

impl Tty {
    /// Whether a person sits there.
    pub(super) fn is_there() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// The terminal as it is before [`begin`](Self::begin).
    pub(super) fn now() -> Option<Termios> {
        tcgetattr(io::stdin()).ok()
    }

    /// Gives it back as it was, where nobody else can any more.
    pub(super) fn restore(before: &Termios) {
        // Standard output may be held by whoever is stuck.
        let _ = rustix::io::write(io::stdin(), END.as_bytes());
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }

    pub(super) fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        // ^C stays a signal, so that it is heard whatever goes on; ^Z and ^\ would leave the terminal as it is now.
        raw.local_modes.insert(LocalModes::ISIG);
        for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
            raw.special_codes[key] = DISABLED;
        }
        // From here on the drop gives all back.
        let tty = Self { before, keys: Keys::default(), ahead: Vec::new() };
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        tty.write(BEGIN)?;
        Ok(tty)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u16, u16) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            Ok(_) | Err(_) => (80, 24),
        }
    }

    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// The keys that were pressed, waiting no longer than this for the first. A terminal that is gone quits.
    pub(super) fn keys(&mut self, wait: Duration) -> io::Result<Vec<Key>> {
        if self.ahead.is_empty() { self.pressed(wait) } else { Ok(std::mem::take(&mut self.ahead)) }
    }

    /// Whether a key quits, with no waiting. The others, up to some, are kept for [`keys`](Self::keys).
    pub(super) fn quits(&mut self) -> io::Result<bool> {
        let pressed = self.pressed(Duration::ZERO)?;
        let quits = pressed.contains(&Key::Quit);
        self.ahead.extend(pressed);
        self.ahead.truncate(MOST_AHEAD);
        Ok(quits)
    }

    fn pressed(&mut self, wait: Duration) -> io::Result<Vec<Key>> {
        // Not through the buffer of the standard library, into which this could not look.
        let stdin = io::stdin();
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        match poll(&mut waiting, Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 64];
        let length = rustix::io::read(&stdin, &mut bytes)?;
        if length == 0 {
            return Ok(vec![Key::Quit]);
        }
        Ok(bytes.iter().take(length).filter_map(|byte| self.keys.take(*byte)).collect())
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        // Nothing more can be done for a terminal that is gone.
        let _ = self.write(END);
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Takes bytes for keys.
#[derive(Debug, Default)]
enum Keys {
    #[default]
    Ground,
    Escape,
    /// After `ESC [` or `ESC O`.
    Sequence,
}

impl Keys {
    fn take(&mut self, byte: u8) -> Option<Key> {
        match (std::mem::take(self), byte) {
            (_, 0x1b) => {
                *self = Self::Escape;
                None
            }
            (Self::Escape, b'[' | b'O') => {
                *self = Self::Sequence;
                None
            }
            (Self::Sequence, b'C') => Some(Key::Forward),
            (Self::Sequence, b'D') => Some(Key::Back),
            (Self::Sequence, b'F') => Some(Key::End),
            (Self::Sequence, b'0'..=b'?') => {
                *self = Self::Sequence;
                None
            }
            (Self::Sequence, _) => None,
            // The key Escape by itself, and another one.
            (Self::Escape, byte) => self.take(byte),
            (Self::Ground, b' ') => Some(Key::Pause),
            (Self::Ground, b'+' | b'=') => Some(Key::Faster),
            (Self::Ground, b'-' | b'_') => Some(Key::Slower),
            // ^C and ^D, which mean nothing else to a terminal that gives each key.
            (Self::Ground, b'q' | b'Q' | 0x03 | 0x04) => Some(Key::Quit),
            (Self::Ground, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_their_bytes_and_others_do_nothing() {
        let mut keys = Keys::default();
        let pressed: Vec<Key> = b" x\x1b[C\x1bOD\x1b[A\x1b[1;5C\x1b[F\x1bq+-"
            .iter()
            .filter_map(|byte| keys.take(*byte))
            .collect();
        let expected = [
            Key::Pause,
            Key::Forward,
            Key::Back,
            Key::Forward,
            Key::End,
            Key::Quit,
            Key::Faster,
            Key::Slower,
        ];
        assert_eq!(pressed, expected);
    }
}
