//! The gateway's own addresses are never a target (gateway section 1, step 6).

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use keyward_policy::Policy;

/// Whether `addr` is one of the gateway's own listeners, by any of this host's addresses.
pub(crate) fn is_own_listener(policy: &Policy, addr: SocketAddr) -> bool {
    let listens = |listener: &SocketAddr| {
        // To connect to the unspecified address is to connect to this host.
        let is_any = listener.ip().is_unspecified() || addr.ip().is_unspecified();
        listener.port() == addr.port() && (listener.ip() == addr.ip() || is_any)
    };
    policy.connections.iter().any(|connection| connection.listen.iter().any(listens)) && is_own(addr.ip())
}

/// Whether `ip` belongs to this host: only such an address can be bound.
pub(crate) fn is_own(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let bindable = || match UdpSocket::bind((ip, 0)) {
        Ok(_) => true,
        // Any other error says nothing about the address, so it counts as ours.
        Err(error) => error.kind() != ErrorKind::AddrNotAvailable,
    };
    ip.is_loopback() || ip.is_unspecified() || bindable()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_our_own_and_a_documentation_address_is_not() {
        assert!(is_own("127.0.0.9".parse().unwrap()));
        assert!(is_own("::ffff:127.0.0.1".parse().unwrap()));
        assert!(is_own("0.0.0.0".parse().unwrap()));
        assert!(!is_own("192.0.2.7".parse().unwrap()));
    }
}
