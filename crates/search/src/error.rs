//! What can be wrong with a file of the index.

use std::io;

/// What a file of the index is that cannot be used. The index library carries it inside an [`io::Error`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileError {
    // The environment's.
    #[error("{name:?} in the index is no file that this version has written: make the index again")]
    NotOurs { name: String },
    #[error("{name:?} in the index is of another key, or its start was changed: make the index again")]
    WrongKey { name: String },
    #[error("{name:?} in the index was cut or changed in its chunk {chunk}: make the index again")]
    Changed { name: String, chunk: u64 },
    #[error("{name:?} in the index is too long: {length} bytes, {most} are the most")]
    TooLong { name: String, length: u64, most: u64 },
    #[error("the file {name:?} of the index cannot be encrypted or decrypted")]
    Encryption { name: String },

    // Ours.
    #[error("{name:?} is no name of a file in the index")]
    Name { name: String },
    #[error("{name:?} in the index has {length} bytes: {start}..{end} lie outside")]
    Range { name: String, length: usize, start: usize, end: usize },
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        let kind = match error {
            FileError::NotOurs { .. }
            | FileError::WrongKey { .. }
            | FileError::Changed { .. }
            | FileError::TooLong { .. } => io::ErrorKind::InvalidData,
            FileError::Name { .. } | FileError::Range { .. } => io::ErrorKind::InvalidInput,
            FileError::Encryption { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
