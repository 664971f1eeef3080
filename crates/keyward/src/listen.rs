//! The listeners: the one place that binds, and the loop that accepts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use keyward_model::Protocol;
use keyward_policy::Policy;
use keyward_session::{Accepted, Gateway, Refused};
use tokio::net::{TcpListener, TcpStream};

use crate::shards::Shards;

/// A bound address, not accepting yet: all are bound before the first client is served.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    protocol: Protocol,
}

/// Binds every address of the active connections, each once.
pub(crate) async fn bind_all(policy: &Policy) -> anyhow::Result<Vec<Listener>> {
    let mut bound = BTreeSet::new();
    let mut listeners = Vec::new();
    for connection in policy.connections.iter().filter(|connection| connection.active) {
        for &address in &connection.listen {
            if bound.insert(address) {
                listeners.push(Listener::bind(address, connection.protocol).await?);
            }
        }
    }
    Ok(listeners)
}

impl Listener {
    #[expect(clippy::disallowed_methods, reason = "INVARIANT: the gateway's one place that listens")]
    async fn bind(address: SocketAddr, protocol: Protocol) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened on"))?;
        Ok(Self { listener, address, protocol })
    }

    /// Accepts until the gateway stops.
    pub(crate) async fn accept(self, gateway: Gateway, shards: Arc<Shards>) {
        let mut refusals = Refusals::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = gateway.stopping().cancelled() => return,
            };
            match accepted {
                Ok((stream, client)) => match gateway.accept(self.address, client) {
                    Ok(accepted) => serve(self.protocol, accepted, stream, &shards).await,
                    Err(refused) => refusals.log(client, &refused),
                },
                Err(error) => {
                    tracing::warn!(listener = %self.address, %error, "a connection could not be accepted");
                    // Out of descriptors, most likely: give others a moment to close some.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn serve(protocol: Protocol, accepted: Accepted, stream: TcpStream, shards: &Shards) {
    match protocol {
        Protocol::Ssh => shards.serve(accepted, stream).await,
        // A policy with another protocol is not accepted by `gateway::run`.
        Protocol::Http | Protocol::Rdp | Protocol::Telnet | Protocol::Vnc => drop(stream),
    }
}

/// One line for the first refusal, then a count each minute: a flood does not fill the log.
#[derive(Debug, Default)]
struct Refusals {
    since: Option<Instant>,
    more: u64,
}

impl Refusals {
    fn log(&mut self, client: SocketAddr, refused: &Refused) {
        match self.since {
            Some(since) if since.elapsed() < Duration::from_secs(60) => self.more += 1,
            Some(_) | None => {
                tracing::info!(%client, reason = %refused, not_logged = self.more, "client refused");
                *self = Self { since: Some(Instant::now()), more: 0 };
            }
        }
    }
}
