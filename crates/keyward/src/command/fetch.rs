//! `keyward session fetch-recording`.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, bail};

use super::session::{deleted, find};
use super::{load, open_to_look, shown};
use crate::args::FetchRecording;
use crate::object_store::ObjectStore;

pub(super) async fn fetch(asked: &FetchRecording) -> anyhow::Result<()> {
    let policy = load(&asked.policy)?;
    let store = open_to_look(&policy).await?;
    let id = find(&store, &asked.id).await?;
    let record = store.trail_of(&id).await?.with_context(|| format!("session {id} has no recording"))?;
    if let Some(deletion) = &record.deletion {
        bail!("session {id}: {}", shown(&deleted(deletion)));
    }
    let Some(object) = record.object else {
        let data = policy.gateway.data_dir.join("trails").join(&record.trail);
        bail!("no object store has the recording of session {id}: it is {}", data.display());
    };
    let objects = policy.gateway.object_store.as_ref();
    let objects = objects.with_context(|| {
        format!("the recording is in {}, and the policy document has no [gateway.object-store]", object.store)
    })?;
    let objects = ObjectStore::new(objects)?;
    let path = asked.to.clone();
    // What people typed is in it: nobody else reads it, as nobody else reads the trail.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = made.with_context(|| format!("{} cannot be made", path.display()))?;
    let fetched = tokio::task::spawn_blocking(move || objects.fetch(&object, &mut file)).await?;
    if let Err(error) = fetched {
        // Half a recording would look like one that was cut.
        let _ = fs::remove_file(&path);
        return Err(error).with_context(|| format!("the recording of session {id} is not fetched"));
    }
    println!(
        "The recording of session {id} is in {}, as it was sent. `keyward trail verify` checks its signatures.",
        path.display()
    );
    Ok(())
}
