//! `keyward session fetch-recording`.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use keyward_model::SessionId;
use keyward_policy::Policy;
use keyward_session::trail_name;

use super::session::{deleted, find};
use super::{load, open_to_look, shown};
use crate::args::FetchRecording;
use crate::object_store::{ObjectStore, Reach, StoreFault};

pub(super) async fn fetch(asked: &FetchRecording) -> anyhow::Result<()> {
    let policy = load(&asked.policy).await?;
    if asked.without_ledger {
        return fetch_named(asked, &policy).await;
    }
    let store = open_to_look(&policy).await;
    let store =
        store.context("where the gateway's disk is lost, --without-ledger fetches what the store has")?;
    let id = find(&store, &asked.id).await?;
    let record = store.trail_of(&id).await?.with_context(|| format!("session {id} has no recording"))?;
    if let Some(deletion) = &record.deletion {
        bail!("session {id}: {}", shown(&deleted(deletion)));
    }
    let parts = store.trail_parts(&id).await?;
    if record.object.is_none() && parts.is_empty() {
        let data = policy.node.data_dir.join("trails").join(&record.trail);
        bail!("no object store has the recording of session {id}: it is {}", data.display());
    }
    let objects = objects(&policy)?;
    let fetched = into(&asked.to, move |file| match &record.object {
        Some(object) => objects.fetch(object, file).map(|()| Reach::Whole),
        None => objects.fetch_parts(&parts, file).map(Reach::Parts),
    });
    let reach = fetched.await.with_context(|| format!("the recording of session {id} is not fetched"))?;
    say(&id.to_string(), &asked.to, reach);
    Ok(())
}

async fn fetch_named(asked: &FetchRecording, policy: &Policy) -> anyhow::Result<()> {
    let unique = SessionId::try_from(asked.id.clone()).map_or(asked.id.clone(), |id| id.unique().to_owned());
    anyhow::ensure!(
        unique.len() == 22 && unique.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{:?} is no id of a session: write svc/.../... or the 22 letters and digits before `.trail` in the name of its object",
        asked.id
    );
    let objects = objects(policy)?;
    let trail = trail_name(&unique);
    let key = objects.key(&trail);
    let fetched = into(&asked.to, move |file| objects.fetch_named(&trail, file)).await;
    let reach = fetched.with_context(|| format!("neither {key} nor {key}.partial/000001 is fetched"))?;
    say(&unique, &asked.to, reach);
    Ok(())
}

fn objects(policy: &Policy) -> anyhow::Result<ObjectStore> {
    let objects = policy.gateway.object_store.as_ref();
    let objects = objects.context("the policy document has no [gateway.object-store]")?;
    Ok(ObjectStore::new(objects)?)
}

/// Makes the file and fills it; a file that cannot be filled goes.
async fn into(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<Reach, StoreFault> + Send + 'static,
) -> anyhow::Result<Reach> {
    // What people typed is in it: nobody else reads it, as nobody else reads the trail.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.with_context(|| format!("{} cannot be made", path.display()))?;
    let filled = tokio::task::spawn_blocking(move || {
        let reach = fill(&mut file)?;
        file.sync_all().map_err(StoreFault::File)?;
        Ok::<_, StoreFault>(reach)
    });
    filled.await?.map_err(|error| {
        // Half a recording would look like one that was cut.
        let _ = fs::remove_file(path);
        error.into()
    })
}

fn say(session: &str, path: &Path, reach: Reach) {
    let path = path.display();
    match reach {
        Reach::Whole => println!("The recording of session {session} is in {path}, as it was sent."),
        Reach::Parts(count) => println!(
            "What the store has of the recording of session {session} is in {path}: {count} pieces, without the end."
        ),
    }
    println!("`keyward trail verify` checks its signatures.");
}
