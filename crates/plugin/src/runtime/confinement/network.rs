//! Which hosts a plugin may connect to, where that is restricted.
//!
//! Rules are of addresses and of names. What a name stands for is asked by the gateway itself, when the plugin asks for
//! it: an address is open for a name that the plugin has been told it for, and for a while only.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use serde_json::{Value, json};
use tokio::time::timeout;

/// What a plugin may reach on the network.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Network {
    /// Whatever the gateway's machine reaches.
    #[default]
    Open,
    /// TCP connections to these, and nothing else.
    Only(Vec<Reachable>),
}

/// A host or several, and their port. `None`: any port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reachable {
    pub host: ReachableHost,
    pub port: Option<u16>,
}

/// Names are in lower case, without a final dot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReachableHost {
    Name(String),
    /// Every name below this domain, but not the domain itself.
    Below(String),
    Addresses(IpNet),
}

/// The rules of one instance, with what its names were last found to stand for.
#[derive(Debug)]
pub(in crate::runtime) struct Doors {
    rules: Vec<Reachable>,
    told: Mutex<HashMap<(IpAddr, usize), Instant>>,
}

/// The service that a plugin's name look-ups come by.
const RESOLVE: &str = "network.resolve";
/// How long an address stays open that a name stood for.
const TOLD: Duration = Duration::from_secs(600);
/// Addresses by rule: a plugin may ask for many names below a domain.
const MAX_TOLD: usize = 4096;
/// A name with more addresses than these is cut.
const MAX_ADDRESSES: usize = 64;
const LOOKUP: Duration = Duration::from_secs(10);

impl Doors {
    pub(in crate::runtime) fn new(rules: Vec<Reachable>) -> Self {
        Self { rules, told: Mutex::default() }
    }

    /// Whether a connection to `address` may be made at `now`.
    pub(super) fn admit(&self, address: SocketAddr, now: Instant) -> bool {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.rules.iter().enumerate().any(|(number, rule)| {
            let open = match &rule.host {
                ReachableHost::Addresses(range) => range.contains(&ip),
                ReachableHost::Name(_) | ReachableHost::Below(_) => {
                    told.get(&(ip, number)).is_some_and(|until| now < *until)
                }
            };
            open && rule.port.is_none_or(|only| only == port)
        })
    }

    /// The answer to a request of a worker; `None` when it asks for another service. Cancel-safe.
    pub(in crate::runtime) async fn answer(&self, request: &Value) -> Option<Value> {
        if request.get("service").and_then(Value::as_str) != Some(RESOLVE) {
            return None;
        }
        let name =
            request.get("arguments").and_then(|arguments| arguments.get("host")).and_then(Value::as_str);
        let name = fold(name.unwrap_or_default());
        let rules = self.rules_for(&name);
        // Nothing is asked of anyone for a name that is not on the list: a question would carry it outside.
        let refusal = |why: &str| {
            let name: String = name.chars().take(253).collect();
            json!({"kind": "not-found", "message": format!("{name:?} {why}")})
        };
        if rules.is_empty() {
            return Some(refusal("is not in the plugin's `network` list"));
        }
        let found = match timeout(LOOKUP, tokio::net::lookup_host((name.as_str(), 0))).await {
            Ok(Ok(found)) => found.map(|address| address.ip().to_canonical()).take(MAX_ADDRESSES).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        if found.is_empty() {
            return Some(refusal("has no address"));
        }
        self.tell(&found, &rules, Instant::now());
        Some(json!({ "value": found }))
    }

    fn rules_for(&self, name: &str) -> Vec<usize> {
        let rules = self.rules.iter().enumerate();
        let meant = rules.filter(|(_, rule)| match &rule.host {
            ReachableHost::Name(own) => own == name,
            ReachableHost::Below(domain) => is_below(name, domain),
            ReachableHost::Addresses(_) => false,
        });
        meant.map(|(number, _)| number).collect()
    }

    fn tell(&self, found: &[IpAddr], rules: &[usize], now: Instant) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, until| now < *until);
        for key in found.iter().flat_map(|ip| rules.iter().map(|rule| (*ip, *rule))) {
            if told.len() < MAX_TOLD || told.contains_key(&key) {
                told.insert(key, now + TOLD);
            }
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')).is_some_and(|label| !label.is_empty())
}

fn fold(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors() -> Doors {
        let rule = |host, port| Reachable { host, port };
        Doors::new(vec![
            rule(ReachableHost::Addresses("10.0.0.0/8".parse().unwrap()), Some(443)),
            rule(ReachableHost::Name("localhost".into()), Some(636)),
            rule(ReachableHost::Below("example.com".into()), None),
        ])
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_open_with_its_port_and_in_its_ipv6_form() {
        let (doors, now) = (doors(), Instant::now());
        assert!(doors.admit(address("10.1.2.3:443"), now));
        assert!(doors.admit(address("[::ffff:10.1.2.3]:443"), now));
        assert!(!doors.admit(address("10.1.2.3:444"), now));
        assert!(!doors.admit(address("11.1.2.3:443"), now));
        assert!(!Doors::new(Vec::new()).admit(address("10.1.2.3:443"), now));
    }

    #[test]
    fn what_a_name_stands_for_is_open_for_its_rule_and_for_a_while() {
        let (doors, now) = (doors(), Instant::now());
        let there = address("192.0.2.1:636");
        assert!(!doors.admit(there, now));
        doors.tell(&[there.ip()], &doors.rules_for("localhost"), now);
        assert!(doors.admit(there, now));
        assert!(!doors.admit(address("192.0.2.1:22"), now), "the port is the rule's");
        assert!(!doors.admit(there, now + TOLD));
    }

    #[test]
    fn names_below_a_domain_are_meant_and_others_are_not() {
        let doors = doors();
        assert_eq!(doors.rules_for("api.example.com"), [2]);
        for other in ["example.com", ".example.com", "badexample.com", "example.com.evil.org", ""] {
            assert!(doors.rules_for(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (doors, now) = (doors(), Instant::now());
        for number in 0..10_000u32 {
            doors.tell(&[IpAddr::from(number.to_be_bytes())], &[2], now);
        }
        assert_eq!(doors.told.lock().unwrap().len(), MAX_TOLD);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_when_it_is_on_the_list() {
        let doors = doors();
        let asked = |host: &str| json!({"service": RESOLVE, "arguments": {"host": host}});
        let found = doors.answer(&asked("LOCALHOST.")).await.unwrap();
        assert!(found["value"].as_array().unwrap().contains(&json!("127.0.0.1")), "{found}");
        let refused = doors.answer(&asked("secret.evil.org")).await.unwrap();
        assert_eq!(refused["message"], "\"secret.evil.org\" is not in the plugin's `network` list");
        assert_eq!(doors.answer(&json!({"service": "user_list"})).await, None);
    }
}
