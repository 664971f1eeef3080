//! `keyward trail`.

mod files;
pub(super) mod keys;
mod ledger;
mod moment;
mod picture;
mod player;
mod retention;
mod timestamps;
mod tty;
mod verify;
mod watch;

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_trail::{
    Asciicast, ChannelId, Destination, Ending, PictureOptions, PlayOptions, Reader, TrailError,
    export_asciicast, export_commands, export_hidden_input, export_text,
};

use self::watch::{Growth, Writing};
use crate::args::{ExportFormat, Keys, Signer, Trail};
use crate::command::shown;

pub(crate) async fn trail(command: Trail) -> anyhow::Result<ExitCode> {
    match command {
        Trail::Play { file, keys, signer, follow, speed, max_idle, skip_idle, from, read_all, channel } => {
            let idle = if max_idle.is_some() { "--max-idle" } else { "--skip-idle" };
            let max_idle = max_idle.or(skip_idle).map(Duration::try_from_secs_f64).transpose();
            let recording = open(&file, &keys, &signer)?;
            let started = recording.reader.header().started;
            let from = from.map(|text| moment::parse(&text, started)).transpose().context("--from")?;
            let is_terminal = std::io::stdout().is_terminal();
            let options = PlayOptions {
                to: if is_terminal { Destination::Terminal } else { Destination::File },
                speed: speed.parse()?,
                max_idle: max_idle.context(idle)?,
                from: from.unwrap_or(if follow { Duration::MAX } else { Duration::ZERO }),
                read_all,
                channel: channel.map(ChannelId),
            };
            let growth = if follow { Growth::Followed(Writing::of(file)) } else { Growth::AsItIs };
            watch::play(recording, options, growth).await?;
        }
        Trail::Export { file, keys, signer, format, with_input, channel, part, output, into } => {
            let mut recording = open(&file, &keys, &signer)?;
            let started = recording.reader.header().started;
            let picture = picture::options(format, &part, channel, started)?;
            match (format, into) {
                (ExportFormat::Files, Some(folder)) => return export_files(&mut recording, channel, &folder),
                (_, Some(_)) => bail!("--into is for --as files: one file is written with --output"),
                (_, None) => {}
            }
            export(&mut recording, format, with_input, &picture, output.as_deref())?;
        }
        Trail::Verify(asked) => return verify::verify(&asked).await,
        Trail::Retention(asked) => retention::retention(&asked).await?,
        Trail::NewKey { file } => keys::new_key(&file)?,
        Trail::Signer { policy, replace_lost } => keys::signer(&policy, replace_lost)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A recording that is shown to somebody.
struct Recording {
    reader: Reader<BufReader<File>>,
    /// Whether its signer is the one who was asked for.
    known_signer: bool,
}

fn open(file: &Path, keys: &Keys, signer: &Signer) -> anyhow::Result<Recording> {
    let (keys, asked) = (keys::read(keys)?, verify::signer(signer)?);
    let reader = Reader::open(file, &keys);
    let reader = reader.with_context(|| format!("{} cannot be played", file.display()))?;
    if asked.is_some_and(|key| key != reader.signer()) {
        let (file, signer) = (file.display(), reader.signer());
        bail!("{file} is not signed by the key of --signed-by: it claims to be signed by {signer}");
    }
    Ok(Recording { reader, known_signer: asked.is_some() })
}

fn export(
    recording: &mut Recording,
    format: ExportFormat,
    with_input: bool,
    picture: &PictureOptions,
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
    let (reader, channel) = (&mut recording.reader, picture.channel);
    let exported = match format {
        ExportFormat::AsciicastV2 => export_asciicast(reader, &mut out, channel, Asciicast::V2, with_input),
        ExportFormat::AsciicastV3 => export_asciicast(reader, &mut out, channel, Asciicast::V3, with_input),
        ExportFormat::Text => export_text(reader, &mut out, channel),
        ExportFormat::Commands => export_commands(reader, &mut out, channel),
        ExportFormat::HiddenInput => export_hidden_input(reader, &mut out, channel),
        ExportFormat::Svg => picture::export(reader, &mut out, picture),
        ExportFormat::Files => bail!("files go into a folder (--into)"),
    };
    let exported = exported.and_then(|()| out.flush().map_err(TrailError::Output));
    recording.reader.settle(watch::MOST_BEHIND);
    recording.report();
    if let (Err(TrailError::PictureTooLarge { .. }), Some(path)) = (&exported, output) {
        // It is empty, and in the way of a smaller one.
        std::fs::remove_file(path).with_context(|| format!("{} cannot be removed", path.display()))?;
    }
    read_by_someone(exported)?;
    recording.has_channel(channel)
}

/// Ends with status 3 where a file is not what the gateway saw.
fn export_files(recording: &mut Recording, channel: Option<u32>, folder: &Path) -> anyhow::Result<ExitCode> {
    let channel = channel.map(ChannelId);
    let exported = files::export(&mut recording.reader, channel, folder);
    recording.reader.settle(watch::MOST_BEHIND);
    recording.report();
    let exported = exported?;
    recording.has_channel(channel)?;
    println!(
        "{} files, and {} that are not complete (files.json says why)",
        exported.whole, exported.partial
    );
    Ok(if exported.different == 0 { ExitCode::SUCCESS } else { ExitCode::from(verify::CHANGED) })
}

/// Who reads no more of the output (`| head`) has what was wanted.
fn read_by_someone(written: Result<(), TrailError>) -> anyhow::Result<()> {
    match written {
        Err(TrailError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

impl Recording {
    /// # Errors
    /// When all of it was read, and nothing of that channel.
    fn has_channel(&self, channel: Option<ChannelId>) -> anyhow::Result<()> {
        let Some(ChannelId(asked)) = channel else { return Ok(()) };
        let found: Vec<u32> = self.reader.channels().map(|ChannelId(found)| found).collect();
        if self.reader.ending().is_none() || found.contains(&asked) {
            return Ok(());
        }
        let found = found.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let found = if found.is_empty() { "none".to_owned() } else { found };
        bail!("the recording has no channel {asked} (--channel): it has {found}");
    }

    /// Says what the person should know of a recording that was shown.
    fn report(&self) {
        let reader = &self.reader;
        if let Some(why) = reader.left_out() {
            eprintln!("keyward: a part of the recording is left out: {}", shown(&why.to_string()));
        }
        self.report_signature();
        match reader.ending() {
            Some(Ending::Finished { .. }) | None => {}
            Some(Ending::Unfinished) => {
                eprintln!(
                    "keyward: the recording has no end that is signed: the session is still open, the gateway \
                     died, or the file was cut"
                );
            }
        }
    }

    fn report_signature(&self) {
        let (reader, signer) = (&self.reader, self.reader.signer());
        let Some(until) = reader.signed_until() else {
            eprintln!(
                "keyward: nothing of the recording is signed: anybody can have made it, although it claims to \
                 be signed by {signer}"
            );
            return;
        };
        if !self.known_signer {
            eprintln!(
                "keyward: the recording is signed by {signer}: whose key that is was not checked (--signed-by)"
            );
        }
        if reader.has_unsigned() {
            let until = verify::time(until);
            eprintln!("keyward: what follows {until} is not signed: anybody can have written it");
        }
    }
}
