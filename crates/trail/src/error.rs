//! What can go wrong with a trail, by whose fault it is.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::block::{MAX_BLOCKS, MAX_EVENT};
use crate::recipient::KeyError;
use crate::timestamp_token::TokenError;

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
    #[error(
        "the picture would be larger than {most} MB, {} s into the session: choose a part of it (--from, --to)",
        .at.as_secs(), most = crate::svg::MOST_BYTES >> 20
    )]
    PictureTooLarge {
        /// The moment of the session that it was come to.
        at: Duration,
    },

    // The writer's.
    /// After an error a block may stand half written, so nothing can follow it.
    #[error("the trail takes no more: an earlier write failed")]
    Stopped,
    #[error("an event of {0} bytes is too long for a trail: {MAX_EVENT} are the most")]
    EventTooLong(usize),
    #[error(
        "the facts of the session, or the keys of its auditors, are too long for the header of a trail: {0} bytes"
    )]
    HeaderTooLong(usize),
    #[error("the trail takes no more: it has {MAX_BLOCKS} blocks")]
    Full,
    #[error("the trail cannot be encrypted or decrypted")]
    Key(#[source] KeyError),

    // Of the one who reads.
    #[error("{what} is encrypted: it takes the private key of {recipients}")]
    NoKey { what: &'static str, recipients: String },
    #[error("{what} is not encrypted to {given}: it takes the private key of {recipients}")]
    WrongKey { what: &'static str, recipients: String, given: String },
    #[error("{what} is encrypted to several people together: the private key of {missing} is missing")]
    MoreKeys { what: &'static str, missing: String },

    #[error(
        "{what} cannot be decrypted: the header of the trail does not hold what the private key of {names} should open"
    )]
    Share { what: &'static str, names: String },

    // The file's.
    #[error("this is no trail: it does not begin as one")]
    NotATrail,
    #[error("the trail has format version {0}, this program reads version {version} only", version = crate::header::VERSION)]
    Version(u16),
    #[error("the trail uses the features {0:#x}, which this version does not know: use a newer one")]
    Features(u16),
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
    #[error("it does not fit the chain: it, or something before it, is not as it was written")]
    Chain,
    #[error("its signature is not the signer's")]
    Signature,
    #[error("it is no signature, which must be the first block")]
    Unsigned,
    #[error("it carries number {0}, so blocks are missing or out of order")]
    Sequence(u64),
    #[error("its {what} is {found}, and {most} is the most")]
    TooLong { what: &'static str, found: u64, most: u64 },
    #[error("it uses the features {0:#x}, which this version does not know")]
    Flags(u16),
    #[error("its content cannot be decrypted")]
    Encryption,
    #[error("it is not encrypted as the header says")]
    Protection,
    #[error("the block that belongs to it does not follow")]
    Together,
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
    #[error("its timestamp is not right: {0}")]
    Timestamp(TokenError),
    #[error("something follows the end of the session")]
    AfterEnd,
}
