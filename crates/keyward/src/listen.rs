//! The listeners: the one place that binds, and the loop that accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use keyward_model::Protocol;
use keyward_policy::Policy;
use keyward_session::{Accepted, Gateway, Refused};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::shards::Shards;

/// A bound address, not accepting yet: all are bound before the first client is served.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    protocol: Protocol,
}

/// The addresses that are listened on.
#[derive(Debug, Default)]
pub(crate) struct Listeners(BTreeMap<SocketAddr, Open>);

#[derive(Debug)]
struct Open {
    protocol: Protocol,
    /// Ends the listening.
    close: CancellationToken,
}

impl Listeners {
    /// Binds every address of the active connections that is not bound yet, each once. Nothing is accepted before
    /// [`Self::serve`].
    ///
    /// # Errors
    /// An address that cannot be had, or that another protocol has.
    pub(crate) async fn bind(&self, policy: &Policy) -> anyhow::Result<Vec<Listener>> {
        let mut new: Vec<Listener> = Vec::new();
        for (address, protocol) in wanted(policy) {
            match self.0.get(&address).map(|open| open.protocol) {
                None if new.iter().any(|listener| listener.address == address) => {}
                None => new.push(Listener::bind(address, protocol).await?),
                Some(there) if there == protocol => {}
                Some(there) => bail!("{address} serves {there}: stop the gateway to have {protocol} there"),
            }
        }
        Ok(new)
    }

    /// Accepts on `new`, and closes what `policy` does not listen on.
    pub(crate) fn serve(&mut self, policy: &Policy, new: Vec<Listener>, to: &(Gateway, Arc<Shards>)) {
        let wanted: BTreeSet<SocketAddr> = wanted(policy).map(|(address, _)| address).collect();
        self.0.retain(|address, open| {
            let stays = wanted.contains(address);
            if !stays {
                tracing::info!(%address, "not listening any more");
                open.close.cancel();
            }
            stays
        });
        let (gateway, shards) = to;
        for listener in new {
            let close = gateway.stopping().child_token();
            tracing::info!(address = %listener.address, "listening");
            let open = Open { protocol: listener.protocol, close: close.clone() };
            self.0.insert(listener.address, open);
            tokio::spawn(listener.accept(gateway.clone(), Arc::clone(shards), close));
        }
    }
}

fn wanted(policy: &Policy) -> impl Iterator<Item = (SocketAddr, Protocol)> {
    let active = policy.connections.iter().filter(|connection| connection.active);
    active.flat_map(|connection| connection.listen.iter().map(|address| (*address, connection.protocol)))
}

impl Listener {
    #[expect(clippy::disallowed_methods, reason = "INVARIANT: the gateway's one place that listens")]
    async fn bind(address: SocketAddr, protocol: Protocol) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened on"))?;
        Ok(Self { listener, address, protocol })
    }

    /// Accepts until `close`.
    async fn accept(self, gateway: Gateway, shards: Arc<Shards>, close: CancellationToken) {
        let mut refusals = Refusals::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = close.cancelled() => return,
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
