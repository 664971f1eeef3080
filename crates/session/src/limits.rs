//! How many sessions there may be, and how fast a client may come back (gateway section 1, step 2).

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keyward_model::ConnectionName;
use keyward_policy::{Connection, Policy};
use tokio::sync::Notify;

/// A client that was turned away at the door. It costs one log line and no plugin call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    #[error("no connection policy takes this client")]
    NoPolicy,
    #[error("the gateway has as many sessions as it may")]
    Full,
    #[error("the connection policy has as many sessions as it may")]
    ConnectionFull,
    #[error("the client connects too often")]
    TooOften,
    #[error("the client's address has too many connections that are not logged in")]
    TooManyWaiting,
    #[error("as many connections as may be are not logged in yet (`max-log-ins`)")]
    TooManyLogIns,
    #[error("the gateway is stopping")]
    Stopping,
}

/// Counts what is there; how much may be there is told by the policy of the moment.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    sessions: Arc<Sessions>,
    arrivals: Mutex<Arrivals>,
    waiting: Arc<Waiting>,
}

/// Arrivals of the running minute, by policy and client address.
#[derive(Debug)]
struct Arrivals {
    since: Instant,
    counts: HashMap<(ConnectionName, IpAddr), u32>,
}

/// More addresses than this in one minute are a flood: newcomers wait for the next minute.
const MAX_ADDRESSES: usize = 100_000;
const MINUTE: Duration = Duration::from_secs(60);

impl Default for Arrivals {
    fn default() -> Self {
        Self { since: Instant::now(), counts: HashMap::new() }
    }
}

impl Limits {
    /// Takes the places that a new session needs.
    pub(crate) fn admit(
        &self,
        policy: &Policy,
        connection: &Connection,
        client: IpAddr,
    ) -> Result<Places, Refused> {
        let client = network(client);
        if let Some(limit) = &connection.rate_limit {
            self.arrived(connection, client, limit.per_minute.get())?;
        }
        let waiting = self.waiting.enter(client, policy.gateway.max_log_ins)?;
        let session = self.sessions.enter(policy.gateway.max_sessions, connection)?;
        Ok(Places { _session: session, waiting: Some(waiting) })
    }

    /// Waits until no session holds a place any more. Cancel-safe.
    pub(crate) async fn everyone_gone(&self) {
        loop {
            let left = self.sessions.left.notified();
            let mut left = std::pin::pin!(left);
            // Before the look, so that whoever leaves after it is heard.
            left.as_mut().enable();
            if self.sessions.lock().all == 0 {
                return;
            }
            left.await;
        }
    }

    fn arrived(&self, connection: &Connection, client: IpAddr, per_minute: u32) -> Result<(), Refused> {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.since.elapsed() >= MINUTE {
            *arrivals = Arrivals::default();
        }
        let key = (connection.name.clone(), client);
        if arrivals.counts.len() >= MAX_ADDRESSES && !arrivals.counts.contains_key(&key) {
            return Err(Refused::TooOften);
        }
        let count = arrivals.counts.entry(key).or_default();
        *count = count.saturating_add(1);
        if *count > per_minute { Err(Refused::TooOften) } else { Ok(()) }
    }
}

/// What counts as one client: an IPv6 host has its whole /64 to choose addresses from.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

/// What a session holds for as long as it counts against the limits.
#[derive(Debug)]
pub(crate) struct Places {
    _session: SessionPlace,
    waiting: Option<WaitingPlace>,
}

impl Places {
    /// The session is logged in: it no longer counts among those that wait.
    pub(crate) fn logged_in(&mut self) {
        self.waiting = None;
    }
}

/// Sessions that are there: all, and by connection policy.
#[derive(Debug, Default)]
struct Sessions {
    counts: Mutex<Counts>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_connection: HashMap<ConnectionName, usize>,
}

impl Sessions {
    fn enter(self: &Arc<Self>, max: NonZeroUsize, connection: &Connection) -> Result<SessionPlace, Refused> {
        let mut counts = self.lock();
        if counts.all >= max.get() {
            return Err(Refused::Full);
        }
        let here = counts.by_connection.get(&connection.name).copied().unwrap_or_default();
        if connection.max_sessions.is_some_and(|max| here >= max.get()) {
            return Err(Refused::ConnectionFull);
        }
        counts.all += 1;
        counts.by_connection.insert(connection.name.clone(), here + 1);
        Ok(SessionPlace { sessions: Arc::clone(self), connection: connection.name.clone() })
    }

    fn leave(&self, connection: &ConnectionName) {
        let mut counts = self.lock();
        counts.all -= 1;
        if let Some(count) = counts.by_connection.get_mut(connection) {
            *count -= 1;
            if *count == 0 {
                counts.by_connection.remove(connection);
            }
        }
        drop(counts);
        self.left.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct SessionPlace {
    sessions: Arc<Sessions>,
    connection: ConnectionName,
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        self.sessions.leave(&self.connection);
    }
}

/// Connections that are not logged in yet: all, and by client address. One address cannot take every place of the
/// gateway by opening connections and saying nothing, and many together leave room for those who are in.
#[derive(Debug, Default)]
struct Waiting {
    counts: Mutex<WaitingCounts>,
}

#[derive(Debug, Default)]
struct WaitingCounts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

const MAX_WAITING: usize = 100;

impl Waiting {
    fn enter(self: &Arc<Self>, client: IpAddr, max: NonZeroUsize) -> Result<WaitingPlace, Refused> {
        let mut counts = self.lock();
        let here = counts.by_address.get(&client).copied().unwrap_or_default();
        if here >= MAX_WAITING {
            return Err(Refused::TooManyWaiting);
        }
        if counts.all >= max.get() {
            return Err(Refused::TooManyLogIns);
        }
        counts.all += 1;
        counts.by_address.insert(client, here + 1);
        Ok(WaitingPlace { waiting: Arc::clone(self), client })
    }

    fn leave(&self, client: IpAddr) {
        let mut counts = self.lock();
        counts.all -= 1;
        if let Some(count) = counts.by_address.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&client);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, WaitingCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct WaitingPlace {
    waiting: Arc<Waiting>,
    client: IpAddr,
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.waiting.leave(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

    #[test]
    fn one_address_cannot_take_every_place_and_leaving_frees_one() {
        let waiting = Arc::new(Waiting::default());
        let greedy: IpAddr = "192.0.2.1".parse().unwrap();
        let mut places: Vec<_> = (0..MAX_WAITING).map(|_| waiting.enter(greedy, MANY).unwrap()).collect();

        assert_eq!(waiting.enter(greedy, MANY).unwrap_err(), Refused::TooManyWaiting);
        assert!(waiting.enter("192.0.2.2".parse().unwrap(), MANY).is_ok());
        places.pop();
        assert!(waiting.enter(greedy, MANY).is_ok());

        drop(places);
        assert!(waiting.lock().by_address.is_empty());
    }

    #[test]
    fn all_addresses_together_have_no_more_than_their_places_and_leaving_frees_one() {
        let waiting = Arc::new(Waiting::default());
        let two = NonZeroUsize::new(2).unwrap();
        let enter = |n: u8| waiting.enter(IpAddr::from([192, 0, 2, n]), two);
        let first = enter(1).unwrap();
        let _second = enter(2).unwrap();

        assert_eq!(enter(3).unwrap_err(), Refused::TooManyLogIns);
        assert_eq!(waiting.lock().by_address.len(), 2, "who is refused leaves no trace");
        drop(first);
        assert!(enter(3).is_ok());
    }
}
