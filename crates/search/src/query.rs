//! What somebody looks for, as typed: `shadow`, `/etc/shadow`, `"permission denied"`, `pass*`.

use std::ops::Range;

use crate::words::{Word, words};

/// INVARIANT: the longest text that is looked for; bytes.
const MOST_TEXT: usize = 1024;
/// INVARIANT: the most words in it, since each is looked up.
const MOST_WORDS: usize = 32;
/// A shorter beginning stands for too much of the index; characters.
const LEAST_BEGINNING: usize = 2;

/// Finds lines that have each of its phrases, in any order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// At least one.
    phrases: Vec<Phrase>,
}

/// Words that follow each other in a line, whatever stands between them that is no word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Phrase {
    /// At least one, each as [`words`] gives it.
    pub(crate) words: Vec<String>,
    pub(crate) end: PhraseEnd,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PhraseEnd {
    WholeWord,
    /// The last word may go on.
    Beginning,
}

/// Why a text cannot be looked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QueryError {
    #[error("the text to look for is too long: {0} bytes, {MOST_TEXT} are the most")]
    TooLong(usize),
    #[error("the text to look for has too many words: {MOST_WORDS} are the most")]
    TooManyWords,
    #[error("the text to look for has no letter and no digit")]
    NoWord,
    #[error("a quotation mark in the text to look for has no other that ends it: add it, or leave it out")]
    Unended,
    #[error("a star only stands for how a word goes on, as in \"pass*\": {0:?} has it elsewhere")]
    Star(String),
    #[error("the beginning {0:?} is too short: write {LEAST_BEGINNING} characters or more before the star")]
    ShortBeginning(String),
}

impl Query {
    /// Words apart from each other may be anywhere in a line; a piece such as a path is a phrase of its parts, and so is what
    /// stands in `"`. A star behind either is for how its last word goes on.
    ///
    /// # Errors
    /// The text is too long, has nothing to look for, or has quotation marks or stars where they mean nothing.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > MOST_TEXT {
            return Err(QueryError::TooLong(text.len()));
        }
        let mut phrases = Vec::new();
        for (n, part) in text.split('"').enumerate() {
            if n % 2 == 1 {
                phrases.extend(Phrase::parse(part)?);
                continue;
            }
            for piece in part.split_whitespace() {
                phrases.extend(Phrase::parse(piece)?);
            }
        }
        if text.matches('"').count() % 2 == 1 {
            return Err(QueryError::Unended);
        }
        match phrases.iter().map(|phrase| phrase.words.len()).sum() {
            0 => Err(QueryError::NoWord),
            1..=MOST_WORDS => Ok(Self { phrases }),
            _ => Err(QueryError::TooManyWords),
        }
    }

    pub(crate) fn phrases(&self) -> &[Phrase] {
        &self.phrases
    }

    /// All words, in lower case; of one with a star its beginning.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.phrases.iter().flat_map(|phrase| &phrase.words).map(String::as_str)
    }

    /// `false`: [`find`](Self::find) finds nothing there. Far faster than that, for the many lines that have not all words.
    pub(crate) fn may_be_in(&self, line: &str) -> bool {
        // In other lines a letter may be of another length in lower case, or another letter.
        !line.is_ascii() || self.words().all(|word| has_letters(line.as_bytes(), word.as_bytes()))
    }

    /// Where the phrases stand in a line, in bytes, in order and apart. `None`: it has not all of them.
    pub fn find(&self, line: &str) -> Option<Vec<Range<usize>>> {
        let words: Vec<Word> = words(line).collect();
        let mut found = Vec::new();
        for phrase in &self.phrases {
            let before = found.len();
            found.extend(phrase.find(&words));
            if found.len() == before {
                return None;
            }
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        found.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            last.end = if touches { last.end.max(next.end) } else { last.end };
            touches
        });
        Some(found)
    }
}

/// Whether they stand there one after another, in upper or lower case.
fn has_letters(line: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return true };
    line.windows(wanted.len()).any(|window| {
        window.first().is_some_and(|found| found.eq_ignore_ascii_case(first))
            && window.eq_ignore_ascii_case(wanted)
    })
}

impl Phrase {
    /// `None`: there is no word in it, as in `|`.
    fn parse(text: &str) -> Result<Option<Self>, QueryError> {
        let (start, end) = match text.strip_suffix('*') {
            Some(start) => (start, PhraseEnd::Beginning),
            None => (text, PhraseEnd::WholeWord),
        };
        let words: Vec<Word> = words(start).collect();
        if start.contains('*') {
            return Err(QueryError::Star(text.to_owned()));
        }
        let Some(last) = words.last() else {
            return if end == PhraseEnd::Beginning {
                Err(QueryError::Star(text.to_owned()))
            } else {
                Ok(None)
            };
        };
        if end == PhraseEnd::Beginning {
            if last.range.end != start.len() {
                return Err(QueryError::Star(text.to_owned()));
            }
            if last.text.chars().count() < LEAST_BEGINNING {
                return Err(QueryError::ShortBeginning(last.text.clone()));
            }
        }
        Ok(Some(Self { words: words.into_iter().map(|word| word.text).collect(), end }))
    }

