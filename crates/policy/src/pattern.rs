//! Patterns of hosts and ports: `db1`, `*.example.com:22`, `10.0.0.0/8:*`, `[2001:db8::7]:22`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// Which hosts, and which of their ports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPattern {
    pub host: PatternHost,
    pub port: PatternPort,
    /// Whether the document has the port, or the place of the pattern chose it.
    pub port_is_written: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PatternHost {
    /// This name, in lower case.
    Name(String),
    /// Every name below this domain, at any depth, but not the domain itself.
    Below(String),
    Address(IpAddr),
    Network(IpNet),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PatternPort {
    Any,
    Only(u16),
}

/// A text that is no pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    #[error("{0:?} is no host: a name, *.domain, an address or a network is")]
    Host(String),
    #[error("{0:?} is no port: 1 to 65535 and * are")]
    Port(String),
    #[error("{0:?} has no ] after the IPv6 address")]
    Bracket(String),
}

impl HostPattern {
    /// Reads `host` or `host:port`; an IPv6 address or network with a port stands in brackets.
    ///
    /// `default` is the port of a pattern that has none: where hosts are allowed the protocol's own, where they
    /// are denied any, so that what is not written is not permitted.
    pub fn parse(text: &str, default: PatternPort) -> Result<Self, PatternError> {
        let (host, port) = split(text)?;
        let host = PatternHost::parse(host).ok_or_else(|| PatternError::Host(host.to_owned()))?;
        let (port, port_is_written) = match port {
            Some(port) => (PatternPort::parse(port)?, true),
            None => (default, false),
        };
        Ok(Self { host, port, port_is_written })
    }

    /// Whether a target is meant: names are compared with `hostname`, the name that was looked up if there was
    /// one; addresses and networks with `addr`.
    pub fn matches(&self, hostname: Option<&str>, addr: IpAddr, port: u16) -> bool {
        self.host.matches(hostname, Some(addr)) && self.port.matches(port)
    }

    /// Whether addresses are compared, and no names.
    pub fn is_of_addresses(&self) -> bool {
        matches!(self.host, PatternHost::Address(_) | PatternHost::Network(_))
    }

    /// Whether a host that nobody has looked up is meant: an address by addresses and networks, a name by names.
    pub fn matches_text(&self, host: &str, port: u16) -> bool {
        let is_host = match host.parse() {
            Ok(address) => self.host.matches(None, Some(address)),
            Err(_) => self.host.matches(Some(host), None),
        };
        is_host && self.port.matches(port)
    }
}

impl PatternHost {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        if text.contains('/') {
            return parse_network(text).map(Self::Network);
        }
        match text.strip_prefix("*.") {
            Some(domain) => is_host_name(domain).then(|| Self::Below(fold(domain))),
            None => is_host_name(text).then(|| Self::Name(fold(text))),
        }
    }

    pub(crate) fn matches(&self, hostname: Option<&str>, addr: Option<IpAddr>) -> bool {
        let addr = addr.map(|addr| addr.to_canonical());
        match self {
            Self::Name(name) => hostname.is_some_and(|host| fold(host) == *name),
            Self::Below(domain) => hostname.is_some_and(|host| is_below(&fold(host), domain)),
            Self::Address(address) => addr == Some(*address),
            Self::Network(network) => addr.is_some_and(|addr| network.contains(&addr)),
        }
    }
}

impl PatternPort {
    fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.parse() {
            Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Self::Only(port)),
            Ok(_) | Err(_) => Err(PatternError::Port(text.to_owned())),
        }
    }

    fn matches(self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == port,
        }
    }
}

/// `10.0.0.0/8`, `2001:db8::/32`. IPv4 networks inside IPv6 become what clients and targets are compared as.
pub(crate) fn parse_network(text: &str) -> Option<IpNet> {
    let network: IpNet = text.parse().ok()?;
    let mapped = match network {
        IpNet::V4(_) => None,
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
    };
    match mapped {
        Some((address, prefix)) => {
            IpNet::new(IpAddr::V4(address), prefix).ok().map(|network| network.trunc())
        }
        None => Some(network.trunc()),
    }
}

fn split(text: &str) -> Result<(&str, Option<&str>), PatternError> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or_else(|| PatternError::Bracket(text.to_owned()))?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(PatternError::Host(text.to_owned())),
        };
    }
    match text.split_once(':') {
        // More than one colon: an IPv6 address without brackets, which has no port.
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')).is_some_and(|label| !label.is_empty())
}

/// Lower case, without the dot that ends an absolute name (RFC 4343, RFC 1034 section 3.1).
fn fold(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

pub(crate) fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    // Four numbers that are no address, as 10.0.0.999, are a slip and not a name.
    let all_digits = name.chars().all(|c| c.is_ascii_digit() || c == '.');
    name.len() <= 253 && !all_digits && name.split('.').all(is_label)
}

impl fmt::Display for PatternHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.to_string();
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        match self.port {
            PatternPort::Any => write!(f, "{host}:*"),
            PatternPort::Only(port) => write!(f, "{host}:{port}"),
        }
    }
}
