//! How one recording is deleted: it is compared with the ledger, the deletion is written down, the file goes, and that is
//! written down too.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use keyward_model::{SessionId, UnixMillis};
use keyward_policy::ObjectStorePolicy;
use keyward_store::{KeptBecause, LastLink, NewDeletion, Store, StoredObject, TheFile, TrailRecord};
use keyward_trail::{Integrity, ends_with_seal, verify};

use crate::object_store::{ObjectStore, apart, object_of};

/// The recordings of a gateway, as who deletes them sees them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recordings {
    pub(crate) store: Store,
    /// Where they are.
    pub(crate) trails: PathBuf,
    /// What the policy document has for those that are elsewhere by now.
    pub(crate) objects: Option<Arc<ObjectStorePolicy>>,
}

/// What the file of a recording is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// As the ledger has it.
    AsClosed(LastLink),
    Missing,
    /// Something else: in words.
    Other(String),
}

/// How far a deletion came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Deleted {
    Done,
    /// Nothing was deleted.
    Kept(KeptBecause),
}

/// What a deletion that was decided found in the place of the recording.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Finished {
    Done,
    /// Another file, which stays.
    Replaced(String),
}

/// The time of this machine's clock.
pub(crate) fn now() -> UnixMillis {
    SystemTime::now().into()
}

impl Recordings {
    /// Compares a recording with what the ledger has of it, by its length and its last block. Where the last block does not
    /// tell, as in one that a gateway's death has cut off, all of it is read.
    pub(crate) async fn look_at(&self, record: &TrailRecord) -> anyhow::Result<Found> {
        let path = self.path(record)?;
        let last = record.closed.as_ref().and_then(|closed| closed.last.clone());
        let of = last.clone();
        let looked = tokio::task::spawn_blocking(move || look_at(&path, of)).await?;
        let looked = looked
            .with_context(|| format!("{} cannot be read", self.trails.join(&record.trail).display()))?;
        match (looked, &record.object, last) {
            (Found::Missing, Some(object), Some(last)) if object.file != TheFile::Kept => {
                let (store, of) = (self.objects()?, object.clone());
                let there = apart(move || store.stat(&of)).await??;
                Ok(match there {
                    Some((length, etag)) if length == last.length && etag == object.etag => {
                        Found::AsClosed(last)
                    }
                    Some(_) => Found::Other("the object store has another object".to_owned()),
                    None => Found::Missing,
                })
            }
            (looked, _, _) => Ok(looked),
        }
    }

    /// # Errors
    /// Where the document names none any more: what is there is not forgotten.
    pub(crate) fn objects(&self) -> anyhow::Result<ObjectStore> {
        let policy = self.objects.as_ref().context(
            "the recording is in an object store, and the policy document has no [gateway.object-store]",
        )?;
        Ok(ObjectStore::new(policy)?)
    }

    /// Deletes a recording that was found to be what `new` says, unless the ledger has something that keeps it.
    ///
    /// # Errors
    /// Where the file cannot be removed: the deletion is written down then, and [`finish`](Self::finish) goes on with it.
    pub(crate) async fn delete(
        &self,
        record: &TrailRecord,
        new: &NewDeletion<'_>,
    ) -> anyhow::Result<Deleted> {
        if let Err(why) = self.store.decide_deletion(&record.session, new).await? {
            return Ok(Deleted::Kept(why));
        }
        self.remove(record).await?;
        Ok(Deleted::Done)
    }

    /// Goes on with a deletion that was decided, as after a crash. What is there in the place of the recording by now, if
    /// it is something else, may tell what has happened: it stays.
    pub(crate) async fn finish(&self, record: &TrailRecord) -> anyhow::Result<Finished> {
        let as_closed = record.deletion.as_ref().is_none_or(|deletion| deletion.as_closed);
        match self.look_at(record).await? {
            Found::Other(what) if as_closed => Ok(Finished::Replaced(what)),
            Found::AsClosed(_) | Found::Missing | Found::Other(_) => {
                self.remove(record).await?;
                Ok(Finished::Done)
            }
        }
    }

    async fn remove(&self, record: &TrailRecord) -> anyhow::Result<()> {
        let path = self.path(record)?;
        // Else a power cut could leave neither the file nor a word of why.
        self.store.sync().await?;
        // It may have been stored since `record` was read; none is after the decision.
        let now_known = self.store.trail_of(&record.session).await?;
        if let Some(object) = now_known.and_then(|record| record.object) {
            self.remove_object(object).await?;
        }
        self.remove_parts(&record.session).await?;
        // To free a large file takes the disk a while.
        tokio::task::spawn_blocking(move || remove(&path)).await??;
        self.store.finish_deletion(&record.session, now()).await?;
        Ok(())
    }

    async fn remove_object(&self, object: StoredObject) -> anyhow::Result<()> {
        let store = self.objects()?;
        Ok(apart(move || store.delete(&object)).await??)
    }

    /// Removes the pieces that an object store has of a recording, and forgets each when it is gone.
    pub(crate) async fn remove_parts(&self, session: &SessionId) -> anyhow::Result<()> {
        for part in self.store.trail_parts(session).await? {
            self.remove_object(object_of(&part)).await?;
            self.store.forget_part(session, part.number).await?;
        }
        Ok(())
    }

    /// The bytes that these files have, of those that are there.
    pub(crate) async fn bytes_of(&self, names: Vec<String>) -> anyhow::Result<u64> {
        let trails = self.trails.clone();
        let bytes = move || {
            let length = |name: &String| fs::symlink_metadata(trails.join(name)).map_or(0, |file| file.len());
            names.iter().map(length).fold(0, u64::saturating_add)
        };
        Ok(tokio::task::spawn_blocking(bytes).await?)
    }

    /// The ledger's names stay below the place of recordings.
    pub(crate) fn path(&self, record: &TrailRecord) -> anyhow::Result<PathBuf> {
        let name = Path::new(&record.trail);
        let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
        anyhow::ensure!(
            is_below,
            "the ledger has {:?} as a recording, which is no name of one",
            record.trail
        );
        Ok(self.trails.join(name))
    }
}

fn look_at(path: &Path, last: Option<LastLink>) -> io::Result<Found> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) => return Err(error),
    };
    let other = |what: String| Ok(Found::Other(what));
    if !file.is_file() {
        return other("it is no regular file".to_owned());
    }
    let Some(last) = last else { return other("it could not be read when it was closed".to_owned()) };
    if file.len() < last.length {
        return other(format!("it has {} bytes, and had {} when it was closed", file.len(), last.length));
    }
    let mut opened = File::open(path)?;
    if file.len() == last.length && ends_with_seal(&mut opened, &last.link)? {
        return Ok(Found::AsClosed(last));
    }
    match verify(BufReader::new(File::open(path)?), None, |_| ()) {
        Ok(found) if matches!(found.integrity, Integrity::Changed { .. } | Integrity::Unsigned { .. }) => {
            other("it was changed".to_owned())
        }
        Ok(found) if found.extent.length == last.length && found.extent.link() == last.link => {
            Ok(Found::AsClosed(last))
        }
        Ok(_) => other("it is another one".to_owned()),
        Err(keyward_trail::TrailError::Read(error)) => Err(error),
        Err(error) => other(error.to_string()),
    }
}

/// The name is gone for good afterwards, also after a power cut.
fn remove(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        Ok(()) | Err(_) => match File::open(folder).and_then(|folder| folder.sync_all()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be synced", folder.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        },
    }
}
