//! Sessions go into the index.

use std::collections::BTreeSet;
use std::mem;
use std::ops::Range;

use tantivy::collector::Count;
use tantivy::query::{BooleanQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{Index, IndexWriter, Searcher, TantivyDocument, Term};

use crate::line::{Kept, millis, plain};
use crate::schema::{Fields, PARTLY, WHOLE, folded, register, schema};
use crate::{EncryptedDirectory, Line};

/// Of the documents that are not written yet; bytes.
const MEMORY: usize = 50_000_000;
/// Of a document: more make the index smaller, and a hit slower to read.
const MOST_LINES: usize = 16;
/// Of a document; bytes. A document is longer by one line at most.
const ENOUGH_TEXT: usize = 32 * 1024;
/// INVARIANT: of one session; bytes.
const MOST_TEXT: usize = 512 * 1024 * 1024;

/// What the lines of a session are found by beside their words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionFacts {
    pub id: String,
    /// Milliseconds since 1970.
    pub start: u64,
    /// The gateway user and the user at the target, as far as there are.
    pub users: Vec<String>,
    /// Name and address, as far as there are.
    pub targets: Vec<String>,
}

/// Whether all lines of a session are in the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coverage {
    Whole,
    Partly,
}

/// Puts sessions into an index. There is one for an index at a time, of all processes.
pub struct Indexer {
    writer: IndexWriter,
    fields: Fields,
    searcher: Searcher,
}

impl Indexer {
    /// Makes the index where there is none.
    ///
    /// # Errors
    /// The index cannot be opened with this key, or another writes it.
    pub fn open(directory: EncryptedDirectory) -> tantivy::Result<Self> {
        let (schema, fields) = schema();
        let index = Index::open_or_create(directory, schema)?;
        register(&index);
        let writer = index.writer_with_num_threads(1, MEMORY)?;
        let searcher = index.reader()?.searcher();
        Ok(Self { writer, fields, searcher })
    }

    /// What was there of this session when the index was opened.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn coverage(&self, id: &str) -> tantivy::Result<Option<Coverage>> {
        let of_session = Term::from_field_text(self.fields.session, id);
        for (text, coverage) in [(WHOLE, Coverage::Whole), (PARTLY, Coverage::Partly)] {
            let coverage_is = Term::from_field_text(self.fields.coverage, text);
            let terms = [of_session.clone(), coverage_is];
            let both = BooleanQuery::intersection(
                terms.map(|term| Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as _).into(),
            );
            if self.searcher.search(&both, &Count)? > 0 {
                return Ok(Some(coverage));
            }
        }
        Ok(None)
    }

    /// The sessions that were there when the index was opened.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn sessions(&self) -> tantivy::Result<Vec<String>> {
        let mut all = BTreeSet::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(self.fields.session)?;
            let mut terms = index.terms().stream()?;
            while let Some((term, _)) = terms.next() {
                let term = Term::from_field_bytes(self.fields.session, term);
                all.extend(std::str::from_utf8(term.serialized_value_bytes()).map(str::to_owned));
            }
        }
        // Those that were removed may still have their terms.
        let mut there = Vec::new();
        for id in all {
            if self.coverage(&id)?.is_some() {
                there.push(id);
            }
        }
        Ok(there)
    }

    /// Begins with the lines of a session, in the place of what was there of it.
    pub fn session(&mut self, facts: SessionFacts) -> SessionLines<'_> {
        self.remove(&facts.id);
        self.more_of(facts)
    }

    /// Goes on with the lines of a session.
    pub fn more_of(&mut self, facts: SessionFacts) -> SessionLines<'_> {
        let (text, lines) = (String::new(), Vec::new());
        SessionLines {
            indexer: self,
            facts,
            text,
            lines,
            from: u64::MAX,
            to: 0,
            left: MOST_TEXT,
            ended: false,
        }
    }

    /// With the next commit nothing of this session is found. [`Indexer::purge`] takes its lines from the disk.
    pub fn remove(&mut self, id: &str) {
        self.writer.delete_term(Term::from_field_text(self.fields.session, id));
    }

    /// # Errors
    /// The index cannot be written: it stays what it was with the last commit.
    pub fn commit(&mut self) -> tantivy::Result<()> {
        self.writer.commit().map(drop)
    }

    /// Waits for what goes on beside: small files are made to large ones.
    ///
    /// # Errors
    /// The index cannot be written: it stays what it was with the last commit.
    pub fn finish(self) -> tantivy::Result<()> {
        self.writer.wait_merging_threads()
    }

    /// Writes the files anew that hold lines of sessions which were removed, and deletes the old ones.
    ///
    /// # Errors
    /// The index cannot be written: it stays what it was with the last commit.
    pub fn purge(self) -> tantivy::Result<()> {
        let Self { mut writer, searcher, .. } = self;
        // What this one has open, or only knows of, counts as in use.
        drop(searcher);
        let segments = writer.index().searchable_segment_metas()?;
        let with_deletes = segments.iter().filter(|segment| segment.has_deletes());
        let ids: Vec<_> = with_deletes.map(tantivy::SegmentMeta::id).collect();
        drop(segments);
        for id in ids {
            writer.merge(&[id]).wait()?;
        }
        writer.garbage_collect_files().wait()?;
        writer.wait_merging_threads()
    }
}

