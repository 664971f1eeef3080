//! `files.json`, which says of each file what it was.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::Context;
use keyward_trail::{FileDigest, FileEvent, FileOutcome};
use serde::Serialize;

use super::Exported;
use super::folder::{Folder, INDEX, partial};
use super::output::Ended;
use crate::command::shown;

/// An array, written as it goes: it may be long.
pub(super) struct Index {
    out: BufWriter<File>,
    found: Exported,
}

#[derive(Serialize)]
struct Entry<'a> {
    channel: u32,
    /// Seconds since the start of the session.
    time: f64,
    protocol: &'a str,
    /// `to-target` or `from-target`.
    direction: &'a str,
    operation: &'a str,
    /// On the target, as it was recorded.
    path: &'a str,
    /// Beside the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The file's byte that is the first one here, where it is another than its first.
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<u64>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// What the gateway wrote down of the bytes as they passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_sha256: Option<String>,
    complete: bool,
    /// Why it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<&'a str>,
}

impl Index {
    pub(super) fn begin(file: File) -> anyhow::Result<Self> {
        let mut out = BufWriter::new(file);
        out.write_all(b"[").context(INDEX)?;
        Ok(Self { out, found: Exported::default() })
    }

    pub(super) fn count(&self) -> u64 {
        self.found.whole + self.found.partial
    }

    /// A file, with what the gateway recorded of it.
    pub(super) fn add(
        &mut self,
        folder: &Folder,
        ended: Ended,
        recorded: Option<&FileEvent<'_>>,
    ) -> anyhow::Result<()> {
        let Ended { about, name, start, size, sha256, lacks } = ended;
        let path = String::from_utf8_lossy(recorded.map_or(&about.path, |file| &file.path));
        let digest = recorded.and_then(|file| match file.digest {
            Some(FileDigest::Sha256(digest)) => Some(digest),
            _ => None,
        });
        // The gateway's digest is of what moved, which is the file only if nothing is left out of it.
        let moved = recorded.and_then(|file| file.size);
        let differs = start == 0 && digest.is_some() && sha256.is_some() && digest != sha256;
        let (lacks, differs) = match (lacks, differs) {
            (None, true) => (Some("it is not what the gateway saw: its SHA-256 is another"), true),
            (Some(lacks), true) => (Some(lacks), moved == Some(size)),
            (lacks, false) => (lacks, false),
        };
        let lacks = lacks.or_else(|| match &recorded?.outcome {
            FileOutcome::Done => None,
            FileOutcome::Unfinished => Some("it was not finished"),
            FileOutcome::Failed(_) | FileOutcome::Refused => Some("the target or the gateway did not do it"),
        });
        if differs {
            self.found.different += 1;
            eprintln!("keyward: {} is not what the gateway saw: its SHA-256 is another", shown(&path));
        }
        let name = match (name, lacks) {
            (Some(name), None) => {
                folder.is_whole(&name)?;
                Some(name)
            }
            (name, _) => name.map(|name| partial(&name)),
        };
        let entry = Entry {
            channel: about.channel,
            time: about.at.as_secs_f64(),
            protocol: about.protocol,
            direction: if about.operation == "upload" { "to-target" } else { "from-target" },
            operation: about.operation,
            path: &path,
            name,
            starts_at: (start > 0).then_some(start),
            size,
            sha256: sha256.map(|sum| hex(&sum)),
            recorded_sha256: digest.map(|sum| hex(&sum)),
            complete: lacks.is_none(),
            lacks,
        };
        let comma = if self.count() == 0 { "\n" } else { ",\n" };
        match lacks {
            None => self.found.whole += 1,
            Some(_) => self.found.partial += 1,
        }
        write!(self.out, "{comma}{}", serde_json::to_string(&entry)?).context(INDEX)
    }

    pub(super) fn end(mut self) -> anyhow::Result<Exported> {
        self.out.write_all(b"\n]\n").and_then(|()| self.out.flush()).context(INDEX)?;
        Ok(self.found)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
