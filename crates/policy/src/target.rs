//! Where a connection may lead.

use std::net::{IpAddr, SocketAddr};

use keyward_model::Host;

use crate::{HostPattern, PatternHost, PatternPort};

/// The destination of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// One server, whatever the client asks for.
    Fixed { host: Host, port: u16 },
    /// The server that the client names, within limits.
    Inband(Inband),
}

/// The limits of what a client may ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inband {
    /// Never empty. An entry without a port allows the protocol's own port only.
    pub allow: Vec<HostPattern>,
    /// Stronger than `allow`. An entry without a port denies all ports.
    pub deny: Vec<HostPattern>,
    /// Appended to short names, in this order.
    pub dns_suffixes: Vec<String>,
    /// Whether a client that names no server gets a jump host (`ssh -J`), and is not asked for one. The connection then
    /// has an authentication.
    pub jump_host: bool,
}

/// Why a client may not go where it wants.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RefusedBy {
    #[error("the deny list has {0}")]
    Deny(HostPattern),
    #[error("the allow list has no entry for it")]
    NotAllowed,
}

impl Inband {
    /// Whether the client may go to `target`, which was looked up under `hostname` (gateway section 1, step 6).
    ///
    /// A name on the deny list does not stop a client that asks for the address: deny addresses too.
    pub fn judge(&self, hostname: Option<&str>, target: SocketAddr) -> Result<(), RefusedBy> {
        let matches = |pattern: &&HostPattern| pattern.matches(hostname, target.ip(), target.port());
        if let Some(pattern) = self.deny.iter().find(matches) {
            return Err(RefusedBy::Deny(pattern.clone()));
        }
        if self.allow.iter().any(|pattern| matches(&pattern)) { Ok(()) } else { Err(RefusedBy::NotAllowed) }
    }

    /// Whether the allow list has this very address with this very port written out, as `127.0.0.1:22`:
    /// no network, name or wildcard counts.
    pub fn allows_exactly(&self, target: SocketAddr) -> bool {
        let ip: IpAddr = target.ip().to_canonical();
        self.allow.iter().any(|pattern| {
            pattern.port_is_written
                && pattern.host == PatternHost::Address(ip)
                && pattern.port == PatternPort::Only(target.port())
        })
    }
}
