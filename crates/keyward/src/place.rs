//! Where the store of a node is.

use std::path::Path;

use keyward_policy::{DatabaseServer, NodeSettings};
use keyward_store::{MasterKey, Place, PostgresServer, Store};

use crate::master_key;

/// The store of a node, for the gateway.
pub(crate) async fn open(node: &NodeSettings) -> anyhow::Result<Store> {
    Ok(Store::open(parts(node).await?.place(node)).await?)
}

/// The same for a command, beside a gateway that may be running.
pub(crate) async fn open_beside(node: &NodeSettings) -> anyhow::Result<Store> {
    Ok(Store::open_beside(parts(node).await?.place(node)).await?)
}

/// What a store is opened with, besides its data directory.
pub(crate) struct Parts {
    server: Option<PostgresServer>,
    master_key: Option<MasterKey>,
}

/// Reads the master key from where it is.
pub(crate) async fn parts(node: &NodeSettings) -> anyhow::Result<Parts> {
    let master_key = match &node.master_key {
        Some(source) => Some(master_key::read(source).await?),
        None => None,
    };
    Ok(Parts { server: node.database.as_ref().map(server), master_key })
}

impl Parts {
    pub(crate) fn place<'p>(&'p self, node: &'p NodeSettings) -> Place<'p> {
        Place { data_dir: &node.data_dir, server: self.server.as_ref(), master_key: self.master_key.as_ref() }
    }
}

/// Whether a store was ever made there. Of one on a server, the directory with its keys is looked for.
pub(crate) fn exists(node: &NodeSettings) -> bool {
    match &node.database {
        None => node.data_dir.join(Store::DATABASE).exists(),
        Some(_) => has_entries(&node.data_dir),
    }
}

fn has_entries(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn server(server: &DatabaseServer) -> PostgresServer {
    let DatabaseServer { host, port, user, database, password, ca } = server.clone();
    PostgresServer { host, port, user, database, password, ca }
}
