//! What can go wrong with a trail, by whose fault it is.

use std::io;
use std::path::PathBuf;

use crate::block::MAX_EVENT;

/// A trail that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    // The environment's.
    #[error("trail {path:?} cannot be created")]
    Create { path: PathBuf, source: io::Error },
    #[error("trail {path:?} cannot be opened")]
    Open { path: PathBuf, source: io::Error },
    #[error("the trail cannot be written")]
    Write(#[source] io::Error),
    #[error("the trail cannot be read")]
    Read(#[source] io::Error),
    #[error("the output cannot be written")]
    Output(#[source] io::Error),

    // The writer's.
    /// After an error a block may stand half written, so nothing can follow it.
    #[error("the trail takes no more: an earlier write failed")]
    Stopped,
    #[error("an event of {0} bytes is too long for a trail: {MAX_EVENT} are the most")]
    EventTooLong(usize),
    #[error("the facts of the session are too long for the header of a trail: {0} bytes")]
    HeaderTooLong(usize),

    // The file's.
    #[error("this is no trail: it does not begin as one")]
    NotATrail,
    #[error("the trail has format version {0}, this program reads version {version}: use a newer one", version = crate::header::VERSION)]
    Version(u16),
    #[error(
        "the trail is encrypted or signed in a way that this version does not know (protection {0}): use a newer one"
    )]
    Protected(u16),
    #[error("the trail ends within its header: the session left no record")]
    HeaderCut,
    #[error("the header of the trail is damaged: {0}")]
    Header(Damage),
    #[error("block {block}, at byte {offset} of the trail, is damaged: {damage}")]
    Block { block: u64, offset: u64, damage: Damage },
}

/// What is wrong with a part of a file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Damage {
    #[error("the checksum of its header does not match")]
    HeaderChecksum,
    #[error("the checksum of its content does not match")]
    ContentChecksum,
    #[error("it carries number {0}, so blocks are missing or out of order")]
    Sequence(u64),
    #[error("its {what} is {found}, and {most} is the most")]
    TooLong { what: &'static str, found: u64, most: u64 },
    #[error("it uses the features {0:#x}, which this version does not know")]
    Flags(u16),
    #[error("it carries authentication data in a trail without protection")]
    Authentication,
    #[error("its content does not have the length that it names")]
    Length,
    #[error("its times run backwards")]
    Time,
    #[error("a field ends too early")]
    Cut,
    #[error("a number does not fit its field")]
    Number,
    #[error("a text is not UTF-8")]
    Text,
    #[error("the {0} cannot be understood")]
    Value(&'static str),
    #[error("the {0} is missing")]
    Missing(&'static str),
    #[error("the {0} is there twice")]
    Twice(&'static str),
    #[error("something follows the end of the session")]
    AfterEnd,
}
