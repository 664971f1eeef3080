//! The modes of a terminal that a client asks for (RFC 4254 section 8).

use crate::CannotJudge;

/// What modes mean for what is typed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Modes {
    /// Nothing that is not usual.
    #[default]
    Usual,
    /// What is known of them.
    Told {
        /// Nothing that is typed is shown, but by programs that do so themselves.
        is_blind: bool,
        /// Enter is a character as others, where no program reads keys.
        keeps_returns: bool,
    },
    /// They make other characters of those that are typed, or end lines with other keys: the number of the mode.
    Strange(u8),
    /// They cannot be read.
    Malformed,
    /// The target may have refused the terminal, and the client did not ask.
    Unanswered,
}

const END: u8 = 0;
/// From here on, nobody knows how long an argument is.
const UNKNOWN: u8 = 160;
const NEXT_IS_LITERAL: u8 = 14;
const LAST_KEY: u8 = 18;
const RETURN_IS_LINE_FEED: u8 = 36;
const ECHO: u8 = 53;
/// PARMRK, ISTRIP, INLCR, IGNCR, IUCLC, XCASE, OLCUC, OCRNL, ONOCR, ONLRET: other characters than those that are typed and
/// shown.
const CHANGING: [u8; 10] = [31, 33, 34, 35, 37, 52, 71, 73, 74, 75];

impl Modes {
    /// Reads what stands in a `pty-req`: numbers of modes, each with 32 bits of argument.
    pub fn parse(mut encoded: &[u8]) -> Self {
        let (mut is_blind, mut keeps_returns) = (false, false);
        while let Some((mode, rest)) = encoded.split_first() {
            if *mode == END || *mode >= UNKNOWN {
                break;
            }
            let Some((argument, rest)) = rest.split_first_chunk::<4>() else { return Self::Malformed };
            let value = u32::from_be_bytes(*argument);
            let is_strange = match *mode {
                NEXT_IS_LITERAL => !is_disabled(value) && value != 0x16,
                1..=LAST_KEY => !is_disabled(value) && !is_control(value),
                mode => CHANGING.contains(&mode) && value != 0,
            };
            match *mode {
                mode if is_strange => return Self::Strange(mode),
                RETURN_IS_LINE_FEED => keeps_returns = value == 0,
                ECHO => is_blind = value == 0,
                _ => {}
            }
            encoded = rest;
        }
        if is_blind || keeps_returns { Self::Told { is_blind, keeps_returns } } else { Self::Usual }
    }

    /// Whether what is typed can be judged.
    pub fn check(self) -> Result<(), CannotJudge> {
        match self {
            Self::Usual | Self::Told { .. } => Ok(()),
            Self::Strange(mode) => Err(CannotJudge::StrangeMode(mode)),
            Self::Malformed => Err(CannotJudge::MalformedModes),
            Self::Unanswered => Err(CannotJudge::NoTerminal),
        }
    }

    pub(crate) fn are_blind(self) -> bool {
        matches!(self, Self::Told { is_blind: true, .. })
    }

    pub(crate) fn keep_returns(self) -> bool {
        matches!(self, Self::Told { keeps_returns: true, .. })
    }
}

fn is_disabled(key: u32) -> bool {
    matches!(key, 0 | 255)
}

/// A control key that ends no line: one that means something else than a character that is typed.
fn is_control(key: u32) -> bool {
    matches!(key, 0x01..=0x1f | 0x7f) && !matches!(key, 0x0a | 0x0d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(modes: &[(u8, u32)]) -> Vec<u8> {
        modes.iter().flat_map(|(mode, value)| [&[*mode], value.to_be_bytes().as_slice()].concat()).collect()
    }

    #[test]
    fn what_clients_send_is_usual() {
        let mut openssh =
            encoded(&[(1, 3), (3, 127), (6, 255), (14, 22), (36, 1), (37, 0), (53, 1), (128, 38400)]);
        assert_eq!(Modes::parse(&openssh), Modes::Usual);
        openssh.extend([END, 9]);
        assert_eq!(Modes::parse(&openssh), Modes::Usual);
        assert_eq!(Modes::parse(b""), Modes::Usual);
        assert_eq!(Modes::parse(&encoded(&[(3, 8)])), Modes::Usual);
    }

    #[test]
    fn modes_that_change_what_is_typed_are_strange() {
        for (mode, value) in
            [(37, 1), (33, 1), (34, 1), (35, 1), (71, 1), (3, 120), (3, 13), (6, 10), (14, 1)]
        {
            let modes = Modes::parse(&encoded(&[(53, 1), (mode, value), (36, 1)]));
            assert_eq!(modes, Modes::Strange(mode), "{value}");
            assert_eq!(modes.check(), Err(CannotJudge::StrangeMode(mode)));
        }
    }

    #[test]
    fn what_is_not_whole_is_malformed() {
        let whole = encoded(&[(53, 1)]);
        assert!((1..whole.len()).all(|cut| Modes::parse(&whole[..cut]) == Modes::Malformed));
    }

    #[test]
    fn a_terminal_that_shows_nothing_is_known() {
        let modes = Modes::parse(&encoded(&[(53, 0), (36, 0)]));
        assert!(modes.are_blind() && modes.keep_returns() && modes.check().is_ok());
    }
}