    fn find<'a>(&'a self, line: &'a [Word]) -> impl Iterator<Item = Range<usize>> + 'a {
        let places = line.windows(self.words.len()).filter(|words| self.is(words));
        places.filter_map(|words| Some(words.first()?.range.start..words.last()?.range.end))
    }

    fn is(&self, words: &[Word]) -> bool {
        let Some((last, others)) = self.words.split_last() else { return false };
        let Some((found, before)) = words.split_last() else { return false };
        let is_last = match self.end {
            PhraseEnd::WholeWord => found.text == *last,
            PhraseEnd::Beginning => found.text.starts_with(last),
        };
        is_last && before.iter().map(|word| &word.text).eq(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of `line` that `query` marks in it.
    fn marked<'l>(query: &str, line: &'l str) -> Option<Vec<&'l str>> {
        let query = Query::parse(query).unwrap();
        let found = query.find(line);
        assert!(query.may_be_in(line) || found.is_none(), "{line}");
        let found = found?;
        Some(found.into_iter().map(|range| line.get(range).unwrap()).collect())
    }

    #[test]
    fn words_apart_are_all_in_one_line_in_any_order() {
        assert_eq!(marked("SHADOW cat", "$ cat /etc/shadow"), Some(vec!["cat", "shadow"]));
        assert_eq!(marked("cat passwd", "$ cat /etc/shadow"), None);
        assert_eq!(marked("ls | wc", "ls -l | wc"), Some(vec!["ls", "wc"]));
    }

    #[test]
    fn a_path_or_an_address_is_found_as_a_whole_and_by_its_parts() {
        assert_eq!(marked("/etc/shadow", "less /etc/shadow-"), Some(vec!["etc/shadow"]));
        assert_eq!(marked("/etc/shadow", "shadow in /etc"), None);
        assert_eq!(marked("10.0.0.5", "from 10.0.0.5:22"), Some(vec!["10.0.0.5"]));
        assert_eq!(marked("10.0.0.5", "from 10.0.0.50"), None);
        assert_eq!(marked("web-01", "root@web-01:~#"), Some(vec!["web-01"]));
        assert_eq!(marked("本", "日本語"), Some(vec!["本"]));
    }

    #[test]
    fn quoted_words_follow_each_other() {
        let line = "sudo: permission denied for root";
        assert_eq!(marked("\"Permission denied\"", line), Some(vec!["permission denied"]));
        assert_eq!(marked("\"denied permission\"", line), None);
        assert_eq!(marked("root \"permission denied\"", line), Some(vec!["permission denied", "root"]));
    }

    #[test]
    fn a_star_is_for_how_a_word_goes_on() {
        assert_eq!(marked("pass*", "passwd password pass bypass"), Some(vec!["passwd", "password", "pass"]));
        assert_eq!(marked("/etc/sha*", "/etc/shadow"), Some(vec!["etc/shadow"]));
        assert_eq!(marked("\"permission den*\"", "permission denied"), Some(vec!["permission denied"]));
        assert_eq!(marked("pass", "passwd"), None);
    }

    #[test]
    fn marks_that_touch_are_one() {
        assert_eq!(marked("\"a b\" \"b c\"", "a b c"), Some(vec!["a b c"]));
        assert_eq!(marked("aa aa*", "aa aab"), Some(vec!["aa", "aab"]));
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused_and_says_why() {
        let refused = |text: &str| Query::parse(text).unwrap_err();
        assert_eq!(refused(""), QueryError::NoWord);
        assert_eq!(refused("-- \"|\""), QueryError::NoWord);
        assert_eq!(refused("a \"b"), QueryError::Unended);
        assert_eq!(refused("a*"), QueryError::ShortBeginning("a".into()));
        for text in ["*", "*.log", "ab*cd", "ab**", "/etc/*"] {
            assert_eq!(refused(text), QueryError::Star(text.into()), "{text}");
        }
        assert_eq!(refused(&"a".repeat(MOST_TEXT + 1)), QueryError::TooLong(MOST_TEXT + 1));
        assert_eq!(refused(&"a ".repeat(MOST_WORDS + 1)), QueryError::TooManyWords);
        assert!(Query::parse(&"a ".repeat(MOST_WORDS)).is_ok());
        assert_eq!(refused(&format!("\"{}\"", "a-".repeat(MOST_WORDS + 1))), QueryError::TooManyWords);
    }
}
