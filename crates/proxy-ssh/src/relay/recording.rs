//! What the relay records, gathered so that a burst of packets is one event.

use bytes::{Bytes, BytesMut};
use keyward_session::{RecorderGone, Tap};
use keyward_trail::{ChannelId, Direction, Event, Stream};

/// Bytes that passed on one channel in one direction and are not with the recorder yet.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    gathered: Option<Gathered>,
}

#[derive(Debug)]
struct Gathered {
    tap: Tap,
    direction: Direction,
    stream: Stream,
    bytes: BytesMut,
}

/// A burst is as long as what one look at a socket brings.
const BURST: usize = 128 * 1024;

impl Recording {
    /// Takes note of bytes. They are with the recorder after [`flush`](Self::flush), which comes before they are
    /// passed on.
    pub(crate) async fn data(
        &mut self,
        tap: &Tap,
        direction: Direction,
        stream: Stream,
        data: &[u8],
    ) -> Result<(), RecorderGone> {
        if !tap.records() {
            return tap.passed(direction);
        }
        let fits = |gathered: &Gathered| {
            gathered.tap.channel() == tap.channel()
                && (gathered.direction, gathered.stream) == (direction, stream)
                && gathered.bytes.len() + data.len() <= BURST
        };
        if !self.gathered.as_ref().is_some_and(fits) {
            self.flush().await?;
        }
        let gathered = self.gathered.get_or_insert_with(|| Gathered {
            tap: tap.clone(),
            direction,
            stream,
            bytes: BytesMut::new(),
        });
        gathered.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Hands everything to the recorder; waits while the trail is behind.
    pub(crate) async fn flush(&mut self) -> Result<(), RecorderGone> {
        let Some(Gathered { tap, direction, stream, bytes }) = self.gathered.take() else { return Ok(()) };
        let bytes: Bytes = bytes.freeze();
        tap.data(direction, stream, &bytes).await
    }

    /// Records anything else that happens on a channel, after what came before it.
    pub(crate) async fn event(
        &mut self,
        tap: Option<&Tap>,
        event: impl FnOnce(ChannelId) -> Event<'static>,
    ) -> Result<(), RecorderGone> {
        let Some(tap) = tap else { return Ok(()) };
        self.flush().await?;
        tap.event(event(tap.channel())).await
    }
}
