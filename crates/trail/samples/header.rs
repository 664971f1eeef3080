//! The header of what tests and measurements record. Whoever needs it takes this file in by its path.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use keyward_model::{ClientAddr, ConnectionName, NameError, Protocol, SessionId, TargetAddr, UnixMillis};
use keyward_trail::Header;

pub(crate) fn header() -> Result<Header, NameError> {
    let connection = ConnectionName::try_from("db")?;
    let target = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7), 22));
    Ok(Header {
        session: SessionId::new([7; 16], &connection, 42),
        protocol: Protocol::Ssh,
        connection,
        client: ClientAddr(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 50_000))),
        started: UnixMillis(1_700_000_000_123),
        gateway_user: Some("alice".into()),
        remote_user: "root".into(),
        target: TargetAddr { addr: target, hostname: Some("db1".into()) },
    })
}
