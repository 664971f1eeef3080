//! The row that has the data key, wrapped with the master key.

use std::path::Path;

use crate::database::{Change, Database, On, Row};
use crate::directory::Directory;
use crate::key_file::KeyFile;
use crate::resealing::{Opener, reseal};
use crate::sealing::{DataKey, Sealing};
use crate::{MasterKey, Place, StoreError, row, sql};

/// A data key as it lies in the database.
pub(crate) struct Wrapped {
    /// The name of the master key.
    master: String,
    wrapped: Vec<u8>,
    scrubbed: bool,
}

/// Opens the secrets of a database. One that was never opened with this schema gets its data key first, and everything that
/// lies there in the clear is sealed: all in one change. The caller has the right to open the directory.
///
/// # Errors
/// [`StoreError::WrongMasterKey`] and [`StoreError::NoKeyFile`] where another key has sealed it. Nothing was changed.
pub(crate) async fn open(
    place: &Place<'_>,
    database: &Database,
    directory: &Directory,
) -> Result<Sealing, StoreError> {
    let name = place.name(directory);
    let found = match find(On::Readers(database)).await? {
        Some(found) => found,
        None => begin(place, database, directory).await?,
    };
    let key = found.unwrap(&given(place, directory, &found.master)?, &name)?;
    if !found.scrubbed {
        scrub(database).await;
    }
    if place.master_key.is_some() && KeyFile::path(directory.path()).exists() {
        tracing::warn!(
            path = %KeyFile::path(directory.path()).display(),
            "this key opens older copies of the store, and is of no more use otherwise: remove it once no copy needs it"
        );
    }
    key.sealing()
}

/// The master key of a place whose database is wrapped with the key `needed`.
fn given(place: &Place<'_>, directory: &Directory, needed: &str) -> Result<MasterKey, StoreError> {
    match place.master_key {
        Some(key) => Ok(key.clone()),
        None => of_file(&place.name(directory), directory.path(), needed),
    }
}

/// The master key of the file in the data directory, which must be there.
pub(crate) fn of_file(database: &str, directory: &Path, needed: &str) -> Result<MasterKey, StoreError> {
    let no_file = || StoreError::NoKeyFile {
        database: database.to_owned(),
        path: KeyFile::path(directory),
        needed: needed.to_owned(),
    };
    KeyFile::read(directory)?.ok_or_else(no_file)?.master()
}

pub(crate) async fn find(on: impl Into<On<'_>>) -> Result<Option<Wrapped>, StoreError> {
    let found = sql::query("SELECT master_key, wrapped, scrubbed FROM data_keys WHERE id = 1");
    found.fetch_optional(on).await?.as_ref().map(wrapped).transpose()
}

impl Wrapped {
    pub(crate) fn is_of(&self, master: &MasterKey) -> Result<bool, StoreError> {
        Ok(self.master == master.name()?)
    }

    pub(crate) fn master(&self) -> &str {
        &self.master
    }

    /// `database` is for the error.
    pub(crate) fn unwrap(&self, master: &MasterKey, database: &str) -> Result<DataKey, StoreError> {
        if self.is_of(master)? {
            return DataKey::unwrap(&self.wrapped, master);
        }
        let (needed, given) = (self.master.clone(), master.name()?);
        Err(StoreError::WrongMasterKey { database: database.to_owned(), needed, given })
    }
}

/// The first data key. Another process may be faster.
async fn begin(place: &Place<'_>, database: &Database, directory: &Directory) -> Result<Wrapped, StoreError> {
    let mut change = database.write().await?;
    if let Some(found) = find(&mut change).await? {
        return Ok(found);
    }
    let before = KeyFile::read(directory.path())?;
    let master = match place.master_key {
        Some(key) => key.clone(),
        None => KeyFile::read_or_make(directory.path())?.master()?,
    };
    let key = match &before {
        Some(file) => DataKey::after(file)?,
        None => DataKey::new()?,
    };
    let sealed = reseal(&mut change, &Opener::Before(before.as_ref()), &key.sealing()?).await?;
    sql::query("INSERT INTO data_keys (id, master_key, wrapped, scrubbed) VALUES (1, $1, $2, $3)")
        .bind(master.name()?)
        .bind(key.wrap(&master)?)
        .bind(sealed == 0)
        .execute(&mut change)
        .await?;
    let made = find(&mut change).await?.ok_or(StoreError::Sealing)?;
    change.commit().await?;
    Ok(made)
}

/// Puts another data key, or the same with another master key, in place of the one that is there.
pub(crate) async fn replace(
    change: &mut Change,
    key: &DataKey,
    master: &MasterKey,
    scrubbed: bool,
) -> Result<(), StoreError> {
    sql::query("UPDATE data_keys SET master_key = $1, wrapped = $2, scrubbed = scrubbed AND $3 WHERE id = 1")
        .bind(master.name()?)
        .bind(key.wrap(master)?)
        .bind(scrubbed)
        .execute(change)
        .await?;
    Ok(())
}

/// Writes the file of a SQLite anew, without the pages in which replaced secrets may still be. Where that fails, the next
/// start tries again. A PostgreSQL does it by its own clock.
pub(crate) async fn scrub(database: &Database) {
    if let Err(error) = try_scrub(database).await {
        tracing::warn!(%error, "replaced secrets may still be in free pages of the database: the next start tries again");
    }
}

async fn try_scrub(database: &Database) -> Result<(), sqlx::Error> {
    match database {
        Database::Sqlite { .. } => {
            sql::query("VACUUM").execute(On::Writer(database)).await?;
            sql::query("UPDATE data_keys SET scrubbed = TRUE").execute(On::Writer(database)).await?;
            sql::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(On::Writer(database)).await?;
        }
        Database::Postgres { .. } => {
            sql::query("UPDATE data_keys SET scrubbed = TRUE").execute(On::Writer(database)).await?;
        }
    }
    Ok(())
}

fn wrapped(found: &Row) -> Result<Wrapped, StoreError> {
    Ok(Wrapped {
        master: row::text(found, "master_key")?,
        wrapped: found.try_get("wrapped")?,
        scrubbed: row::flag(found, "scrubbed")?,
    })
}
