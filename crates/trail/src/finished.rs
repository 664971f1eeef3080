//! A trail behind whose end a timestamp may still come.

use std::fmt;

use crate::TrailError;
use crate::block_writer::BlockWriter;
use crate::chain::Extent;
use crate::file::Output;
use crate::timestamp::{Sealed, Timestamp};

/// A trail that has its end.
pub struct Finished<W> {
    blocks: BlockWriter<W>,
    /// Microseconds since the start, of the end.
    at: u64,
}

impl<W: Output> Finished<W> {
    /// Of blocks that are signed, and whose end stands at `at`.
    pub(crate) fn new(blocks: BlockWriter<W>, at: u64) -> Self {
        Self { blocks, at }
    }

    /// How far it reaches: whoever keeps that can tell later that it was cut back, or replaced.
    pub fn extent(&self) -> Extent {
        self.blocks.extent()
    }

    /// The seal of its end.
    pub fn sealed(&self) -> Option<Sealed> {
        self.blocks.sealed()
    }

    /// Puts a timestamp of its end behind it, signed.
    pub fn timestamp(&mut self, timestamp: &Timestamp) -> Result<(), TrailError> {
        self.blocks.sealed_timestamp(self.at, timestamp)?;
        self.blocks.flush()
    }

    /// Where it was written to, for example to sync it to the disk.
    pub fn output(&self) -> &W {
        self.blocks.output()
    }

    /// The output, for example to sync it to the disk.
    pub fn into_inner(self) -> W {
        self.blocks.into_inner()
    }
}

impl<W: Output> fmt::Debug for Finished<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished").field("extent", &self.extent()).finish_non_exhaustive()
    }
}
