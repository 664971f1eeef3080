//! What a session showed, on its way to another terminal: that one draws, and obeys nothing else.

use avt::parser::{AnsiMode, DecMode, Function, Parser, State};

/// Longer sequences mean nothing that a terminal draws.
const LONGEST: usize = 256;

/// Passes on text and what moves, colours and clears it. Titles, clipboards, questions that a terminal would answer,
/// keys and mice that it would report, other sizes and fonts are left out, and so is whatever is not known.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    parser: Parser,
    /// The sequence so far, from its escape character on.
    raw: String,
    /// What has to be taken back at the end.
    is_styled: bool,
    is_alternate: bool,
    has_margins: bool,
}

impl Filter {
    pub(crate) fn pass(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if matches!(self.parser.state, State::Ground) || c == '\x1b' {
                self.raw.clear();
            }
            if self.raw.len() <= LONGEST {
                self.raw.push(c);
            }
            if let Some(function) = self.parser.feed(c) {
                self.write(&function, &mut out);
            }
        }
        out
    }

    /// Gives the terminal back as it was.
    pub(crate) fn end(&mut self) -> String {
        let mut out = String::new();
        if std::mem::take(&mut self.has_margins) {
            out += "\x1b7\x1b[?6l\x1b[r\x1b8";
        }
        if std::mem::take(&mut self.is_alternate) {
            out += "\x1b[?1049l";
        }
        if std::mem::take(&mut self.is_styled) {
            out += "\x1b[m\x1b(B\x0f\x1b[4l\x1b[20l\x1b[?7h\x1b[?25h";
        }
        out
    }

    fn write(&mut self, function: &Function, out: &mut String) {
        use Function as F;
        match function {
            F::Print(c) if !c.is_control() => out.push(*c),
            F::Cr => out.push('\r'),
            F::Lf => out.push('\n'),
            F::Bs => out.push('\x08'),
            F::Ht => out.push('\t'),
            // Terminals answer these, or they outlast the session: titles, clipboards, sizes of windows.
            F::Print(_) | F::Osc(_) | F::Xtwinops(_) => {}
            // Of what the sequence asks for, only the modes that are known are passed on: mice and pastes are others.
            F::Decset(modes) => modes.as_slice().iter().for_each(|mode| self.set(*mode, true, out)),
            F::Decrst(modes) => modes.as_slice().iter().for_each(|mode| self.set(*mode, false, out)),
            F::Sm(modes) => modes.as_slice().iter().for_each(|mode| self.set_ansi(*mode, 'h', out)),
            F::Rm(modes) => modes.as_slice().iter().for_each(|mode| self.set_ansi(*mode, 'l', out)),
            // All of the terminal would be set back, its owner's choices with it.
            F::Ris | F::Decstr => {
                let end = self.end();
                out.push_str(&end);
                if matches!(function, F::Ris) {
                    out.push_str("\x1b[H\x1b[2J");
                }
            }
            F::Decstbm(..) => {
                self.has_margins = true;
                self.sequence(out);
            }
            F::Si => self.shift('\x0f', out),
            F::So => self.shift('\x0e', out),
            F::Cbt(_) | F::Cha(_) | F::Cht(_) | F::Cnl(_) | F::Cpl(_) | F::Ctc(_) | F::Cub(_) => {
                self.sequence(out);
            }
            F::Cud(_) | F::Cuf(_) | F::Cup(..) | F::Cuu(_) | F::Dch(_) | F::Decaln | F::Decrc => {
                self.sequence(out);
            }
            F::Decsc | F::Dl(_) | F::Ech(_) | F::Ed(_) | F::El(_) | F::G1d4(_) | F::Gzd4(_) | F::Hts => {
                self.sequence(out);
            }
            F::Ich(_) | F::Il(_) | F::Nel | F::Rep(_) | F::Ri | F::Scorc | F::Scosc | F::Sd(_) => {
                self.sequence(out);
            }
            F::Sgr(_) | F::Su(_) | F::Tbc(_) | F::Vpa(_) | F::Vpr(_) => self.sequence(out),
        }
    }

    fn set(&mut self, mode: DecMode, on: bool, out: &mut String) {
        match mode {
            // What keys would send: nobody presses them for the session.
            DecMode::CursorKeys => return,
            DecMode::AltScreenBuffer | DecMode::SaveCursorAltScreenBuffer => self.is_alternate = on,
            DecMode::Origin => self.has_margins = true,
            DecMode::AutoWrap | DecMode::TextCursorEnable | DecMode::SaveCursor => {}
        }
        self.is_styled = true;
        out.push_str(&format!("\x1b[?{}{}", mode as u16, if on { 'h' } else { 'l' }));
    }

    fn set_ansi(&mut self, mode: AnsiMode, letter: char, out: &mut String) {
        self.is_styled = true;
        out.push_str(&format!("\x1b[{}{letter}", mode as u16));
    }

    fn shift(&mut self, c: char, out: &mut String) {
        self.is_styled = true;
        out.push(c);
    }

    /// Passes on the sequence as it came, if it has the plain form that all terminals take for the same.
    fn sequence(&mut self, out: &mut String) {
        self.is_styled = true;
        if is_plain(&self.raw) {
            out.push_str(&self.raw);
        }
    }
}

