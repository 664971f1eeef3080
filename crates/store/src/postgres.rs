//! PostgreSQL: a server that several machines can reach.
//!
//! SQLite has one writer at a time, in all processes, and the store's changes are written for that: they read, decide
//! and write. So a change here holds a lock of the whole database from its first statement on. Each statement behind
//! the lock sees what was committed before it (READ COMMITTED).

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use keyward_model::Secret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode, Postgres};
use sqlx::{ConnectOptions, Connection as _, Either, Executor, Transaction};

use crate::StoreError;
use crate::database::{Database, PATIENCE, READERS, Row};
use crate::sql::{Answer, Query};

// Advisory locks are numbers, of which each database has one space: "keyw", and a 1 or a 2.
const TRY_GATEWAY: &str = "SELECT pg_try_advisory_lock(118083573710849)";
const BEGIN_WRITE: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock(118083573710850)";
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How long the server may take for one statement. It gives up itself first, where it can.
const ANSWER: Duration = Duration::from_secs(40);
/// How long a gateway waits for the server to see that the one before is gone.
const TAKE_OVER: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// What the server is told of our sessions: times in milliseconds, those of TCP in seconds.
const SESSION: [(&str, &str); 8] = [
    // A change that was returned is on the server's disk, whatever the server's own setting.
    ("synchronous_commit", "on"),
    ("statement_timeout", "30000"),
    ("lock_timeout", "10000"),
    // A process that hangs within a change must not stop all others for ever.
    ("idle_in_transaction_session_timeout", "30000"),
    // A gateway whose machine is gone gives its lock back.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "4"),
    ("client_min_messages", "warning"),
];

/// Where a PostgreSQL is, and how to log in there. `Debug` does not show the password.
///
/// The server is asked for TLS and has to prove its name, unless it is on this machine and `ca` is `None`.
#[derive(Clone, Debug)]
pub struct PostgresServer {
    /// A name, an address, or the folder of its socket: that begins with a slash.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: String,
    /// `None`: the server knows the user by other means.
    pub password: Option<Secret>,
    /// A file with certificates in PEM, of authorities that are believed beside the public ones.
    pub ca: Option<PathBuf>,
}

impl fmt::Display for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} at {}:{}", self.database, self.user, self.host, self.port)
    }
}

impl PostgresServer {
    fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .application_name("keyward")
            .ssl_mode(self.tls())
            .options(SESSION)
            .disable_statement_logging();
        // A folder as host would lose to PGHOSTADDR and the like; so each is said outright.
        let options = if self.is_socket() { options.socket(&self.host) } else { options.host(&self.host) };
        let options = match &self.ca {
            Some(file) => options.ssl_root_cert(file),
            None => options,
        };
        match &self.password {
            Some(password) => options.password(password.expose()),
            None => options,
        }
    }

    fn tls(&self) -> PgSslMode {
        let is_here = || match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.is_socket() || self.host == "localhost",
        };
        match &self.ca {
            None if is_here() => PgSslMode::Disable,
            Some(_) | None => PgSslMode::VerifyFull,
        }
    }

    fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> StoreError {
        let database = self.to_string();
        move |source| StoreError::Open { database: database.clone(), source }
    }
}

/// Connects for the gateway. The connection that writes holds the gateway's lock for as long as it lives, and a new one
/// in its place has to get it first: what another gateway has taken over meanwhile is not written to.
pub(crate) async fn open(server: &PostgresServer) -> Result<Database, StoreError> {
    let start = Instant::now();
    while !is_free(server).await? {
        if start.elapsed() > TAKE_OVER {
            return Err(StoreError::ServedElsewhere { database: server.to_string() });
        }
        tokio::time::sleep(POLL).await;
    }
    let writer = pool(1).after_connect(|connection, _| {
        Box::pin(async move {
            match try_gateway(connection).await? {
                true => Ok(()),
                false => Err(sqlx::Error::Protocol("another gateway has taken the database over".into())),
            }
        })
    });
    connect(server, writer).await
}

/// Connects for a command, beside a gateway that may be running.
pub(crate) async fn open_beside(server: &PostgresServer) -> Result<Database, StoreError> {
    connect(server, pool(1)).await
}

/// Whether no gateway has the database at this moment, on whatever machine.
async fn is_free(server: &PostgresServer) -> Result<bool, StoreError> {
    let failed = server.failed();
    let connecting = bounded(async { server.options().connect().await });
    let mut connection = connecting.await.map_err(&failed)?;
    let free = bounded(try_gateway(&mut connection)).await.map_err(&failed)?;
    bounded(connection.close()).await.map_err(&failed)?;
    Ok(free)
}

async fn connect(server: &PostgresServer, writer: PgPoolOptions) -> Result<Database, StoreError> {
    let failed = server.failed();
    let writer = writer.connect_with(server.options()).await.map_err(&failed)?;
    let readers = pool(READERS).connect_with(server.options()).await.map_err(&failed)?;
    Ok(Database::Postgres { writer, readers })
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        // A server goes away and comes back. Nothing of ours has to fail for a connection that has not noticed.
        .test_before_acquire(true)
}

async fn try_gateway(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(TRY_GATEWAY).fetch_one(connection).await
}

pub(crate) async fn begin_write(writer: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    bounded(writer.begin_with(BEGIN_WRITE)).await
}

pub(crate) async fn begin_read(readers: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    bounded(readers.begin_with(BEGIN_READ)).await
}

pub(crate) async fn run<'c>(
    query: Query<'_>,
    executor: impl Executor<'c, Database = Postgres>,
) -> Result<Answer, sqlx::Error> {
    let query = query.on_postgres()?;
    bounded(async {
        let mut answer = Answer::default();
        let mut steps = executor.fetch_many(query);
        while let Some(step) = steps.try_next().await? {
            match step {
                Either::Left(done) => answer.affected += done.rows_affected(),
                Either::Right(row) => answer.rows.push(Row::Postgres(row)),
            }
        }
        Ok(answer)
    })
    .await
}

/// A server that is not reached any more answers nothing at all, so that its own limits do not help.
pub(crate) async fn bounded<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late =
        |_| Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "PostgreSQL does not answer").into());
    tokio::time::timeout(ANSWER, answer).await.unwrap_or_else(late)
}
