//! What the relay records, gathered so that a burst of packets is one event.

use std::fmt;

use bytes::Bytes;
use keyward_session::{RecorderGone, Tap};
use keyward_ssh::Pool;
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
    bytes: Burst,
}

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
                && gathered.bytes.0.len() + data.len() <= Burst::LONGEST
        };
        if !self.gathered.as_ref().is_some_and(fits) {
            self.flush().await?;
        }
        let gathered = self.gathered.get_or_insert_with(|| Gathered {
            tap: tap.clone(),
            direction,
            stream,
            bytes: Burst::for_bytes(data.len()),
        });
        gathered.bytes.0.extend_from_slice(data);
        Ok(())
    }

    /// Hands everything to the recorder; waits while the trail is behind.
    pub(crate) async fn flush(&mut self) -> Result<(), RecorderGone> {
        let Some(Gathered { tap, direction, stream, bytes }) = self.gathered.take() else { return Ok(()) };
        tap.data(direction, stream, &Bytes::from_owner(bytes)).await
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

/// The memory of some bytes on their way to the recorder.
///
/// A bulk transfer fills thousands of these in a second, in one thread, and another one empties them: memory of that
/// size would come fresh from the system each time. So a few long ones are kept while nobody needs them.
struct Burst(Vec<u8>);

static IDLE: Pool<Vec<u8>> = Pool::new(16);

impl Burst {
    /// As long as what one look at a socket brings.
    const LONGEST: usize = 128 * 1024;
    /// With less than this, a burst is as long as it must be.
    const SHORT: usize = 8 * 1024;

    /// Empty, for so many bytes or more.
    fn for_bytes(count: usize) -> Self {
        if count < Self::SHORT {
            return Self(Vec::with_capacity(count));
        }
        Self(IDLE.take().unwrap_or_else(|| Vec::with_capacity(Self::LONGEST)))
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        if self.0.capacity() == Self::LONGEST {
            self.0.clear();
            IDLE.give(std::mem::take(&mut self.0));
        }
    }
}

impl AsRef<[u8]> for Burst {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Burst").field("bytes", &self.0.len()).finish_non_exhaustive()
    }
}
