//! The index: lines of sessions go in, and those that somebody looks for come out.

use std::ops::Bound;

use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, InvertedIndexRangeQuery, PhraseQuery, Query as Found, TermQuery};
use tantivy::schema::{
    FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{DocAddress, Index, IndexWriter, Order, Searcher, TantivyDocument, Term};

use crate::query::{Phrase, PhraseEnd};
use crate::words::words;
use crate::{EncryptedDirectory, Query};

/// Of the documents that are not written yet; bytes.
const MEMORY: usize = 50_000_000;
/// Of a document: more make the index smaller, and a hit slower to read.
const LINES: usize = 64;
/// INVARIANT: the most documents that are read for one query.
const MOST_READ: usize = 20_000;
/// Documents that are asked for at once: each page is a search of its own.
const PAGE: usize = 1000;

/// A line of a session that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hit {
    pub session: String,
    pub line: String,
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hits {
    /// Of the newest sessions first.
    pub lines: Vec<Hit>,
    pub rest: Rest,
}

/// Whether there is more than was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rest {
    None,
    /// As many as asked for were found, or so much looks like it that not all of it was read.
    Maybe,
}

#[derive(Clone, Copy, Debug)]
struct Fields {
    session: Field,
    /// When the session began; microseconds since 1970.
    start: Field,
    words: Field,
    lines: Field,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let fields = Fields {
        session: schema.add_text_field("session", STRING | STORED),
        start: schema.add_u64_field("start", FAST),
        words: schema.add_text_field("words", TextOptions::default().set_indexing_options(indexing)),
        lines: schema.add_text_field("lines", STORED),
    };
    (schema.build(), fields)
}

/// Puts sessions into an index. There is one for an index at a time.
pub struct Indexer {
    writer: IndexWriter,
    fields: Fields,
}

impl Indexer {
    /// # Errors
    /// The index cannot be opened with this key, or another writes it.
    pub fn open(directory: EncryptedDirectory) -> tantivy::Result<Self> {
        let (schema, fields) = schema();
        let index = Index::open_or_create(directory, schema)?;
        Ok(Self { writer: index.writer_with_num_threads(1, MEMORY)?, fields })
    }

    /// `start`: microseconds since 1970. What was there of this session is replaced.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn add<'l>(
        &mut self,
        session: &str,
        start: u64,
        lines: impl IntoIterator<Item = &'l str>,
    ) -> tantivy::Result<()> {
        self.remove(session);
        let mut lines = lines.into_iter().peekable();
        while lines.peek().is_some() {
            let mut document = TantivyDocument::default();
            document.add_text(self.fields.session, session);
            document.add_u64(self.fields.start, start);
            let mut tokens = Vec::new();
            for line in lines.by_ref().take(LINES) {
                document.add_text(self.fields.lines, line);
                add_words(line, &mut tokens);
            }
            let words = PreTokenizedString { text: String::new(), tokens };
            document.add_pre_tokenized_text(self.fields.words, words);
            self.writer.add_document(document)?;
        }
        Ok(())
    }

    /// With the next commit nothing of this session is found. Its lines stay in files that nobody asks, encrypted, until the
    /// library merges these.
    pub fn remove(&mut self, session: &str) {
        self.writer.delete_term(Term::from_field_text(self.fields.session, session));
    }

    /// # Errors
    /// The index cannot be written: it stays what it was with the last commit.
    pub fn commit(&mut self) -> tantivy::Result<()> {
        self.writer.commit().map(drop)
    }
}

/// No phrase goes on in the next line: its words are further away than those of a line.
fn add_words(line: &str, tokens: &mut Vec<Token>) {
    let start = tokens.last().map_or(0, |last: &Token| last.position + 2);
    let new = words(line).enumerate().map(|(n, word)| Token {
        position: start + n,
        text: word.text,
        ..Token::default()
    });
    tokens.extend(new);
}

/// Finds lines in an index as it was when it was opened.
pub struct IndexReader {
    searcher: Searcher,
    fields: Fields,
}

impl IndexReader {
    /// # Errors
    /// There is no index, or the key is not its own.
    pub fn open(directory: EncryptedDirectory) -> tantivy::Result<Self> {
        let searcher = Index::open(directory)?.reader()?.searcher();
        Ok(Self { searcher, fields: schema().1 })
    }

    /// `limit`: the most lines.
    ///
    /// # Errors
    /// The index cannot be read, or was changed.
    pub fn query(&self, query: &Query, limit: usize) -> tantivy::Result<Hits> {
        let phrases = query.phrases().iter().flat_map(|phrase| self.find(phrase)).collect();
        let documents = BooleanQuery::intersection(phrases);
        let mut lines = Vec::new();
        for offset in (0..MOST_READ).step_by(PAGE) {
            let page = TopDocs::with_limit(PAGE).and_offset(offset);
            let page = page.order_by_fast_field::<u64>("start", Order::Desc);
            let found = self.searcher.search(&documents, &page)?;
            for (_, address) in &found {
                self.add_hits(*address, query, &mut lines)?;
                if lines.len() >= limit {
                    lines.truncate(limit);
                    return Ok(Hits { lines, rest: Rest::Maybe });
                }
            }
            if found.len() < PAGE {
                return Ok(Hits { lines, rest: Rest::None });
            }
        }
        Ok(Hits { lines, rest: Rest::Maybe })
    }

