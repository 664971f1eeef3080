//! Ports of loopback for servers that the tests start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the system gives to whoever asks for any: one of these is still free when its server takes it, and
/// while that is down.
const PORTS: Range<u16> = 11_000..32_000;
/// How far apart tests begin to look that run beside each other.
const PER_TEST: u32 = 64;

/// A port that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    static LOOKED_AT: AtomicU32 = AtomicU32::new(0);
    let places = u32::from(PORTS.end - PORTS.start);
    let first = std::process::id().wrapping_mul(PER_TEST);
    (0..places)
        .map(|_| first.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed)) % places)
        .map(|place| PORTS.start + u16::try_from(place).unwrap())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a port is free")
}

/// An address that nobody listened on a moment ago.
pub fn free_addr() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}
