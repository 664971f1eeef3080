//! `keyward session hold`, `release` and `delete-recording`.

use anyhow::{Context, bail};
use keyward_model::SessionId;
use keyward_store::{DeletionCause, Hold, NewDeletion, Said, Store};

use super::session::{deleted, find, open};
use super::{counted, load, open_to_look, shown, who};
use crate::args::{DeleteRecording, HoldRecording, ReleaseRecording};
use crate::data_dir::DataDir;
use crate::retention::{Deleted, Found, Recordings, now};
use crate::search_index::forget_deleted_if_any;

pub(super) async fn hold(asked: &HoldRecording) -> anyhow::Result<()> {
    let store = open(&asked.policy).await?;
    let id = find(&store, &asked.id).await?;
    let by = who::asks();
    let number = store.hold(&id, &Said { at: now(), reason: &asked.reason, by: &by }).await?;
    println!(
        "The recording of session {id} is on hold ({number}): nothing deletes it until the hold is released."
    );
    Ok(())
}

pub(super) async fn release(asked: &ReleaseRecording) -> anyhow::Result<()> {
    let store = open(&asked.policy).await?;
    let id = find(&store, &asked.id).await?;
    let holds = active(&store, &id).await?;
    let number = match (asked.hold, holds.as_slice()) {
        (_, []) => bail!("no hold is on the recording of session {id}"),
        (Some(number), _) => number,
        (None, [one]) => one.number,
        (None, several) => {
            let several: Vec<String> =
                several.iter().map(|hold| format!("{} ({})", hold.number, shown(&hold.reason))).collect();
            bail!("there are several holds on it: name one with --hold NUMBER: {}", several.join(", "))
        }
    };
    let by = who::asks();
    if !store.release(&id, number, &Said { at: now(), reason: &asked.reason, by: &by }).await? {
        bail!("no hold {number} is on the recording of session {id}");
    }
    match active(&store, &id).await?.len() {
        0 => println!("No hold is on the recording of session {id} any more."),
        left => {
            let left = counted(left, "other hold");
            println!("Hold {number} is released. The recording of session {id} is kept by {left}.");
        }
    }
    Ok(())
}

async fn active(store: &Store, id: &SessionId) -> anyhow::Result<Vec<Hold>> {
    Ok(store.holds(id).await?.into_iter().filter(|hold| hold.released.is_none()).collect())
}

pub(super) async fn delete(asked: &DeleteRecording) -> anyhow::Result<()> {
    let policy = load(&asked.policy).await?;
    let store = open_to_look(&policy).await?;
    let id = find(&store, &asked.id).await?;
    let record = store.trail_of(&id).await?.with_context(|| format!("session {id} has no recording"))?;
    if let Some(deletion) = &record.deletion {
        bail!("session {id}: {}", shown(&deleted(deletion)));
    }
    let refuse = |why: &str| anyhow::anyhow!("the recording of session {id} is not deleted: {why}");
    if let Some(why) = record.kept_because() {
        return Err(refuse(why.as_str()));
    }
    let objects = policy.gateway.object_store.clone();
    let data = policy.node.data_dir;
    let recordings = Recordings { store: store.clone(), trails: DataDir(data.clone()).trails(), objects };
    let found = match recordings.look_at(&record).await? {
        Found::AsClosed(last) => Some(last),
        Found::Missing => return Err(refuse("its file is missing, which a deletion would hide")),
        Found::Other(_) if asked.even_if_changed => None,
        Found::Other(what) => {
            let why =
                format!("{what}: it is evidence of something; --even-if-changed deletes it all the same");
            return Err(refuse(&why));
        }
    };
    let (by, cause) = (who::asks(), DeletionCause::Hand);
    let new = NewDeletion { at: now(), cause, reason: &asked.reason, by: Some(&by), found: found.as_ref() };
    match recordings.delete(&record, &new).await? {
        Deleted::Done => {
            println!("The recording of session {id} is deleted. Its record stays, with the reason.")
        }
        Deleted::Kept(why) => return Err(refuse(why.as_str())),
    }
    // Nothing of it is told from now on: this is about what lies on the disk.
    if let Err(error) = forget_deleted_if_any(&data, &store).await {
        eprintln!(
            "keyward: its text is still in the index, until the next `keyward session index`: {error:#}"
        );
    }
    Ok(())
}
