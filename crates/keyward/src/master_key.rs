//! Reading the master key from where `[node]` says that it is.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_policy::MasterKeySource;
use keyward_store::MasterKey;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

use crate::command::shown;

/// Above what any way of writing a key has.
const MAX_KEY: u64 = 1024;
/// Of what a command says besides.
const MAX_SAID: u64 = 4 * 1024;
/// How long a command may take. Some ask a server.
const PATIENCE: Duration = Duration::from_secs(30);

/// # Errors
/// Names the place, and never what was read there.
pub(crate) async fn read(source: &MasterKeySource) -> anyhow::Result<MasterKey> {
    let (text, place) = match source {
        MasterKeySource::File(path) => (of_file(path).await?, path.display().to_string()),
        MasterKeySource::Environment(name) => (of_environment(name)?, format!("the variable {name}")),
        MasterKeySource::Command(words) => {
            (of_command(words).await?, format!("the output of {}", program(words)?))
        }
    };
    MasterKey::parse(&text).with_context(|| format!("{place} cannot be used"))
}

async fn of_file(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let failed = || format!("the master key cannot be read from {}", path.display());
    let file = File::open(path).await.with_context(failed)?;
    bounded(file, MAX_KEY).await.with_context(failed)
}

fn of_environment(name: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let value = std::env::var_os(name)
        .with_context(|| format!("the master key is to be in the variable {name}, which is not set"))?;
    Ok(Zeroizing::new(value.into_encoded_bytes()))
}

#[expect(clippy::disallowed_methods, reason = "the administrator's own command, before anybody is served")]
async fn of_command(words: &[String]) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let program = program(words)?;
    let mut command = tokio::process::Command::new(program);
    command.args(words.iter().skip(1)).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().with_context(|| format!("{program}, which gives the master key, cannot be run"))?;
    let (Some(output), Some(said)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("{program} has no output");
    };
    let ended = async { tokio::try_join!(bounded(output, MAX_KEY), bounded(said, MAX_SAID), child.wait()) };
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    let ended = ended.with_context(|| {
        format!("{program}, which gives the master key, did not end within {} s", PATIENCE.as_secs())
    })?;
    let (output, said, status) = ended.with_context(|| format!("{program} cannot be heard"))?;
    if !status.success() {
        let said = shown(String::from_utf8_lossy(&said).trim());
        bail!("{program}, which gives the master key, ended with {status}: {said}");
    }
    Ok(output)
}

fn program(words: &[String]) -> anyhow::Result<&str> {
    words.first().map(String::as_str).context("the command for the master key names no program")
}

/// All of it, of which so many bytes are kept: longer than any key is no key.
async fn bounded(mut from: impl AsyncRead + Unpin, most: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or_default()));
    (&mut from).take(most).read_to_end(&mut bytes).await?;
    // Who still writes must be able to end.
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(bytes)
}
