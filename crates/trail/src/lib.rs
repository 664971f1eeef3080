//! The recording format: what a session showed and what was typed in it, one file per session, written as it goes.
//!
//! Synchronous and free of any runtime: a [`Writer`] puts events into anything that is [`std::io::Write`], a
//! [`Reader`] gives them back, [`play`] and [`export_asciicast`] show them. The bytes are described in
//! `docs/trail-format.md`.

mod asciicast;
mod block;
mod blocks;
mod codec;
mod end;
mod error;
mod event;
mod file;
mod file_codec;
mod file_event;
mod header;
#[cfg(test)]
mod noise;
mod pack;
mod play;
mod reader;
#[cfg(test)]
mod samples;
mod wire;
mod writer;

pub use asciicast::export_asciicast;
pub use end::{End, Ending};
pub use error::{Damage, TrailError};
pub use event::{ChannelId, Direction, Event, ExitStatus, Stream, Terminal};
pub use file::TrailFile;
pub use file_event::{FileDigest, FileEvent, FileOutcome};
pub use header::Header;
pub use play::{BadSpeed, PlayOptions, Speed, play};
pub use reader::Reader;
pub use writer::Writer;
