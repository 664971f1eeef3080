//! Addresses by the part they play: who connects, and what is reached.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Where a client connects from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ClientAddr(pub SocketAddr);

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A server as somebody wrote it: a name still to be looked up, or an address.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Host {
    Ip(IpAddr),
    Name(String),
}

impl Host {
    /// Reads an address where the text is one, a name otherwise. Names are lower-cased (RFC 4343), and the dot
    /// of a fully qualified one is dropped, so that a host has one spelling.
    pub fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(ip) => Self::Ip(ip),
            Err(_) => Self::Name(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A target that is settled: the address that will be dialled, and the name it was found by.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct TargetAddr {
    pub addr: SocketAddr,
    /// The name that was looked up; `None` when the target was given as an address.
    pub hostname: Option<String>,
}

impl fmt::Display for TargetAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hostname {
            Some(name) => write!(f, "{name}:{} ({})", self.addr.port(), self.addr.ip()),
            None => self.addr.fmt(f),
        }
    }
}
