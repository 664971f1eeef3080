//! `keyward trail`.

mod keys;
mod verify;

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use keyward_trail::{ChannelId, Ending, PlayOptions, Reader, export_asciicast, play};

use crate::args::{ExportFormat, Keys, Trail};
use crate::command::shown;

pub(crate) fn trail(command: Trail) -> anyhow::Result<ExitCode> {
    match command {
        Trail::Play { file, keys, speed, max_idle, channel } => {
            let options = PlayOptions {
                speed: speed.parse()?,
                max_idle: max_idle.map(Duration::try_from_secs_f64).transpose().context("--max-idle")?,
                channel: channel.map(ChannelId),
            };
            let mut reader = open(&file, &keys)?;
            let mut out = std::io::stdout().lock();
            play(&mut reader, &mut out, options, std::thread::sleep)?;
            out.flush()?;
            report(&reader);
        }
        Trail::Export { file, keys, format, channel, output } => {
            export(&mut open(&file, &keys)?, format, channel, output.as_deref())?;
        }
        Trail::Verify { file, signed_by, verbose } => return verify::verify(&file, signed_by, verbose),
        Trail::NewKey { file } => keys::new_key(&file)?,
        Trail::Signer { policy } => keys::signer(&policy)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn open(file: &Path, keys: &Keys) -> anyhow::Result<Reader<BufReader<File>>> {
    let keys = keys::read(keys)?;
    Reader::open(file, &keys).with_context(|| format!("{} cannot be played", file.display()))
}

fn export(
    reader: &mut Reader<BufReader<File>>,
    format: ExportFormat,
    channel: Option<u32>,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let out: Box<dyn Write> = match output {
        Some(path) => {
            // What people typed is in it: nobody else reads it, as nobody else reads the trail.
            let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            Box::new(created.with_context(|| format!("{} cannot be created", path.display()))?)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let mut out = BufWriter::new(out);
    match format {
        ExportFormat::Asciicast => export_asciicast(reader, &mut out, channel.map(ChannelId))?,
    }
    out.flush()?;
    report(reader);
    Ok(())
}

/// What the person should know of a recording that was shown.
fn report(reader: &Reader<BufReader<File>>) {
    if let Some(why) = reader.left_out() {
        eprintln!("keyward: a part of the recording is left out: {}", shown(&why.to_string()));
    }
    match reader.ending() {
        Some(Ending::Finished { .. }) | None => {}
        Some(Ending::Unfinished) => {
            eprintln!(
                "keyward: the recording has no end: the session is still open, or the gateway died; \
                 this is all that was written"
            );
        }
    }
}
