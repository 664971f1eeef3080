//! SQLite as the tests see it beside the store.

use std::path::{Path, PathBuf};

use keyward_store::Place;
use sqlx::{Connection, Row, SqliteConnection};

pub(crate) struct Database(PathBuf);

impl Database {
    pub(crate) async fn new(dir: &Path) -> Self {
        Self(dir.join("keyward.db"))
    }

    #[expect(clippy::unused_self, reason = "other databases are not in the directory")]
    pub(crate) fn place<'p>(&'p self, dir: &'p Path) -> Place<'p> {
        dir.into()
    }

    pub(crate) async fn raw(&self, question: &'static str) -> bool {
        sqlx::query_scalar(question).fetch_one(&mut self.connect().await).await.unwrap()
    }

    /// All that is in its files.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        let mut bytes = std::fs::read(&self.0).unwrap();
        bytes.extend(std::fs::read(self.0.with_extension("db-wal")).unwrap_or_default());
        bytes
    }

    /// How it would answer a query, in one line.
    pub(crate) async fn plan(&self, query: &str) -> String {
        let explained = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let steps = sqlx::query(explained).fetch_all(&mut self.connect().await).await.unwrap();
        steps.iter().map(|step| step.get::<String, _>("detail") + "; ").collect()
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        let mut raw = self.connect().await;
        sqlx::raw_sql(sql).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    }

    async fn connect(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite://{}", self.0.display())).await.unwrap()
    }
}
