//! Lines on their way into the index: their words, each with its place.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::words::Words;

/// Takes lines apart, one after another with `\n` between them. No phrase goes on in the next line: its words are further
/// away than those of a line.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineTokenizer {
    token: Token,
}

impl LineTokenizer {
    pub(crate) const NAME: &str = "lines";
}

pub(crate) struct LineTokens<'t> {
    text: &'t str,
    words: Words<'t>,
    /// Where the last word ended; bytes.
    end: usize,
    next: usize,
    token: &'t mut Token,
}

impl Tokenizer for LineTokenizer {
    type TokenStream<'t> = LineTokens<'t>;

    fn token_stream<'t>(&'t mut self, text: &'t str) -> LineTokens<'t> {
        self.token.reset();
        LineTokens { text, words: Words::new(text), end: 0, next: 0, token: &mut self.token }
    }
}

impl TokenStream for LineTokens<'_> {
    fn advance(&mut self) -> bool {
        let Some(range) = self.words.next_into(&mut self.token.text) else { return false };
        let between = self.text.as_bytes().get(self.end..range.start).unwrap_or_default();
        self.token.position = self.next + usize::from(between.contains(&b'\n'));
        self.next = self.token.position + 1;
        self.end = range.end;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_two_lines_do_not_follow_each_other() {
        let mut tokenizer = LineTokenizer::default();
        let mut tokens = tokenizer.token_stream("\ncat /etc/passwd\n--\n Permission denied");
        let mut all = Vec::new();
        tokens.process(&mut |token| all.push((token.position, token.text.clone())));
        let words = ["cat", "etc", "passwd", "permission", "denied"].map(str::to_owned);
        assert_eq!(all, [1, 2, 3, 5, 6].into_iter().zip(words).collect::<Vec<_>>());
    }
}
