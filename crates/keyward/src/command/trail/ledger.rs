//! `keyward trail verify --policy`: recordings against what the ledger keeps of them.
//!
//! A recording that was cut back to where a block ends, or replaced by another of the same node, is signed all the same.
//! The ledger knows how far each of them reached when it was closed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use keyward_store::{ClosedTrail, Store, TheFile, TrailRecord};
use keyward_trail::{
    Asked, Integrity, TimestampAuthorities, TrailError, Verified, VerifyingKey, claimed_header, verify_as,
};

use super::timestamps::judge;
use super::verify::{CHANGED, INTACT, TRUNCATED, UNCHECKED, check, time};
use crate::command::session::deleted;
use crate::command::{counted, load, open_to_look, shown};
use crate::data_dir::DataDir;
use crate::progress::Progress;

/// The recordings of a gateway.
pub(super) struct Ledger {
    store: Store,
    trails: PathBuf,
    /// Who must have signed them; `None`: who the ledger says.
    asked: Option<VerifyingKey>,
    /// Whose timestamps they must have; `None`: nobody's.
    authorities: Option<TimestampAuthorities>,
}

/// What one recording was found to be: in words, and as an exit status.
struct Finding {
    status: u8,
    says: String,
}

impl Finding {
    fn fine(says: impl Into<String>) -> Self {
        Self { status: INTACT, says: says.into() }
    }

    fn without_end(says: impl Into<String>) -> Self {
        Self { status: TRUNCATED, says: says.into() }
    }

    fn unchecked(says: impl Into<String>) -> Self {
        Self { status: UNCHECKED, says: says.into() }
    }

    fn wrong(says: impl Into<String>) -> Self {
        Self { status: CHANGED, says: says.into() }
    }
}

impl Ledger {
    pub(super) async fn open(policy: &Path, asked: Asked<'_>) -> anyhow::Result<Self> {
        let policy = load(policy).await?;
        let store = open_to_look(&policy).await?;
        let (asked, authorities) = (asked.signed_by.copied(), asked.timestamped_by.cloned());
        Ok(Self { store, trails: DataDir(policy.node.data_dir).trails(), asked, authorities })
    }

    /// One recording, wherever it is: a file with the name of a session's recording is meant to be that.
    pub(super) async fn verify(&self, file: &Path, verbose: bool) -> anyhow::Result<u8> {
        let record = self.record_of(file).await?;
        if let Some(deletion) = record.as_ref().and_then(|record| record.deletion.as_ref())
            && !file.exists()
        {
            bail!("{}: {}", file.display(), shown(&deleted(deletion)));
        }
        let key = match &record {
            Some(record) => self.signer(record)?,
            None => self.asked,
        };
        let (status, found) = check(file, self.held_against(key.as_ref()), verbose)?;
        if found.as_ref().is_some_and(|found| damage(found).is_some()) {
            return Ok(status);
        }
        let compared = match &record {
            Some(record) => still_there(record).unwrap_or_else(|| compare(record, found.as_ref())),
            None => Finding::wrong("UNKNOWN: no session of this gateway has such a recording"),
        };
        println!("ledger: {}", shown(&compared.says));
        Ok(status.max(compared.status))
    }

