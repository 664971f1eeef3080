//! The recording format: what a session showed and what was typed in it, one file per session, written as it goes.
//!
//! Synchronous and free of any runtime: a [`Writer`] puts events into anything that is [`std::io::Write`], a
//! [`Reader`] gives them back, [`play`], [`Replay`] and the exports show them, [`verify`] says whether all is as it was
//! written. The bytes are described in
//! `docs/trail-format.md`.

/// What is taken in by its path from `samples/` names this crate as others do.
#[cfg(test)]
extern crate self as keyward_trail;

mod asciicast;
mod auditor_key;
mod block;
mod block_writer;
mod blocks;
mod canvas;
mod chain;
mod chained;
mod cipher;
mod codec;
mod commands;
mod end;
mod error;
mod event;
mod file;
mod file_codec;
mod file_event;
mod filter;
mod finder;
mod finished;
mod flood;
mod followed;
mod frames;
mod gathered;
mod header;
mod hidden_export;
mod hidden_input;
mod index;
#[cfg(test)]
mod index_tests;
mod indexer;
mod key_usage;
mod lock;
mod news;
#[cfg(test)]
mod noise;
mod pack;
mod play;
mod protection;
mod reader;
mod recipient;
mod replay;
#[cfg(test)]
mod samples;
mod screen;
mod seek;
mod shown;
mod signature;
mod span;
mod svg;
mod tail;
mod text;
mod text_export;
mod timestamp;
mod timestamp_authorities;
mod timestamp_request;
mod timestamp_signature;
#[cfg(test)]
mod timestamp_tests;
mod timestamp_token;
mod timestamps_found;
mod typing;
mod verify;
mod wire;
mod writer;

pub use asciicast::{Asciicast, export_asciicast};
pub use auditor_key::AuditorKey;
pub use chain::Extent;
pub use commands::export_commands;
pub use end::{End, Ending};
pub use error::{Damage, TrailError};
pub use event::{ChannelId, Direction, Event, ExitStatus, Stream, Terminal};
pub use file::{Lent, Output, TrailFile, is_being_written};
pub use file_event::{FileDigest, FileEvent, FileOutcome};
pub use finder::{Completeness, Finder, Found, FoundKind};
pub use finished::Finished;
pub use header::Header;
pub use hidden_export::export_hidden_input;
pub use hidden_input::{HiddenInput, HiddenInputPolicy};
pub use lock::Recipients;
pub use play::{BadSpeed, Destination, PlayOptions, Speed, follow, play};
pub use protection::Protection;
pub use reader::Reader;
pub use recipient::{KeyError, Recipient};
pub use replay::Replay;
pub use signature::{BadVerifyingKey, SigningKey, VerifyingKey};
pub use svg::{PictureOptions, export_svg};
pub use tail::ends_with_seal;
pub use text_export::export_text;
pub use timestamp::{Misdated, Sealed, Timestamp, TimestampFound, Trust};
pub use timestamp_authorities::{AuthorityError, TimestampAuthorities};
pub use timestamp_request::{AnswerError, TimestampRequest};
pub use timestamp_token::TokenError;
pub use verify::{Asked, BlockFound, Integrity, Standing, Verified, claimed_header, verify, verify_as};
pub use writer::Writer;
