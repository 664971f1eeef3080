//! Lines on their way into the index: their words.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::words::Words;

/// Takes text apart. Where a word stands is not kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineTokenizer {
    token: Token,
}

impl LineTokenizer {
    pub(crate) const NAME: &str = "lines";
}

pub(crate) struct LineTokens<'t> {
    words: Words<'t>,
    token: &'t mut Token,
}

impl Tokenizer for LineTokenizer {
    type TokenStream<'t> = LineTokens<'t>;

    fn token_stream<'t>(&'t mut self, text: &'t str) -> LineTokens<'t> {
        self.token.reset();
        LineTokens { words: Words::new(text), token: &mut self.token }
    }
}

impl TokenStream for LineTokens<'_> {
    /// The library adds to the place of the last word, so it has to be a number.
    fn advance(&mut self) -> bool {
        self.token.position = self.token.position.wrapping_add(1);
        self.words.next_into(&mut self.token.text).is_some()
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
