//! One connection and its side of the SSH protocol: bytes from the socket in, messages out, and the other way.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use keyward_ssh::{Config, Disconnect, Event, HostKey, Transport};
use rustix::net::sockopt;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::SshError;
use crate::socket::{ReadEnd, Socket};

/// A client or a target.
pub(crate) struct Peer {
    stream: Arc<Socket>,
    pub(crate) transport: Transport,
    /// Looks at what the peer has said, for [`give_way`].
    looks: u32,
}

/// What a peer has sent.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// To be judged, before anything else comes.
    HostKey(Box<HostKey>),
    /// The first key exchange is done.
    Ready,
    /// A message of user authentication or of the connection protocol, its number first.
    Message(Vec<u8>),
}

/// What one look at a socket brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    Nothing,
    Something,
    /// The peer sends no more.
    End,
}

/// How long a peer may take to fetch the last message and to close the connection.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A peer that does not take its answers is not listened to with more than this waiting for it.
const MOST_UNSENT: usize = 256 * 1024;

impl Peer {
    pub(crate) fn new(stream: impl Into<Socket>, config: Arc<Config>) -> Result<Self, SshError> {
        Ok(Self { stream: Arc::new(stream.into()), transport: Transport::new(config)?, looks: 0 })
    }

    /// The socket, to watch it while nobody reads.
    pub(crate) fn stream(&self) -> Arc<Socket> {
        Arc::clone(&self.stream)
    }

    /// What the peer says next. Sends what is waiting to be sent meanwhile. Cancel-safe.
    ///
    /// A peer that never stops talking is still subject to time-outs, and takes no thread from the other sessions.
    pub(crate) async fn next(&mut self) -> Result<Incoming, SshError> {
        loop {
            give_way(&mut self.looks).await;
            match self.transport.next(Instant::now())? {
                Some(Event::HostKey(key)) => return Ok(Incoming::HostKey(Box::new(key))),
                Some(Event::Ready) => return Ok(Incoming::Ready),
                Some(Event::Message(message)) => return Ok(Incoming::Message(message.to_vec())),
                Some(Event::Disconnected(farewell)) => return Err(SshError::Left(farewell.description)),
                None => {}
            }
            let wrote = self.write()?;
            let reads = self.reads()?;
            let has_read = reads == Reads::Yes && wrote == Look::Nothing && self.read()? == Look::Something;
            if wrote == Look::Nothing && !has_read {
                self.transport.rest();
                self.ready(reads).await?;
            }
        }
    }

    fn reads(&mut self) -> Result<Reads, SshError> {
        if self.transport.backlog() <= MOST_UNSENT {
            return Ok(Reads::Yes);
        }
        // What waits for the peer's part of a key exchange would wait for ever.
        if self.transport.output().is_empty() { Err(SshError::TooManyRequests) } else { Ok(Reads::No) }
    }

