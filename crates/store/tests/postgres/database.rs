//! A PostgreSQL of the test's own.

use std::path::Path;

use keyward_model::Secret;
use keyward_store::{MasterKey, Place, PostgresServer};

use crate::peers::postgres::Postgres;

pub(crate) struct Database {
    pub(crate) peer: Postgres,
    pub(crate) server: PostgresServer,
    /// So that a store can be opened with another directory as well.
    pub(crate) master: MasterKey,
}

impl Database {
    pub(crate) async fn new(_dir: &Path) -> Self {
        let peer = Postgres::start();
        let server = by_password(&peer);
        let master = MasterKey::parse("5c".repeat(32).as_bytes()).unwrap();
        Self { peer, server, master }
    }

    pub(crate) fn place<'p>(&'p self, data_dir: &'p Path) -> Place<'p> {
        Place { data_dir, server: Some(&self.server), master_key: Some(&self.master) }
    }

    pub(crate) async fn raw(&self, question: &'static str) -> bool {
        match self.peer.sql(Postgres::DATABASE, question).as_str() {
            "t" => true,
            "f" => false,
            other => panic!("{question}: {other}"),
        }
    }

    /// All that is in it, as a backup has it.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        self.peer.dump(Postgres::DATABASE)
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        self.peer.sql(Postgres::DATABASE, sql);
    }
}

pub(crate) fn by_password(peer: &Postgres) -> PostgresServer {
    PostgresServer {
        host: "127.0.0.1".into(),
        port: peer.port(),
        user: Postgres::USER.into(),
        database: Postgres::DATABASE.into(),
        password: Some(Secret::new(Postgres::PASSWORD.into())),
        ca: None,
    }
}
