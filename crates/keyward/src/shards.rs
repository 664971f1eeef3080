//! Threads that serve connections, each with a runtime of its own.
//!
//! A connection and its helpers (both SSH transports, the relays, the recorder) stay on one thread, so that a
//! packet on its way through wakes no other thread: on a busy gateway such wake-ups cost more than the
//! cryptography. Work for many cores comes from many connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use keyward_proxy_ssh::SshProxy;
use keyward_session::Accepted;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// One thread for each processor.
#[derive(Debug)]
pub(crate) struct Shards {
    queues: Vec<mpsc::Sender<Arrival>>,
    next: AtomicUsize,
}

/// An accepted connection on its way to the thread that will serve it.
#[derive(Debug)]
struct Arrival {
    accepted: Accepted,
    stream: std::net::TcpStream,
}

/// How many may be on their way to one thread: more than the kernel's backlog of a listener makes no sense.
const QUEUE: usize = 128;

impl Shards {
    /// Starts the threads. They end when the shards are dropped and their connections have ended.
    pub(crate) fn start(ssh: &Arc<SshProxy>) -> anyhow::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let queues = (0..count).map(|n| start(n, Arc::clone(ssh))).collect::<anyhow::Result<_>>()?;
        Ok(Self { queues, next: AtomicUsize::new(0) })
    }

    /// Hands a connection to the next thread; waits while that one is behind. Cancel-safe: a connection that
    /// is not handed over is closed.
    pub(crate) async fn serve(&self, accepted: Accepted, stream: TcpStream) {
        // The socket leaves this runtime's poller, and joins that of its thread.
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a connection could not be handed over"),
        };
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(queue) = self.queues.get(turn % self.queues.len().max(1)) {
            // The queue closes only when the gateway is gone, and its connections with it.
            let _ = queue.send(Arrival { accepted, stream }).await;
        }
    }
}

fn start(number: usize, ssh: Arc<SshProxy>) -> anyhow::Result<mpsc::Sender<Arrival>> {
    let (queue, arrivals) = mpsc::channel(QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a thread for connections could not be started")?;
    std::thread::Builder::new()
        .name(format!("shard-{number}"))
        .spawn(move || runtime.block_on(run(arrivals, ssh)))
        .context("a thread for connections could not be started")?;
    Ok(queue)
}

async fn run(mut arrivals: mpsc::Receiver<Arrival>, ssh: Arc<SshProxy>) {
    let connections = tokio_util::task::TaskTracker::new();
    while let Some(Arrival { accepted, stream }) = arrivals.recv().await {
        match TcpStream::from_std(stream) {
            Ok(stream) => {
                let ssh = Arc::clone(&ssh);
                connections.spawn(async move { ssh.serve(accepted, stream).await });
            }
            Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
        }
    }
    connections.close();
    connections.wait().await;
}
