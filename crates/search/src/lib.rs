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
mod index;
mod key;
mod query;
mod words;

pub use directory::EncryptedDirectory;
pub use error::FileError;
pub use index::{Hit, Hits, IndexReader, Indexer, Rest};
pub use key::IndexKey;
pub use query::{Query, QueryError};
