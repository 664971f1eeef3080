//! `keyward trail verify`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_trail::{Asked, BlockFound, Integrity, Standing, TrailError, Verified, VerifyingKey, verify_as};

use super::ledger::Ledger;
use super::timestamps;
use crate::args::{Signer, TrailVerify};
use crate::command::shown;

pub(super) const INTACT: u8 = 0;
pub(super) const TRUNCATED: u8 = 1;
/// What every command ends with that could not do its work.
pub(super) const UNCHECKED: u8 = 2;
pub(super) const CHANGED: u8 = 3;

pub(super) async fn verify(asked: &TrailVerify) -> anyhow::Result<ExitCode> {
    let TrailVerify { file, policy, signer: signed_by, timestamped_by, any_signer, verbose } = asked;
    let key = signer(signed_by)?;
    let authorities = timestamped_by.as_deref().map(timestamps::authorities).transpose()?;
    let asked = Asked { signed_by: key.as_ref(), timestamped_by: authorities.as_ref() };
    let status = match (file, policy) {
        (Some(file), Some(policy)) => Ledger::open(policy, asked).await?.verify(file, *verbose).await?,
        (None, Some(policy)) => Ledger::open(policy, asked).await?.verify_all(*verbose).await?,
        (Some(_), None) if key.is_none() && !any_signer => bail!(
            "name the key that should have signed it: --signed-by KEY, as `keyward trail signer` prints it at the \
             gateway; --any-signer goes without, and tells nothing of who has written the recording"
        ),
        (Some(file), None) => check(file, asked, *verbose)?.0,
        (None, None) => bail!("name a recording, or with --policy the gateway whose recordings are meant"),
    };
    Ok(ExitCode::from(status))
}

/// Checks a recording, says what was found, and gives the exit status.
pub(super) fn check(path: &Path, asked: Asked<'_>, verbose: bool) -> anyhow::Result<(u8, Option<Verified>)> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let each = |block: &BlockFound| {
        if verbose {
            print_block(block);
        }
    };
    Ok(match verify_as(BufReader::new(file), asked, each) {
        Ok(found) => (report(&found, asked), Some(found)),
        Err(error @ TrailError::HeaderCut) => {
            println!("truncated: {error}");
            (TRUNCATED, None)
        }
        Err(error @ TrailError::Header(_)) => {
            println!("CHANGED: {error}");
            (CHANGED, None)
        }
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be checked", path.display()));
        }
    })
}

/// The key that was asked for.
pub(super) fn signer(asked: &Signer) -> anyhow::Result<Option<VerifyingKey>> {
    asked.signed_by.as_deref().map(read_signer).transpose().context("--signed-by")
}

/// The key itself, or a file of it.
fn read_signer(text: &str) -> anyhow::Result<VerifyingKey> {
    const MAX_FILE: u64 = 4096;
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let mut content = String::new();
    let opened = File::open(text).with_context(|| format!("{text} is neither a signer's key nor a file"))?;
    opened.take(MAX_FILE).read_to_string(&mut content)?;
    Ok(content.parse()?)
}

fn print_block(block: &BlockFound) {
    let BlockFound { number, offset, kind, first, last, standing, timestamp } = block;
    let block = format!("block {number} at byte {offset}: {kind}");
    let times = format!("{} to {}", time(*first), time(*last));
    match standing {
        Standing::Signed => println!("{block}, {times}: signed"),
        Standing::SignedByOther => println!("{block}, claims {times}: signed by ANOTHER KEY"),
        Standing::Chained => println!("{block}, claims {times}: NOT SIGNED, it fits the block before"),
        Standing::Damaged(damage) => println!("{block}, claims {times}: CHANGED: {damage}"),
    }
    if let Some(timestamp) = timestamp {
        println!("    {}", timestamps::line(timestamp));
    }
}

/// Says what was found, and gives the exit status.
fn report(found: &Verified, asked: Asked<'_>) -> u8 {
    print_origin(found, asked.signed_by);
    let status = print_integrity(found);
    if status != INTACT && found.unsigned > 0 {
        let Verified { unsigned, blocks, .. } = found;
        println!("{unsigned} of {blocks} blocks are behind the last signature and prove nothing");
    }
    if let (Some(end), true) = (&found.end, found.integrity != Integrity::OtherSigner) {
        let reason = end.reason.as_deref().map(|reason| format!(": {}", shown(reason))).unwrap_or_default();
        println!("end: {}{reason}", end.verdict);
    }
    let timestamps = timestamps::judge(found, asked.timestamped_by.is_some());
    timestamps.says.iter().for_each(|line| println!("{line}"));
    status.max(timestamps.status)
}

/// The facts, and whose word they are.
fn print_origin(found: &Verified, asked: Option<&VerifyingKey>) {
    let Verified { header, signer, integrity, .. } = found;
    let facts = format!("session {}, {} to {}", header.session, header.client, header.target.addr);
    match (integrity, asked) {
        (Integrity::Unsigned { .. }, _) => println!("claims to be {facts}\nclaims to be signed by {signer}"),
        (Integrity::OtherSigner, _) => println!("claims to be {facts}\nsigned by {signer}"),
        (Integrity::Intact | Integrity::Truncated { .. } | Integrity::Changed { .. }, Some(_)) => {
            println!("{facts}\nsigned by {signer}");
        }
        (Integrity::Intact | Integrity::Truncated { .. } | Integrity::Changed { .. }, None) => {
            println!("claims to be {facts}\nsigned by {signer}: nobody has checked whose key that is");
        }
    }
}

fn print_integrity(found: &Verified) -> u8 {
    match &found.integrity {
        Integrity::Intact => {
            println!("intact: complete from its beginning to its end at {}", time(found.signed_until));
            INTACT
        }
        Integrity::Truncated { at } => {
            let at = time(*at);
            println!("truncated: the gateway died, the session is still open, or the file was cut");
            println!("signed until {at}");
            TRUNCATED
        }
        Integrity::Changed { at, from, block, damage } => {
            let at = time(*at);
            let place = if from == block {
                format!("in block {block}")
            } else {
                format!("somewhere in blocks {from} to {block}")
            };
            println!("CHANGED {place}, after {at}: {damage}");
            println!("signed until {at}");
            CHANGED
        }
        Integrity::Unsigned { damage } => {
            let why = damage.as_ref().map_or("the file ends before the first signature".into(), |damage| {
                format!("the first block: {damage}")
            });
            println!("UNSIGNED: anybody can have made this file: {why}");
            CHANGED
        }
        Integrity::OtherSigner => {
            println!("SIGNED BY ANOTHER KEY than the one that was asked for");
            CHANGED
        }
    }
}

/// Hours, minutes and seconds since the start of the session.
pub(super) fn time(at: Duration) -> String {
    let (seconds, millis) = (at.as_secs(), at.subsec_millis());
    format!("{}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
