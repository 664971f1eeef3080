//! What a document of the index has: some lines of one session, by which they are found.

use tantivy::Index;
use tantivy::schema::{
    FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};

use crate::tokens::LineTokenizer;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// The id of the session.
    pub(crate) session: Field,
    /// Who it is about, in lower case: the gateway user, the user at the target.
    pub(crate) user: Field,
    /// Where it goes, in lower case: name and address.
    pub(crate) target: Field,
    /// When the first and the last of the lines were; milliseconds since 1970.
    pub(crate) from: Field,
    pub(crate) to: Field,
    /// [`WHOLE`] or [`PARTLY`], on one document of each session.
    pub(crate) coverage: Field,
    /// By these the lines are found.
    pub(crate) words: Field,
    /// When the session began, as the fast fields have it, and the lines, as JSON.
    pub(crate) start: Field,
    pub(crate) lines: Field,
}

pub(crate) const WHOLE: &str = "whole";
pub(crate) const PARTLY: &str = "partly";

pub(crate) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(LineTokenizer::NAME)
        .set_fieldnorms(false)
        // Which documents have a word, and not where: the lines are looked at anyway.
        .set_index_option(IndexRecordOption::Basic);
    let fields = Fields {
        session: schema.add_text_field("session", STRING | STORED),
        user: schema.add_text_field("user", STRING),
        target: schema.add_text_field("target", STRING),
        from: schema.add_u64_field("from", FAST),
        to: schema.add_u64_field("to", FAST),
        coverage: schema.add_text_field("coverage", STRING),
        words: schema.add_text_field("words", TextOptions::default().set_indexing_options(indexing)),
        start: schema.add_u64_field("start", STORED),
        lines: schema.add_text_field("lines", STORED),
    };
    (schema.build(), fields)
}

/// Names are compared without case.
pub(crate) fn folded(name: &str) -> String {
    name.to_lowercase()
}

pub(crate) fn register(index: &Index) {
    index.tokenizers().register(LineTokenizer::NAME, LineTokenizer::default());
}
