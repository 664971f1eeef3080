//! The index of recordings: where the lines that somebody may look for are kept, so that they are found in an instant.
//!
//! It holds what recordings hold, and recordings may be encrypted: so every file of it is. It protects against whoever
//! reads or changes the files of the index without its key: nothing is told but sizes and names of files, and what was
//! changed is an error. It does not protect against whoever puts back an older state of all its files: then it is an
//! older index, which can be made again from the recordings.

#[cfg(test)]
mod crash_tests;
mod directory;
mod error;
mod file_reader;
mod file_writer;
mod indexer;
mod key;
mod line;
mod query;
mod reader;
mod schema;
mod tokens;
mod words;

pub use directory::EncryptedDirectory;
pub use error::FileError;
pub use indexer::{Coverage, Indexer, SessionFacts, SessionLines};
pub use key::IndexKey;
pub use line::{Line, LineKind};
pub use query::{Query, QueryError};
pub use reader::{Filter, Hit, Hits, IndexReader, Rest};
/// Why the index cannot be read or written.
pub use tantivy::TantivyError as IndexError;
