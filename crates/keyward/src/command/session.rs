//! `keyward session`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use keyward_model::{InstanceName, SessionId, UnixMillis};
use keyward_store::{
    Approval, CallEntry, ClosedTrail, Deletion, Hold, SessionRecord, SessionSummary, Store, StoredObject,
    TheFile, TrailPart,
};
use serde_json::{Value, json};

use super::approve::{self, decide, pending};
use super::fetch::fetch;
use super::index::index;
use super::search::search;
use super::terminate::terminate;
use super::{hold, load, open_to_look, shown};
use crate::args::Session;

pub(crate) async fn session(command: Session) -> anyhow::Result<ExitCode> {
    match command {
        Session::List { policy, limit, held: false, json } => {
            list(&open(&policy).await?.sessions(limit, None).await?, json, "No session yet.")?;
        }
        Session::List { policy, limit, held: true, json } => {
            list(&open(&policy).await?.held_sessions(limit).await?, json, "No recording is on hold.")?;
        }
        Session::Show { id, policy, json } => show(&policy, &id, json).await?,
        Session::Repeat { id, instance, policy } => repeat(&policy, &id, &instance).await?,
        Session::Search(asked) => search(&asked).await?,
        Session::Index(asked) => return index(&asked).await,
        Session::Pending { policy, json } => pending(&policy, json).await?,
        Session::Approve(asked) => decide(&asked, true).await?,
        Session::Deny(asked) => decide(&asked, false).await?,
        Session::Terminate(asked) => terminate(&asked).await?,
        Session::Hold(asked) => hold::hold(&asked).await?,
        Session::Release(asked) => hold::release(&asked).await?,
        Session::FetchRecording(asked) => fetch(&asked).await?,
        Session::DeleteRecording(asked) => hold::delete(&asked).await?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn open(policy: &Path) -> anyhow::Result<Store> {
    open_to_look(&load(policy).await?).await
}

fn list(sessions: &[SessionSummary], json: bool, none: &str) -> anyhow::Result<()> {
    if json {
        let rows: Vec<Value> = sessions.iter().map(summary).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    if sessions.is_empty() {
        println!("{none}");
    }
    for session in sessions {
        println!(
            "{}  {:<17} {} -> {}@{}  from {}  {}",
            time(session.started),
            session.verdict.map_or("open", |verdict| verdict.as_str()),
            shown(session.gateway_user.as_deref().unwrap_or("-")),
            shown(session.remote_user.as_deref().unwrap_or("-")),
            session.target.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            session.client,
            session.id,
        );
    }
    Ok(())
}

async fn show(policy: &Path, id: &str, json: bool) -> anyhow::Result<()> {
    let store = open(policy).await?;
    let id = find(&store, id).await?;
    let Some(record) = store.session(&id).await? else { bail!("no session has the id {id}") };
    let object = store.trail_of(&id).await?.and_then(|trail| trail.object);
    let parts = store.trail_parts(&id).await?;
    let approval = store.approval(&id).await?;
    if json {
        let mut whole = whole(&record);
        if let Value::Object(whole) = &mut whole {
            whole.insert("approval".to_owned(), approval.as_ref().map(approve::approval).into());
        }
        if let (Value::Object(whole), Some(object)) = (&mut whole, object) {
            let stored = time(object.stored);
            let mut object = serde_json::to_value(object)?;
            if let Value::Object(object) = &mut object {
                object.insert("stored".to_owned(), Value::String(stored));
            }
            whole.insert("trail_object".to_owned(), object);
        }
        println!("{whole:#}");
    } else {
        print(&record, approval.as_ref(), object.as_ref());
        print_parts(&parts);
    }
    Ok(())
}

async fn repeat(policy: &Path, id: &str, instance: &str) -> anyhow::Result<()> {
    let store = open(policy).await?;
    let id = find(&store, id).await?;
    let instance = InstanceName::try_from(instance)?;
    if !store.repeat_interrupted(&id, &instance).await? {
        bail!("session_ended of {instance} was not interrupted in session {id}: nothing is repeated");
    }
    println!(
        "session_ended of {instance} is owed again; the gateway calls it within seconds, or at its next start."
    );
    Ok(())
}

/// The whole id, or its 22 characters as file names have them.
pub(super) async fn find(store: &Store, text: &str) -> anyhow::Result<SessionId> {
    if let Ok(id) = SessionId::try_from(text.to_owned()) {
        return Ok(id);
    }
    store.session_of(text).await?.with_context(|| format!("no session has the id {text:?}"))
}

/// A moment, in UTC.
pub(in crate::command) fn time(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |time| format!("{time:.3}"))
}

pub(super) fn summary(session: &SessionSummary) -> Value {
    json!({
        "id": session.id,
        "protocol": session.protocol,
        "connection": session.connection,
        "client": session.client,
        "login": session.login,
        "jump_host": session.jump_host,
        "started": time(session.started),
        "ended": session.ended.map(time),
        "verdict": session.verdict,
        "reason": session.reason,
        "gateway_user": session.gateway_user,
        "remote_user": session.remote_user,
        "target": session.target.as_ref().map(|target| json!({
            "address": target.addr.to_string(),
            "hostname": target.hostname,
        })),
    })
}

fn whole(record: &SessionRecord) -> Value {
    let mut value = summary(&record.summary);
    let more = json!({
        "gateway_groups": record.gateway_groups,
        "additional_metadata": record.additional_metadata,
        "trail": record.trail,
        "trail_signer": record.trail_signer,
        "trail_closed": record.trail_closed,
        "trail_deletion": record.trail_deletion.as_ref().map(|deletion| json!({
            "decided": time(deletion.decided),
            "done": deletion.done.map(time),
            "cause": deletion.cause,
            "reason": deletion.reason,
            "by": deletion.by,
            "as_closed": deletion.as_closed,
        })),
        "holds": record.holds.iter().map(hold_json).collect::<Vec<_>>(),
        "plugins": record.plugins.iter().map(|plugin| json!({
            "instance": plugin.instance,
            "role": plugin.role.as_str(),
            "bundle": plugin.bundle,
            "version": plugin.version,
            "sha256": plugin.checksum,
            "revision": plugin.revision,
            "follows_updates": plugin.follow_updates,
            "state": plugin.state.as_str(),
            "outcome": plugin.outcome,
        })).collect::<Vec<_>>(),
        "calls": record.calls.iter().map(call).collect::<Vec<_>>(),
        "notes": record.notes.iter().map(|note| json!({"at": time(note.at), "text": note.text})).collect::<Vec<_>>(),
        "notes_left_out": record.notes_left_out,
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

fn hold_json(hold: &Hold) -> Value {
    json!({
        "number": hold.number,
        "placed": time(hold.placed),
        "reason": hold.reason,
        "by": hold.by,
        "released": hold.released.as_ref().map(|released| json!({
            "at": time(released.at),
            "reason": released.reason,
            "by": released.by,
        })),
    })
}

fn call(call: &CallEntry) -> Value {
    json!({
        "instance": call.instance,
        "hook": call.hook,
        "version": call.version,
        "round": call.round,
        "started": time(call.started),
        "duration_ms": call.duration.map(|duration| duration.as_secs_f64() * 1000.0),
        "verdict": call.verdict,
        "outcome": call.outcome,
        "exit": call.exit,
        "error": call.error,
        "traceback": call.traceback,
        "log": call.log.iter().map(|l| json!({"stream": l.stream, "line": l.line})).collect::<Vec<_>>(),
        "log_left_out": call.log_left_out,
    })
}

fn print(record: &SessionRecord, approval: Option<&Approval>, object: Option<&StoredObject>) {
    let session = &record.summary;
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            println!("{name:<13} {}", shown(&value));
        }
    };
    line("session", Some(session.id.to_string()));
    line("protocol", Some(session.protocol.to_string()));
    line("connection", Some(session.connection.to_string()));
    line("client", Some(session.client.to_string()));
    line("login", session.login.clone());
    line("jump host", session.jump_host.as_ref().map(ToString::to_string));
    line("gateway user", session.gateway_user.clone());
    line("groups", record.gateway_groups.as_ref().map(|groups| groups.join(", ")));
    line("remote user", session.remote_user.clone());
    line("target", session.target.as_ref().map(ToString::to_string));
    line("started", Some(time(session.started)));
    line("ended", session.ended.map(time));
    line("verdict", Some(session.verdict.map_or("open".to_owned(), |verdict| verdict.to_string())));
    line("reason", session.reason.clone());
    line("metadata", record.additional_metadata.clone());
    line("approval", approval.map(approve::outcome));
    line("recording", record.trail.clone());
    line("signed by", record.trail_signer.clone());
    if let Some(ClosedTrail { end, last }) = &record.trail_closed {
        let last = last.as_ref().map(|last| format!(", {} bytes to link {}", last.length, last.link));
        line("closed", Some(format!("{end}{}", last.unwrap_or_default())));
    }
    line("stored", object.map(stored));
    line("deleted", record.trail_deletion.as_ref().map(deleted));
    for hold in &record.holds {
        let Hold { number, placed, reason, by, released } = hold;
        line("hold", Some(format!("{number}: since {} by {by}: {reason}", time(*placed))));
        let released = released.as_ref();
        line("released", released.map(|r| format!("{number}: {} by {}: {}", time(r.at), r.by, r.reason)));
    }
    for plugin in &record.plugins {
        let outcome =
            plugin.outcome.as_ref().map(|outcome| format!(", session_ended: {outcome}")).unwrap_or_default();
        let version = plugin.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let about =
            format!("{} ({}{version}, {}){outcome}", plugin.instance, plugin.bundle, plugin.state.as_str());
        line("plugin", Some(about));
    }
    for note in &record.notes {
        let is_file = note.text.starts_with("sftp: ") || note.text.starts_with("scp: ");
        line(if is_file { "file" } else { "decision" }, Some(format!("{}  {}", time(note.at), note.text)));
    }
    for call in &record.calls {
        print_call(call);
    }
}

/// What an object store has of a recording while it does not have the whole.
fn print_parts(parts: &[TrailPart]) {
    let there = parts.iter().filter(|part| part.stored.is_some());
    if let Some((last, stored)) = there.clone().next_back().and_then(|last| Some((last, last.stored?))) {
        let (count, bytes) = (there.clone().count(), there.map(|part| part.length).sum::<u64>());
        let has = format!("{} has {count} pieces, {bytes} bytes, until {}", last.store, time(stored));
        println!("{:<13} {}", "in pieces", shown(&has));
    }
}

/// Where a recording is beside the disk, or instead of it.
fn stored(object: &StoredObject) -> String {
    let StoredObject { store, key, length, sha256, stored, file, .. } = object;
    let file = match file {
        TheFile::Kept => "",
        TheFile::Going | TheFile::Gone => {
            "; its file is removed, `keyward session fetch-recording` fetches it"
        }
    };
    format!("{store} has it as {key} since {}, {length} bytes, SHA-256 {sha256}{file}", time(*stored))
}

/// Why a recording is no more.
pub(in crate::command) fn deleted(deletion: &Deletion) -> String {
    let Deletion { decided, cause: _, reason, by, as_closed, done } = deletion;
    let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let changed = if *as_closed { "" } else { "; it was not as it was closed" };
    match done {
        Some(done) => format!("recording deleted at {}{by}: {reason}{changed}", time(*done)),
        None => format!(
            "recording to be deleted since {}{by}, which the gateway finishes: {reason}{changed}",
            time(*decided)
        ),
    }
}

fn print_call(call: &CallEntry) {
    let more = |name: &str, value: Option<&String>| {
        value.map(|value| format!("  {name}{}", shown(value))).unwrap_or_default()
    };
    let took = call.duration.map_or("running".to_owned(), |d| format!("{:.1} ms", d.as_secs_f64() * 1000.0));
    println!(
        "\n{}  {}.{} #{}  {took}  {}{}{}{}",
        time(call.started),
        call.instance,
        call.hook,
        call.round,
        call.outcome.as_deref().unwrap_or("no result"),
        more("", call.verdict.as_ref()),
        more("exit: ", call.exit.as_ref()),
        more("version ", call.version.as_ref()),
    );
    for log in &call.log {
        println!("  {}: {}", log.stream, shown(&log.line));
    }
    if call.log_left_out > 0 {
        println!("  ({} more lines were not kept)", call.log_left_out);
    }
    if let Some(error) = &call.error {
        println!("  error: {}", shown(error));
    }
    for line in call.traceback.iter().flat_map(|text| text.lines()) {
        println!("    {}", shown(line));
    }
}
