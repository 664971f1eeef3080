//! Opening and closing the store.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::database::{Change, Database, On};
use crate::directory::{Claim, Directory};
use crate::place::Place;
use crate::sealing::Sealing;
use crate::{StoreError, data_key, schema};

/// What this node calls itself in the `node` column. A cluster will give each its own name.
pub(crate) const NODE: &str = "local";

/// The database of a data directory. Clones share it.
///
/// What a function has returned outlasts the death of the process. With SQLite a power failure may take the last
/// moments before it (WAL with `synchronous = NORMAL`), always as whole changes, unless [`Store::sync`] was called.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    sealing: Sealing,
    directory: Directory,
    // INVARIANT: the last field: nothing of ours is asked of the database once another gateway may come.
    _gateway: Option<File>,
}

impl Store {
    /// The file in the data directory.
    pub const DATABASE: &str = "keyward.db";

    /// Opens the store for the gateway: makes directory and database where there are none, brings the schema up to
    /// date, and holds the directory's `gateway.lock` until the last clone is dropped.
    ///
    /// # Errors
    /// [`StoreError::InUse`] names the process that has the lock, [`StoreError::ServedElsewhere`] is for a PostgreSQL that a
    /// gateway with another data directory has; [`StoreError::NewerSchema`] where a newer program wrote the database.
    pub async fn open<'p>(place: impl Into<Place<'p>>) -> Result<Self, StoreError> {
        let place = place.into();
        let directory = Directory::prepare(place.data_dir)?;
        let _opening = directory.begin_opening().await?;
        let gateway = match directory.claim()? {
            Claim::Ours(file) => file,
            Claim::Theirs(holder) => {
                return Err(StoreError::InUse { path: place.data_dir.to_owned(), holder });
            }
        };
        let database = place.connect(&directory).await?;
        schema::found(&database, &place.name(&directory)).await?;
        schema::migrate(&database, &place.name(&directory)).await?;
        Self::with(&place, database, directory, Some(gateway)).await
    }

    /// Opens the store for a command, beside a gateway that may be running.
    ///
    /// # Errors
    /// As [`Store::open`], and [`StoreError::OlderSchema`] where the running gateway is of an older version.
    pub async fn open_beside<'p>(place: impl Into<Place<'p>>) -> Result<Self, StoreError> {
        let place = place.into();
        let directory = Directory::prepare(place.data_dir)?;
        let _opening = directory.begin_opening().await?;
        let database = place.open_beside(&directory).await?;
        Self::with(&place, database, directory, None).await
    }

    /// Whether a gateway runs on the directory at this moment.
    pub async fn is_served(data_dir: &Path) -> Result<bool, StoreError> {
        let directory = Directory::prepare(data_dir)?;
        // A gateway that is starting must not find its lock taken by whoever only asks.
        let _opening = directory.begin_opening().await?;
        Ok(matches!(directory.claim()?, Claim::Theirs(_)))
    }

    /// Closes the connections once they are idle. Later calls on any clone fail.
    ///
    /// A store that is only dropped loses nothing; closing also writes the log back into the database file.
    pub async fn close(&self) {
        self.0.database.close().await;
    }

    /// Has the disk take all that was changed so far: a power cut does not take it back then.
    pub async fn sync(&self) -> Result<(), StoreError> {
        self.0.database.sync(self.0.directory.path()).await
    }

    async fn with(
        place: &Place<'_>,
        database: Database,
        directory: Directory,
        gateway: Option<File>,
    ) -> Result<Self, StoreError> {
        let sealing = data_key::open(place, &database, &directory).await?;
        Ok(Self(Arc::new(Inner { database, sealing, directory, _gateway: gateway })))
    }

    /// The key that what recordings are searched by is encrypted with: for this use alone, and the same for as long as the
    /// store is.
    pub fn search_key(&self) -> Zeroizing<[u8; 32]> {
        self.sealing().search_key()
    }

    /// See [`data_key::scrub`].
    pub(crate) async fn scrub(&self) {
        data_key::scrub(&self.0.database).await;
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    pub(crate) fn sealing(&self) -> &Sealing {
        &self.0.sealing
    }

    pub(crate) fn writer(&self) -> On<'_> {
        On::Writer(&self.0.database)
    }

    pub(crate) fn readers(&self) -> On<'_> {
        On::Readers(&self.0.database)
    }

    /// A transaction that has the right to write from its first statement; rolled back when dropped.
    pub(crate) async fn write(&self) -> Result<Change, StoreError> {
        Ok(self.0.database.write().await?)
    }

    /// A transaction in which all reads see the same moment.
    pub(crate) async fn read(&self) -> Result<Change, StoreError> {
        Ok(self.0.database.read().await?)
    }
}
