//! Whether a program takes pastes between marks (xterm's mode 2004), as shells do while they read a line.

/// In such a paste a tab is a tab, and the end of a line runs nothing.
#[derive(Debug, Default)]
pub(crate) struct Pastes {
    are_taken: bool,
    /// Whether there was a program that did.
    were_taken: bool,
    /// The end of what has passed, which may be the beginning of a sequence.
    tail: Vec<u8>,
}

const ON: &[u8] = b"\x1b[?2004h";
const OFF: &[u8] = b"\x1b[?2004l";

/// What has changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Switched {
    /// The program began, or ceased, to take pastes.
    pub(crate) is_switched: bool,
    /// How many of the bytes have come when it last began to.
    pub(crate) begun: Option<usize>,
}

impl Pastes {
    pub(crate) fn are_taken(&self) -> bool {
        self.are_taken
    }

    pub(crate) fn were_taken(&self) -> bool {
        self.were_taken
    }

    /// Looks at bytes of the target.
    pub(crate) fn watch(&mut self, data: &[u8]) -> Switched {
        let known = self.tail.len();
        self.tail.extend_from_slice(data);
        let mut switched = Switched::default();
        for (place, window) in self.tail.windows(ON.len()).enumerate() {
            match window {
                ON => {
                    (self.are_taken, self.were_taken, switched.is_switched) = (true, true, true);
                    switched.begun = Some((place + ON.len()).saturating_sub(known));
                }
                OFF => (self.are_taken, switched.is_switched) = (false, true),
                _ => {}
            }
        }
        let keep = self.tail.len().saturating_sub(ON.len() - 1);
        self.tail.drain(..keep);
        switched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_at_every_byte_it_is_seen_where_pastes_are_taken() {
        let all = b"text\x1b[?2004l\r\n\x1b[?2004h$ ";
        for cut in 0..=all.len() {
            let mut pastes = Pastes::default();
            let (one, two) = all.split_at(cut);
            let places = [pastes.watch(one).begun, pastes.watch(two).begun.map(|place| cut + place)];
            assert_eq!(places.into_iter().flatten().collect::<Vec<_>>(), [all.len() - 2], "at {cut}");
            assert!(pastes.are_taken() && pastes.were_taken());
        }
    }
}