    /// The next message; anything else does not belong here. Cancel-safe.
    pub(crate) async fn message(&mut self) -> Result<Vec<u8>, SshError> {
        match self.next().await? {
            Incoming::Message(message) => Ok(message),
            Incoming::HostKey(_) | Incoming::Ready => Err(SshError::OutOfTurn),
        }
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> Result<(), SshError> {
        Ok(self.transport.send(message)?)
    }

    /// Waits until everything has been handed to the system. Cancel-safe.
    pub(crate) async fn flush(&mut self) -> Result<(), SshError> {
        loop {
            self.write()?;
            if self.transport.output().is_empty() {
                return Ok(());
            }
            self.stream.ready(Interest::WRITABLE).await.map_err(SshError::Io)?;
        }
    }

    /// Reads once, without waiting; `End` is an error here and in [`next`](Self::next).
    fn read(&mut self) -> Result<Look, SshError> {
        match self.try_read().map_err(SshError::Io)? {
            Look::End => Err(SshError::Closed),
            look => Ok(look),
        }
    }

    /// Reads once, without waiting.
    pub(crate) fn try_read(&mut self) -> io::Result<Look> {
        // Asked first, since room costs memory that a silent peer should not need.
        match self.stream.try_read(self.transport.room()) {
            Ok(0) => Ok(Look::End),
            Ok(count) => {
                self.transport.filled(count);
                Ok(Look::Something)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Look::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Writes what the socket takes, without waiting.
    pub(crate) fn write(&mut self) -> Result<Look, SshError> {
        let mut look = Look::Nothing;
        let output = self.transport.output();
        while !output.is_empty() {
            match self.stream.try_write(output) {
                Ok(count) => {
                    output.advance(count);
                    look = Look::Something;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(SshError::Io(error)),
            }
        }
        Ok(look)
    }

    /// Waits until the socket can be read, where that is wanted, or written, where something waits for it.
    /// Cancel-safe.
    pub(crate) async fn ready(&mut self, reads: Reads) -> Result<(), SshError> {
        let interest = match (reads, self.transport.output().is_empty()) {
            (Reads::Yes, true) => Interest::READABLE,
            (Reads::Yes, false) => Interest::READABLE | Interest::WRITABLE,
            (Reads::No, false) => Interest::WRITABLE,
            (Reads::No, true) => return std::future::pending().await,
        };
        self.stream.ready(interest).await.map_err(SshError::Io)?;
        Ok(())
    }

    /// Says goodbye and waits a little for the peer to take it: what is unread when a socket is closed would
    /// make the system throw away what was written last.
    pub(crate) async fn leave(&mut self, reason: Disconnect, text: &str) {
        self.transport.disconnect(reason, text);
        let leaving = async {
            // A peer that is gone needs no message.
            self.flush().await.ok()?;
            rustix::net::shutdown(&*self.stream, rustix::net::Shutdown::Write).ok()?;
            let mut rest = [0; 4096];
            loop {
                give_way(&mut self.looks).await;
                self.stream.ready(Interest::READABLE).await.ok()?;
                match self.stream.try_read(&mut rest) {
                    Ok(0) => return Some(()),
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return None,
                    Ok(_) | Err(_) => {}
                }
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, leaving).await;
    }
}

/// Looks in a row at a socket that may always have something, before time-outs and other sessions have their turn.
const LOOKS: u32 = 16;

/// Reading without waiting takes nothing from the budget that the runtime gives to a task. Cancel-safe.
async fn give_way(looks: &mut u32) {
    *looks = looks.wrapping_add(1);
    if looks.is_multiple_of(LOOKS) {
        tokio::task::yield_now().await;
    }
}

/// Whether a peer is to be listened to at the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reads {
    Yes,
    No,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("transport", &self.transport).finish_non_exhaustive()
    }
}

/// Sends small packets at once, and finds out about a peer that vanished without a word: after two minutes.
///
/// Not by SSH's own keep-alives: those of one side go through to the other, and prove more that way.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(stream, 4)?;
    Ok(())
}

/// Waits until the peer has closed the connection, also while nobody reads from it. Takes nothing from the
/// stream. Cancel-safe.
pub(crate) async fn hung_up(stream: &Socket) {
    /// There is no event for "closed, with something unread before it".
    const LOOK_AGAIN: Duration = Duration::from_millis(250);
    let mut byte = [0];
    loop {
        match stream.peek(&mut byte).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        match stream.ready(Interest::READABLE).await {
            Ok(ReadEnd::Open) => tokio::time::sleep(LOOK_AGAIN).await,
            Ok(ReadEnd::Closed) | Err(_) => return,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test is both ends of its connection")]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, UnixStream};

    #[tokio::test]
    async fn a_peer_that_leaves_is_noticed_although_it_left_something_unread() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        peer.write_all(b"unread").await.unwrap();
        drop(peer);
        hung_up(&stream.into()).await;
    }

    #[tokio::test]
    async fn a_peer_within_another_connection_is_noticed_to_leave_as_well() {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"unread").await.unwrap();
        let stream = stream.into();
        assert!(tokio::time::timeout(Duration::from_millis(1), hung_up(&stream)).await.is_err());
        drop(peer);
        hung_up(&stream).await;
        assert_eq!(stream.try_read(&mut [0; 9]).unwrap(), 6);
    }
}
