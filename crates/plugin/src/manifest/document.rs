//! A YAML 1.2 mapping as keys and the texts of their scalars.
//!
//! Typed readers make a float of `1.10`; here the parser's events are read, so that every scalar keeps its text.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::ManifestError;

/// The keys of the document's one mapping.
#[derive(Debug)]
pub(super) struct Document(BTreeMap<String, Node>);

/// What stands at a key, and where: line and column count from 1.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) shape: Shape,
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A scalar by its text. Shared, because aliases repeat it.
    Text(Rc<str>),
    Null,
    List,
    Map,
}

impl Document {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key)
    }

    /// Reads one document that is a mapping. The caller bounds the length of `text`.
    pub(super) fn read(text: &str) -> Result<Self, ManifestError> {
        Reader::new(text).document()
    }
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    /// What the anchors seen so far stand for.
    anchors: BTreeMap<usize, Shape>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: 32,
            block_nesting_limit: 32,
        };
        Self { events: Parser::new_from_str_with_options(text, options), anchors: BTreeMap::new() }
    }

    fn document(mut self) -> Result<Document, ManifestError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::MappingStart(..) => break,
                Event::StreamEnd | Event::DocumentEnd => return Err(ManifestError::EmptyDocument),
                _ => return Err(structure(span, "a mapping is wanted here, lines of the form `key: value`")),
            }
        }
        let mut keys = BTreeMap::new();
        while let Some((key, line, column)) = self.key()? {
            let node = self.value()?;
            if keys.contains_key(&*key) {
                // A quoted key may hold anything, and the message is for a terminal and a log.
                let key = key.chars().take(100).flat_map(char::escape_debug).collect();
                return Err(ManifestError::Duplicate { key, line, column });
            }
            keys.insert(key.to_string(), node);
        }
        self.end()?;
        Ok(Document(keys))
    }

    /// The next key, or `None` at the end of the mapping.
    fn key(&mut self) -> Result<Option<(Rc<str>, usize, usize)>, ManifestError> {
        let (event, span) = self.next()?;
        if matches!(event, Event::MappingEnd) {
            return Ok(None);
        }
        match self.shape(event, span)? {
            Shape::Text(key) => Ok(Some((key, span.start.line(), span.start.col() + 1))),
            Shape::Null | Shape::List | Shape::Map => Err(structure(span, "a key must be a text")),
        }
    }

    fn value(&mut self) -> Result<Node, ManifestError> {
        let (event, span) = self.next()?;
        let shape = self.shape(event, span)?;
        Ok(Node { shape, line: span.start.line(), column: span.start.col() + 1 })
    }

    /// The node that begins with `event`; what a collection holds is passed over.
    fn shape(&mut self, event: Event<'t>, span: Span) -> Result<Shape, ManifestError> {
        let (shape, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref(), span)?, anchor),
            Event::SequenceStart(_, anchor, _) => {
                self.pass_over()?;
                (Shape::List, anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                self.pass_over()?;
                (Shape::Map, anchor)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                return known
                    .ok_or_else(|| structure(span, "an alias needs an anchor of the same level before it"));
            }
            _ => return Err(structure(span, "a value is wanted here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, shape.clone());
        }
        Ok(shape)
    }

    /// To the end of the collection that has just begun.
    fn pass_over(&mut self) -> Result<(), ManifestError> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next()?.0 {
                Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
                Event::SequenceEnd | Event::MappingEnd => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// After the mapping there must be nothing.
    fn end(&mut self) -> Result<(), ManifestError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(()),
                _ => return Err(structure(span, "a second document begins: a MANIFEST is one document")),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), ManifestError> {
        match self.events.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(ManifestError::Syntax {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                problem: error.info().to_string(),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }
}

/// A scalar of the core schema, as text: only null is told apart (YAML 1.2 section 10.3.2).
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Shape, ManifestError> {
    let forced = match tag.map(|tag| (tag, tag.core_suffix())) {
        None => false,
        Some((_, Some("null"))) => return Ok(Shape::Null),
        Some((_, Some("str"))) => true,
        Some((_, Some("bool" | "int" | "float"))) => false,
        Some((tag, _)) if tag.original() == "!" => true,
        Some(_) => return Err(structure(span, "a tag is not understood here: remove it")),
    };
    let null = matches!(text, "" | "~" | "null" | "Null" | "NULL");
    Ok(if null && !forced && style == ScalarStyle::Plain { Shape::Null } else { Shape::Text(text.into()) })
}

fn structure(span: Span, problem: &'static str) -> ManifestError {
    ManifestError::Structure { line: span.start.line(), column: span.start.col() + 1, problem }
}
