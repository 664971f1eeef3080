//! Many calls that wait for a server at the same time, while another plugin is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::memory::{below, proportional};
use crate::setting::{PLUGIN, Setting, WAITING_PLUGIN};
use crate::{Failure, one, row};

const CALLS: usize = 500;
/// How long calls may take to reach the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the waiting calls went.
pub(crate) struct Waited {
    pub(crate) answered: usize,
    /// How many of them waited for the server at the same moment, at most.
    pub(crate) at_once: usize,
    /// Of each waiting call, in MiB.
    pub(crate) memory: f64,
    /// Medians of another plugin's hook, in ms: beforehand, and while all of them waited.
    pub(crate) quiet: f64,
    pub(crate) meanwhile: f64,
}

/// Answers nobody before it is told to, and counts the connections that are open.
struct Server {
    port: u16,
    open: watch::Receiver<usize>,
    answer: watch::Sender<bool>,
    peak: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// Lets 500 calls wait on a socket, all of them at once for so long.
pub(crate) async fn wait(setting: &Setting, wait: Duration) -> Result<Waited, Failure> {
    allow_many_files()?;
    let mut server = Server::start().await?;
    let host = setting.host(1)?;
    let other = setting.load(&host, "other", PLUGIN, 2).await?;
    let quiet = row("another plugin, before", pace(&other, Duration::from_secs(3)).await?, None);
    let source = WAITING_PLUGIN.replace("{port}", &server.port.to_string());
    let waiting = setting.load(&host, "waiting", &source, 2).await?;
    let before = proportional(&below(std::process::id())?)?;

    let begin = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let waiting = waiting.clone();
        calls.spawn(async move { one(&waiting).await });
    }
    let all = tokio::time::timeout(PATIENCE, server.open.wait_for(|open| *open == CALLS)).await;
    // What is kept of it would hold the server's count.
    let reached = all.is_ok_and(|all| all.is_ok());
    let begun = begin.elapsed();
    let memory = (proportional(&below(std::process::id())?)? - before) / CALLS as f64 / 1_048_576.0;
    let times = pace(&other, wait).await?;
    server.answer.send_replace(true);
    // Where not all of them waited, the other plugin was not called beside 500.
    let times = if reached { times } else { Vec::new() };
    let meanwhile = row("another plugin, while 500 wait", times, None);

    let mut took = Vec::new();
    while let Some(call) = calls.join_next().await {
        match call? {
            Ok(time) => took.push(time),
            Err(error) => println!("a waiting call failed: {error}"),
        }
    }
    let answered = took.len();
    row(&format!("500 calls that wait {wait:?} and more"), took, None);
    println!("{:<34}{:>9.2}", "until all 500 waited", begun.as_secs_f64() * 1000.0);
    host.shutdown().await;
    Ok(Waited { answered, at_once: server.peak.load(Ordering::Relaxed), memory, quiet, meanwhile })
}

/// Calls one after the other, one each 20 ms, for so long.
async fn pace(instance: &keyward_plugin::Instance, length: Duration) -> Result<Vec<f64>, Failure> {
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < length {
        times.push(one(instance).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(times)
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the server that the measured plugin asks")]
    async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (count, open) = watch::channel(0);
        let (answer, answered) = watch::channel(false);
        let peak = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let most = Arc::clone(&peak);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                count.send_modify(|open| {
                    *open += 1;
                    most.fetch_max(*open, Ordering::Relaxed);
                });
                let (count, mut answered) = (count.clone(), answered.clone());
                connections.spawn(async move {
                    // Without a sender, the measurement is over.
                    drop(answered.wait_for(|answered| *answered).await);
                    // A worker that is gone shows as a call without an answer.
                    let _ = connection.write_all(b"+").await;
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Ok(Self { port, open, answer, peak, _tasks: tasks })
    }
}

/// Each running call has some five descriptors here, and the server one.
fn allow_many_files() -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(())
}
