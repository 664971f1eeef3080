//! A PostgreSQL of the test's own.

use std::path::Path;

use keyward_model::Secret;
use keyward_store::{Place, PostgresServer};

use crate::peers::postgres::Postgres;

pub(crate) struct Database {
    pub(crate) peer: Postgres,
    pub(crate) server: PostgresServer,
}

impl Database {
    pub(crate) async fn new(_dir: &Path) -> Self {
        let peer = Postgres::start();
        let server = by_password(&peer);
        Self { peer, server }
    }

    pub(crate) fn place<'p>(&'p self, data_dir: &'p Path) -> Place<'p> {
        Place { data_dir, server: Some(&self.server) }
    }

    pub(crate) async fn raw(&self, question: &'static str) -> bool {
        match self.peer.sql(Postgres::DATABASE, question).as_str() {
            "t" => true,
            "f" => false,
            other => panic!("{question}: {other}"),
        }
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
