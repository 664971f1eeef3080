//! Frames between the gateway and a worker: a length of four bytes, most significant first, then JSON.

use std::io;

use bytes::{Buf, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// What a worker may send in one frame.
pub(super) const MAX_FRAME: usize = 8 * 1024 * 1024;

/// The other end broke the framing, or is gone.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME}")]
    TooLarge(usize),
    #[error("a frame is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("the channel ended")]
    Closed,
    #[error("the channel failed: {0}")]
    Io(#[from] io::Error),
}

/// A channel to a worker or a template.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    received: BytesMut,
}

impl Channel {
    pub(super) fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream: UnixStream::from_std(stream)?, received: BytesMut::new() })
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(super) fn stream_mut(&mut self) -> &mut UnixStream {
        &mut self.stream
    }

    /// Not cancel-safe: a frame may be left half-written, and the channel is useless then.
    pub(super) async fn send(&mut self, message: &Value) -> Result<(), FrameError> {
        self.stream.write_all(&encode(message)?).await.map_err(FrameError::Io)
    }

    /// The next frame. Cancel-safe: what has come is kept.
    pub(super) async fn next(&mut self) -> Result<Value, FrameError> {
        loop {
            if let Some(frame) = split(&mut self.received)? {
                return serde_json::from_slice(&frame).map_err(FrameError::NotJson);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(FrameError::Closed);
            }
        }
    }

    /// Whether the other end is still there, as far as can be told without waiting.
    pub(super) fn is_open(&mut self) -> bool {
        match self.stream.try_read_buf(&mut self.received) {
            Ok(n) => n > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// Arguments may be secrets, so the bytes are wiped after use.
pub(super) fn encode(message: &Value) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let mut frame = Zeroizing::new(vec![0; 4]);
    serde_json::to_writer(&mut *frame, message).map_err(FrameError::NotJson)?;
    let length = frame.len() - 4;
    let prefix = u32::try_from(length).map_err(|_| FrameError::TooLarge(length))?.to_be_bytes();
    if let Some(head) = frame.first_chunk_mut() {
        *head = prefix;
    }
    Ok(frame)
}

/// Takes one frame from the bytes that have come, once it is there as a whole.
pub(super) fn split(received: &mut BytesMut) -> Result<Option<BytesMut>, FrameError> {
    let Some(prefix) = received.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    if received.len() < 4 + length {
        return Ok(None);
    }
    received.advance(4);
    Ok(Some(received.split_to(length)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_frame_cut_at_every_byte_is_the_same_frame() {
        let bytes = encode(&json!({"hook": "authorize"})).unwrap();
        for cut in 0..bytes.len() {
            let mut received = BytesMut::from(&bytes[..cut]);
            assert!(split(&mut received).unwrap().is_none(), "{cut}");
            received.extend_from_slice(&bytes[cut..]);
            received.extend_from_slice(b"next");
            assert_eq!(&split(&mut received).unwrap().unwrap()[..], br#"{"hook":"authorize"}"#);
            assert_eq!(&received[..], b"next");
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_by_its_length() {
        let length = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes();
        assert!(matches!(split(&mut BytesMut::from(&length[..])), Err(FrameError::TooLarge(_))));
    }
}