/// An escape with one letter or digit, a choice of characters, or a control sequence of decimal numbers.
fn is_plain(raw: &str) -> bool {
    match raw.as_bytes() {
        [0x1b, b'[', numbers @ .., last] => {
            matches!(last, b'@'..=b'~') && numbers.iter().all(|byte| matches!(byte, b'0'..=b';'))
        }
        [0x1b, b'(' | b')' | b'#', last] => last.is_ascii_alphanumeric(),
        [0x1b, last] => last.is_ascii_alphanumeric(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(text: &str) -> String {
        Filter::default().pass(text)
    }

    #[test]
    fn what_draws_is_passed_on_as_it_came() {
        let vim = "\x1b[?1049h\x1b[1;24r\x1b[2;5H\x1b[1;38;5;12mgr\u{fc}n\x1b[m\x1b[K\x1b7\x1b8\x1b(0q\x1b(B\x1bM\t\r\n";
        assert_eq!(passed(vim), vim);
        assert_eq!(passed("\x1b[4:3;38:2::1:2:3mx"), "\x1b[4:3;38:2::1:2:3mx");
    }

    #[test]
    fn what_a_terminal_answers_keeps_or_reports_is_left_out() {
        for hostile in [
            "\x1b]0;title\x07",
            "\x1b]52;c;cm0gLXJmIC8=\x07",
            "\x1b]52;c;?\x1b\\",
            "\x1b]8;;http://192.0.2.1/\x1b\\",
            "\u{9d}0;title\u{9c}",
            "\x1b[c",
            "\x1b[>c",
            "\x1b[6n",
            "\u{9b}6n",
            "\x1b[?1000h",
            "\x1b[?1004;2004h",
            "\x1b[?1h",
            "\x1b[21t",
            "\x1b[8;1;1t",
            "\x1b[18t",
            "\x1b[>4;2m",
            "\x1b[>1u",
            "\x1b[=1;1u",
            "\x1b[5i",
            "\x1b[?2026$p",
            "\x1b[1$}",
            "\x1bP$qm\x1b\\",
            "\x1bP+q544e\x1b\\",
            "\x1b_Gi=1,a=q;AAAA\x1b\\",
            "\x1b^x\x1b\\",
            "\x1bZ",
            "\x05",
            "\x07",
        ] {
            assert_eq!(passed(&format!("a{hostile}b")), "ab", "{hostile:?}");
        }
    }

    #[test]
    fn of_modes_only_those_that_draw_are_passed_on() {
        assert_eq!(passed("\x1b[?1049;1000;2004h"), "\x1b[?1049h");
    }

    #[test]
    fn a_sequence_with_something_in_it_is_left_out_and_what_is_in_it_done() {
        assert_eq!(passed("\x1b[1\n;2Hx"), "\nx");
        assert_eq!(passed("\x1b[1\x1b]0;t\x07mx"), "mx");
    }

    #[test]
    fn the_terminal_is_given_back_as_it_was() {
        let mut filter = Filter::default();
        filter.pass("plain\r\n");
        assert_eq!(filter.end(), "");
        filter.pass("\x1b[?1049h\x1b[31m\x1b[2;3r");
        let end = filter.end();
        assert!(end.contains("\x1b[?1049l") && end.contains("\x1b[m") && end.contains("\x1b[r"), "{end:?}");
        assert_eq!(filter.end(), "");
    }

    proptest! {
        #[test]
        fn nothing_but_text_and_plain_sequences_comes_through(
            text in prop::collection::vec(
                prop_oneof![
                    any::<char>().prop_map(String::from),
                    prop::sample::select(vec![
                        "\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1b\\", "\x07", "?", ">", "$", ";", "0", "52", "1000",
                        "c", "n", "t", "h", "m", "p", "q", "\u{9b}", "\u{9d}", "\x18", "\n",
                    ]).prop_map(String::from),
                ],
                0..40,
            ),
        ) {
            let text = text.concat();
            let mut filter = Filter::default();
            let out: String = text.chars().map(|c| filter.pass(c.encode_utf8(&mut [0; 4]))).collect();
            prop_assert_eq!(&out, &passed(&text));
            let mut rest = out.as_str();
            while let Some((_, sequence)) = rest.split_once('\x1b') {
                let kind = sequence.trim_start_matches('[').trim_start_matches(|c: char| matches!(c, '0'..=';'));
                let is_known = match sequence.strip_prefix("[?") {
                    Some(modes) => ["6", "7", "25", "1047", "1048", "1049"]
                        .iter()
                        .any(|mode| modes.strip_prefix(mode).is_some_and(|rest| rest.starts_with(['h', 'l']))),
                    None if sequence.starts_with('[') => {
                        kind.starts_with(|c: char| matches!(c, '@'..='~') && !"cnqtip".contains(c))
                    }
                    None => sequence
                        .trim_start_matches(['(', ')', '#'])
                        .starts_with(|c: char| c.is_ascii_alphanumeric() && c != 'Z'),
                };
                prop_assert!(is_known, "{:?}", out);
                rest = sequence;
            }
            prop_assert!(!out.chars().any(|c| c.is_control() && !"\x1b\r\n\t\x08\x0e\x0f".contains(c)));
        }
    }
}
