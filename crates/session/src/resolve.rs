//! Look-ups of names, bounded in time and in threads: whoever controls a slow name server cannot use up the
//! threads that everybody's recordings are written on.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use keyward_model::{Host, TargetAddr};
use tokio::sync::Semaphore;

use crate::{Reason, Script};

/// For a name of the client's address, which nobody waits for long.
const REVERSE_PATIENCE: Duration = Duration::from_secs(2);
/// For the target's address, all candidates together.
const FORWARD_PATIENCE: Duration = Duration::from_secs(15);
/// Look-ups of each kind at one time. A thread is busy until the system's resolver gives up.
const AT_ONCE: usize = 32;

#[derive(Debug)]
pub(crate) struct Resolver {
    reverse: Arc<Semaphore>,
    forward: Arc<Semaphore>,
    /// What answers in a rehearsal, in the place of the system.
    script: Option<Script>,
}

impl Resolver {
    pub(crate) fn new(script: Option<Script>) -> Self {
        let places = || Arc::new(Semaphore::new(AT_ONCE));
        Self { reverse: places(), forward: places(), script }
    }

    /// A name for the address; `None` when there is none, it takes too long, or too many are asked for
    /// (contract section 4: `client_hostname` is `None` when reverse DNS fails).
    pub(crate) async fn name_of(&self, ip: IpAddr) -> Option<String> {
        if let Some(script) = &self.script {
            return script.client_hostname.clone();
        }
        let place = Arc::clone(&self.reverse).try_acquire_owned().ok()?;
        let lookup = tokio::task::spawn_blocking(move || {
            // The place is given back by the thread, not by whoever stops waiting for it.
            let _place = place;
            dns_lookup::lookup_addr(&ip).ok()
        });
        let name = tokio::time::timeout(REVERSE_PATIENCE, lookup).await.ok()?.ok()??;
        // The resolver answers with the address itself where it knows no name.
        name.parse::<IpAddr>().is_err().then_some(name)
    }

    /// The first address of the name, tried as it stands and with each suffix.
    pub(crate) async fn target(
        &self,
        host: &Host,
        port: u16,
        suffixes: &[String],
    ) -> Result<TargetAddr, Reason> {
        let name = match host {
            Host::Ip(ip) => {
                return Ok(TargetAddr { addr: SocketAddr::new(ip.to_canonical(), port), hostname: None });
            }
            Host::Name(name) => name,
        };
        let search = async {
            for candidate in candidates(name, suffixes) {
                if let Some(ip) = self.address_of(&candidate).await {
                    return Some(TargetAddr { addr: SocketAddr::new(ip, port), hostname: Some(candidate) });
                }
            }
            None
        };
        let found = tokio::time::timeout(FORWARD_PATIENCE, search).await.ok().flatten();
        found.ok_or_else(|| Reason::Lookup(name.clone()))
    }

    async fn address_of(&self, name: &str) -> Option<IpAddr> {
        if let Some(script) = &self.script {
            return script.address_of(name);
        }
        let place = Arc::clone(&self.forward).acquire_owned().await.ok()?;
        let name = name.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            let _place = place;
            (name.as_str(), 0).to_socket_addrs().ok()?.next()
        });
        Some(lookup.await.ok()??.ip().to_canonical())
    }
}

/// A name with a dot is taken as it is first; a short one belongs to the policy's domains first.
fn candidates(name: &str, suffixes: &[String]) -> Vec<String> {
    let suffixed = suffixes.iter().map(|suffix| format!("{name}.{}", suffix.trim_start_matches('.')));
    if name.contains('.') {
        std::iter::once(name.to_owned()).chain(suffixed).collect()
    } else {
        suffixed.chain(std::iter::once(name.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_belongs_to_the_domains_of_the_policy_first() {
        let suffixes = ["example.com".to_owned(), ".example.net".to_owned()];
        assert_eq!(candidates("db1", &suffixes), ["db1.example.com", "db1.example.net", "db1"]);
        assert_eq!(candidates("db1.lan", &suffixes[..1]), ["db1.lan", "db1.lan.example.com"]);
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup_and_an_unknown_name_is_said() {
        let resolver = Resolver::new(None);
        let target = resolver.target(&Host::parse("::ffff:10.0.0.1"), 22, &[]).await.unwrap();
        assert_eq!(target.addr.to_string(), "10.0.0.1:22");
        let error = resolver.target(&Host::parse("no-such-host.invalid"), 22, &[]).await.unwrap_err();
        assert_eq!(error.to_string(), "no-such-host.invalid cannot be looked up");
    }
}
