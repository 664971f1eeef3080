//! Where a store is.

use std::path::{Path, PathBuf};

use crate::database::Database;
use crate::directory::{Claim, Directory};
use crate::{MasterKey, PostgresServer, StoreError, postgres, schema, sqlite};

/// The data directory of a node, the server that has its database, and the key of that. Locks are in the directory either way.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    pub data_dir: &'p Path,
    /// `None`: the database is a file in the directory.
    pub server: Option<&'p PostgresServer>,
    /// What opens the secrets in the database; `None`: `sealing.key` in the directory, which is made where it is not there.
    pub master_key: Option<&'p MasterKey>,
}

impl<'p> From<&'p Path> for Place<'p> {
    fn from(data_dir: &'p Path) -> Self {
        Self { data_dir, server: None, master_key: None }
    }
}

impl<'p> From<&'p PathBuf> for Place<'p> {
    fn from(data_dir: &'p PathBuf) -> Self {
        Self::from(data_dir.as_path())
    }
}

impl Place<'_> {
    /// For the gateway.
    pub(crate) async fn connect(&self, directory: &Directory) -> Result<Database, StoreError> {
        match self.server {
            Some(server) => postgres::open(server).await,
            None => sqlite::open(directory).await,
        }
    }

    /// For a command.
    async fn connect_beside(&self, directory: &Directory) -> Result<Database, StoreError> {
        match self.server {
            Some(server) => postgres::open_beside(server).await,
            None => sqlite::open(directory).await,
        }
    }

    /// For a command: brings the tables up to date as well, unless a gateway has them.
    pub(crate) async fn open_beside(&self, directory: &Directory) -> Result<Database, StoreError> {
        let database = self.connect_beside(directory).await?;
        let found = schema::found(&database, &self.name(directory)).await?;
        if found < schema::KNOWN {
            migrate_unless_in_use(self, directory, found).await?;
        }
        Ok(database)
    }

    /// What errors call the database.
    pub(crate) fn name(&self, directory: &Directory) -> String {
        self.server.map_or_else(|| directory.database().display().to_string(), ToString::to_string)
    }
}

/// Migrates for a command, holding the gateway's locks meanwhile: no table changes under a running gateway.
async fn migrate_unless_in_use(
    place: &Place<'_>,
    directory: &Directory,
    found: i64,
) -> Result<(), StoreError> {
    let name = place.name(directory);
    let _gateway = match directory.claim()? {
        Claim::Ours(file) => file,
        Claim::Theirs(holder) => {
            return Err(StoreError::OlderSchema { database: name, found, known: schema::KNOWN, holder });
        }
    };
    let database = place.connect(directory).await?;
    schema::migrate(&database, &name).await?;
    database.close().await;
    Ok(())
}
