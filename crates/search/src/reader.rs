//! What somebody looks for comes out of the index.

use std::cmp::Reverse;
use std::ops::Bound;

use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, InvertedIndexRangeQuery, Query as Found, RangeQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Value};
use tantivy::{DocAddress, Index, Order, Searcher, TantivyDocument, Term};

use crate::line::{Kept, millis};
use crate::query::{Phrase, PhraseEnd};
use crate::schema::{Fields, PARTLY, WHOLE, folded, register, schema};
use crate::{Coverage, EncryptedDirectory, Line, LineKind, Query};

/// INVARIANT: the most documents that are read for one query.
const MOST_READ: usize = 20_000;

/// Which lines count, of those that have the words.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The gateway user, or the user at the target: whole, in upper or lower case.
    pub user: Option<String>,
    /// The target's name or address: whole, in upper or lower case.
    pub target: Option<String>,
    /// Moments of lines, milliseconds since 1970: the first that counts, and the first that does not any more.
    pub from: Option<u64>,
    pub until: Option<u64>,
    pub kind: Option<LineKind>,
}

/// A line of a session that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hit {
    pub session: String,
    /// When the session began; milliseconds since 1970.
    pub start: u64,
    pub line: Line,
}

impl Hit {
    fn time(&self) -> u64 {
        self.start.saturating_add(millis(self.line.at))
    }
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hits {
    /// The newest first.
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

/// Finds lines in an index as it was when it was opened.
pub struct IndexReader {
    searcher: Searcher,
    fields: Fields,
}

impl IndexReader {
    /// # Errors
    /// There is no index, or the key is not its own.
    pub fn open(directory: EncryptedDirectory) -> tantivy::Result<Self> {
        let index = Index::open(directory)?;
        register(&index);
        Ok(Self { searcher: index.reader()?.searcher(), fields: schema().1 })
    }

    /// How many sessions are in the index, as far as this.
    ///
    /// # Errors
    /// The index cannot be read, or was changed.
    pub fn count(&self, coverage: Coverage) -> tantivy::Result<usize> {
        let coverage = match coverage {
            Coverage::Whole => WHOLE,
            Coverage::Partly => PARTLY,
        };
        self.searcher.search(&self.is(self.fields.coverage, coverage), &Count)
    }

    /// `limit`: the most lines. `counts` says of a session whether its lines do: it is asked for each line.
    ///
    /// # Errors
    /// The index cannot be read, or was changed.
    pub fn query(
        &self,
        query: &Query,
        filter: &Filter,
        limit: usize,
        counts: impl Fn(&str) -> bool,
    ) -> tantivy::Result<Hits> {
        let mut all: Vec<_> = query.phrases().iter().flat_map(|phrase| self.find(phrase)).collect();
        all.extend(self.filter(filter));
        let newest = TopDocs::with_limit(MOST_READ).order_by_fast_field::<u64>("to", Order::Desc);
        let found = self.searcher.search(&BooleanQuery::intersection(all), &newest)?;
        let is_all = found.len() < MOST_READ;
        let mut lines: Vec<Hit> = Vec::new();
        for (to, address) in found {
            // What follows is older than so many.
            if lines.iter().filter(|hit| Some(hit.time()) >= to).count() > limit {
                break;
            }
            self.add_hits(address, query, filter, &counts, &mut lines)?;
            lines.sort_by_key(|hit| Reverse(hit.time()));
            lines.truncate(limit + 1);
        }
        let rest = if is_all && lines.len() <= limit { Rest::None } else { Rest::Maybe };
        lines.truncate(limit);
        Ok(Hits { lines, rest })
    }

    fn add_hits(
        &self,
        address: DocAddress,
        query: &Query,
        filter: &Filter,
        counts: &impl Fn(&str) -> bool,
        hits: &mut Vec<Hit>,
    ) -> tantivy::Result<()> {
        let document: TantivyDocument = self.searcher.doc(address)?;
        let text = |field: Field| document.get_first(field).and_then(|value| value.as_str());
        let session = text(self.fields.session).unwrap_or_default();
        if !counts(session) {
            return Ok(());
        }
        let start = document.get_first(self.fields.start).and_then(|value| value.as_u64());
        let start = start.unwrap_or_default();
        let lines = serde_json::from_str::<Vec<Kept<'_>>>(text(self.fields.lines).unwrap_or_default());
        for line in lines.map_err(std::io::Error::from)? {
            let has = |text| query.may_be_in(text) && query.find(text).is_some();
            if filter.counts(start, &line) && has(line.text()) {
                hits.push(Hit { session: session.to_owned(), start, line: line.into() });
            }
        }
        Ok(())
    }

    fn is(&self, field: Field, text: &str) -> TermQuery {
        TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic)
    }

    /// What has a document of which a line may count.
    fn filter(&self, filter: &Filter) -> Vec<Box<dyn Found>> {
        let Filter { user, target, from, until, kind: _ } = filter;
        let mut all: Vec<Box<dyn Found>> = Vec::new();
        let names = [
            (self.fields.user, user.as_deref().map(folded)),
            (self.fields.target, target.as_deref().map(folded)),
        ];
        for (field, name) in names {
            all.extend(name.map(|name| Box::new(self.is(field, &name)) as _));
        }
        if let Some(from) = from {
            let from = Bound::Included(Term::from_field_u64(self.fields.to, *from));
            all.push(Box::new(RangeQuery::new(from, Bound::Unbounded)));
        }
        if let Some(until) = until {
            let until = Bound::Excluded(Term::from_field_u64(self.fields.from, *until));
            all.push(Box::new(RangeQuery::new(Bound::Unbounded, until)));
        }
        all
    }

    /// What the documents with a phrase have, and maybe others: the lines are looked at once more.
    fn find(&self, phrase: &Phrase) -> Vec<Box<dyn Found>> {
        let term = |word: &String| Term::from_field_text(self.fields.words, word);
        let mut all: Vec<Box<dyn Found>> = Vec::new();
        let mut words = phrase.words.as_slice();
        if let (PhraseEnd::Beginning, [whole @ .., beginning]) = (phrase.end, words) {
            // No word has this character: it is behind all that begin so.
            let behind = term(&format!("{beginning}\u{10ffff}"));
            let range = (Bound::Included(term(beginning)), Bound::Excluded(behind));
            all.push(Box::new(InvertedIndexRangeQuery::new(range.0, range.1)));
            words = whole;
        }
        all.extend(words.iter().map(|word| {
            let query = TermQuery::new(term(word), IndexRecordOption::Basic);
            Box::new(query) as Box<dyn Found>
        }));
        all
    }
}

impl Filter {
    /// Whether a session with these names counts.
    pub fn counts_session(&self, users: &[String], targets: &[String]) -> bool {
        let has = |names: &[String], wanted: &Option<String>| {
            let Some(wanted) = wanted else { return true };
            names.iter().any(|name| folded(name) == folded(wanted))
        };
        has(users, &self.user) && has(targets, &self.target)
    }

    fn counts(&self, start: u64, line: &Kept<'_>) -> bool {
        let at = start.saturating_add(line.at());
        self.kind.is_none_or(|kind| kind == line.kind())
            && self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
    }
}

impl std::fmt::Debug for IndexReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexReader").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