/// Takes the lines of one session. Dropped without [`end`](Self::end) or [`pause`](Self::pause), nothing of the session is in
/// the index.
pub struct SessionLines<'i> {
    indexer: &'i mut Indexer,
    facts: SessionFacts,
    /// What the words come from: the lines, with line ends.
    text: String,
    lines: Vec<(Line, Range<usize>)>,
    /// Of the lines.
    from: u64,
    to: u64,
    /// Bytes that may still come.
    left: usize,
    ended: bool,
}

impl SessionLines<'_> {
    /// Lines may come in any order; those that come one after another should be near to each other in time.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn add(&mut self, mut line: Line) -> tantivy::Result<()> {
        let Some(left) = self.left.checked_sub(line.text.len()) else { return Ok(()) };
        self.left = left;
        let at = self.facts.start.saturating_add(millis(line.at));
        (self.from, self.to) = (self.from.min(at), self.to.max(at));
        let start = self.text.len();
        self.text.push_str(&plain(&line.text));
        let range = start..self.text.len();
        self.text.push('\n');
        line.text.clear();
        self.lines.push((line, range));
        if self.lines.len() >= MOST_LINES || self.text.len() >= ENOUGH_TEXT {
            return self.write(None);
        }
        Ok(())
    }

    /// With the next commit all is found.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn end(mut self, coverage: Coverage) -> tantivy::Result<()> {
        (self.from, self.to) = (self.from.min(self.facts.start), self.to.max(self.facts.start));
        self.write(Some(match coverage {
            Coverage::Whole => WHOLE,
            Coverage::Partly => PARTLY,
        }))?;
        self.ended = true;
        Ok(())
    }

    /// More will come: until its end was told, the session is not counted.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn pause(mut self) -> tantivy::Result<()> {
        if !self.lines.is_empty() {
            self.write(None)?;
        }
        self.ended = true;
        Ok(())
    }

    fn write(&mut self, coverage: Option<&str>) -> tantivy::Result<()> {
        let fields = self.indexer.fields;
        let mut document = TantivyDocument::default();
        document.add_text(fields.session, &self.facts.id);
        for user in &self.facts.users {
            document.add_text(fields.user, folded(user));
        }
        for target in &self.facts.targets {
            document.add_text(fields.target, folded(target));
        }
        document.add_u64(fields.from, self.from);
        document.add_u64(fields.to, self.to);
        document.add_u64(fields.start, self.facts.start);
        if let Some(coverage) = coverage {
            document.add_text(fields.coverage, coverage);
        }
        let kept = self
            .lines
            .drain(..)
            .map(|(line, range)| Kept::new(&line, self.text.get(range).unwrap_or_default().into()));
        let kept = serde_json::to_string(&kept.collect::<Vec<_>>());
        document.add_text(fields.lines, kept.map_err(std::io::Error::from)?);
        document.add_text(fields.words, mem::take(&mut self.text));
        (self.from, self.to) = (u64::MAX, 0);
        self.indexer.writer.add_document(document).map(drop)
    }
}

impl Drop for SessionLines<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.indexer.remove(&self.facts.id);
        }
    }
}

impl std::fmt::Debug for Indexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexer").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SessionLines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLines").field("facts", &self.facts).finish_non_exhaustive()
    }
}
