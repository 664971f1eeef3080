//! `keyward trail verify`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use keyward_trail::{BlockFound, Integrity, Verified, VerifyingKey, verify as verify_trail};

use crate::command::shown;

const INTACT: u8 = 0;
const TRUNCATED: u8 = 1;
const CHANGED: u8 = 2;

pub(super) fn verify(path: &Path, signed_by: Option<String>, verbose: bool) -> anyhow::Result<ExitCode> {
    let key = signed_by.as_deref().map(signer).transpose().context("--signed-by")?;
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let each = |block: &BlockFound| {
        if verbose {
            print_block(block);
        }
    };
    let found = verify_trail(BufReader::new(file), key.as_ref(), each);
    let found = found.with_context(|| format!("{} cannot be trusted", path.display()))?;
    Ok(ExitCode::from(report(&found, key.as_ref())))
}

/// The key itself, or a file of it.
fn signer(text: &str) -> anyhow::Result<VerifyingKey> {
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
    let BlockFound { number, offset, kind, first, last, damage } = block;
    let (first, last) = (time(*first), time(*last));
    match damage {
        None => println!("block {number} at byte {offset}: {kind}, {first} to {last}: intact"),
        Some(damage) => {
            println!("block {number} at byte {offset}: {kind}, {first} to {last}: CHANGED: {damage}")
        }
    }
}

/// Says what was found, and gives the exit status.
fn report(found: &Verified, asked: Option<&VerifyingKey>) -> u8 {
    let Verified { header, signer, integrity, end, .. } = found;
    println!("session {}, {} to {}", header.session, header.client, header.target.addr);
    let known =
        if asked.is_none() { "; compare it with `keyward trail signer`, or use --signed-by" } else { "" };
    println!("signed by {signer}{known}");
    let status = match integrity {
        Integrity::Intact => {
            println!("intact: complete from its beginning to its end at {}", time(found.signed_until));
            INTACT
        }
        Integrity::Truncated { at } => {
            println!(
                "truncated at {}: the gateway died, the session is still open, or the file was cut",
                time(*at)
            );
            TRUNCATED
        }
        Integrity::Changed { at, block, damage } => {
            println!("CHANGED at {}: block {block}: {damage}", time(*at));
            CHANGED
        }
        Integrity::OtherSigner => {
            println!("SIGNED BY ANOTHER KEY than the one that was asked for");
            CHANGED
        }
    };
    if status != INTACT {
        println!("signed until {}", time(found.signed_until));
        if found.unsigned > 0 {
            println!(
                "{} of {} blocks are behind the last signature and prove nothing",
                found.unsigned, found.blocks
            );
        }
    }
    if let Some(end) = end {
        let reason = end.reason.as_deref().map(|reason| format!(": {}", shown(reason))).unwrap_or_default();
        println!("end: {}{reason}", end.verdict);
    }
    status
}

/// Hours, minutes and seconds since the start of the session.
fn time(at: Duration) -> String {
    let (seconds, millis) = (at.as_secs(), at.subsec_millis());
    format!("{}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
