//! From an address to a connection that can be asked: TCP, TLS, the guard, the bind.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use ldap3::asn1::{TagClass, parse_tag};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapResult, StdStream};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::LdapError;
use super::guard::Guard;
use super::{Server, Tls};
use crate::service::LdapAddress;

/// What TLS or its absence leaves.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The first of the server's addresses that can be reached, with TLS where the policy wants it.
pub(super) async fn connect(server: &Server) -> Result<Box<dyn Stream>, LdapError> {
    let mut reasons = Vec::new();
    // Each has a share of the time, so that a silent one leaves some for the next.
    let share = server.timeout / u32::try_from(server.addresses.len() + 1).unwrap_or(u32::MAX);
    for address in &server.addresses {
        match timeout(share, open(address)).await {
            Ok(Ok(stream)) => return protect(server, address, stream).await,
            Ok(Err(error)) => reasons.push(format!("{address}: {error}")),
            Err(_) => reasons.push(format!("{address}: no answer within {} ms", share.as_millis())),
        }
    }
    Err(LdapError::Unreachable(reasons.join("; ")))
}

/// The first network address of a name that answers.
#[expect(
    clippy::disallowed_methods,
    reason = "an LDAP server of the policy document is no target of a session"
)]
async fn open(address: &LdapAddress) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let found: Vec<SocketAddr> = lookup_host((address.host.as_str(), address.port)).await?.collect();
    for addr in found {
        match TcpStream::connect(addr).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn protect(
    server: &Server,
    address: &LdapAddress,
    mut stream: TcpStream,
) -> Result<Box<dyn Stream>, LdapError> {
    match &server.tls {
        Tls::None => Ok(Box::new(stream)),
        Tls::Direct(config) => handshake(config, address, stream).await,
        Tls::Start(config) => {
            start_tls(&mut stream).await?;
            handshake(config, address, stream).await
        }
    }
}

async fn handshake(
    config: &Arc<ClientConfig>,
    address: &LdapAddress,
    stream: TcpStream,
) -> Result<Box<dyn Stream>, LdapError> {
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| LdapError::Tls(io::Error::other(error)))?;
    let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
    Ok(Box::new(connected.map_err(LdapError::Tls)?))
}

/// LDAPMessage 1 with an extended request, whose name is the object identifier of StartTLS (RFC 4511 section 4.14.1).
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
const MAX_START_TLS_ANSWER: usize = 4096;

/// Asks for TLS, and reads not a byte beyond the answer: what follows it is to be protected.
async fn start_tls(stream: &mut TcpStream) -> Result<(), LdapError> {
    stream.write_all(START_TLS).await?;
    let mut answer = Vec::new();
    while Guard::default().message(&answer)?.is_none() {
        if answer.len() >= MAX_START_TLS_ANSWER {
            return Err(LdapError::Broken("its answer to StartTLS does not end".into()));
        }
        answer.push(stream.read_u8().await?);
    }
    match result_code(&answer).as_deref() {
        Some([0]) => Ok(()),
        Some(_) => Err(LdapError::Refused("StartTLS", "it offers no TLS on this port".into())),
        None => Err(LdapError::Broken("its answer to StartTLS is none".into())),
    }
}

/// Of an extended response (RFC 4511 section 4.12), in its encoding.
fn result_code(message: &[u8]) -> Option<Vec<u8>> {
    const EXTENDED_RESPONSE: u64 = 24;
    let (_, message) = parse_tag(message).ok()?;
    let response = message.expect_constructed()?.into_iter().nth(1)?;
    let response = response.match_class(TagClass::Application)?.match_id(EXTENDED_RESPONSE)?;
    response.expect_constructed()?.into_iter().next()?.expect_primitive()
}

/// Runs `work` on a connection. Everything that the connection needs ends with this future.
///
/// The library gets one end of a socket pair, and [`relay`] has the other: what comes from the server passes the
/// guard before the library sees it.
pub(super) async fn converse<T, F>(
    stream: Box<dyn Stream>,
    work: impl FnOnce(Ldap) -> F,
) -> Result<T, LdapError>
where
    F: Future<Output = Result<T, LdapError>>,
{
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
    let (connection, ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(of_library)?;
    // The end of the connection shows in the conversation, once it has read what came before.
    let driven = async {
        let _ = connection.drive().await;
        std::future::pending().await
    };
    tokio::select! {
        refused = relay(stream, ours) => refused,
        answer = work(ldap) => answer,
        never = driven => never,
    }
}

/// Passes messages on in both directions. It ends only when it refuses what the server sends.
async fn relay<T>(stream: Box<dyn Stream>, library: UnixStream) -> Result<T, LdapError> {
    let (mut from_server, mut to_server) = split(stream);
    let (mut from_library, mut to_library) = library.into_split();
    let outward = async {
        let _ = copy(&mut from_library, &mut to_server).await;
        let _ = to_server.shutdown().await;
        std::future::pending().await
    };
    let inward = async {
        let (mut guard, mut received) = (Guard::default(), BytesMut::new());
        while let Ok(1..) = from_server.read_buf(&mut received).await {
            while let Some(length) = guard.message(&received)? {
                to_library.write_all(&received.split_to(length)).await?;
            }
        }
        let _ = to_library.shutdown().await;
        std::future::pending().await
    };
    tokio::select! {
        refused = inward => refused,
        never = outward => never,
    }
}

/// Refuses a result whose code is not success. What the server says besides is cut to what fits a log line.
pub(super) fn accepted(what: &'static str, result: &LdapResult) -> Result<(), LdapError> {
    const MAX_TEXT: usize = 300;
    if result.rc == 0 {
        return Ok(());
    }
    Err(LdapError::Refused(what, result.to_string().chars().take(MAX_TEXT).collect()))
}

pub(super) fn of_library(error: ldap3::LdapError) -> LdapError {
    match error {
        ldap3::LdapError::Io { source } => LdapError::Io(source),
        ldap3::LdapError::OpSend { .. }
        | ldap3::LdapError::ResultRecv { .. }
        | ldap3::LdapError::IdScrubSend { .. }
        | ldap3::LdapError::EndOfStream => LdapError::Closed,
        other => LdapError::Broken(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_extended_response_has_a_result_code() {
        let answer = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(result_code(answer), Some(vec![0]));
        let refused = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00";
        assert_eq!(result_code(refused), Some(vec![2]));
        for other in
            [&b"\x30\x03\x02\x01\x01"[..], b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"]
        {
            assert_eq!(result_code(other), None);
        }
    }

    #[test]
    fn the_request_for_tls_is_one_message() {
        assert_eq!(Guard::default().message(START_TLS), Ok(Some(START_TLS.len())));
    }
}
