//! A recording as an animated picture.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_model::UnixMillis;
use keyward_trail::{ChannelId, PictureOptions, Reader, TrailError, export_svg};

use super::{moment, verify};
use crate::args::{ExportFormat, Part};
use crate::progress::Progress;

/// What is asked for, of a session that began then.
///
/// # Errors
/// Also when a part is asked for of a format that has all of the session.
pub(super) fn options(
    format: ExportFormat,
    part: &Part,
    channel: Option<u32>,
    started: UnixMillis,
) -> anyhow::Result<PictureOptions> {
    let is_whole = part.from.is_none() && part.to.is_none() && part.skip_idle.is_none();
    if format != ExportFormat::Svg && !is_whole {
        bail!("--from, --to and --skip-idle are for a picture (--as svg): leave them out");
    }
    let moment = |text: &Option<String>| text.as_deref().map(|text| moment::parse(text, started)).transpose();
    let (from, to) = (moment(&part.from).context("--from")?, moment(&part.to).context("--to")?);
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or(Duration::MAX));
    if to <= from {
        bail!("nothing is between --from and --to: name a later moment with --to");
    }
    let max_idle = part.skip_idle.map(Duration::try_from_secs_f64).transpose().context("--skip-idle")?;
    Ok(PictureOptions { channel: channel.map(ChannelId), from, to, max_idle })
}

/// Draws it, and tells a person how far that is.
pub(super) fn export<R: Read>(
    reader: &mut Reader<R>,
    out: &mut impl Write,
    options: &PictureOptions,
) -> Result<(), TrailError> {
    let mut progress = Progress::begin();
    export_svg(reader, out, options, |at| {
        let at = Duration::from_secs(at.as_secs());
        progress.tell(format_args!("keyward: drawn up to {} of the session", verify::time(at)));
    })
}
