//! What a client has sent on a channel and the target has not taken yet.
//!
//! The library reads a connection packet by packet, and waits when a channel's queue is full. Were both its
//! loops to wait, towards the client and towards the target, each for a window adjustment that stands behind
//! data in the other's socket, they would wait for ever (`cat` through the gateway does it). So the loop towards
//! the client never waits for the target: its data goes here, and the client's window bounds how much that is.
//! The library widens the window as data arrives, not as it leaves, so `Front` narrows it while there is too
//! much.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::{ChannelMsg, Sig};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    queue: Mutex<Queue>,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<ChannelMsg>,
    /// Of data, which the client's window bounds.
    bytes: usize,
    /// Of requests, which nothing else bounds.
    requests: usize,
    closed: bool,
}

/// From here on the client's window is not widened. A window may be under way, so that up to a window more
/// can come.
const FULL: usize = 1024 * 1024;
/// With more bytes of requests than this the client waits.
const MOST_REQUESTS: usize = 512 * 1024;
/// What each request counts at least.
const REQUEST: usize = 128;
/// Neighbours up to this size become one message: single bytes would cost fifty times their size.
const SMALL: usize = 4096;

impl Backlog {
    /// Takes all that the client sends, for ever; waits only for a client that floods with requests.
    pub(crate) async fn fill(&self, mut client: russh::ChannelReadHalf) {
        while let Some(message) = client.wait().await {
            self.push(message);
            while let Some(drained) = self.when_flooded() {
                drained.await;
            }
        }
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// The next message, or `None` after the last one. Cancel-safe, for one caller.
    pub(crate) async fn next(&self) -> Option<ChannelMsg> {
        loop {
            {
                let mut queue = self.lock();
                if let Some(message) = queue.messages.pop_front() {
                    let Size { data, request } = Size::of(&message);
                    queue.bytes -= data;
                    queue.requests -= request;
                    if queue.bytes < FULL || request > 0 {
                        self.drained.notify_waiters();
                    }
                    return Some(message);
                }
                if queue.closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Whether the client should send no more for now.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().bytes >= FULL
    }

    /// Waits until the client may send more, but not for long. Cancel-safe.
    pub(crate) async fn wait_a_little(&self) {
        const LITTLE: Duration = Duration::from_millis(10);
        let drained = self.drained.notified();
        if self.is_full() {
            // Either way the caller goes on.
            let _ = tokio::time::timeout(LITTLE, drained).await;
        }
    }

    /// What to wait for when there are too many requests.
    fn when_flooded(&self) -> Option<Notified<'_>> {
        let drained = self.drained.notified();
        (self.lock().requests >= MOST_REQUESTS).then_some(drained)
    }

    fn push(&self, message: ChannelMsg) {
        let mut queue = self.lock();
        let Size { data, request } = Size::of(&message);
        queue.bytes += data;
        queue.requests += request;
        let message = match (queue.messages.back_mut(), message) {
            (Some(ChannelMsg::Data { data: last }), ChannelMsg::Data { data })
                if last.len() + data.len() <= SMALL =>
            {
                *last = joined(last, &data);
                None
            }
            (_, message) => Some(message),
        };
        queue.messages.extend(message);
        drop(queue);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a message counts.
struct Size {
    data: usize,
    request: usize,
}

impl Size {
    fn of(message: &ChannelMsg) -> Self {
        let request = |bytes: usize| Self { data: 0, request: REQUEST + bytes };
        match message {
            ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => {
                Self { data: data.len(), request: 0 }
            }
            ChannelMsg::Exec { command, .. } => request(command.len()),
            ChannelMsg::SetEnv { variable_name, variable_value, .. } => {
                request(variable_name.len() + variable_value.len())
            }
            ChannelMsg::RequestPty { term, terminal_modes, .. } => {
                request(term.len() + 8 * terminal_modes.len())
            }
            ChannelMsg::RequestSubsystem { name, .. } => request(name.len()),
            ChannelMsg::RequestX11 { x11_authentication_protocol, x11_authentication_cookie, .. } => {
                request(x11_authentication_protocol.len() + x11_authentication_cookie.len())
            }
            ChannelMsg::Signal { signal: Sig::Custom(name) } => request(name.len()),
            // The others are of one size.
            _ => request(0),
        }
    }
}

fn joined(first: &Bytes, second: &Bytes) -> Bytes {
    let mut joined = BytesMut::with_capacity(first.len() + second.len());
    joined.extend_from_slice(first);
    joined.extend_from_slice(second);
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(bytes: &[u8]) -> ChannelMsg {
        ChannelMsg::Data { data: Bytes::copy_from_slice(bytes) }
    }

    #[tokio::test]
    async fn what_was_sent_comes_in_order_with_small_neighbours_joined() {
        let backlog = Backlog::default();
        for message in [data(b"a"), data(b"b"), ChannelMsg::Eof, data(b"c"), data(&[b'x'; SMALL]), data(b"d")]
        {
            backlog.push(message);
        }
        backlog.lock().closed = true;
        let mut seen = Vec::new();
        while let Some(message) = backlog.next().await {
            match message {
                ChannelMsg::Data { data } => seen.push(data.len()),
                ChannelMsg::Eof => seen.push(0),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, [2, 0, 1, SMALL, 1]);
        assert_eq!(backlog.lock().bytes, 0);
    }

    #[tokio::test]
    async fn a_full_backlog_is_full_until_it_is_drained() {
        let backlog = Backlog::default();
        backlog.push(data(&vec![0; FULL]));
        assert!(backlog.is_full());
        backlog.wait_a_little().await;
        assert!(backlog.next().await.is_some());
        assert!(!backlog.is_full());
    }

    #[tokio::test]
    async fn a_flood_of_requests_waits_until_they_are_served() {
        let backlog = Backlog::default();
        backlog.push(ChannelMsg::Exec { want_reply: true, command: vec![b'x'; MOST_REQUESTS] });
        assert!(backlog.when_flooded().is_some() && !backlog.is_full());
        assert!(backlog.next().await.is_some());
        assert!(backlog.when_flooded().is_none());
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let backlog = std::sync::Arc::new(Backlog::default());
        let reader = tokio::spawn({
            let backlog = std::sync::Arc::clone(&backlog);
            async move { backlog.next().await.is_some() }
        });
        tokio::task::yield_now().await;
        backlog.push(ChannelMsg::Eof);
        assert!(reader.await.unwrap());
    }
}
