//! The keys of recordings: those of auditors, and the gateway's own.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use keyward_trail::{AuditorKey, SigningKey};
use zeroize::Zeroizing;

use crate::args::Keys;
use crate::command::load_file;
use crate::data_dir::DataDir;

/// A file of keys is short; another one is a mistake.
const MAX_FILE: u64 = 64 * 1024;

/// All keys of the files that were named.
pub(in crate::command) fn read(keys: &Keys) -> anyhow::Result<Vec<AuditorKey>> {
    let mut all = Vec::new();
    for path in &keys.files {
        let read = read_file(path).and_then(|text| Ok(AuditorKey::parse(&text)?));
        all.extend(read.with_context(|| format!("--key {}", path.display()))?);
    }
    Ok(all)
}

fn read_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    // Room from the start, so that no copy of the key stays behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize + 1));
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        bail!("it is larger than {} KiB: that is no key", MAX_FILE >> 10);
    }
    Ok(text)
}

/// `keyward trail new-key`.
pub(super) fn new_key(path: &Path) -> anyhow::Result<()> {
    let key = AuditorKey::generate()?;
    let private = key.to_age().context("the key cannot be written")?;
    let public = key.recipient().name();
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = created.with_context(|| format!("{} cannot be created", path.display()))?;
    let written =
        writeln!(file, "# public key: {public}\n{}", private.as_str()).and_then(|()| file.sync_all());
    written.with_context(|| format!("{} cannot be written", path.display()))?;
    println!("{public}");
    eprintln!(
        "keyward: the private key is in {}: keep it away from the gateway, and keep a copy. \
         Without it, recordings that are encrypted to it cannot be read by anybody.",
        path.display()
    );
    Ok(())
}

/// `keyward trail signer`.
pub(super) fn signer(policy: &Path, replace_lost: bool) -> anyhow::Result<()> {
    let data = DataDir(load_file(policy)?.node.data_dir);
    let path = data.signing_key();
    let key = if replace_lost {
        SigningKey::make(&path).with_context(|| format!("{} cannot be made", path.display()))?
    } else {
        SigningKey::read(&path).with_context(|| {
            format!("{} cannot be read (a gateway makes it at its first start)", path.display())
        })?
    };
    println!("{}", key.verifying_key());
    if replace_lost {
        eprintln!(
            "keyward: recordings are signed with this key from the gateway's next start: give it to everybody who \
             verifies them, and keep the public key of before for those of before"
        );
    }
    Ok(())
}
