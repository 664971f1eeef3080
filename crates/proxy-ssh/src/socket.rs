//! What carries an SSH connection: TCP, or one end of a pair of sockets for a connection within another one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// Both are one descriptor, so that a branch is all that the pair costs TCP.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    /// The other end is with the connection that this one runs in.
    Pair(UnixStream),
}

impl Socket {
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Pair(stream) => stream.try_read(buffer),
        }
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Pair(stream) => stream.try_write(bytes),
        }
    }

    /// Waits until the socket can do one of these; whether the peer sends no more. Cancel-safe.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<ReadEnd> {
        let ready = match self {
            Self::Tcp(stream) => stream.ready(interest).await?,
            Self::Pair(stream) => stream.ready(interest).await?,
        };
        Ok(if ready.is_read_closed() { ReadEnd::Closed } else { ReadEnd::Open })
    }

    /// Reads and leaves what it has read. Cancel-safe.
    pub(crate) async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buffer).await,
            Self::Pair(stream) => {
                let look = || Ok(rustix::net::recv(stream, &mut *buffer, RecvFlags::PEEK)?.0);
                stream.async_io(Interest::READABLE, look).await
            }
        }
    }
}

/// Whether the peer may still send something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReadEnd {
    Open,
    Closed,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Pair(stream) => stream.as_fd(),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Pair(stream)
    }
}
