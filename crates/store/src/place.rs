//! Where a store is.

use std::path::{Path, PathBuf};

use crate::database::Database;
use crate::directory::Directory;
use crate::{PostgresServer, StoreError, postgres, sqlite};

/// The data directory of a node, and the server that has its database. Keys and locks are in the directory either way.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    pub data_dir: &'p Path,
    /// `None`: the database is a file in the directory.
    pub server: Option<&'p PostgresServer>,
}

impl<'p> From<&'p Path> for Place<'p> {
    fn from(data_dir: &'p Path) -> Self {
        Self { data_dir, server: None }
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
    pub(crate) async fn connect_beside(&self, directory: &Directory) -> Result<Database, StoreError> {
        match self.server {
            Some(server) => postgres::open_beside(server).await,
            None => sqlite::open(directory).await,
        }
    }

    /// What errors call the database.
    pub(crate) fn name(&self, directory: &Directory) -> String {
        self.server.map_or_else(|| directory.database().display().to_string(), ToString::to_string)
    }
}
