//! One open handle of sftp, and what was read and written through it.

use std::time::Duration;

use keyward_ssh::sftp::open;

use super::super::Place;
use super::super::output::{Between, Output};

/// A bit of `SSH_FXP_OPEN`: the file must not exist.
const EXCLUSIVE: u32 = 32;

#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: Vec<u8>,
    at: Duration,
    flags: u32,
    pub(super) written: Option<Output>,
    pub(super) read: Option<Output>,
    /// How long the file is, as the target said.
    pub(super) size: Option<u64>,
    /// The first place at which the target said that the file has ended.
    pub(super) eof: Option<u64>,
    pub(super) failed: bool,
    resized: bool,
}

impl Opened {
    pub(super) fn new(
        path: Vec<u8>,
        flags: u32,
        at: Duration,
        size: Option<u64>,
        place: &mut Place,
    ) -> anyhow::Result<Self> {
        let (failed, resized, eof, written, read) = (false, false, None, None, None);
        let mut opened = Self { path, at, flags, written, read, size, eof, failed, resized };
        if opened.writes() {
            let between = if opened.was_empty() { Between::Zeros } else { Between::Unknown };
            let about = place.about_at(at, "sftp", "upload", opened.path.clone());
            let mut written = Output::begin(&mut place.folder, about, between)?;
            if flags & open::APPEND != 0 {
                written.lack("it was appended to what the file had before");
            }
            opened.written = Some(written);
        }
        Ok(opened)
    }

    fn writes(&self) -> bool {
        self.flags & (open::WRITE | open::APPEND | open::CREATE | open::TRUNCATE) != 0
    }

    fn reads(&self) -> bool {
        self.flags & open::READ != 0 || self.flags & open::WRITE == 0
    }

    fn was_empty(&self) -> bool {
        self.flags & (open::TRUNCATE | EXCLUSIVE) != 0
    }

    pub(super) fn begin_reading(&self, place: &mut Place) -> anyhow::Result<Output> {
        let about = place.about_at(self.at, "sftp", "download", self.path.clone());
        Output::begin(&mut place.folder, about, Between::Unknown)
    }

    /// Servers append whatever place the client names.
    pub(super) fn place_of(&self, offset: u64) -> u64 {
        match &self.written {
            Some(written) if self.flags & open::APPEND != 0 => written.end(),
            _ => offset,
        }
    }

    pub(super) fn resize(&mut self, size: u64, place: &mut Place) -> anyhow::Result<()> {
        let Some(written) = &mut self.written else { return Ok(()) };
        self.resized = true;
        written.resized(&mut place.folder, size)
    }

    pub(super) fn end(mut self, lacks: Option<&'static str>, place: &mut Place) -> anyhow::Result<()> {
        if self.read.is_none() && self.reads() && !self.writes() {
            self.read = Some(self.begin_reading(place)?);
        }
        let lacks = lacks.or(self.failed.then_some("the target did not read or write all of it"));
        let was_empty = self.was_empty();
        if let Some(mut written) = self.written {
            if let Some(lacks) = lacks {
                written.lack(lacks);
            }
            if !was_empty && !self.resized {
                written.lack("the file may be longer: it was not emptied before");
            }
            place.ended(written)?;
        }
        if let Some(mut read) = self.read {
            let end = read.end();
            if let Some(lacks) = lacks {
                read.lack(lacks);
            }
            if self.eof != Some(end) && self.size != Some(end) {
                read.lack("its end was not read");
            }
            place.ended(read)?;
        }
        Ok(())
    }
}
