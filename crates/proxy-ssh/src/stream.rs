//! A TCP stream that can be cut from outside, watched from outside, and held back.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::gate::Gate;

/// What the SSH library reads from and writes to.
///
/// The library serves a connection on a task of its own that nobody else can end; cutting its stream does.
pub(crate) struct Guarded {
    stream: Arc<TcpStream>,
    /// What was read before the library asked for it. Owns no memory while the peer is silent.
    ahead: BytesMut,
    gate: Arc<Gate>,
    patience: Option<Pin<Box<Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// How long an unanswered request may hold a connection back. Past it the connection reads on, and answers may
/// be told of the wrong request; a bulk transfer that fills every buffer could else wait for itself.
const HOLD_AT_MOST: Duration = Duration::from_secs(1);

/// The library reads each packet in two steps, its length and the rest. Reading this much at a time makes one system
/// call of those for several packets.
const READ_AHEAD: usize = 128 * 1024;

impl Guarded {
    pub(crate) fn new(stream: Arc<TcpStream>, gate: Arc<Gate>, cut: &CancellationToken) -> Self {
        Self {
            stream,
            ahead: BytesMut::new(),
            gate,
            patience: None,
            cut: Box::pin(cut.clone().cancelled_owned()),
        }
    }

    fn check_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Fills the empty buffer; it stays empty at the end of the stream.
    fn poll_read_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.stream.poll_read_ready(context)?.is_pending() {
                self.ahead = BytesMut::new();
                return Poll::Pending;
            }
            self.ahead.clear();
            self.ahead.reserve(READ_AHEAD);
            match self.stream.try_read_buf(&mut self.ahead) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_gate(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.gate.poll_pass(context).is_ready() {
            self.patience = None;
            return Poll::Ready(());
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(HOLD_AT_MOST)));
        ready!(patience.as_mut().poll(context));
        self.gate.open();
        self.patience = None;
        Poll::Ready(())
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_cut(context)?;
        ready!(self.poll_gate(context));
        if self.ahead.is_empty() {
            ready!(self.poll_read_ahead(context))?;
        }
        let taken = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(self.ahead.get(..taken).unwrap_or_default());
        self.ahead.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_cut(context)?;
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = rustix::net::shutdown(&*self.stream, rustix::net::Shutdown::Write);
        match shut {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("ahead", &self.ahead.len()).finish_non_exhaustive()
    }
}

/// Sends small packets at once, and finds out about a peer that vanished without a word: after two minutes.
///
/// Not SSH's own keep-alives towards clients: the library would send them during authentication too, where
/// clients take them for an error.
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
pub(crate) async fn hung_up(stream: &TcpStream) {
    /// There is no event for "closed, with something unread before it".
    const LOOK_AGAIN: Duration = Duration::from_millis(250);
    let mut byte = [0];
    loop {
        match stream.peek(&mut byte).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        match stream.ready(Interest::READABLE).await {
            Ok(ready) if !ready.is_read_closed() => tokio::time::sleep(LOOK_AGAIN).await,
            Ok(_) | Err(_) => return,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test is both ends of its connection")]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        (near, Arc::new(far))
    }

    #[tokio::test]
    async fn a_cut_stream_fails_at_once_in_both_directions() {
        let (_peer, stream) = pair().await;
        let cut = CancellationToken::new();
        let mut guarded = Guarded::new(stream, Arc::default(), &cut);
        let reading = tokio::spawn(async move {
            let read = guarded.read(&mut [0; 8]).await;
            (read.is_err(), guarded.write(b"x").await.is_err())
        });
        cut.cancel();
        assert_eq!(reading.await.unwrap(), (true, true));
    }

    #[tokio::test]
    async fn a_peer_that_leaves_is_noticed_although_it_left_something_unread() {
        let (mut peer, stream) = pair().await;
        peer.write_all(b"unread").await.unwrap();
        drop(peer);
        hung_up(&stream).await;
    }

    #[tokio::test]
    async fn a_held_stream_reads_on_in_the_end() {
        let (mut peer, stream) = pair().await;
        let gate = Arc::new(Gate::default());
        let (_answers, turn) = crate::gate::Answers::new(&gate);
        gate.hold(&turn);
        let mut guarded = Guarded::new(stream, gate, &CancellationToken::new());
        peer.write_all(b"x").await.unwrap();
        let start = std::time::Instant::now();
        assert_eq!(guarded.read_u8().await.unwrap(), b'x');
        assert!(start.elapsed() >= HOLD_AT_MOST);
    }
}
