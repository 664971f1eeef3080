//! Where the store of a node is.

use std::path::Path;

use keyward_policy::{DatabaseServer, NodeSettings};
use keyward_store::{Place, PostgresServer, Store, StoreError};

/// The store of a node, for the gateway.
pub(crate) async fn open(node: &NodeSettings) -> Result<Store, StoreError> {
    let server = node.database.as_ref().map(server);
    Store::open(Place { data_dir: &node.data_dir, server: server.as_ref(), master_key: None }).await
}

/// The same for a command, beside a gateway that may be running.
pub(crate) async fn open_beside(node: &NodeSettings) -> Result<Store, StoreError> {
    let server = node.database.as_ref().map(server);
    Store::open_beside(Place { data_dir: &node.data_dir, server: server.as_ref(), master_key: None }).await
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
