//! `keyward session pending`, `approve` and `deny`.

use std::path::Path;

use anyhow::bail;
use keyward_model::UnixMillis;
use keyward_store::{Approval, ApprovalDecision, Decided, SessionRecord, WaitingSession};
use serde_json::{Value, json};

use super::session::{find, open, summary, time};
use super::{shown, who};
use crate::args::DecideSession;
use crate::retention::now;

/// The sessions that wait for an approver.
pub(super) async fn pending(policy: &Path, json: bool) -> anyhow::Result<()> {
    let waiting = open(policy).await?.waiting_approvals().await?;
    if json {
        let rows: Vec<Value> = waiting.iter().map(row).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    if waiting.is_empty() {
        println!("No session waits for an approval.");
    }
    for session in &waiting {
        print(session);
    }
    Ok(())
}

/// Lets a session go on, or not.
pub(super) async fn decide(asked: &DecideSession, approved: bool) -> anyhow::Result<()> {
    let store = open(&asked.policy).await?;
    let id = find(&store, &asked.id).await?;
    let Some(record) = store.session(&id).await? else { bail!("no session has the id {id}") };
    if approved {
        refuse_own(&record)?;
    }
    let decision =
        ApprovalDecision { at: now(), approved, by: Some(who::asks()), comment: asked.comment.clone() };
    match store.decide_approval(&id, &decision).await? {
        Decided::Now => println!("Session {id} is {}.", if approved { "approved" } else { "denied" }),
        Decided::Before(before) => bail!("nothing is changed: session {id} was {}", told(&before)),
        Decided::Over => bail!("session {id} has ended meanwhile"),
        Decided::NotAsked => {
            bail!("session {id} does not wait for an approval: `keyward session pending` lists those that do")
        }
    }
    Ok(())
}

/// Four eyes are two people.
fn refuse_own(record: &SessionRecord) -> anyhow::Result<()> {
    let Some(person) = &record.summary.gateway_user else { return Ok(()) };
    if who::names().contains(person) {
        bail!("this session is {person}'s, whom you are logged in as: somebody else has to approve it");
    }
    Ok(())
}

fn row(session: &WaitingSession) -> Value {
    let mut value = summary(&session.summary);
    if let Value::Object(value) = &mut value {
        value.insert("gateway_groups".to_owned(), json!(session.gateway_groups));
        value.insert("additional_metadata".to_owned(), json!(session.additional_metadata));
        value.insert("approval".to_owned(), approval(&session.approval));
    }
    value
}

/// As `keyward session show --json` has it.
pub(super) fn approval(approval: &Approval) -> Value {
    let Approval { asked, until, decision } = approval;
    json!({
        "asked": time(*asked),
        "until": time(*until),
        "decided": decision.as_ref().map(|decision| json!({
            "at": time(decision.at),
            "approved": decision.approved,
            "by": decision.by,
            "comment": decision.comment,
        })),
    })
}

fn print(session: &WaitingSession) {
    let line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            println!("  {name:<12} {}", shown(value));
        }
    };
    let WaitingSession { summary, gateway_groups, additional_metadata, approval } = session;
    println!("{}", summary.id);
    line("gateway user", Some(summary.gateway_user.as_deref().unwrap_or("not known")));
    line("groups", gateway_groups.as_ref().map(|groups| groups.join(", ")).as_deref());
    line("client", Some(&summary.client.to_string()));
    line(
        "wants",
        Some(&format!(
            "{}@{} by {} ({})",
            summary.remote_user.as_deref().unwrap_or("-"),
            summary.target.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            summary.protocol,
            summary.connection,
        )),
    );
    line("metadata", additional_metadata.as_deref());
    line("waits", Some(&waits(approval.until, now())));
}

fn waits(until: UnixMillis, now: UnixMillis) -> String {
    match (until.0 - now.0) / 1000 {
        // A gateway that has died leaves sessions that wait, until it starts again.
        ..0 => "too long already: does the gateway run?".to_owned(),
        left => format!("for {left} s more"),
    }
}

/// As `keyward session show` has it.
pub(super) fn outcome(approval: &Approval) -> String {
    approval.decision.as_ref().map_or_else(|| format!("asked for until {}", time(approval.until)), told)
}

/// What somebody, or the end of the wait, has decided.
fn told(decision: &ApprovalDecision) -> String {
    let ApprovalDecision { at, approved, by, comment } = decision;
    let Some(by) = by else { return format!("approved by nobody until {}", time(*at)) };
    let word = if *approved { "approved" } else { "denied" };
    let comment = comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
    format!("{word} by {by} at {}{comment}", time(*at))
}
