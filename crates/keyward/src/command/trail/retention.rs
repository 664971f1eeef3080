//! `keyward trail retention`: what would be deleted now, and what is kept although it is due.

use std::collections::HashSet;

use keyward_policy::Policy;
use keyward_store::TrailRecord;
use serde_json::{Value, json};

use crate::args::TrailRetention;
use crate::command::session::time;
use crate::command::{counted, load, open_to_look, shown};
use crate::data_dir::DataDir;
use crate::retention::{Due, Kept, Look, Plan, Recordings, now};

pub(super) async fn retention(asked: &TrailRetention) -> anyhow::Result<()> {
    let policy = load(&asked.policy).await?;
    let store = open_to_look(&policy).await?;
    if asked.clock_is_right {
        store.note_look(now()).await?;
        println!(
            "It is {}. The gateway deletes by age again, from its next look on: within an hour, at SIGHUP at once.",
            time(now())
        );
        return Ok(());
    }
    let objects = policy.gateway.object_store.clone();
    let trails = DataDir(policy.node.data_dir.clone()).trails();
    let recordings = Recordings { store, trails, objects };
    let known = HashSet::new();
    let look = Look { recordings: &recordings, policy: &policy, now: now(), most: usize::MAX, known: &known };
    let plan = look.plan().await?;
    if asked.json {
        println!("{:#}", as_json(&plan));
    } else {
        print(&plan, &policy);
    }
    Ok(())
}

fn print(plan: &Plan, policy: &Policy) {
    if !policy.has_terms() && policy.gateway.keep_at_most.is_none() {
        println!("This policy deletes no recording: it has neither `keep-for` nor `keep-at-most`.");
        return;
    }
    if let (true, Some(known)) = (policy.has_terms(), plan.clock.doubtful_since()) {
        println!(
            "Nothing is deleted by age: by the clock, more than a week has passed since {}. Where that is right, say so \
             with --clock-is-right.",
            time(known)
        );
    }
    for due @ Due { record, why, .. } in &plan.due {
        println!("DELETE  {}: {}", line(record, Some(due.found.length)), shown(&why.reason(record)));
    }
    for Kept { record, because } in &plan.kept {
        println!("KEEP    {}: {}", line(record, None), shown(&because.says()));
    }
    if plan.more_kept > 0 {
        println!("KEEP    {} more", plan.more_kept);
    }
    let bytes = freed(plan);
    let kept = u64::try_from(plan.kept.len()).unwrap_or(u64::MAX).saturating_add(plan.more_kept);
    let due = counted(plan.due.len(), "recording");
    println!("{due} would be deleted, with {bytes} bytes; {kept} of those that are due would be kept");
    if plan.over > 0 {
        println!("{} bytes are more than `keep-at-most`, and nothing else may be deleted", plan.over);
    }
}

fn line(record: &TrailRecord, bytes: Option<u64>) -> String {
    let bytes = bytes.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
    let ended = record.ended.map(|ended| format!(", ended {}", time(ended))).unwrap_or_default();
    format!("{}  session {}{ended}{bytes}", shown(&record.trail), record.session)
}

fn freed(plan: &Plan) -> u64 {
    plan.due.iter().map(|due| due.found.length).fold(0, u64::saturating_add)
}

fn as_json(plan: &Plan) -> Value {
    let one = |record: &TrailRecord| {
        json!({
            "session": record.session,
            "trail": record.trail,
            "connection": record.connection,
            "ended": record.ended.map(time),
        })
    };
    let with = |mut value: Value, key: &str, what: Value| {
        if let Value::Object(fields) = &mut value {
            fields.insert(key.to_owned(), what);
        }
        value
    };
    let due = plan.due.iter().map(|due| {
        let value = with(one(&due.record), "bytes", due.found.length.into());
        let value = with(value, "cause", due.why.cause().as_str().into());
        with(value, "reason", due.why.reason(&due.record).into())
    });
    let kept = plan.kept.iter().map(|kept| with(one(&kept.record), "because", kept.because.says().into()));
    json!({
        "delete": due.collect::<Vec<_>>(),
        "kept": kept.collect::<Vec<_>>(),
        "more_kept": plan.more_kept,
        "bytes_deleted": freed(plan),
        "bytes_over": plan.over,
        "clock_doubtful_since": plan.clock.doubtful_since().map(time),
    })
}
