//! `keyward demo --check`: the same by itself, with the system's ssh, and everything looked at afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keyward_model::Verdict;
use keyward_store::{PluginState, SessionRecord};
use keyward_trail::{Direction, Ending, Event, Reader};
use tokio::process::Command;

use super::setup::{CODE, Demo, USER};

const PATIENCE: Duration = Duration::from_secs(60);

/// Fails at the first thing that is missing.
pub(super) async fn check(demo: &Demo) -> anyhow::Result<ExitCode> {
    println!("Logging in with the system's ssh ...");
    let right = ssh(demo, CODE).await?;
    let shown = String::from_utf8_lossy(&right.stdout);
    ensure!(
        right.status.success() && shown.trim() == USER,
        "`whoami` through the gateway said {shown:?}, {}: {}",
        right.status,
        String::from_utf8_lossy(&right.stderr)
    );
    done("the right code opens the target, which says who we are");

    let wrong = ssh(demo, "000000").await?;
    ensure!(!wrong.status.success(), "a wrong code must not open the target");
    done("a wrong code does not");

    let sessions = settled(demo, 2).await?;
    check_refused(sessions.first().context("the refused session is missing")?)?;
    let session = sessions.get(1).context("the session is missing")?;
    check_record(session)?;
    let trail = session.trail.as_ref().context("the session has no recording")?;
    check_trail(&demo.trails().join(trail))?;
    check_password(demo, &right)?;
    println!("All is well.");
    Ok(ExitCode::SUCCESS)
}

fn done(what: &str) {
    println!("  ok: {what}");
}

/// Runs `whoami` on the target; the code is typed by an askpass program, as a person would at the prompt.
async fn ssh(demo: &Demo, code: &str) -> anyhow::Result<Output> {
    let askpass = askpass(demo.scratch(), code)?;
    let address = demo.address();
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-T", "-p", &address.port().to_string()])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR"])
        .arg(format!("gu=alice@{USER}@{}", address.ip()))
        .arg("whoami")
        .env("SSH_ASKPASS", askpass)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, ssh.output()).await.context("ssh did not end")?;
    output.context("ssh cannot be started: `apt-get install openssh-client` brings it")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo is the one place beside the plugins that starts a program"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}

fn askpass(scratch: &Path, code: &str) -> anyhow::Result<PathBuf> {
    let path = scratch.join(format!("askpass-{code}"));
    std::fs::write(&path, format!("#!/bin/sh\necho {code}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

/// Waits until `count` sessions have ended and every plugin has heard of it.
async fn settled(demo: &Demo, count: usize) -> anyhow::Result<Vec<SessionRecord>> {
    let wait = async {
        loop {
            let sessions = demo.sessions().await?;
            let over = |s: &SessionRecord| {
                s.summary.ended.is_some() && s.plugins.iter().all(|plugin| plugin.state == PluginState::Ended)
            };
            if sessions.len() == count && sessions.iter().all(over) {
                return Ok(sessions);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.context("the sessions were not settled in time")?
}

fn check_refused(session: &SessionRecord) -> anyhow::Result<()> {
    let verdict = session.summary.verdict;
    ensure!(verdict == Some(Verdict::Deny), "the refused session has verdict {verdict:?}, not deny");
    done("the refused session is in the record with verdict deny");
    Ok(())
}

fn check_record(session: &SessionRecord) -> anyhow::Result<()> {
    let verdict = session.summary.verdict;
    ensure!(verdict == Some(Verdict::Accept), "the session has verdict {verdict:?}, not accept");
    for (instance, hook) in [
        ("otp", "authenticate"),
        ("otp", "authorize"),
        ("otp", "session_ended"),
        ("vault", "get_password_list"),
        ("vault", "authentication_completed"),
        ("vault", "session_ended"),
    ] {
        let calls = || session.calls.iter().filter(|c| c.instance.as_str() == instance && c.hook == hook);
        ensure!(calls().count() > 0, "{instance}.{hook} was not called");
        ensure!(calls().all(|call| call.outcome.as_deref() == Some("ok")), "{instance}.{hook} failed");
        ensure!(hook != "session_ended" || calls().count() == 1, "{instance}.{hook} must be called once");
    }
    done("each hook was called, and session_ended exactly once for each plugin");
    Ok(())
}

fn check_trail(path: &Path) -> anyhow::Result<()> {
    let mut reader = Reader::open(path, &[])?;
    let mut shown = Vec::new();
    for event in &mut reader {
        if let (_, Event::Data { direction: Direction::ToClient, bytes, .. }) = event? {
            shown.extend_from_slice(&bytes);
        }
    }
    let shown = String::from_utf8_lossy(&shown).into_owned();
    ensure!(shown.trim() == USER, "the recording shows {shown:?}");
    match reader.ending() {
        Some(Ending::Finished { .. }) => {}
        Some(Ending::Unfinished) | None => bail!("the recording has no end"),
    }
    done("the recording has what was shown, and an end");
    Ok(())
}

/// The target's password stays between plugin and target.
fn check_password(demo: &Demo, output: &Output) -> anyhow::Result<()> {
    let secret = demo.password.expose().as_bytes();
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    ensure!(!holds(&output.stdout) && !holds(&output.stderr), "the client saw the password");
    for file in files(&demo.scratch().join("data"))? {
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        ensure!(!holds(&bytes), "the password is in {}", file.display());
    }
    done("the target's password was shown to nobody and written nowhere");
    Ok(())
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
