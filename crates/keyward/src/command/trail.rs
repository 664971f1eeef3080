//! `keyward trail`.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use keyward_trail::{ChannelId, Ending, PlayOptions, Reader, export_asciicast, play};

use crate::args::{ExportFormat, Trail};

pub(crate) fn trail(command: Trail) -> anyhow::Result<ExitCode> {
    match command {
        Trail::Play { file, speed, max_idle, channel } => {
            let options = PlayOptions {
                speed: speed.parse()?,
                max_idle: max_idle.map(Duration::try_from_secs_f64).transpose().context("--max-idle")?,
                channel: channel.map(ChannelId),
            };
            let mut reader = open(&file)?;
            let mut out = std::io::stdout().lock();
            play(&mut reader, &mut out, options, std::thread::sleep)?;
            out.flush()?;
            report(reader.ending());
        }
        Trail::Export { file, format, channel, output } => export(&file, format, channel, output.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn open(file: &Path) -> anyhow::Result<Reader<BufReader<File>>> {
    Reader::open(file).with_context(|| format!("{} cannot be played", file.display()))
}

fn export(
    file: &Path,
    format: ExportFormat,
    channel: Option<u32>,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let mut reader = open(file)?;
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
        ExportFormat::Asciicast => export_asciicast(&mut reader, &mut out, channel.map(ChannelId))?,
    }
    out.flush()?;
    report(reader.ending());
    Ok(())
}

fn report(ending: Option<&Ending>) {
    match ending {
        Some(Ending::Finished { .. }) | None => {}
        Some(Ending::Unfinished) => {
            eprintln!(
                "keyward: the recording has no end: the session is still open, or the gateway died; \
                 this is all that was written"
            );
        }
    }
}