    fn add_hits(&self, address: DocAddress, query: &Query, hits: &mut Vec<Hit>) -> tantivy::Result<()> {
        let document: TantivyDocument = self.searcher.doc(address)?;
        let session = document.get_first(self.fields.session).and_then(|value| value.as_str());
        let session = session.unwrap_or_default();
        let lines = document.get_all(self.fields.lines).filter_map(|value| value.as_str());
        let found = lines.filter(|line| query.find(line).is_some());
        hits.extend(found.map(|line| Hit { session: session.to_owned(), line: line.to_owned() }));
        Ok(())
    }

    /// What the documents with a phrase have, and maybe others: the lines are looked at once more.
    fn find(&self, phrase: &Phrase) -> Vec<Box<dyn Found>> {
        let term = |word: &String| Term::from_field_text(self.fields.words, word);
        let mut whole: Vec<Term> = phrase.words.iter().map(term).collect();
        let mut all: Vec<Box<dyn Found>> = Vec::new();
        if phrase.end == PhraseEnd::Beginning
            && let (Some(first), Some(word)) = (whole.pop(), phrase.words.last())
        {
            // No word has this character: it is behind all that begin so.
            let behind = term(&format!("{word}\u{10ffff}"));
            let range = InvertedIndexRangeQuery::new(Bound::Included(first), Bound::Excluded(behind));
            all.push(Box::new(range));
        }
        if whole.len() > 1 {
            all.push(Box::new(PhraseQuery::new(whole)));
        } else if let Some(term) = whole.pop() {
            all.push(Box::new(TermQuery::new(term, IndexRecordOption::Basic)));
        }
        all
    }
}

impl std::fmt::Debug for Indexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexer").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for IndexReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexReader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::IndexKey;

    fn directory(path: &std::path::Path) -> EncryptedDirectory {
        let key = IndexKey::new(Zeroizing::new([3; IndexKey::BYTES]));
        EncryptedDirectory::open(path.join("index"), key).unwrap()
    }

    fn found(path: &std::path::Path, query: &str, limit: usize) -> Vec<(String, String)> {
        let reader = IndexReader::open(directory(path)).unwrap();
        let hits = reader.query(&Query::parse(query).unwrap(), limit).unwrap();
        assert_eq!(hits.rest, if hits.lines.len() < limit { Rest::None } else { Rest::Maybe });
        hits.lines.into_iter().map(|hit| (hit.session, hit.line)).collect()
    }

    #[test]
    fn lines_are_found_in_the_newest_session_first_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut indexer = Indexer::open(directory(dir.path())).unwrap();
        let long: Vec<String> = (0..200).map(|n| format!("line {n} of /var/log/auth.log")).collect();
        indexer.add("old", 1, ["cat /etc/shadow", "permission denied"]).unwrap();
        indexer.add("new", 2, ["vi /etc/shadow-", "permission", "denied"]).unwrap();
        indexer.add("long", 3, long.iter().map(String::as_str)).unwrap();
        indexer.commit().unwrap();

        let hit = |session: &str, line: &str| (session.to_owned(), line.to_owned());
        let both = [hit("new", "vi /etc/shadow-"), hit("old", "cat /etc/shadow")];
        for query in ["shadow", "/etc/shadow", "SHA*", "/etc/sh*", "shadow etc"] {
            assert_eq!(found(dir.path(), query, 20), both, "{query}");
        }
        assert_eq!(found(dir.path(), "shadow", 1), [both[0].clone()]);
        assert_eq!(found(dir.path(), "\"permission denied\"", 20), [hit("old", "permission denied")]);
        assert_eq!(found(dir.path(), "permission denied", 20).len(), 1);
        assert_eq!(found(dir.path(), "auth.log", 1000).len(), 200);
        assert_eq!(found(dir.path(), "line 199", 20), [hit("long", "line 199 of /var/log/auth.log")]);
        assert_eq!(found(dir.path(), "nowhere", 20), []);

        indexer.remove("new");
        indexer.commit().unwrap();
        assert_eq!(found(dir.path(), "shadow", 20), [hit("old", "cat /etc/shadow")]);
        indexer.add("old", 1, ["nothing"]).unwrap();
        indexer.commit().unwrap();
        assert_eq!(found(dir.path(), "shadow", 20), []);
    }

    fn asked(directory: EncryptedDirectory) -> tantivy::Result<Hits> {
        IndexReader::open(directory)?.query(&Query::parse("etc/sh*").unwrap(), 20)
    }

    #[test]
    fn a_file_that_was_changed_never_gives_a_wrong_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut indexer = Indexer::open(directory(dir.path())).unwrap();
        indexer.add("one", 1, ["cat /etc/shadow", "permission denied"]).unwrap();
        indexer.commit().unwrap();
        drop(indexer);
        let right = asked(directory(dir.path())).unwrap();
        let mut errors = 0;
        for entry in std::fs::read_dir(directory(dir.path()).path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for place in (0..bytes.len()).step_by(7) {
                let mut changed = bytes.clone();
                changed[place] ^= 0x10;
                std::fs::write(&path, changed).unwrap();
                match asked(directory(dir.path())) {
                    // The question does not read every file.
                    Ok(hits) => assert_eq!(hits, right, "{path:?}, byte {place}"),
                    Err(_) => errors += 1,
                }
            }
            std::fs::write(&path, bytes).unwrap();
        }
        assert!(errors > 100, "{errors}");
    }

    #[test]
    fn another_key_is_told() {
        let dir = tempfile::tempdir().unwrap();
        drop(Indexer::open(directory(dir.path())).unwrap());
        let key = IndexKey::new(Zeroizing::new([4; IndexKey::BYTES]));
        let other = EncryptedDirectory::open(dir.path().join("index"), key).unwrap();
        let error = format!("{:?}", asked(other).unwrap_err());
        assert!(error.contains("WrongKey"), "{error}");
    }
}
