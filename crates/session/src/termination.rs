//! Ending a session from outside: an administrator wants it, or the gateway stops.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use keyward_model::SessionId;
use keyward_store::Termination;
use tokio_util::sync::CancellationToken;

use crate::EndCause;
use crate::end::chain;
use crate::gateway::Shared;
use crate::settle::SHORTEST_PAUSE;

/// Between two looks at the store. Whoever orders an end waits for it.
const PERIOD: Duration = Duration::from_millis(500);

/// How a session hears that it is to end, in whatever stage it is. Clones are of the same session.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// A child of the gateway's.
    token: CancellationToken,
    ordered: OnceLock<Termination>,
}

impl Stop {
    fn new(stopping: &CancellationToken) -> Self {
        Self(Arc::new(Inner { token: stopping.child_token(), ordered: OnceLock::new() }))
    }

    /// Waits until the session is to end. Cancel-safe.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.token.cancelled()
    }

    /// Why the session is to end; `None`: it is not.
    pub fn cause(&self) -> Option<EndCause> {
        match self.0.ordered.get() {
            Some(order) => Some(EndCause::Terminated(order.clone())),
            None => self.0.token.is_cancelled().then_some(EndCause::Stopping),
        }
    }

    /// The first order counts.
    fn order(&self, order: Termination) {
        // Before the token: whoever hears of it finds the reason.
        let _ = self.0.ordered.set(order);
        self.0.token.cancel();
    }
}

/// The sessions that are there, from their door to their end.
#[derive(Debug, Default)]
pub(crate) struct Stops(Mutex<HashMap<SessionId, Stop>>);

impl Stops {
    pub(crate) fn enter(&self, session: &SessionId, stopping: &CancellationToken) -> Stop {
        let stop = Stop::new(stopping);
        self.all().insert(session.clone(), stop.clone());
        stop
    }

    pub(crate) fn leave(&self, session: &SessionId) {
        self.all().remove(session);
    }

    fn of(&self, session: &SessionId) -> Option<Stop> {
        self.all().get(session).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Stop>> {
        // Each change is one statement, so a panic elsewhere has not broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Starts the task that ends the sessions of which the store says so, until the gateway stops.
    pub(crate) fn take_orders(self: &Arc<Self>) {
        self.settling.spawn(take_orders(Arc::downgrade(self), self.stopping.clone()));
    }

    async fn take_waiting_orders(&self) -> Duration {
        let orders = match self.store.take_terminations(SystemTime::now().into()).await {
            Ok(orders) => orders,
            Err(error) => {
                tracing::error!(error = %chain(&error), "ALERT: orders to terminate sessions cannot be read: tried again");
                return SHORTEST_PAUSE;
            }
        };
        for (session, order) in orders {
            // One that is not there is about to be settled.
            let Some(stop) = self.stops.of(&session) else { continue };
            tracing::info!(%session, by = order.by, message = order.message, "session terminated");
            stop.order(order);
        }
        PERIOD
    }
}

async fn take_orders(shared: Weak<Shared>, stopping: CancellationToken) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let pause = shared.take_waiting_orders().await;
        drop(shared);
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(by: &str) -> Termination {
        Termination { by: by.into(), message: None }
    }

    #[tokio::test]
    async fn the_first_order_is_the_cause_also_when_the_gateway_stops_afterwards() {
        let stopping = CancellationToken::new();
        let (terminated, other) = (Stop::new(&stopping), Stop::new(&stopping));
        assert_eq!(terminated.cause(), None);
        terminated.order(order("alice"));
        terminated.order(order("bob"));
        terminated.cancelled().await;
        assert_eq!(other.cause(), None);
        stopping.cancel();
        other.cancelled().await;
        assert_eq!(terminated.cause(), Some(EndCause::Terminated(order("alice"))));
        assert_eq!(other.cause(), Some(EndCause::Stopping));
    }
}