    async fn record_of(&self, file: &Path) -> anyhow::Result<Option<TrailRecord>> {
        if let Some(name) = file.file_name().and_then(OsStr::to_str) {
            let unique = name.strip_suffix(".trail").unwrap_or(name);
            let folder = unique.get(unique.len().saturating_sub(2)..).unwrap_or_default();
            let found = self.store.trail_named(&format!("{folder}/{unique}.trail")).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let opened = File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
        match claimed_header(BufReader::new(opened)) {
            Ok(header) => Ok(self.store.trail_of(&header.session).await?),
            // What is wrong with it is said by the check.
            Err(_) => Ok(None),
        }
    }

    /// Who must have signed a recording.
    fn signer(&self, record: &TrailRecord) -> anyhow::Result<Option<VerifyingKey>> {
        let of_ledger = || record.signer.as_deref().map(str::parse).transpose();
        match self.asked {
            Some(asked) => Ok(Some(asked)),
            None => of_ledger().with_context(|| format!("the signer of session {}", record.session)),
        }
    }

    fn held_against<'a>(&'a self, signed_by: Option<&'a VerifyingKey>) -> Asked<'a> {
        Asked { signed_by, timestamped_by: self.authorities.as_ref() }
    }

    /// What is fine but for its timestamps is not fine.
    fn with_timestamps(&self, finding: Finding, found: &Verified) -> Finding {
        let judged = judge(found, self.authorities.is_some());
        match judged.status > finding.status {
            true => Finding { status: judged.status, says: judged.says.join("; ") },
            false => finding,
        }
    }

    /// All of them, and what else is where they are. Says which are not as they should be, or with `verbose` of each what
    /// it is.
    pub(super) async fn verify_all(&self, verbose: bool) -> anyhow::Result<u8> {
        let (mut worst, mut count, mut wrong) = (INTACT, 0u64, 0u64);
        let mut progress = Progress::begin();
        let mut tell = |name: &str, finding: Finding| {
            (worst, count) = (worst.max(finding.status), count + 1);
            if finding.status != INTACT {
                wrong += 1;
            }
            if verbose || finding.status != INTACT {
                progress.wipe();
                println!("{}  {}", shown(name), shown(&finding.says));
            }
            progress.tell(format_args!("{} checked", counted(count, "recording")));
        };
        let mut after = String::new();
        loop {
            let page = self.store.trails(&after).await?;
            let Some(last) = page.last() else { break };
            after = last.trail.clone();
            for record in &page {
                tell(&record.trail, self.look_again_at(record).await?);
            }
        }
        for folder in entries(&self.trails)? {
            let files = entries(&self.trails.join(&folder)).unwrap_or_else(|error| {
                tell(&folder, Finding::unchecked(format!("{error:#}")));
                Vec::new()
            });
            for file in files {
                let name = format!("{folder}/{file}");
                if self.store.trail_named(&name).await?.is_none() {
                    tell(&name, Finding::wrong("UNKNOWN: no session of this gateway has such a recording"));
                }
            }
        }
        progress.wipe();
        println!("{}, {wrong} of them not as they should be", counted(count, "recording"));
        Ok(worst)
    }

    /// A recording that is deleted while others are checked is not missing.
    async fn look_again_at(&self, record: &TrailRecord) -> anyhow::Result<Finding> {
        let finding = self.look_at(record);
        if finding.status == INTACT || record.deletion.is_some() {
            return Ok(finding);
        }
        let now = self.store.trail_of(&record.session).await?;
        Ok(now.filter(|now| now.deletion.is_some()).map_or(finding, |now| self.look_at(&now)))
    }

    /// What cannot be checked stops nobody from hearing of the others.
    fn look_at(&self, record: &TrailRecord) -> Finding {
        let path = self.trails.join(&record.trail);
        let unchecked = |what: &str, error: &dyn std::fmt::Display| {
            Finding::unchecked(format!("{} {what}: {error}", path.display()))
        };
        let opened = fs::metadata(&path).and_then(|file| match file.is_file() {
            true => File::open(&path).map(Some),
            // To open anything else might take for ever.
            false => Ok(None),
        });
        let file = match opened {
            Ok(Some(file)) => file,
            Ok(None) => return Finding::wrong("REPLACED: this is no regular file"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return missing(record),
            Err(error) => return unchecked("cannot be opened", &error),
        };
        if let Some(finding) = still_there(record) {
            return finding;
        }
        let signer = match self.signer(record) {
            Ok(signer) => signer,
            Err(error) => return unchecked("cannot be checked", &format!("{error:#}")),
        };
        match verify_as(BufReader::new(file), self.held_against(signer.as_ref()), |_| ()) {
            Ok(found) => match damage(&found) {
                Some(says) => Finding::wrong(says),
                None => self.with_timestamps(compare(record, Some(&found)), &found),
            },
            Err(TrailError::HeaderCut) => compare(record, None),
            Err(error @ TrailError::Read(_)) => unchecked("cannot be read", &error),
            // One that is signed was written by this version or a newer one, and the ledger knows who has signed it.
            Err(error @ (TrailError::Version(_) | TrailError::Features(_))) if record.signer.is_none() => {
                unchecked("cannot be checked", &error)
            }
            Err(error) => Finding::wrong(format!("CHANGED: {error}")),
        }
    }
}

/// The names in a folder, in order; none where it is no folder.
fn entries(folder: &Path) -> anyhow::Result<Vec<String>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => found.collect::<Result<Vec<_>, _>>(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    };
    let found = found.with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut names: Vec<_> =
        found.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    Ok(names)
}

/// A file in the place of a recording that was deleted.
fn still_there(record: &TrailRecord) -> Option<Finding> {
    let deletion = record.deletion.as_ref()?;
    let says = deleted(deletion);
    Some(match deletion.done {
        Some(_) => Finding::wrong(format!("PUT BACK: a file is in the place of a deleted recording: {says}")),
        None => Finding::without_end(format!("still there: {says}")),
    })
}

fn missing(record: &TrailRecord) -> Finding {
    if let Some(deletion) = &record.deletion {
        return Finding::fine(deleted(deletion));
    }
    if let Some(object) = &record.object {
        let session = &record.session;
        let fetches =
            format!("`keyward session fetch-recording {session} --to FILE --policy FILE` fetches it");
        return match object.file {
            TheFile::Kept => Finding::wrong(format!(
                "MISSING: there is no such file, which nobody was to remove; the object store had it as {}: {fetches}",
                object.key
            )),
            TheFile::Going | TheFile::Gone => {
                Finding::fine(format!("in the object store as {}, not checked here: {fetches}", object.key))
            }
        };
    }
    if record.is_held {
        return Finding::wrong(
            "MISSING: the ledger has this recording, on legal hold, and there is no such file",
        );
    }
    match &record.closed {
        None if record.is_open => Finding::without_end("not there yet: its session is open"),
        Some(closed) if closed.end.starts_with(ClosedTrail::NOT_BEGUN) => {
            Finding::without_end(format!("not there: {}", closed.end))
        }
        None | Some(_) => Finding::wrong("MISSING: the ledger has this recording, and there is no such file"),
    }
}

/// What is wrong with a recording whatever the ledger says.
fn damage(found: &Verified) -> Option<String> {
    match &found.integrity {
        Integrity::Intact | Integrity::Truncated { .. } => None,
        Integrity::Changed { at, damage, .. } => Some(format!("CHANGED after {}: {damage}", time(*at))),
        Integrity::Unsigned { .. } => Some("UNSIGNED: anybody can have made this file".to_owned()),
        Integrity::OtherSigner => Some(format!("SIGNED BY ANOTHER KEY: {}", found.signer)),
    }
}

/// `found`: `None` where not even a header is there.
fn compare(record: &TrailRecord, found: Option<&Verified>) -> Finding {
    if let Some(found) = found
        && found.header.session != record.session
    {
        let says = format!(
            "REPLACED: this is the recording of session {}, in the place of that of {}",
            found.header.session, record.session
        );
        return Finding::wrong(says);
    }
    let Some(closed) = &record.closed else {
        return match record.is_open {
            true => Finding::fine("its session is open"),
            false => Finding::without_end(
                "it was not closed, as when the gateway dies and has not started since: whether something was cut off \
                 cannot be told",
            ),
        };
    };
    let Some(last) = &closed.last else {
        let says = format!("{}: whether something was cut off cannot be told", closed.end);
        return Finding::without_end(says);
    };
    let length = found.map_or(0, |found| found.extent.length);
    match found {
        Some(found) if length == last.length && found.extent.link() == last.link => {
            let says = format!("as it was closed, with {length} bytes: {}", closed.end);
            if found.end.is_some() { Finding::fine(says) } else { Finding::without_end(says) }
        }
        Some(_) | None if length < last.length => Finding::wrong(format!(
            "CUT BACK: it had {} bytes when it was closed ({}), and {length} are there in whole blocks",
            last.length, closed.end
        )),
        Some(_) | None => Finding::wrong(format!(
            "REPLACED: this is not what was closed with {} bytes ({})",
            last.length, closed.end
        )),
    }
}
