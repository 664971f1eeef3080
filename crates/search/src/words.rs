//! The words of a line, by which it is found. What is looked for is taken apart by the same rules.

use std::ops::Range;

/// INVARIANT: no word is longer; bytes. A longer one is several that follow each other, as it is in a query.
pub(crate) const MOST_WORD: usize = 64;

/// A word, and where it stands in its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Word {
    /// In lower case.
    pub(crate) text: String,
    /// Bytes of the line.
    pub(crate) range: Range<usize>,
}

/// Letters and digits that touch each other make a word; whatever else is between words. So paths, addresses and names of
/// files are found by their parts, and as a whole, by all of their parts one after another.
///
/// Of scripts that write without spaces each character is a word: any text within a longer one is found.
pub(crate) fn words(line: &str) -> impl Iterator<Item = Word> {
    let mut words = Words::new(line);
    std::iter::from_fn(move || {
        let mut text = String::new();
        let range = words.next_into(&mut text)?;
        Some(Word { text, range })
    })
}

/// The words of a line, one by one.
#[derive(Clone, Debug)]
pub(crate) struct Words<'l> {
    line: &'l str,
    /// Bytes.
    place: usize,
}

impl<'l> Words<'l> {
    pub(crate) fn new(line: &'l str) -> Self {
        Self { line, place: 0 }
    }

    /// Puts the next word into `text`, in the place of what is there. Most lines are ASCII: these bytes are looked at alone.
    pub(crate) fn next_into(&mut self, text: &mut String) -> Option<Range<usize>> {
        text.clear();
        let start = self.find_start()?;
        self.place = start;
        let mut first = None;
        while let Some(next) = self.peek() {
            let goes_on = match first {
                None => true,
                Some(first) => {
                    is_of_word(next) && !stands_alone(next) && !stands_alone(first) || is_mark(next)
                }
            };
            if !goes_on || !push(text, next) {
                break;
            }
            first.get_or_insert(next);
            self.place += next.len_utf8();
        }
        Some(start..self.place)
    }

    fn find_start(&self) -> Option<usize> {
        let rest = self.line.get(self.place..)?;
        let ascii = rest.bytes().position(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())?;
        if rest.as_bytes().get(ascii)?.is_ascii() {
            return Some(self.place + ascii);
        }
        Some(self.place + ascii + rest.get(ascii..)?.find(is_of_word)?)
    }

    fn peek(&self) -> Option<char> {
        let rest = self.line.get(self.place..)?;
        match rest.as_bytes().first()? {
            byte if byte.is_ascii() => Some(char::from(*byte)),
            _ => rest.chars().next(),
        }
    }
}

/// `false`: there is no room for it, and it begins another word.
fn push(text: &mut String, c: char) -> bool {
    if c.is_ascii() {
        let has_room = text.len() < MOST_WORD;
        if has_room {
            text.push(c.to_ascii_lowercase());
        }
        return has_room;
    }
    let lower = c.to_lowercase();
    if text.len() + lower.clone().map(char::len_utf8).sum::<usize>() <= MOST_WORD {
        text.extend(lower);
        return true;
    }
    // A mark alone begins no word: what cannot be kept of a letter with very many is left out.
    is_mark(c)
}

fn is_of_word(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() }
}

/// Accents that follow their letter as characters of their own.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Han, Hiragana and Katakana.
fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<String> {
        words(line).map(|word| word.text).collect()
    }

    #[test]
    fn paths_addresses_and_names_are_found_by_their_parts() {
        assert_eq!(of("cat /etc/shadow"), ["cat", "etc", "shadow"]);
        assert_eq!(of("10.0.0.5:22"), ["10", "0", "0", "5", "22"]);
        assert_eq!(of("root@web-01 ~ # my_file.tar.gz"), ["root", "web", "01", "my", "file", "tar", "gz"]);
        assert_eq!(of(" -- | \u{1b}[0m"), ["0m"]);
        assert_eq!(of(""), [""; 0]);
    }

    #[test]
    fn case_does_not_matter_in_any_script() {
        assert_eq!(of("SUDO Grüße ÄRGER Ёлка"), ["sudo", "grüße", "ärger", "ёлка"]);
        assert_eq!(of("e\u{301}tude"), ["e\u{301}tude"]);
    }

    #[test]
    fn characters_of_scripts_without_spaces_are_words() {
        assert_eq!(of("日本語log"), ["日", "本", "語", "log"]);
    }

    #[test]
    fn what_is_too_long_for_a_word_is_several_and_nothing_is_lost() {
        let long = "a".repeat(2 * MOST_WORD + 3);
        assert_eq!(of(&long).iter().map(String::len).collect::<Vec<_>>(), [64, 64, 3]);
        let marks = format!("a{} b", "\u{301}".repeat(1000));
        assert_eq!(of(&marks).len(), 2);
        assert!(of(&marks).iter().all(|word| word.len() <= MOST_WORD));
    }

    #[test]
    fn a_word_says_where_it_stands() {
        let line = "Ä: /Etc/日本 ÉÉ";
        let texts: Vec<_> = words(line).map(|word| line.get(word.range).unwrap()).collect();
        assert_eq!(texts, ["Ä", "Etc", "日", "本", "ÉÉ"]);
    }
}
