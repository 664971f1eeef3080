//! Another master key, and another data key.

use crate::database::Database;
use crate::directory::Directory;
use crate::key_file::KeyFile;
use crate::resealing::{Opener, reseal};
use crate::{MasterKey, Place, Store, StoreError, data_key};

/// What became of a master key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// The one of the place opens the store from now on, and the one before does not any more.
    Rotated,
    /// The one of the place opens the store already. Nothing was changed.
    Same,
}

impl Store {
    /// Has the master key of a place open a store that is there, in place of `previous`; `None`: of the `sealing.key` in the
    /// data directory. A gateway that is running goes on. When this returns the disk has it, and `previous` may go.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`] and [`StoreError::NoKeyFile`] where neither opens the store. Nothing was changed.
    pub async fn rotate_master_key<'p>(
        place: impl Into<Place<'p>>,
        previous: Option<&MasterKey>,
    ) -> Result<Rotation, StoreError> {
        let place = place.into();
        let directory = Directory::prepare(place.data_dir)?;
        let _opening = directory.begin_opening().await?;
        let database = place.open_beside(&directory).await?;
        let rotated = rotate(&place, previous, &database, &directory).await;
        database.close().await;
        rotated
    }

    /// Seals every secret with a new data key, for when somebody may have the one that there is. No gateway may run. How many
    /// secrets there were.
    ///
    /// # Errors
    /// As [`Store::open`]. Nothing was changed.
    pub async fn reseal<'p>(place: impl Into<Place<'p>>) -> Result<u64, StoreError> {
        let place = place.into();
        // It holds the lock of the gateway, whose processes have the old key in memory.
        let store = Self::open(place).await?;
        let name = place.name(store.directory());
        let mut change = store.write().await?;
        let found = data_key::find(&mut change).await?.ok_or(StoreError::Sealing)?;
        let master = match place.master_key {
            Some(key) => key.clone(),
            None => data_key::of_file(&name, place.data_dir, found.master())?,
        };
        let old = found.unwrap(&master, &name)?;
        let new = old.next()?;
        let sealed = reseal(&mut change, &Opener::Sealed(&old.sealing()?), &new.sealing()?).await?;
        data_key::replace(&mut change, &new, &master, false).await?;
        change.commit().await?;
        store.scrub().await;
        store.sync().await?;
        store.close().await;
        Ok(sealed)
    }
}

async fn rotate(
    place: &Place<'_>,
    previous: Option<&MasterKey>,
    database: &Database,
    directory: &Directory,
) -> Result<Rotation, StoreError> {
    let name = place.name(directory);
    let mut change = database.write().await?;
    let Some(found) = data_key::find(&mut change).await? else {
        change.rollback().await?;
        return data_key::open(place, database, directory).await.map(|_| Rotation::Same);
    };
    let new = match place.master_key {
        Some(key) => key.clone(),
        None => KeyFile::read_or_make(directory.path())?.master()?,
    };
    if found.is_of(&new)? {
        found.unwrap(&new, &name)?;
        return Ok(Rotation::Same);
    }
    let old = match previous {
        Some(key) => key.clone(),
        None => data_key::of_file(&name, directory.path(), found.master())?,
    };
    let key = found.unwrap(&old, &name)?;
    data_key::replace(&mut change, &key, &new, true).await?;
    change.commit().await?;
    database.sync(directory.path()).await?;
    Ok(Rotation::Rotated)
}
